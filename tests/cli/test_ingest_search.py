"""The main job from files to hits, with random weights; that answers make sense is checked in test_demo."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from jina_v3_connectors.cli import main


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "notes.md").write_text("# Notes\n\nThe first part.\n\n# More\n\nThe second part is here.")
    (folder / "plain.txt").write_text("A plain text. " * 30)
    rows = [{"id": "one", "text": "Row one.", "metadata": {"lang": "en"}}, {"id": "two", "text": ""}]
    (folder / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return folder


@pytest.fixture
def run(original_folder: Path, tmp_path: Path) -> Any:
    def run(*arguments: str, model: bool = True) -> Result:
        extra = ["--model", str(original_folder)] if model else []
        replaced = [argument.replace("STORE", f"qdrant:{tmp_path / 'store'}") for argument in arguments]
        return CliRunner(env={"COLUMNS": "250"}).invoke(main, [*replaced, *extra])

    return run


def ingest(run: Any, corpus: Path, *arguments: str) -> Result:
    result: Result = run(
        "ingest", str(corpus), "--to", "STORE", "--dimensions", "32", "--chunk-tokens", "40", *arguments
    )
    return result


@pytest.mark.parametrize("mode", ["--late-chunking", "--no-late-chunking", "--blend"])
def test_files_in_hits_out(run: Any, corpus: Path, mode: str) -> None:
    result = ingest(run, corpus, mode)
    assert result.exit_code == 0, result.output
    assert "of 4 documents" in result.stderr
    assert "1 empty" in result.stderr
    answer = run("search", "the second part", "--from", "STORE", "--json", "--limit", "3", model=False)
    assert answer.exit_code == 0, answer.output
    hits = [json.loads(line) for line in answer.stdout.splitlines()]
    assert len(hits) == 3
    assert hits[0]["score"] >= hits[1]["score"] >= hits[2]["score"]
    for hit in hits:
        text = Path(hit["metadata"]["source"]).read_text()
        if hit["metadata"]["source"].endswith((".md", ".txt")):
            assert text[slice(*hit["span"])] == hit["text"]


def test_a_table_for_people(run: Any, corpus: Path) -> None:
    ingest(run, corpus)
    result = run("search", "part", "--from", "STORE", model=False)
    assert result.exit_code == 0
    assert "score" in result.stdout
    assert "notes.md" in result.stdout


def test_again_stores_nothing_twice(run: Any, corpus: Path) -> None:
    first, second = (ingest(run, corpus).stderr for _ in range(2))
    total = first.split("the collection holds ")[1].split()[0]
    assert "nothing to do: all 4 documents are in qdrant:" in second
    assert f"({total} chunks)" in second


def test_filters_on_metadata(run: Any, corpus: Path) -> None:
    ingest(run, corpus)
    answer = run("search", "part", "--from", "STORE", "--json", "--filter", '{"lang": "en"}', model=False)
    assert [json.loads(line)["document_id"] for line in answer.stdout.splitlines()] == ["one"]


def test_hybrid_search_alone_and_with_a_fusion(run: Any, corpus: Path) -> None:
    """A question may follow the option, which was a flag without a value."""
    ingest(run, corpus, "--hybrid")
    ask = ["--from", "STORE", "--json", "--limit", "4"]
    answers = [
        run("search", *before, "the second part", *after, *ask, model=False)
        for before, after in (
            ((), ("--hybrid",)),
            (("--hybrid",), ()),
            ((), ("--hybrid", "scores")),
            (("--hybrid", "scores"), ()),
            ((), ("--hybrid=scores",)),
        )
    ]
    assert {(answer.exit_code, answer.stdout) for answer in answers} == {(0, answers[0].stdout)}, answers[0].output
    ranks = run("search", "the second part", *ask, "--hybrid", "ranks", model=False)
    assert ranks.exit_code == 0
    assert len(ranks.stdout.splitlines()) == 4
    apart = run("search", "the second part", *ask, "--hybrid", "sums", model=False)
    assert apart.exit_code == 2
    assert "behind --hybrid stands ranks or scores, or nothing, and one question in quotes: got 'sums'" in apart.stderr
    wrong = run("search", "x", *ask, "--hybrid=sum", model=False)
    assert wrong.exit_code == 2
    assert "'sum' is not one of" in wrong.stderr


def test_a_collection_without_a_contract_is_checked_before_it_is_taken_over(
    run: Any, corpus: Path, tmp_path: Path
) -> None:
    ingest(run, corpus, "--late-chunking")
    contract = tmp_path / "store" / "documents" / "collection.json"
    contract.unlink()
    for option in ("--adopt", "--adopt-unchecked"):
        result = ingest(run, corpus, option, "--no-late-chunking")
        assert result.exit_code == 1
        assert "was not adopted: " in result.stderr
        assert "late chunking of whole documents (mean cosine 1.0000). Open it with --late-chunking" in result.stderr
        assert not contract.exists()
    result = ingest(run, corpus, "--late-chunking")
    assert result.exit_code == 1
    assert "open it with --adopt. Nothing" in result.stderr
    result = ingest(run, corpus, "--adopt", "--late-chunking")
    assert result.exit_code == 0, result.output
    assert contract.exists()


@pytest.mark.parametrize(
    ("condition", "message"),
    [("lang=de", "--filter is not JSON"), ("[]", "must be a mapping"), ('{"a": {"like": 1}}', "unknown operator")],
)
def test_malformed_filters(run: Any, corpus: Path, condition: str, message: str) -> None:
    ingest(run, corpus)
    result = run("search", "part", "--from", "STORE", "--filter", condition, model=False)
    assert result.exit_code == 1
    assert message in result.stderr
    assert "Traceback" not in result.output


def test_changed_and_removed_files(run: Any, corpus: Path) -> None:
    ingest(run, corpus)
    (corpus / "plain.txt").write_text("Shorter now.")
    (corpus / "notes.md").unlink()
    told = ingest(run, corpus).stderr
    assert "stored 1 chunks of 1 documents" in told
    assert "2 unchanged" in told
    assert "pruned" not in told
    told = ingest(run, corpus, "--prune").stderr
    assert "1 pruned" in told
    assert "the collection holds 2 chunks" in told


def test_documents_that_cannot_be_encoded(run: Any, corpus: Path) -> None:
    """A lone surrogate is no text that a tokenizer can read."""
    rows = [{"id": "fine", "text": "Fine."}, {"id": "bad", "text": "a\ud800b"}]
    (corpus / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    stopped = ingest(run, corpus)
    assert stopped.exit_code == 1
    assert "document 'bad': character 1 is a lone surrogate" in stopped.stderr
    result = ingest(run, corpus, "--skip-bad")
    assert result.exit_code == 0, result.output
    assert "1 skipped" in result.stderr
    assert "skipped: document 'bad'" in result.stderr


def test_files_that_cannot_be_read_are_left_out_and_stay_stored(run: Any, corpus: Path) -> None:
    """Random bytes in a folder stopped the run, `--skip-bad` or not."""
    count = len(list(corpus.iterdir()))
    ingest(run, corpus)
    (corpus / "plain.txt").write_bytes(b"caf\xe9")
    (corpus / "a.txt").write_text("New.")
    stopped = ingest(run, corpus)
    assert stopped.exit_code == 1
    assert f"{corpus / 'plain.txt'} is not UTF-8 (byte 3)" in stopped.stderr
    result = ingest(run, corpus, "--skip-bad", "--prune")
    assert result.exit_code == 0, result.output
    assert "1 skipped" in result.stderr
    assert f"skipped: {corpus / 'plain.txt'} is not UTF-8 (byte 3)" in " ".join(result.stderr.split())
    assert "pruned" not in result.stderr, "its older version stays"
    assert len(list(corpus.iterdir())) == count + 1


def test_nulls_are_refused_and_counted(run: Any, corpus: Path) -> None:
    (corpus / "rows.jsonl").write_text('{"id": "a", "text": "One.\\u0000Two."}\n{"id": "b", "text": "Three."}\n')
    refusal = "document 'a': character 4 is a null character (U+0000)"
    refused = ingest(run, corpus)
    assert (refused.exit_code, refusal in " ".join(refused.stderr.split())) == (1, True)
    told = " ".join(ingest(run, corpus, "--skip-bad").stderr.split())
    assert f"skipped: {refusal}" in told
    assert "1 skipped" in told


def test_lines_that_cannot_be_read_are_left_out_and_nothing_is_pruned(run: Any, corpus: Path) -> None:
    """The line may hold any document."""
    rows = corpus / "rows.jsonl"
    rows.write_text('{"id": "a", "text": "One."}\n{"id": "b", "text": "Two."}\n')
    ingest(run, corpus)
    rows.write_text('broken\n{"id": "c", "text": "Three."}\n')
    result = ingest(run, corpus, "--skip-bad", "--prune")
    assert result.exit_code == 0, result.output
    told = " ".join(result.stderr.split())
    assert "stored 1 chunks of 1 documents" in told
    assert f"skipped: {rows}, line 1 is not JSON" in told
    assert "note: nothing was pruned: what could not be read may hold any document" in told


@pytest.mark.parametrize(
    "arguments",
    [
        ["--dimensions", "16"],
        ["--late-chunking"],
        ["--chunk-tokens", "41"],
        ["--min-chunk-tokens", "3"],
        ["--chunker", "lines"],
        ["--chunker", "lines", "--chunk-tokens", "41"],
    ],
    ids=" ".join,
)
def test_other_settings_are_refused_in_plain_words(run: Any, corpus: Path, arguments: list[str]) -> None:
    """Under the names that the user typed."""
    ingest(run, corpus, "--no-late-chunking")
    result = ingest(run, corpus, *arguments)
    assert result.exit_code == 1
    assert f"\n  {arguments[0]}: the collection has" in result.stderr
    assert "Nothing was changed" in result.stderr


def test_ways_to_read_that_contradict_each_other(run: Any, corpus: Path) -> None:
    result = ingest(run, corpus, "--blend", "--late-chunking")
    assert result.exit_code == 2
    assert "--late-chunking, --blend and --no-late-chunking contradict each other: give one of them" in result.stderr
    assert ingest(run, corpus, "--late-chunking", "--late-chunking").exit_code == 0


def test_a_window_without_late_chunking_names_the_option(run: Any, corpus: Path) -> None:
    result = ingest(run, corpus, "--window", "64")
    assert result.exit_code == 1
    assert "window and overlap belong to late chunking: pass --late-chunking with them" in result.stderr


def test_another_model_is_refused(run: Any, corpus: Path, tmp_path: Path) -> None:
    from jina_v3_encoder.testing import write_random_checkpoint

    ingest(run, corpus)
    other = write_random_checkpoint(tmp_path / "other", seed=9)
    result = run("search", "x", "--from", "STORE", "--model", str(other), model=False)
    assert result.exit_code == 1
    assert "fingerprint: the collection has" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["search", "x", "--from", "STORE"], "yet; fill it with: jina-v3 ingest"),
        (["search", "x", "--from", "mysql:x"], "unknown store '***': use one of qdrant:./folder"),
        (["search", "x", "--from", "STORE", "--collection", "../up"], "collection name"),
        (["ingest", "nothing.txt", "--to", "STORE"], "nothing.txt does not exist"),
        (["ingest", __file__, "--to", "STORE"], "is not one of .txt, .md, .jsonl"),
    ],
)
def test_errors_are_one_line_without_traceback(run: Any, arguments: list[str], words: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 1
    assert words in result.stderr
    assert "Traceback" not in result.output


def test_a_malformed_line_stops_the_run_and_is_located(run: Any, corpus: Path) -> None:
    (corpus / "rows.jsonl").write_text('{"text": "fine"}\nbroken')
    result = ingest(run, corpus)
    assert result.exit_code == 1
    assert "rows.jsonl, line 2 is not JSON" in result.stderr


def test_a_query_past_the_limit(run: Any, corpus: Path) -> None:
    ingest(run, corpus)
    result = run("search", "the " * 600, "--from", "STORE")
    assert result.exit_code == 1
    assert "the limit is 512" in result.stderr


@pytest.mark.parametrize("arguments", [["search", "x"], ["ingest"], ["search", "x", "--from", "STORE", "--limit", "0"]])
def test_wrong_usage_exits_with_two(run: Any, arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2
