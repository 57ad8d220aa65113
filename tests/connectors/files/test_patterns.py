"""Patterns of paths."""

from __future__ import annotations

import pytest

from jina_v3_connectors.files.patterns import matches


@pytest.mark.parametrize(
    ("pattern", "fits", "does_not"),
    [
        ("*.html", ["a.html", "x/y/a.html"], ["a.htm", "a.html/b.txt"]),
        ("**/*.html", ["a.html", "x/a.html", "x/y/a.html"], ["a.txt"]),
        ("x/*.html", ["x/a.html"], ["a.html", "x/y/a.html", "z/x/a.html"]),
        ("x/**", ["x/a", "x/y/a"], ["x", "xy/a"]),
        ("x/**/a", ["x/a", "x/y/z/a"], ["x/ya"]),
        ("**/drafts/**", ["drafts/a", "x/drafts/y/a"], ["mydrafts/a"]),
        ("drafts", ["drafts", "x/drafts"], ["drafts2"]),
        ("./x/a", ["x/a"], ["./x/a"]),
        ("a?.md", ["ab.md"], ["a.md", "a/.md"]),
        ("[a-c].md", ["b.md"], ["d.md"]),
        ("[!a-c].md", ["d.md"], ["b.md"]),
        ("a[]].md", ["a].md"], ["a.md"]),
        ("[^a].md", ["^.md", "a.md"], ["b.md"]),
        ("a[.md", ["a[.md"], ["a.md"]),
        ("a.+(b)", ["a.+(b)"], ["aa(b)"]),
        ("Ä*", ["Äpfel"], ["ä"]),
    ],
)
def test_patterns(pattern: str, fits: list[str], does_not: list[str]) -> None:
    assert [path for path in fits if not matches(pattern, path)] == []
    assert [path for path in does_not if matches(pattern, path)] == []
