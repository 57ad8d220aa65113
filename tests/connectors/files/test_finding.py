"""Which files count, and what is told of those that cannot be read."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import pytest

from jina_v3_connectors.errors import DocumentError
from jina_v3_connectors.files.finding import Selection, files_or_errors, find_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    for name in (
        "b.md",
        "a.txt",
        "drafts/c.md",
        "x/drafts/d.html",
        "x/e.pdf",
        ".git/f.md",
        ".g.md",
        "~$h.docx",
        "i.png",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    return folder


def below(folder: Path, files: Sequence[Path | DocumentError]) -> list[str]:
    return [str(file) if isinstance(file, DocumentError) else file.relative_to(folder).as_posix() for file in files]


@pytest.mark.parametrize(
    ("globs", "excludes", "names"),
    [
        ((), (), ["a.txt", "b.md", "drafts/c.md", "x/drafts/d.html", "x/e.pdf"]),
        (("*.md",), (), ["b.md", "drafts/c.md"]),
        (("**/*.html", "*.txt"), (), ["a.txt", "x/drafts/d.html"]),
        ((), ("drafts",), ["a.txt", "b.md", "x/e.pdf"]),
        ((), ("drafts/", "*.pdf"), ["a.txt", "b.md"]),
        ((), ("x/**",), ["a.txt", "b.md", "drafts/c.md"]),
        (("*.md",), ("b*",), ["drafts/c.md"]),
    ],
)
def test_selections(folder: Path, globs: tuple[str, ...], excludes: tuple[str, ...], names: list[str]) -> None:
    assert below(folder, find_files([folder], Selection(globs, excludes))) == names


def test_files_that_are_named_are_selected_by_their_name(folder: Path) -> None:
    named = [folder / "a.txt", folder / "b.md", folder / "drafts" / "c.md"]
    assert below(folder, find_files(named, Selection(("*.md",), ("c*",)))) == ["b.md"]
    assert below(folder, find_files([folder / ".g.md"])) == [".g.md"], "a hidden file that is named is read"


def test_nothing_is_left(folder: Path) -> None:
    with pytest.raises(
        DocumentError, match=r"docs holds no \.txt, .*\.parquet file with --glob '\*\.doc' --exclude 'x'"
    ):
        find_files([folder], Selection(("*.doc",), ("x",)))
    with pytest.raises(DocumentError, match=r"none of these files is read with --glob '\*\.doc'"):
        find_files([folder / "a.txt"], Selection(("*.doc",)))


def test_links(folder: Path) -> None:
    other = folder.parent / "other"
    other.mkdir()
    (other / "z.md").write_text("x")
    (folder / "file.md").symlink_to(other / "z.md")
    (folder / "loop").symlink_to(folder)
    (folder / "x" / "up").symlink_to("..")
    (folder / "other").symlink_to(other)
    (folder / "gone.md").symlink_to("nowhere")
    (folder / "self.md").symlink_to("self.md")
    with pytest.warns(UserWarning, match="is a link") as told:
        files = files_or_errors([folder])
    assert {str(warning.message).replace(str(folder.parent), "") for warning in told} == {
        "/docs/loop is a link that leads back to /docs, where it lies: it is left out",
        "/docs/x/up is a link that leads back to /docs, where it lies: it is left out",
        "/docs/other is a link to the folder /other, which is not read: name it too",
    }
    errors = [file for file in files if isinstance(file, DocumentError)]
    assert [str(error).removeprefix(f"{folder}/") for error in errors] == [
        "gone.md, a link to nowhere, cannot be read: No such file or directory",
        "self.md, a link to self.md, cannot be read: Too many levels of symbolic links",
    ]
    assert [error.document_id for error in errors] == [f"{folder}/gone.md", f"{folder}/self.md"]
    names = [file.name for file in files if isinstance(file, Path)]
    assert names == ["a.txt", "b.md", "c.md", "file.md", "d.html", "e.pdf"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert find_files([folder / "other"]) == [folder / "other" / "z.md"], "a link that is named is followed"
        with pytest.raises(DocumentError, match="Too many levels of symbolic links"):
            find_files([folder / "self.md"])


def test_folders_that_may_not_be_entered(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs as root may enter all, so the system's answer is given here."""
    scandir = os.scandir

    def refusing(path: os.PathLike[str]) -> object:
        if str(path).endswith("drafts"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    (error, *others) = [file for file in files_or_errors([folder]) if isinstance(file, DocumentError)]
    assert str(error) == f"{folder}/drafts cannot be read: Permission denied; or leave it out with --exclude"
    assert error.document_id is None, "it may hold any document"
    assert len(others) == 1
    with pytest.raises(DocumentError, match="drafts cannot be read: Permission denied"):
        find_files([folder])
    assert below(folder, find_files([folder], Selection(excludes=("drafts",)))) == ["a.txt", "b.md", "x/e.pdf"]


def test_folders_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jina_v3_connectors.files.finding.MAX_DEPTH", 3)
    deepest = tmp_path / "1" / "2" / "3" / "4"
    deepest.mkdir(parents=True)
    (deepest / "a.md").write_text("x")
    with pytest.raises(DocumentError, match=r"1/2/3/4 lies 4 folders deep, 3 are read at most: name it itself"):
        find_files([tmp_path])
    assert find_files([deepest]) == [deepest / "a.md"]
