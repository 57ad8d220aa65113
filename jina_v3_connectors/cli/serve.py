"""`jina-v3 serve`."""

from __future__ import annotations

import ipaddress
import os
import sys
from dataclasses import replace
from pathlib import Path

import click

from jina_v3_encoder.errors import InvalidInput, MissingExtra
from jina_v3_encoder.task import TASK_NAMES

from .options import ModelChoice, model_options

KEYS_VARIABLE = "JINA_V3_SERVER_KEYS"
OPEN_CONNECTIONS = 512
KERNEL_CACHES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
KERNELS = "256"
"""oneDNN keeps 1,024 kernels by default, of about a megabyte each; a server meets new shapes for ever."""


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="0.0.0.0 lets other machines in: set a key.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True)
@click.option("--default-task", type=click.Choice(TASK_NAMES), help="For requests without a task; else the base model.")
@click.option("--recognize-prompts", is_flag=True, help="Take v3's own instruction before a text as its task.")
@click.option("--key-file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="One key on each line.")
@click.option("--insecure", is_flag=True, help="Serve other machines without a key.")
@click.option("--keep-alive/--no-keep-alive", default=True, show_default=True, help="Spaces before slow answers.")
@model_options
def command(
    host: str,
    port: int,
    default_task: str | None,
    recognize_prompts: bool,
    key_file: Path | None,
    insecure: bool,
    keep_alive: bool,
    choice: ModelChoice,
) -> None:
    """Serve a model with the interface of the hosted embedding service.

    Clients of that service, and OpenAI's, work by changing their URL: POST /v1/embeddings, /v1/classify, /v1/segment,
    GET /v1/models, /health, /metrics. Keys are read from --key-file or $JINA_V3_SERVER_KEYS (separated by commas);
    only their hashes are kept. SIGTERM answers what was taken in, then ends.

    \b
    Example:
      jina-v3 serve --model nano --port 8080
    """
    try:
        import uvicorn

        from ..server import ServerSettings, create_app
        from ..server.settings import hash_key
    except ImportError as error:
        raise MissingExtra(error.name or "uvicorn", "server") from None

    keys = read_keys(key_file, os.environ.get(KEYS_VARIABLE, ""))
    check_host(host, has_key=bool(keys), insecure=insecure)
    settings = ServerSettings(
        default_task=default_task,
        recognize_prompts=recognize_prompts,
        key_hashes=frozenset(map(hash_key, keys)),
    )
    if not keep_alive:
        settings = replace(settings, keep_alive_after=None)
    for name in KERNEL_CACHES:
        os.environ.setdefault(name, KERNELS)
    encoder = choice.load()
    click.echo(f"{encoder!r} at http://{host}:{port}/v1/embeddings", err=True)
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(encoder, settings),
            host=host,
            port=port,
            log_level="warning",
            access_log=False,
            server_header=False,
            limit_concurrency=OPEN_CONNECTIONS,
            timeout_keep_alive=30,
        )
    )
    server.run()
    if not server.started:
        sys.exit(1)


def read_keys(file: Path | None, listed: str) -> list[str]:
    """Keys of a file and of the environment.

    Raises:
        InvalidInput: a key file without a key.
    """
    keys = [key.strip() for key in listed.split(",") if key.strip()]
    if file is not None:
        own = [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
        if not own:
            raise InvalidInput(f"{file} holds no key: write one on each line")
        keys += own
    return keys


def check_host(host: str, *, has_key: bool, insecure: bool) -> None:
    """Keep a server without a key on this machine.

    Raises:
        InvalidInput: others could reach it, there is no key, and `insecure` is off.
    """
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost"
    if not (local or has_key or insecure):
        raise InvalidInput(
            f"--host {host} lets other machines in and no key is set: set ${KEYS_VARIABLE} or --key-file, "
            "or pass --insecure if the network is trusted"
        )
