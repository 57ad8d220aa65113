"""The Dockerfile's steps in a plain virtual environment: what is copied, installed and started.

Takes minutes and needs a package registry, so it runs where JINA_V3_IMAGE_STEPS is set, as `make image-steps` does.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from .reading import ROOT, copies, dockerfile

pytestmark = pytest.mark.skipif(
    "JINA_V3_IMAGE_STEPS" not in os.environ, reason="takes minutes: make image-steps, or set JINA_V3_IMAGE_STEPS"
)
START_SECONDS = 120.0


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in place of the image: /app and a virtual environment in place of the system's Python."""
    folder = tmp_path_factory.mktemp("image")
    app = folder / "app"
    app.mkdir()
    for sources, target in copies():
        for source in sources:
            destination = app / target if len(sources) == 1 else app / target / source
            copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
            copy(ROOT / source, destination)
    steps = [instruction.rest for instruction in dockerfile() if instruction.name == "RUN"]
    (outside,) = (step for step in steps if "useradd" in step)
    for step in steps[: steps.index(outside)]:
        if step.startswith("apt-get"):  # of the image's system, not of this machine's
            continue
        subprocess.run(step, shell=True, check=True, cwd=app, env=environment(folder) | {"TORCH": ""})
    return folder


def environment(folder: Path) -> dict[str, str]:
    """As in the image: nothing of this project's own environment, its programs first on the path."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("JINA_", "VIRTUAL_", "PYTHON"))
    }
    return inherited | {
        "PATH": f"{folder / 'venv' / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "VIRTUAL_ENV": str(folder / "venv"),
        "JINA_V3_STATE": str(folder / "state"),
    }


def command(name: str) -> list[str]:
    (rest,) = (instruction.rest for instruction in dockerfile() if instruction.name == name)
    return list(json.loads(rest.split("CMD", 1)[1] if name == "HEALTHCHECK" else rest))


def test_without_a_key_the_image_refuses_and_says_why(image: Path) -> None:
    start = [*command("ENTRYPOINT"), *command("CMD")]
    told = subprocess.run(start, capture_output=True, text=True, env=environment(image), cwd=image / "app", timeout=120)
    assert told.returncode == 1
    assert "JINA_V3_SERVER_KEYS" in told.stderr


def test_with_a_key_it_serves_and_is_healthy(image: Path) -> None:
    start = [*command("ENTRYPOINT"), *command("CMD"), "--port", "0", "--demo"]
    process = subprocess.Popen(
        start,
        env=environment(image) | {"JINA_V3_SERVER_KEYS": "key"},
        stderr=subprocess.PIPE,
        text=True,
        cwd=image / "app",
    )
    try:
        assert process.stderr is not None
        address = re.search(r":(\d+)/v1", process.stderr.readline())
        assert address is not None
        url = f"http://127.0.0.1:{address[1]}"
        check = [part.replace("http://127.0.0.1:8080", url) for part in command("HEALTHCHECK")]
        until = time.monotonic() + START_SECONDS
        while subprocess.run(check, capture_output=True, env=environment(image)).returncode:
            assert time.monotonic() < until, "never healthy"
            time.sleep(0.5)
        body = {"model": "jina-embeddings-v3", "input": "a text", "task": "retrieval.query"}
        answer = httpx.post(f"{url}/v1/embeddings", json=body, headers={"Authorization": "Bearer key"}, timeout=60)
        assert len(answer.json()["data"][0]["embedding"]) == 384
        assert "stylesheet" in httpx.get(url).text
    finally:
        process.terminate()
        process.communicate(timeout=60)


def test_the_ingest_job_has_what_it_imports(image: Path) -> None:
    code = "import jina_v3_encoder.remote, qdrant_client, pymilvus, psycopg, fastapi"
    subprocess.run(["python", "-c", code], check=True, env=environment(image), cwd=image)
