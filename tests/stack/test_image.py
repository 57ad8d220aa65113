"""The image alone: its size, its users, its end, and what it says to bad settings."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from jina_v3_encoder.testing import write_random_checkpoint

from ..docker.reading import ROOT, compose
from ..servers.milvus_standalone import free_ports
from .engine import Engine, Failed
from .images import build, image_of, pip_settings

pytestmark = pytest.mark.stack
LARGEST = 1_100_000_000
REVISION = "0" * 40
START_SECONDS = 180.0
HARDENED = ["--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges"]
IMAGE = image_of("server")


def test_it_is_small_and_without_build_tools(engine: Engine, shown_table: dict[str, str]) -> None:
    size = engine.inspect(IMAGE)["Size"]
    shown_table["image, MB"] = f"{size / 1e6:,.0f}"
    assert size < LARGEST
    folders = engine("run", "--rm", "--entrypoint=ls", IMAGE, "/opt/jina/lib/python3.11/site-packages").split()
    assert {"torch", "fastapi", "qdrant_client", "pymilvus", "psycopg"} <= set(folders)
    assert {"pip", "setuptools", "pytest", "milvus_lite", "nvidia"}.isdisjoint(folders)


def test_help(engine: Engine) -> None:
    assert "Serve the model" in engine("run", "--rm", *HARDENED, IMAGE, "--help")


@pytest.mark.parametrize("user", ["10001:10001", "4242:4242"])
def test_any_user_may_run_it_with_a_read_only_root_and_sigterm_ends_it(engine: Engine, user: str) -> None:
    with serving(engine, f"--user={user}") as (name, url):
        body = {"model": "jina-embeddings-v3", "input": "a text", "task": "retrieval.query"}
        answer = httpx.post(f"{url}/v1/embeddings", json=body, timeout=120)
        assert len(answer.json()["data"][0]["embedding"]) == 384
        begin = time.monotonic()
        engine("stop", "--time=30", name)
        assert time.monotonic() - begin < 20
        assert engine.inspect(name)["State"]["ExitCode"] == 0


def test_weights_come_from_the_hub_cache_of_this_machine(engine: Engine, tmp_path: Path) -> None:
    model = tmp_path / "hub" / "models--somebody--tiny"
    write_random_checkpoint(model / "snapshots" / REVISION)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text(REVISION)
    for path in (tmp_path, *tmp_path.rglob("*")):  # as the hub's client leaves them, whatever the umask is here
        path.chmod(0o755 if path.is_dir() else 0o644)
    cache = [f"--volume={tmp_path}:/models:ro", "--env=HF_HUB_OFFLINE=1"]
    told = engine("run", "--rm", "--network=none", *HARDENED, *cache, IMAGE, "info", "--model=somebody/tiny")
    assert "somebody/tiny" in told


@pytest.mark.parametrize(
    ("settings", "options", "told"),
    [
        ({"SERVER_HOST": "0.0.0.0"}, [], r"--published 0\.0\.0\.0 lets other machines in and no key is set"),
        ({}, ["--env=JINA_V3_MODEL=/models/none"], r"/models/none"),
        ({}, ["--env=JINA_V3_SECRETS=/none"], r"\$JINA_V3_SECRETS=/none is no folder"),
    ],
    ids=["no key", "no model folder", "no folder of secrets"],
)
def test_bad_settings_end_it_with_a_line(
    engine: Engine, settings: dict[str, str], options: list[str], told: str
) -> None:
    command = compose(**settings)["services"]["server"]["command"]
    with pytest.raises(Failed, match=told) as caught:
        engine("run", "--rm", "--init", *HARDENED, *options, IMAGE, *command)
    assert re.search(r"ended with 1: ", str(caught.value))
    assert "Traceback" not in str(caught.value)


def test_a_build_that_cannot_reach_torchs_index_says_what_it_needs(engine: Engine, tmp_path: Path) -> None:
    nowhere = "--add-host=download.pytorch.org:127.0.0.1"
    with pytest.raises(
        Failed, match=r"TORCH=cpu takes torch from https://download\.pytorch\.org/whl/cpu .*PIP_INDEX_URL"
    ):
        build(engine, ROOT, "localhost/none:none", nowhere, *pip_settings(tmp_path))
    assert not engine.has_image("localhost/none:none")


@contextmanager
def serving(engine: Engine, *options: str) -> Iterator[tuple[str, str]]:
    """A container that answers, and its URL."""
    (port,) = free_ports(1)
    ports = [f"--publish=127.0.0.1:{port}:8080"]
    serve = ["serve", "--host=0.0.0.0", "--published=127.0.0.1"]
    name = engine("run", "--detach", "--init", *HARDENED, *ports, *options, IMAGE, *serve).split()[-1]
    try:
        until = time.monotonic() + START_SECONDS
        while True:
            with suppress(httpx.TransportError):
                if httpx.get(f"http://127.0.0.1:{port}/ready", timeout=5).status_code == 200:
                    break
            assert time.monotonic() < until, engine("logs", name)
            time.sleep(0.3)
        yield name, f"http://127.0.0.1:{port}"
    finally:
        engine("rm", "--force", "--time=0", name)
