"""`jina-v3 ingest` of files that people have: what is read, left out, told and found again."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.progress import Progress

from jina_v3_connectors.cli import main
from jina_v3_connectors.cli.inputs import Inputs, Meter
from jina_v3_connectors.documents import Document
from jina_v3_connectors.errors import DocumentError
from jina_v3_connectors.ingestion.report import IngestReport

from ..servers.rest import Failures
from ..support.backends import Embedded
from ..support.files import book, lock_pdf, write_pdf, write_picture_pdf, write_zip


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    pages = ["Guide\nThe tower is made of grey granite.", "Set up\nIt stood there for a century and more."]
    write_pdf(folder / "tower.pdf", pages, {1: [(0, "Guide")], 2: [(1, "Set up")]})
    (folder / "page.html").write_text(
        "<title>Cats</title><h1>Cats</h1><p>The black cat sleeps.<h2>Mice</h2><p>It dreams."
    )
    write_zip(folder / "book.epub", book({"a": "<h1>Moon</h1><p>The moon has no air.</p>"}))
    (folder / "rows.csv").write_text(
        "key,body,lang\nx,Bread rises slowly.,en\ny,Brot braucht Wärme.,de\n", encoding="utf-8"
    )
    (folder / "notes.md").write_text("# Notes\n\nWater boils.")
    return folder


@pytest.fixture
def run(original_folder: Path, tmp_path: Path) -> Any:
    def run(command: str, *arguments: str) -> Result:
        store = f"qdrant:{tmp_path / 'store'}"
        options = (
            ["--to", store, "--dimensions", "32", "--chunk-tokens", "12", "--model", str(original_folder)]
            if command == "ingest"
            else ["--from", store, "--json", "--limit", "50"]
        )
        return CliRunner(env={"COLUMNS": "250"}).invoke(main, [command, *arguments, *options])

    return run


COLUMNS = ("--text-column", "body", "--id-column", "key")


def hits(run: Any, condition: dict[str, Any]) -> list[dict[str, Any]]:
    result = run("search", "text", "--filter", json.dumps(condition))
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_pages_and_sections_are_found_by_filters(run: Any, corpus: Path) -> None:
    result = run("ingest", str(corpus), *COLUMNS, "--late-chunking")
    assert result.exit_code == 0, result.output
    assert "of 6 documents" in result.stderr
    second = hits(run, {"page": 2})
    assert {hit["document_id"] for hit in second} == {f"{corpus}/tower.pdf"}
    assert {tuple(hit["metadata"]["section"]) for hit in second} == {("Guide", "Set up")}
    assert "".join(hit["text"] for hit in sorted(second, key=lambda hit: hit["chunk"])).startswith("Set up")
    assert {hit["metadata"]["page"] for hit in hits(run, {"section": "Guide"})} == {1, 2}
    mice = hits(run, {"section": "Mice"})
    assert {hit["text"].split()[-1] for hit in mice} >= {"dreams."}
    wanted = {"source": f"{corpus}/page.html", "title": "Cats", "section": ["Cats", "Mice"]}
    assert [hit["metadata"] for hit in mice] == [wanted] * len(mice)
    assert {hit["document_id"] for hit in hits(run, {"lang": "de"})} == {"y"}
    assert hits(run, {"section": "Moon"})[0]["metadata"]["title"] == "A book"
    again = run("ingest", str(corpus), *COLUMNS, "--late-chunking")
    assert "nothing to do: all 6 documents are in" in again.stderr


def test_globs_and_excludes(run: Any, corpus: Path) -> None:
    (corpus / "drafts").mkdir()
    (corpus / "drafts" / "a.html").write_text("<p>A draft.")
    result = run("ingest", str(corpus), "--glob", "**/*.html", "--glob", "*.md", "--exclude", "drafts")
    assert result.exit_code == 0, result.output
    assert {hit["metadata"]["source"] for hit in hits(run, {})} == {f"{corpus}/notes.md", f"{corpus}/page.html"}
    result = run("ingest", str(corpus), "--glob", "*.rtf")
    assert result.exit_code == 1
    assert "file with --glob '*.rtf'" in result.stderr


@pytest.mark.filterwarnings("default")
def test_bad_files_stop_the_run_or_are_left_out_and_named(run: Any, corpus: Path, tmp_path: Path) -> None:
    assert run("ingest", str(corpus), *COLUMNS).exit_code == 0
    stored = len(hits(run, {"source": f"{corpus}/tower.pdf"}))
    whole = (corpus / "tower.pdf").read_bytes()
    (corpus / "tower.pdf").write_bytes(whole[: len(whole) // 2])
    (corpus / "page.html").write_bytes(b"<p>caf\xe9")
    lock_pdf(write_pdf(corpus / "locked.pdf", ["Secret."]), "word")
    write_picture_pdf(corpus / "scan.pdf", [None])
    (corpus / "word.docx").write_bytes(b"")
    (corpus / "gone.md").symlink_to("nowhere")
    (corpus / "again").symlink_to(corpus)
    stopped = run("ingest", str(corpus), *COLUMNS)
    assert stopped.exit_code == 1
    assert "Traceback" not in stopped.output
    result = run("ingest", str(corpus), *COLUMNS, "--skip-bad", "--prune")
    assert result.exit_code == 0, result.output
    told = " ".join(result.stderr.split())
    assert "6 skipped" in told
    for message in (
        "tower.pdf is cut off: a PDF ends with %%EOF",
        "page.html is not utf-8 (byte 6)",
        "locked.pdf is locked by a password",
        "scan.pdf holds no text, only pictures or nothing: make its pages text first, for example with ocrmypdf",
        "word.docx is no .docx, or cut off or damaged",
        "gone.md, a link to nowhere, cannot be read",
    ):
        assert f"skipped: {corpus}/{message}" in told
    assert f"warning: {corpus}/again is a link that leads back to {corpus}, where it lies: it is left out" in told
    assert "pruned" not in told
    assert len(hits(run, {"source": f"{corpus}/tower.pdf"})) == stored, "the version before stays whole"


def test_a_table_without_the_column_says_what_to_do(run: Any, corpus: Path) -> None:
    result = run("ingest", str(corpus))
    assert result.exit_code == 1
    assert (
        "rows.csv has no column 'text', its columns are key, body, lang: name another one with --text-col"
        in result.stderr
    )


@pytest.fixture
def address(corpus: Path) -> Iterator[str]:
    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(corpus))

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_addresses_beside_files(run: Any, corpus: Path, address: str) -> None:
    result = run("ingest", f"{address}/page.html", str(corpus / "notes.md"), f"{address}/nothing.html", "--skip-bad")
    assert result.exit_code == 0, result.output
    assert f"skipped: {address}/nothing.html answers 404 File not found" in result.stderr
    assert {hit["metadata"]["source"] for hit in hits(run, {})} == {f"{corpus}/notes.md", f"{address}/page.html"}
    assert {hit["document_id"] for hit in hits(run, {"section": "Mice"})} == {f"{address}/page.html"}
    again = run("ingest", f"{address}/page.html")
    assert "nothing to do: all 1 documents are in" in again.stderr


def test_the_bar_shows_what_is_done_and_not_what_is_read(corpus: Path, tmp_path: Path) -> None:
    """One long document moves it while it is encoded, a table row by row, a bad file by its size."""
    (corpus / "book.html").write_text("<p>" + "One sentence. " * 3000)
    (corpus / "many.csv").write_text("body\n" + "A row of text.\n" * 2000)
    (corpus / "bad.pdf").write_bytes(b"%PDF-1.7" + b" " * 50_000)
    sizes = {file.name: file.stat().st_size for file in corpus.iterdir()}
    seen: list[tuple[str, float]] = []
    with (
        Progress(disable=True) as progress,
        Inputs((str(corpus),), (), (), "body", None).opened() as files,
        Embedded(tmp_path, Failures()).connect(late_chunking=False) as store,
    ):
        meter = Meter(progress, progress.add_task("ingesting", rate=""))
        task = progress.tasks[0]

        def show(report: IngestReport) -> None:
            meter.show(report)
            seen.append((task.description, task.completed))

        report = store.ingest(files.documents(meter, lambda: None), skip_bad=True, on_progress=show)
        assert (task.total, report.skipped) == (sum(sizes.values()), 1)
        assert report.handled == pytest.approx(report.documents + report.skipped)
        assert task.completed == pytest.approx(sum(sizes.values()), abs=1)
        meter.finish()
        assert task.completed == task.total
    positions = [position for _, position in seen]
    assert positions == sorted(positions)
    start = sizes["bad.pdf"] + sizes["book.epub"]  # in the order of their names
    inside = [position for position in positions if start < position < start + sizes["book.html"]]
    assert len(set(inside)) > 1, "while the long page is encoded"
    rows = [position for position in positions if 0 < position - start - sizes["book.html"] < sizes["many.csv"]]
    assert len(set(rows)) > 10
    assert "ingesting book.html (3 of 8)" in {description for description, _ in seen}


def test_what_was_typed_is_checked_before_a_model_is_loaded(tmp_path: Path) -> None:
    arguments = ["ingest", str(tmp_path / "nothing.md"), "--to", "qdrant:x", "--model", str(tmp_path / "no model")]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 1
    assert "nothing.md does not exist" in result.stderr


def test_a_missing_package_is_told_before_a_model_is_loaded(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jina_v3_connectors.files.formats.find_spec", lambda _: None)
    arguments = ["ingest", str(corpus), "--to", "qdrant:x", "--model", str(tmp_path / "no model")]
    result = CliRunner(env={"COLUMNS": "250"}).invoke(main, arguments)
    assert result.exit_code == 1
    assert "is not installed; run: pip install 'jina-v3-connectors[files]'" in result.stderr


def test_errors_come_in_the_place_of_documents(corpus: Path) -> None:
    (corpus / "gone.md").symlink_to("nowhere")
    inputs = Inputs((str(corpus),), ("*.md",), (), "text", None)
    with Progress(disable=True) as progress, inputs.opened() as files:
        first, second = files.documents(Meter(progress, progress.add_task("ingesting")), lambda: None)
    assert isinstance(first, DocumentError)
    assert isinstance(second, Document)
    assert second.text == "# Notes\n\nWater boils."


READING = """
import json, re, resource, sys
from pathlib import Path
from jina_v3_connectors.files.folders import read_documents
from jina_v3_connectors.files.finding import find_files
count = characters = 0
for document in read_documents(*find_files([Path(sys.argv[1])])):
    count += 1
    characters += len(document.text)
peak = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])  # ru_maxrss is the parent's, too
print(json.dumps([count, characters, peak // 1024, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024]))
"""


def read_apart(path: Path) -> tuple[int, int, int, int]:
    """Documents, characters, and MiB of memory of the process and of the one that reads foreign formats."""
    if sys.platform != "linux":
        pytest.skip("only Linux tells the memory of a process so")
    done = subprocess.run([sys.executable, "-c", READING, str(path)], capture_output=True, text=True, check=True)
    count, characters, memory, reader = json.loads(done.stdout)
    return count, characters, memory, reader


@pytest.mark.servers
def test_memory_does_not_grow_with_tables(tmp_path: Path) -> None:
    """Many times the memory of a small one is read of a large one."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    def table(rows: int) -> Any:
        return pa.table({"text": [f"{number} {'words of text ' * 70}" for number in range(rows)]})

    for suffix in (".csv", ".parquet"):
        memory = []
        for rows in (1000, 200_000):
            file = tmp_path / f"{rows}{suffix}"
            if suffix == ".csv":
                with file.open("w") as lines:
                    lines.write("text\n")
                    lines.writelines(f"{number} {'words of text ' * 70}\n" for number in range(rows))
            else:
                with pq.ParquetWriter(file, table(1).schema) as writer:
                    writer.write_table(table(rows), row_group_size=rows)
            count, characters, peak, _ = read_apart(file)
            assert count == rows
            assert characters > 980 * rows
            memory.append(peak)
        assert memory[1] < memory[0] + 60, f"{suffix}: {memory} MiB"


@pytest.mark.servers
def test_memory_does_not_grow_with_the_number_of_files(tmp_path: Path) -> None:
    for count in (100, 2000):
        folder = tmp_path / str(count)
        folder.mkdir()
        for number in range(count):
            (folder / f"{number:04}.html").write_text(f"<h1>Page {number}</h1>" + "<p>Some words of text.</p>" * 2000)
    few, many = read_apart(tmp_path / "100"), read_apart(tmp_path / "2000")
    assert (few[0], many[0]) == (100, 2000)
    assert many[2] < few[2] + 30
    assert many[3] < few[3] + 30


@pytest.mark.servers
def test_a_long_pdf_a_large_page_and_many_files(run: Any, tmp_path: Path) -> None:
    folder = tmp_path / "large"
    folder.mkdir()
    prose = "This is one sentence of many that fill the page. " * 30
    pages = [f"Chapter {number}\nThis is page {number}. {prose}" for number in range(1, 301)]
    write_pdf(folder / "long.pdf", pages, {number: [(0, f"Chapter {number}")] for number in range(1, 301)})
    sections = "".join(f"<h2>Section {number}</h2><p>{prose}</p>" for number in range(3600))
    (folder / "large.html").write_text(f"<h1>All</h1>{sections}")
    assert (folder / "large.html").stat().st_size > 5 * 2**20
    for number in range(2000):
        (folder / f"{number:04}.txt").write_text(f"Text number {number}.")
    result = run("ingest", str(folder), "--chunk-tokens", "500", "--no-late-chunking")
    assert result.exit_code == 0, result.output
    assert "of 2,002 documents" in result.stderr
    assert {hit["metadata"]["page"] for hit in hits(run, {"section": "Chapter 217"})} == {217}
    assert {tuple(hit["metadata"]["section"]) for hit in hits(run, {"section": "Section 3000"})} == {
        ("All", "Section 3000")
    }
