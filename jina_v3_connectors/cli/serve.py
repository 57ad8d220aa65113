"""`jina-v3 serve`."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from jina_v3_encoder.errors import InvalidInput, MissingExtra
from jina_v3_encoder.task import TASK_NAMES

from ..shared_encoders import tokenizer_of
from .demo import FORMS
from .options import DEFAULT_MODEL, MODEL_FORMS, MODEL_VARIABLE, ModelChoice, loading_options
from .serve_access import KEYS_VARIABLE, bound, check_host, is_everywhere, is_local, published_address, read_keys
from .serve_models import check_sources, load, model_source
from .terminal import say

if TYPE_CHECKING:
    from jina_v3_encoder.text_encoder import TextEncoder

    from ..demo.collections import Collections
    from ..server import Models
    from ..server.app import Page

KERNEL_CACHES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
KERNELS = "256"
"""oneDNN keeps 1,024 kernels by default, of about a megabyte each, and a server always sees new shapes."""


@click.command("serve")
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="With 0.0.0.0 other machines can connect: set a key."
)
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0: any free port.")
@click.option(
    "--default-task",
    type=click.Choice(TASK_NAMES),
    help="For requests without a task, to models with tasks. Default: the base model.",
)
@click.option(
    "--recognize-prompts/--no-recognize-prompts",
    default=True,
    show_default=True,
    help="If a request names no task and all its texts begin with v3's own instruction, use that task.",
)
@click.option(
    "--served-name",
    "served_names",
    multiple=True,
    metavar="NAME",
    help="Another name of the first model, for clients that can ask for no other, such as text-embedding-3-small.",
)
@click.option(
    "--token-ids",
    metavar="TOKENIZER",
    help="Whose token ids clients send in place of text, such as o200k_base. By default only LangChain's "
    "OpenAIEmbeddings may send some, those of cl100k_base. Needs the extra token-ids.",
)
@click.option(
    "--classifiers",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder of classifiers that /v1/train makes. Default: this user's state folder.",
)
@click.option(
    "--log",
    "log_form",
    type=click.Choice(["text", "json", "none"]),
    default="text",
    show_default=True,
    help="A line for each request on stderr, without texts and keys.",
)
@click.option("--key-file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="One key on each line.")
@click.option("--insecure", is_flag=True, help="Serve other machines without a key.")
@click.option(
    "--published",
    metavar="HOST[:PORT]",
    help="In a container, which listens on 0.0.0.0: where its port is published. The rules about keys and names follow "
    "it, not --host, and so does the address that is printed.",
)
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
    help="Files or folders that the page shows in place of its sixteen documents; see `jina-v3 ingest`.",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="[NAME=]MODEL",
    help=f"{MODEL_FORMS} Repeat it to serve several: requests choose by NAME, which is the last part of MODEL unless "
    f"you give another.  [env var: {MODEL_VARIABLE}, for one]",
)
@loading_options
def command(
    host: str,
    port: int,
    default_task: str | None,
    recognize_prompts: bool,
    served_names: tuple[str, ...],
    token_ids: str | None,
    classifiers: Path | None,
    log_form: str,
    key_file: Path | None,
    insecure: bool,
    published: str | None,
    names: tuple[str, ...],
    keep_alive: bool,
    grace: float,
    demo: bool,
    stores: tuple[str, ...],
    documents: tuple[Path, ...],
    models: tuple[str, ...],
    choice: ModelChoice,
) -> None:
    """Serve models with the interface of the hosted embedding service.

    Clients of that service, of OpenAI's, Azure's, Cohere's and Voyage's embeddings, of text-embeddings-inference and
    SageMaker, and Qdrant itself work by changing their URL: POST /v1/embeddings, /v1/rerank, /v1/classify, /v1/segment,
    /embed, /qdrant, /invocations, GET /v1/models, /health, /metrics. docs/server.md has the settings of each.

    Keys are read from --key-file or $JINA_V3_SERVER_KEYS (separated by commas), or from a file of that name in the
    folder $JINA_V3_SECRETS; only their hashes are kept. Without a key, requests for another name than this
    machine's own are refused.
    After SIGTERM the server answers the requests that it has accepted, for --grace seconds at most, then ends.

    Several models share one queue and the machine's cores. The page shows the first.

    \b
    Examples:
      jina-v3 serve --model nano --port 8080
      jina-v3 serve --model jinaai/jina-embeddings-v3 --model jinaai/jina-embeddings-v2-base-de
      jina-v3 serve --model jinaai/jina-embeddings-v3 --model mine=./my-model
      jina-v3 serve --served-name text-embedding-3-small --served-name jina-embeddings-v4
      jina-v3 serve --allow-host host.containers.internal --log json
      jina-v3 serve --demo
      jina-v3 serve --demo --store qdrant+http://localhost:6333 --store milvus:./demo.db --documents notes/
    """
    try:
        from ..server import ServerSettings
        from ..server.app import app_over
        from ..server.batcher import Batcher
        from ..server.hosting import BACKLOG, hosted
        from ..server.queue_engine import QueueEngine
        from ..server.request_log import show_requests
        from ..server.settings import LOCAL_HOSTS, hash_key
        from ..server.token_ids import loaded_name
    except ImportError as error:
        raise MissingExtra(error.name or "uvicorn", "server") from None

    from jina_v3_encoder.text_encoder import TextEncoder

    if (stores or documents) and not demo:
        raise InvalidInput("--store and --documents belong to the page: pass --demo with them")
    sources = [model_source(text) for text in models or (os.environ.get(MODEL_VARIABLE) or DEFAULT_MODEL,)]
    check_sources(sources, choice, served_names)
    keys = read_keys(key_file, os.environ.get(KEYS_VARIABLE, ""))
    reached_at, published_port = published_address(published) if published else (host, None)
    check_host("--published" if published else "--host", reached_at, has_key=bool(keys), insecure=insecure)
    settings = ServerSettings(
        default_task=default_task,
        recognize_prompts=recognize_prompts,
        token_ids=None if token_ids is None else loaded_name(token_ids),
        keep_alive_after=ServerSettings.keep_alive_after if keep_alive else None,
        classifiers=classifiers,
        key_hashes=frozenset(map(hash_key, keys)),
        hosts=LOCAL_HOSTS | {name.lower() for name in names} if is_local(reached_at) and not keys else frozenset(),
    )
    if log_form != "none":
        show_requests(log_form)
    for name in KERNEL_CACHES:
        os.environ.setdefault(name, KERNELS)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # uvicorn hands it on when all is answered
    with bound(host, port) as listening_socket, tempfile.TemporaryDirectory(prefix="jina-v3-") as folder:
        batcher = Batcher.loading(lambda: load(sources, choice, served_names), settings)
        page = None
        if demo:
            queued = TextEncoder(QueueEngine(batcher))
            page = page_over(demo_collections(queued, stores or (folder,), documents))
        server = hosted(app_over(batcher, settings, page), grace=grace)
        listening_socket.listen(BACKLOG)
        announce(batcher.models, reached_at, published_port or listening_socket.getsockname()[1], demo=demo)
        with suppress(KeyboardInterrupt):
            server.run(sockets=[listening_socket])
    if not server.started:
        sys.exit(1)


def announce(models: Models, host: str, port: int, *, demo: bool) -> None:
    """Print what is served, and where."""
    shown_host = "localhost" if (everywhere := is_everywhere(host)) else f"[{host}]" if ":" in host else host
    address = f"http://{shown_host}:{port}"
    if len(models) == 1:
        encoder = models.default.encoder
        say(f"{encoder!r} at {address}/v1/embeddings; licence of the weights: {encoder.info.licence}")
    else:
        say(f"{len(models)} models at {address}/v1/embeddings{memory()}")
        for model in models:
            say(f"  {model.name}: {model.encoder!r}; licence of the weights: {model.encoder.info.licence}")
    if demo:
        say(f"The page: {address}/")
    if everywhere:
        say(f"From other machines: this machine's name or address in place of localhost, port {port}")


def memory() -> str:
    """What this process takes, as far as the system tells."""
    import torch

    parts = []
    with suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        parts.append(f"{pages * os.sysconf('SC_PAGE_SIZE') / 2**30:.1f} GiB of memory")
    if allocated := sum(map(torch.cuda.memory_allocated, range(torch.cuda.device_count()))):
        parts.append(f"{allocated / 2**30:.1f} GiB of the GPU's")
    return f"; they take {' and '.join(parts)}" if parts else ""


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

    documents = read_documents(*find_files(paths))
    chunker = SemanticChunker(tokenizer_of(encoder), demo.CHUNK_TOKENS)
    return Collections(Corpus(encoder, documents if paths else demo.documents(), chunker), stores)


def page_over(collections: Collections) -> Page:
    """The demo page as a `Page` for the server."""
    from ..demo.page import demo_page

    return demo_page(collections)
