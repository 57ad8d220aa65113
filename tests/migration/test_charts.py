"""Charts: that drawings say the truth."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from jina_v3_connectors.migration import charts
from jina_v3_connectors.pages import Markup

HOSTILE = """<script>alert('1')</script>"&"""


def numbers(drawing: Markup, kind: str, name: str) -> list[float]:
    tree = ElementTree.fromstring(drawing)  # well-formed, or this raises
    return [float(shape.attrib[name]) for shape in tree.iter(kind) if shape.attrib.get("class", "").startswith("bar")]


def test_columns_are_as_high_as_their_counts() -> None:
    drawing = charts.columns("Title", ["0", "1", "2"], [5, 10, 0], below="shared")
    low, high, none = numbers(drawing, "rect", "height")
    assert high == pytest.approx(2 * low)
    assert none == 0
    assert "Title. 0: 5, 1: 10" in drawing


def test_bars_are_as_long_as_their_values() -> None:
    drawing = charts.rows("Title", {"de": (0.25, 0.5), HOSTILE: (1.0, 0.0)}, below="nDCG@10")
    widths = numbers(drawing, "rect", "width")
    assert widths[1] == pytest.approx(2 * widths[0], abs=0.2)
    assert widths[2] == pytest.approx(4 * widths[0], abs=0.4)
    assert "<script" not in drawing
    assert "de: old 0.250, new 0.500" in drawing


def test_steps_show_shares_and_not_counts() -> None:
    """A collection with twice the hits is not drawn twice as high."""
    drawing = charts.steps("Title", [0.0, 0.5, 1.0], {"old": [2, 2], "new": [1, 1]}, below="cosine")
    outlines = re.findall(r'points="([^"]+)"', drawing)
    assert outlines[0] == outlines[1]
    ElementTree.fromstring(drawing)


def test_a_chart_of_nothing() -> None:
    ElementTree.fromstring(charts.columns("Title", ["a"], [0], below="x"))
    ElementTree.fromstring(charts.steps("Title", [0.0, 1.0], {"old": [0], "new": [0]}, below="x"))
