"""The plugin under the real `llm` command."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import llm
import numpy as np
import pytest
import sqlite_utils

from jina_v3_connectors.llm_plugin import ROLES, SIZES, TEXTS_AT_ONCE, JinaV3EmbeddingModel
from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.errors import InvalidDimensions
from jina_v3_encoder.testing import FakeEncoder

NOTES = {
    "key.md": "The key to the garden shed hangs behind the kitchen door.",
    "bread.md": "Bread dough rises for two hours in a warm place.",
    "paris.md": "The Eiffel Tower stands in Paris and is made of iron.",
    "müll.md": "Die Mülltonne für Papier wird am Dienstag früh geleert, größere Kartons nimmt der Wertstoffhof.",
    "茶.md": "绿茶要用八十度的水泡，开水会让茶变苦。",
}


def model_named(name: str) -> Any:
    return llm.get_embedding_model(name)  # type: ignore[no-untyped-call]


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def bundled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JINA_V3_MODEL", "nano")
    monkeypatch.setenv("LLM_USER_PATH", str(tmp_path / "user"))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    (tmp_path / "notes").mkdir()
    for name, text in NOTES.items():
        (tmp_path / "notes" / name).write_text(text, encoding="utf-8")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "llm", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)

    return run


def test_every_role_and_size_is_registered() -> None:
    for role in ROLES:
        for size in SIZES:
            tail = role + (f"-{size}" if size else "")
            model = model_named(f"jina-v3{tail}")
            assert model.model_id == f"jina-embeddings-v3{tail}"
            assert model.batch_size == TEXTS_AT_ONCE


def test_vectors_are_those_of_the_encoder(nano: Encoder) -> None:
    texts = list(NOTES.values())
    for role, task in ROLES.items():
        vectors = list(model_named(f"jina-v3{role}-64").embed_multi(texts))
        assert np.allclose(vectors, nano.encode(texts, task=task, dimensions=64), atol=1e-2)
        assert isinstance(vectors[0][0], float)


def test_roles_of_a_model_without_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = FakeEncoder(tasks=())
    monkeypatch.setattr("jina_v3_connectors.shared_encoders.shared_encoder", lambda _: encoder)
    wanted = encoder.encode("a text", task=None).tolist()
    for role in ROLES:
        assert model_named(f"jina-v3{role}").embed("a text") == wanted


def test_texts_are_taken_a_few_at_a_time() -> None:
    taken = 0

    def endless() -> Iterator[str]:
        nonlocal taken
        while True:
            taken += 1
            yield f"text {taken}"

    next(JinaV3EmbeddingModel("", 32).embed_batch(endless()))
    assert taken == TEXTS_AT_ONCE


def test_a_size_beyond_the_model() -> None:
    with pytest.raises(InvalidDimensions, match=r"from 1 to 384, got 512: .*leave dimensions out"):
        model_named("jina-v3-512").embed("hello")


def command_of_the_readme() -> list[str]:
    """The words behind `llm` in the line that fills a collection."""
    lines = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8").splitlines()
    (line,) = (line for line in lines if line.startswith("    llm embed-multi notes"))
    return shlex.split(line)[1:]


def test_a_walk_through_notes_in_three_languages(run: Run, tmp_path: Path) -> None:
    """They are kept as they are. llm tries Latin-1 for files that are not ASCII unless it is told the encoding."""
    done = run(*command_of_the_readme())
    assert done.returncode == 0, done.stderr
    rows = sqlite_utils.Database(tmp_path / "user" / "embeddings.db")["embeddings"].rows
    assert {row["id"]: row["content"] for row in rows} == NOTES
    for question, note in {"Wann kommt die Müllabfuhr?": "müll.md", "怎样泡绿茶？": "茶.md"}.items():
        asked = run("jina-v3", "notes", question, "-n", "1")
        assert json.loads(asked.stdout)["id"] == note, asked.stderr
    asked = run("jina-v3", "notes", "Where is the key?", "-n", "1")
    assert asked.returncode == 0, asked.stderr
    (hit,) = [json.loads(line) for line in asked.stdout.splitlines()]
    assert (hit["id"], hit["content"]) == ("key.md", NOTES["key.md"])
    alike = run("similar", "notes", "-c", "a tower of iron", "-n", "1")
    assert json.loads(alike.stdout)["id"] == "paris.md"


def test_what_cannot_be_asked(run: Run) -> None:
    run("embed", "alike", "one", "-m", "jina-v3-32", "-c", "hello")
    wrong = run("jina-v3", "alike", "hello")
    assert "was embedded by 'jina-embeddings-v3-32'" in wrong.stderr
    missing = run("jina-v3", "nowhere", "hello")
    assert "there is no collection 'nowhere'" in missing.stderr
    assert "Traceback" not in wrong.stderr + missing.stderr


def test_without_llm_it_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['llm'] = None\n"
        "from jina_v3_encoder.errors import MissingExtra\n"
        "try:\n    import jina_v3_connectors.llm_plugin\n"
        "except MissingExtra as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "llm is not installed; run: pip install 'jina-v3-connectors[llm]'"
