"""`jina-v3 serve`."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from jina_v3_encoder.errors import InvalidInput, MissingExtra
from jina_v3_encoder.json_file import is_special
from jina_v3_encoder.task import TASK_NAMES

from .demo import FORMS
from .options import ModelChoice, model_options, tokenizer_of
from .terminal import say

if TYPE_CHECKING:
    from jina_v3_encoder.text_encoder import TextEncoder

    from ..demo.collections import Collections
    from ..server.app import Page

KEYS_VARIABLE = "JINA_V3_SERVER_KEYS"
KERNEL_CACHES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
KERNELS = "256"
"""oneDNN keeps 1,024 kernels by default, of about a megabyte each, and a server always sees new shapes."""


@click.command("serve")
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="With 0.0.0.0 other machines can connect: set a key."
)
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0: any free port.")
@click.option(
    "--default-task", type=click.Choice(TASK_NAMES), help="For requests without a task. Default: the base model."
)
@click.option("--recognize-prompts", is_flag=True, help="If a text begins with v3's own instruction, use its task.")
@click.option("--key-file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="One key on each line.")
@click.option("--insecure", is_flag=True, help="Serve other machines without a key.")
@click.option(
    "--allow-host", "names", multiple=True, metavar="NAME", help="Another name of this server, such as that of a proxy."
)
@click.option(
    "--keep-alive/--no-keep-alive",
    default=True,
    show_default=True,
    help="Begin slow answers with spaces, for clients that give up early.",
)
@click.option(
    "--grace",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    help="Seconds after SIGTERM to answer accepted requests.",
)
@click.option("--demo", is_flag=True, help="Also serve a page at / where you ask questions of a small collection.")
@click.option(
    "--store",
    "stores",
    multiple=True,
    metavar="STORE",
    help=f"Where the page keeps collections, else in a temporary folder: a folder, {FORMS}.",
)
@click.option(
    "--documents",
    type=click.Path(path_type=Path, exists=True),
    multiple=True,
    help="Files or folders that the page shows in place of its sixteen documents: .txt, .md, .jsonl.",
)
@model_options
def command(
    host: str,
    port: int,
    default_task: str | None,
    recognize_prompts: bool,
    key_file: Path | None,
    insecure: bool,
    names: tuple[str, ...],
    keep_alive: bool,
    grace: float,
    demo: bool,
    stores: tuple[str, ...],
    documents: tuple[Path, ...],
    choice: ModelChoice,
) -> None:
    """Serve a model with the interface of the hosted embedding service.

    Clients of that service, and OpenAI's, work by changing their URL: POST /v1/embeddings, /v1/classify, /v1/segment,
    GET /v1/models, /health, /metrics. Keys are read from --key-file or $JINA_V3_SERVER_KEYS (separated by commas);
    only their hashes are kept. Without a key, requests for another name than this machine's own are refused.
    After SIGTERM the server answers the requests that it has accepted, for --grace seconds at most, then ends.

    \b
    Examples:
      jina-v3 serve --model nano --port 8080
      jina-v3 serve --demo
      jina-v3 serve --demo --store qdrant+http://localhost:6333 --store milvus:./demo.db --documents notes/
    """
    try:
        from ..server import ServerSettings
        from ..server.app import app_over
        from ..server.batcher import Batcher
        from ..server.hosting import BACKLOG, hosted
        from ..server.queue_engine import QueueEngine
        from ..server.settings import LOCAL_HOSTS, hash_key
    except ImportError as error:
        raise MissingExtra(error.name or "uvicorn", "server") from None

    from jina_v3_encoder.text_encoder import TextEncoder

    if (stores or documents) and not demo:
        raise InvalidInput("--store and --documents belong to the page: pass --demo with them")
    keys = read_keys(key_file, os.environ.get(KEYS_VARIABLE, ""))
    check_host(host, has_key=bool(keys), insecure=insecure)
    settings = ServerSettings(
        default_task=default_task,
        recognize_prompts=recognize_prompts,
        keep_alive_after=ServerSettings.keep_alive_after if keep_alive else None,
        key_hashes=frozenset(map(hash_key, keys)),
        hosts=LOCAL_HOSTS | {name.lower() for name in names} if is_local(host) and not keys else frozenset(),
    )
    for name in KERNEL_CACHES:
        os.environ.setdefault(name, KERNELS)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # uvicorn hands it on when all is answered
    with bound(host, port) as listening_socket, tempfile.TemporaryDirectory(prefix="jina-v3-") as folder:
        batcher = Batcher.loading(choice.load, settings)
        page = None
        if demo:
            queued = TextEncoder(QueueEngine(batcher))
            page = page_over(demo_collections(queued, stores or (folder,), documents))
        server = hosted(app_over(batcher, settings, page), grace=grace)
        listening_socket.listen(BACKLOG)
        announce(batcher.encoder, host, listening_socket.getsockname()[1], demo=demo)
        with suppress(KeyboardInterrupt):
            server.run(sockets=[listening_socket])
    if not server.started:
        sys.exit(1)


def announce(encoder: TextEncoder, host: str, port: int, *, demo: bool) -> None:
    """Print what is served, and where."""
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    say(f"{encoder!r} at {address}/v1/embeddings; licence of the weights: {encoder.info.licence}")
    if demo:
        say(f"The page: {address}/")


def bound(host: str, port: int) -> socket.socket:
    """A socket that has its address and does not listen yet. Port 0 means any free port.

    Raises:
        InvalidInput: the port is taken or not allowed, or the host is no address of this machine.
    """
    with ExitStack() as stack:
        try:
            family, *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            bound_socket = stack.enter_context(socket.socket(family))
            if os.name == "posix":
                bound_socket.setsockopt(
                    socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
                )  # else a port stays taken for a minute
            bound_socket.bind((host, port))
        except OSError as error:
            raise InvalidInput(
                f"--host {host} --port {port}: {error.strerror}; another port, or 0 for any free one, may do"
            ) from None
        stack.pop_all()
    return bound_socket


def demo_collections(encoder: TextEncoder, stores: Sequence[str], paths: Sequence[Path]) -> Collections:
    """What the page shows: the files below `paths`, or its own documents.

    Raises:
        DocumentError: a file cannot be read.
        InvalidInput: more documents than the page can hold, or a store of another backend.
    """
    from .. import demo
    from ..chunking.splitter import SemanticChunker
    from ..demo.collections import Collections
    from ..demo.corpus import Corpus
    from ..files.folders import find_files, read_documents

    documents = (document for file in find_files(paths) for document in read_documents(file))
    chunker = SemanticChunker(tokenizer_of(encoder), demo.CHUNK_TOKENS)
    return Collections(Corpus(encoder, documents if paths else demo.documents(), chunker), stores)


def page_over(collections: Collections) -> Page:
    """The demo page as a `Page` for the server."""
    from ..demo.page import demo_page

    return demo_page(collections)


def read_keys(file: Path | None, listed: str) -> list[str]:
    """Keys of a file and of the environment.

    Raises:
        InvalidInput: a key file without a key, or a pipe in its place.
    """
    keys = [key.strip() for key in listed.split(",") if key.strip()]
    if file is not None:
        if is_special(file):
            raise InvalidInput(f"--key-file {file} is no regular file; keys may also stand in ${KEYS_VARIABLE}")
        file_keys = [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
        if not file_keys:
            raise InvalidInput(f"{file} holds no key: write one on each line")
        keys += file_keys
    return keys


def check_host(host: str, *, has_key: bool, insecure: bool) -> None:
    """Keep a server without a key on this machine.

    Raises:
        InvalidInput: others could reach it, there is no key, and `insecure` is off.
    """
    if not (is_local(host) or has_key or insecure):
        raise InvalidInput(
            f"--host {host} lets other machines in and no key is set: set ${KEYS_VARIABLE} or --key-file, "
            "or pass --insecure if the network is trusted"
        )


def is_local(host: str) -> bool:
    """Whether only this machine can reach a host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
