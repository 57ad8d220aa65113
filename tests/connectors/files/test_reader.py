"""The process that reads foreign formats may die, stall or be out of memory: one bad file, and the next is read."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jina_v3_connectors.documents import Mark
from jina_v3_connectors.errors import DocumentError
from jina_v3_connectors.files.content import Content
from jina_v3_connectors.files.folders import documents_or_errors, read_documents
from jina_v3_connectors.files.reader import Reader
from jina_v3_connectors.files.reading import answer
from jina_v3_encoder.errors import MissingExtra

from ...support.files import write_pdf, write_picture_pdf


@pytest.fixture
def page(tmp_path: Path) -> Path:
    file = tmp_path / "a page.html"
    file.write_text("<title>T</title><h1>Tōkyō 😀</h1><p>Line\u2028two", encoding="utf-8")
    return file


CONTENT = Content("Tōkyō 😀\n\nLine\u2028two", (Mark(0, {"section": ["Tōkyō 😀"]}),), {"title": "T"})


def test_contents_come_through_unchanged(page: Path) -> None:
    with Reader() as reader:
        assert reader.read(page) == CONTENT
        assert reader.read(page) == CONTENT


def test_a_file_that_ends_the_process_is_one_bad_file(page: Path) -> None:
    with Reader() as reader:
        reader.read(page)
        assert reader.process_id is not None
        os.kill(reader.process_id, signal.SIGKILL)
        with pytest.raises(
            DocumentError, match=r"ended what reads it \(status -9\): it is damaged, or takes too much mem"
        ):
            reader.read(page)
        assert reader.read(page) == CONTENT


def test_a_file_that_takes_too_long_is_one_bad_file(tmp_path: Path, page: Path) -> None:
    """As a hostile page does, whose elements are nested without end. A pipe that nobody writes to takes longest."""
    pipe = tmp_path / "pipe.html"
    os.mkfifo(pipe)
    with (
        Reader(patience=1) as reader,
        pytest.raises(DocumentError, match="took over 1 seconds to read: it may be damaged; save it again, or split"),
    ):
        reader.read(pipe)
    with Reader(patience=60) as reader:
        assert reader.read(page) == CONTENT


def test_the_process_runs_no_code_of_the_folder_it_is_started_in(
    tmp_path: Path, page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit(7)")
    monkeypatch.chdir(tmp_path)
    with Reader() as reader:
        assert reader.read(page) == CONTENT


def test_the_process_gets_no_keys(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux shows the variables of a process")
    monkeypatch.setenv("JINA_API_KEY", "secret")
    with Reader() as reader:
        reader.read(page)
        variables = Path(f"/proc/{reader.process_id}/environ").read_bytes()
    assert b"PATH=" in variables
    assert b"secret" not in variables


def test_the_process_ends_with_the_reader(page: Path) -> None:
    with Reader() as reader:
        reader.read(page)
        number = reader.process_id
        assert number is not None
        os.kill(number, 0)
    with pytest.raises(ProcessLookupError, match="No such process"):
        os.kill(number, 0)
    assert reader.process_id is None
    reader.close()


def test_the_process_outlives_ctrl_c_and_not_its_ingest(page: Path) -> None:
    """A terminal sends the signal to both. When the ingest is killed, the input ends, and the process with it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "jina_v3_connectors.files.reading"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    for _ in range(2):
        process.stdin.write(json.dumps({"file": str(page), "charset": None}) + "\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["text"] == CONTENT.text
        process.send_signal(signal.SIGINT)
    process.stdin.close()
    assert process.wait(timeout=30) == 0
    process.stdout.close()


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (DocumentError("is bad"), "is bad"),
        (MemoryError(), "takes over 4 GiB of memory to read: split it"),
        (RecursionError(), "is nested too deeply to be read: save it again with another program"),
        (KeyError("w:p"), "cannot be read (KeyError: 'w:p'): save it again"),
        (PermissionError(13, "Permission denied"), "cannot be read: Permission denied"),
    ],
    ids=["document", "memory", "recursion", "library", "system"],
)
def test_whatever_goes_wrong_is_told(error: Exception, message: str) -> None:
    def read(file: Path, charset: str | None) -> Content:
        raise error

    assert answer({"file": "a.pdf", "charset": None}, read) == {"error": message}


def test_memory_is_limited(tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux keeps this limit")
    code = "from jina_v3_connectors.files.reading import _limit_memory as f; f(); bytearray(5 * 2**30)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1] == "MemoryError"


def test_documents_and_errors_have_the_files_name(tmp_path: Path, page: Path) -> None:
    (document,) = read_documents(page)
    assert (document.id, document.text, document.marks) == (page.as_posix(), CONTENT.text, CONTENT.marks)
    assert document.metadata == {"source": page.as_posix(), "title": "T"}
    bad = tmp_path / "bad.pdf"
    bad.write_bytes(b"%PDF-1.7")
    (error,) = documents_or_errors(bad)
    assert isinstance(error, DocumentError)
    assert str(error) == f"{bad} is cut off: a PDF ends with %%EOF. Copy or download it again"
    assert error.document_id == bad.as_posix()
    large = tmp_path / "large.html"
    with large.open("wb") as content:
        content.truncate(2**26 + 1)
    (error,) = documents_or_errors(large)
    assert str(error) == f"{large} has 67,108,865 bytes, 67,108,864 are read of a page at most: split it"


def test_what_is_left_out_of_a_file_is_a_warning(tmp_path: Path) -> None:
    file = write_picture_pdf(tmp_path / "a.pdf", ["Text.", None])
    with pytest.warns(UserWarning, match=r"a\.pdf: page 2 holds pictures and no text, which is not read"):
        (document,) = read_documents(file)
    assert document.text == "Text."


def test_several_files_are_read_by_one_process(tmp_path: Path, page: Path) -> None:
    file = write_pdf(tmp_path / "a.pdf", ["One."])
    assert [document.text for document in read_documents(page, file)] == [CONTENT.text, "One."]


def test_a_missing_package_is_named_before_anything_is_read(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jina_v3_connectors.files.formats.find_spec", lambda _: None)
    with pytest.raises(MissingExtra) as caught:
        list(documents_or_errors(page))
    assert str(caught.value) == (
        "selectolax, which reads .html files, is not installed; run: pip install 'jina-v3-connectors[files]'"
    )
