"""The plot is drawn from the report, in the format its suffix names."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from jina_v3_connectors.evaluation.encoding import Variant
from jina_v3_connectors.evaluation.plot import plot
from jina_v3_connectors.evaluation.report import EvalReport, Figures
from jina_v3_encoder.errors import MissingExtra


@pytest.fixture
def report() -> EvalReport:
    figures = [Figures(variant, size, 0.5, 0.6, 0.4, None, 1.0) for variant in Variant for size in (64, 32)]
    return EvalReport("set", "model", "0" * 16, 1, 1, None, None, figures)


@pytest.mark.parametrize(("name", "start"), [("a.png", b"\x89PNG"), ("a.svg", b"<?xml"), ("a.pdf", b"%PDF")])
def test_formats(report: EvalReport, tmp_path: Path, name: str, start: bytes) -> None:
    plot(report, tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(start)


def test_every_variant_and_size_is_shown(report: EvalReport, tmp_path: Path) -> None:
    import matplotlib as mpl

    with mpl.rc_context({"svg.fonttype": "none"}):
        plot(report, tmp_path / "a.svg")
    drawn = (tmp_path / "a.svg").read_text()
    for text in ("each row alone", "chunks alone", "late chunks", ">64<", ">32<", "model on set", "nDCG@10"):
        assert text in drawn


def test_a_missing_library_says_what_to_install(
    report: EvalReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtra, match=r"pip install 'jina-v3-connectors\[eval\]'"):
        plot(report, tmp_path / "a.png")
