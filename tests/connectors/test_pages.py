"""Pages that stand alone: what is escaped, and what they may load."""

from __future__ import annotations

from jina_v3_connectors.pages import Markup, element, page, table

HOSTILE = """<script>alert('1')</script>"&"""


def test_texts_and_attributes_are_escaped() -> None:
    made = element("p", HOSTILE, element("b", "bold"), None, 5, title=HOSTILE, class_="a", text_anchor=None)
    assert "<script" not in made
    assert made.startswith(
        '<p title="&lt;script&gt;alert(&#x27;1&#x27;)&lt;/script&gt;&quot;&amp;" class="a">&lt;script'
    )
    assert made.endswith("<b>bold</b>5</p>")


def test_a_page_allows_nothing_from_elsewhere() -> None:
    made = page(HOSTILE, element("p", HOSTILE), made_by=HOSTILE)
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
