"""`python -m tests.clients.before COMMIT`: what the same clients were given by the server of an earlier commit."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

from jina_v3_encoder.encoder import Encoder

from .runs import BEFORE, HERE, LANGUAGES, SHOWN, run_clients

START_SECONDS = 60.0


def main(commit: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(["git", "archive", commit], cwd=HERE.parents[1], capture_output=True, check=True)
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        paths = os.pathsep.join((folder, str(Path(folder) / "encoder")))
        command = [sys.executable, "-m", "jina_v3_connectors", "serve", "--model", "nano", "--dtype", "float32"]
        server = subprocess.Popen([*command, "--port", str(port)], env={**os.environ, "PYTHONPATH": paths}, cwd=folder)
        try:
            url = f"http://127.0.0.1:{port}"
            wait_for(url)
            exact = Encoder.from_pretrained("nano", device="cpu", dtype="float32")
            runs = [run for language in LANGUAGES for run in run_clients(language, url)]
            outcomes = {run.client: run.outcome(exact)[:SHOWN] for run in runs}
        finally:
            server.terminate()
            server.wait()
    BEFORE.write_text(json.dumps(outcomes, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def wait_for(url: str) -> None:
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            httpx.get(f"{url}/health").raise_for_status()
        except httpx.HTTPError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)
        else:
            return


if __name__ == "__main__":
    main(sys.argv[1])
