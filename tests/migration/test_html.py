"""Pages and charts: what is escaped, and that drawings say the truth."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from jina_v3_connectors.migration import charts
from jina_v3_connectors.migration.html import Markup, element, page, table

HOSTILE = """<script>alert('1')</script>"&"""


def test_texts_and_attributes_are_escaped() -> None:
    made = element("p", HOSTILE, element("b", "bold"), None, 5, title=HOSTILE, class_="a", text_anchor=None)
    assert "<script" not in made
    assert made.startswith(
        '<p title="&lt;script&gt;alert(&#x27;1&#x27;)&lt;/script&gt;&quot;&amp;" class="a">&lt;script'
    )
    assert made.endswith("<b>bold</b>5</p>")


def test_a_page_allows_nothing_from_elsewhere() -> None:
    made = page(HOSTILE, element("p", HOSTILE))
    assert made.startswith("<!doctype html>")
    assert "default-src &#x27;none&#x27;; style-src &#x27;unsafe-inline&#x27;" in made
    assert "<script" not in made
    assert "src=" not in made.replace("default-src=", "")
    assert "prefers-color-scheme: dark" in made


def test_figures_stand_on_the_right() -> None:
    made = table(("a", "b"), [("text", 1), ("1,234", "0.500"), (Markup("<i>x</i>"), "−")], caption="c")
    assert made.count('class="number"') == 3
    assert "<i>x</i>" in made
    assert '<th scope="col">a</th>' in made


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
