"""Pages as text: what a reader sees of them, exactly, with headings."""

from __future__ import annotations

import pytest

from jina_v3_connectors.errors import DocumentError
from jina_v3_connectors.files.html import decoded, read_html, without_empty_elements

TEXTS = {
    "inline": ("<p>one <b>two</b>three<i> four</i></p>", "one twothree four"),
    "white space": ("<p> a \n\t b</p>\n\n<p>\nc </p>", "a b\n\nc"),
    "no-break space": ("<p>10&nbsp;km</p>", "10\u00a0km"),
    "entities": ("<p>a &amp; b &lt;c&gt; &eacute; &#x1F600;</p>", "a & b <c> é 😀"),
    "line break": ("<p>a<br>b<br/>c</p>", "a\nb\nc"),
    "divisions": ("<div>a</div><div>b</div>", "a\nb"),
    "paragraphs": ("<p>a<p>b", "a\n\nb"),
    "lists": ("<ul><li>a<ul><li>b</ul><li>c</ul><p>d", "a\nb\nc\n\nd"),
    "table": ("<table><tr><th>a<th>b<tr><td><p>1</p><td><div>2</div></table>", "a\tb\n1\t2"),
    "code": ("<p>x</p><pre>\ndef f():\n    return 1</pre>", "x\n\ndef f():\n    return 1"),
    "hidden": ("<nav>menu</nav><script>s</script><style>t</style><p hidden>h</p><template>x</template><p>a", "a"),
    "main": ("<header>logo</header><main><p>a</main><footer>imprint</footer>", "a"),
    "empty main": ("<main></main><p>a</p>", "a"),
    "two mains": ("<main>a</main><main>b</main>", "a\n\nb"),
    "not closed": ("<div><b><p>a<table><tr><td>b", "a\n\nb"),
    "scripts of the world": ("<p dir=rtl>שלום</p><p>東京<ruby>都</ruby>", "שלום\n\n東京都"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_the_text_is_what_is_shown(name: str) -> None:
    markup, text = TEXTS[name]
    assert read_html(markup).text == text


def test_headings_are_kept_from_the_outermost_to_the_innermost() -> None:
    content = read_html(
        "<title>A  page</title><p>Before.<h1>Guide</h1><p>Start.<h2>Set <i>up</i></h2>Run it.<h3></h3><h2>Use</h2>Do."
        "<h1>End</h1>Bye."
    )
    sections = [(content.text[mark.start :].split("\n")[0], mark.metadata) for mark in content.marks]
    assert sections == [
        ("Guide", {"section": ["Guide"]}),
        ("Set up", {"section": ["Guide", "Set up"]}),
        ("Use", {"section": ["Guide", "Use"]}),
        ("End", {"section": ["End"]}),
    ]
    assert content.metadata == {"title": "A page"}


def test_a_long_heading_is_cut_in_the_metadata_alone() -> None:
    content = read_html(f"<h1>{'word ' * 100}</h1>text")
    assert len(content.marks[0].metadata["section"][0]) == 200
    assert content.text == f"{'word ' * 100}".strip() + "\n\ntext"


@pytest.mark.parametrize("markup", ["", "<script>draw()</script>", "<img src='http://127.0.0.1:1/x.png'>"])
def test_a_page_without_text(markup: str) -> None:
    with pytest.raises(DocumentError, match="holds no text of its own: save a page that a script draws from a browser"):
        read_html(markup)


def test_too_much_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jina_v3_connectors.files.content.MAX_CHARACTERS", 1000)
    assert len(read_html("x" * 1000).text) == 1000
    with pytest.raises(DocumentError, match="has over 1,000 characters of text: split it"):
        read_html("x" * 1001)


def test_deep_pages_need_no_recursion() -> None:
    assert read_html("<div>" * 5_000 + "deep").text == "deep"


BYTES = {
    "utf-8": ("é".encode(), None, "é"),
    "byte order mark": (b"\xef\xbb\xbf\xc3\xa9", None, "é"),
    "utf-16": ("\ufeffé".encode("utf-16-le"), None, "é"),
    "meta": (b'<meta charset="iso-8859-1">\xe9\x80', None, '<meta charset="iso-8859-1">é€'),
    "meta http-equiv": (
        b'<meta http-equiv="Content-Type" content="text/html; charset=gb2312">\xb6\xab',
        None,
        '<meta http-equiv="Content-Type" content="text/html; charset=gb2312">东',
    ),
    "xml": (b'<?xml version="1.0" encoding="latin-1"?>\xe9', None, '<?xml version="1.0" encoding="latin-1"?>é'),
    "server": (b'<meta charset="utf-8">\xe9', "iso-8859-1", '<meta charset="utf-8">é'),
}


@pytest.mark.parametrize("name", BYTES)
def test_encodings(name: str) -> None:
    content, charset, text = BYTES[name]
    assert decoded(content, charset) == text


def test_encodings_that_are_wrong() -> None:
    with pytest.raises(DocumentError, match=r"is not utf-8 \(byte 3\), which it says or which pages without a charset"):
        decoded(b"caf\xe9")
    with pytest.raises(DocumentError, match="says that its encoding is 'klingon', which is unknown: save it as UTF-8"):
        decoded(b"<meta charset=klingon>x")


def test_empty_elements_of_xhtml_hide_nothing() -> None:
    markup = '<html><head><title/><script src="a"/></head><body><a id="x"/><p class="y"/>text<br/>more</body></html>'
    assert read_html(without_empty_elements(markup)).text == "text\nmore"
