from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from jina_v3_connectors.chunking.names import CHUNKERS
from jina_v3_connectors.cli import main
from jina_v3_connectors.cli.chunkers import NAMES

from ..servers.chat import Reply, chat_server

PAGE = (
    "# The sea\n\nIt is deep. It is wide, and nobody knows it.\n\n## The <b>moon</b>\n\nIt is far away. 東京です。😀\n"
)
LOST = f"{700 / len(''.join(PAGE.split())):.1f}"
"""Per cent of the page in its first nine characters."""
OWN = """
class Halves:
    description = "halves"

    def spans(self, text, text_format="text"):
        middle = len(text) // 2
        return [(0, middle), (middle, len(text))]


class Wrong:
    pass


class Outside:
    description = "outside"

    def spans(self, text, text_format="text"):
        return [(5, 2), (0, 99999)]


class Nothing:
    description = "nothing"

    def spans(self, text, text_format="text"):
        return None


class Lossy:
    description = "lossy"

    def spans(self, text, text_format="text"):
        return [(0, 9)]
"""


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "page.md").write_text(PAGE, encoding="utf-8")
    (tmp_path / "chunkers_of_a_user.py").write_text(OWN, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path / "page.md"


def run(*arguments: str | Path) -> Result:
    return CliRunner(env={"COLUMNS": "160"}).invoke(main, ["chunk", *map(str, arguments)])


def rows(*arguments: str | Path) -> list[dict[str, Any]]:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_the_names_of_the_help_are_those_there_are() -> None:
    assert NAMES == CHUNKERS


@pytest.mark.parametrize("name", ["splitter", "lines", "sentences", "fixed", "markdown", "html", "code", "semantic"])
def test_chunks_as_lines(page: Path, name: str) -> None:
    chunks = rows(page, "--chunker", name, "--chunk-tokens", "40")
    assert [chunk["chunk"] for chunk in chunks] == list(range(len(chunks)))
    for chunk in chunks:
        assert chunk["text"] == PAGE[chunk["start"] : chunk["end"]]
        assert 0 < chunk["tokens"] <= 40
        assert (chunk["document"], chunk["chunker"]) == (page.as_posix(), name)
    assert "".join("".join(chunk["text"] for chunk in chunks).split()) == "".join(PAGE.split())


def test_options_reach_the_chunkers(page: Path) -> None:
    assert len(rows(page, "--chunker", "lines")) == 4
    assert len(rows(page, "--chunker", "lines", "--min-chunk-tokens", "20")) < 4
    assert len(rows(page, "--chunker", "sentences", "--chunk-sentences", "1")) > 4
    shared = rows(page, "--chunker", "sentences", "--chunk-sentences", "2", "--chunk-overlap", "1")
    assert shared[1]["start"] < shared[0]["end"]


def test_a_language_model(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JINA_V3_STATE", str(tmp_path / "state"))
    answer = Reply(json.dumps({"parts": [{"start": 1, "summary": "the sea"}, {"start": 4, "summary": "the moon"}]}))
    with chat_server(lambda asked, number: answer) as server:
        options = ("--chunker", "llm-summary", "--llm", server.url, "--llm-model", "small", "--llm-price", "1", "2")
        result = run(page, *options)
    assert result.exit_code == 0, result.output
    chunks = [json.loads(line) for line in result.stdout.splitlines()]
    assert [chunk["metadata"]["summary"] for chunk in chunks] == ["the sea", "the moon"]
    assert "1 windows, 0 known from before, 0 answers repaired, 0 windows left to the splitter" in result.stderr
    assert "tokens: 11 read, 7 written, cost 0.0000" in result.stderr


def test_several_chunkers(page: Path) -> None:
    assert {row["chunker"] for row in rows(page, "--chunker", "lines, fixed,lines")} == {"lines", "fixed"}


def test_a_comparison(page: Path, tmp_path: Path) -> None:
    html = tmp_path / "chunks.html"
    result = run(page, "--chunker", "lines,markdown,chunkers_of_a_user:Lossy", "--compare", "--html", html)
    assert result.exit_code == 0, result.output
    lines = [re.findall(r"[^│ ]+", line) for line in result.stdout.splitlines() if line.startswith("│")]
    assert [line[:2] for line in lines] == [["lines", "4"], ["markdown", "2"], ["chunkers_of_a_user:Lossy", "1"]]
    assert [line[-4:-1] for line in lines] == [
        ["100", "%", "0/2"],
        ["100", "%", "2/2"],
        [f"{700 / len(''.join(PAGE.split())):.1f}", "%", "0/2"],
    ]
    written = html.read_text(encoding="utf-8")
    assert "The &lt;b&gt;moon&lt;/b&gt;" in written
    assert "<b>" not in written
    assert "<script" not in written
    assert written.count('class="chunk"') == 4 + 2 + 1


def test_a_chunker_of_ones_own(page: Path) -> None:
    chunks = rows(page, "--chunker", "chunkers_of_a_user:Halves")
    assert [(chunk["start"], chunk["end"]) for chunk in chunks] == [(0, len(PAGE) // 2), (len(PAGE) // 2, len(PAGE))]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--chunker", "words"], "there is no chunker 'words': use one of splitter, lines, sentences"),
        (["--chunker", "splitter", "--chunk-overlap", "3"], "the chunker splitter has no overlap, sentences and fixed"),
        (["--chunker", "sentences", "--chunk-overlap", "5"], "a chunk of 5 sentences cannot share 5"),
        (["--min-chunk-tokens", "300"], "the smallest chunk is 300 tokens and the largest 200"),
        (["--html", "a.html"], "--html belongs to --compare"),
        (["--chunker", "llm-simple"], "--chunker llm-simple asks a language model: name it with --llm URL"),
        (["--chunker", "no_such_module:Class"], "No module named 'no_such_module'"),
        (["--chunker", "chunkers_of_a_user:None"], "has no attribute 'None'"),
        (["--chunker", "chunkers_of_a_user:Wrong"], "must have a method spans and a description"),
        (["--chunker", "chunkers_of_a_user:Outside"], "span 0 of its chunker is (5, 2): it must lie within the text's"),
        (["--chunker", "chunkers_of_a_user:Outside", "--compare"], "span 0 of its chunker is (5, 2)"),
        (["--chunker", "chunkers_of_a_user:Nothing"], "its chunker 'nothing' gave None: it must give pairs of whole"),
    ],
    ids=[
        "name",
        "overlap",
        "all shared",
        "sizes",
        "html",
        "no model",
        "module",
        "class",
        "no chunker",
        "no parts",
        "no parts compared",
        "nothing",
    ],
)
def test_bad_input(page: Path, arguments: list[str], message: str) -> None:
    result = run(page, *arguments)
    assert result.exit_code == 1
    assert message in " ".join(result.stderr.split())


def test_nulls_are_refused(page: Path) -> None:
    page.write_text("One.\0Two.", encoding="utf-8")
    result = run(page)
    assert result.exit_code == 1
    assert f"document '{page.as_posix()}': character 4 is a null character (U+0000)" in " ".join(result.stderr.split())


def test_a_file_that_is_not_there() -> None:
    result = run("no-such-file.md")
    assert result.exit_code == 1
    assert "no-such-file.md does not exist" in result.stderr
