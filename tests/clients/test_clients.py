"""`make test-clients`: other projects' clients themselves, each one's vectors compared with the encoder's own."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import llama_index.core
import pytest

from jina_v3_connectors.server import Models
from jina_v3_encoder.encoder import Encoder

from ..support.running import running
from .runs import BEFORE, INSTALLED, LANGUAGES, NODE_FOLDER, TOLERANCE, OtherVectors, Run, run_clients, table

FIXED_NAMES = ("text-embedding-3-small", "jina-embeddings-v5-nano")
"""Of clients that can ask for no other."""
PAGE = Path(__file__).parents[2] / "docs" / "server.md"


@pytest.fixture(scope="module")
def exact() -> Encoder:
    return Encoder.from_pretrained("nano", device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def url(exact: Encoder) -> Iterator[str]:
    """A server of the bundled model. LlamaIndex brings the file that tiktoken would download."""
    with pytest.MonkeyPatch.context() as patch:
        folder = Path(llama_index.core.__file__).parent / "_static" / "tiktoken_cache"
        patch.setenv("TIKTOKEN_CACHE_DIR", str(folder))
        with running(Models.of([exact], served_names=FIXED_NAMES)) as url:
            yield url


@pytest.mark.clients
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_client_is_given_the_encoders_own_vectors(
    url: str, exact: Encoder, shown_table: list[str], language: str
) -> None:
    if not (INSTALLED / "bin" / "python").exists() or not NODE_FOLDER.exists():
        pytest.skip("the clients are not installed: `make test-clients` does that, and needs a network")
    if language == "node" and shutil.which("node") is None:
        pytest.skip("node is not installed")
    runs = run_clients(language, url)
    outcomes = {run.client: "not installed" if run.is_missing else run.outcome(exact) for run in runs}
    shown_table += table(runs, outcomes)
    rows = {f"| {run.client} | {run.version} | {run.setting} | run |" for run in runs if not run.is_missing}
    assert rows - set(PAGE.read_text(encoding="utf-8").splitlines()) == set(), "docs/server.md shows what was run"
    wrong = {client: told for client, told in outcomes.items() if not told.startswith(("right", "not installed"))}
    assert wrong == {}
    assert sum(told.startswith("right") for told in outcomes.values()) > len(runs) / 2, "most are installed"


def test_the_page_tells_of_no_client_that_is_not_run() -> None:
    told = re.findall(r"^\| (.*?) \|.*\| run \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(told) == sorted(json.loads(BEFORE.read_text(encoding="utf-8")))


def test_other_vectors_are_noticed(exact: Encoder) -> None:
    texts = ["one text"]
    vectors = exact.encode(texts, task="retrieval.query").tolist()
    meant = {"texts": texts, "task": "retrieval.query", "dimensions": None, "late": False}

    def run(**change: object) -> Run:
        return Run("x", "x", "1", "", "", [{"vectors": vectors, **meant, **change}])

    assert run().difference(exact) <= TOLERANCE
    with pytest.raises(OtherVectors, match="off by"):
        run(task="retrieval.passage").difference(exact)
    with pytest.raises(OtherVectors, match="off by nan"):
        run(vectors=[[float("nan")] * exact.dimensions]).difference(exact)
    with pytest.raises(OtherVectors, match="in place of"):
        run(dimensions=64).difference(exact)
    with pytest.raises(OtherVectors, match="refused: HTTP 404"):
        Run("x", "x", "1", "", "", [], "HTTP 404").difference(exact)
