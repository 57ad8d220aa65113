"""`RemoteEncoder`: the encoder's interface over HTTP, for `jina-v3 serve`, the hosted service and others alike."""

from __future__ import annotations

import base64
import hashlib
import os
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

from .address import server_address
from .config import PROMPTS
from .errors import PUBLISHED_DIMENSIONS, InvalidInput, MissingExtra, RemoteBusy, RemoteError
from .retry import BUSY_STATUS, RetryPolicy, wished_wait, with_retries
from .task import Task, TaskLike, as_task, as_tasks
from .texts.inputs import as_spans, as_texts
from .texts.late_chunking import Span, check_spans, join_chunks, resolve_window
from .usage import add_tokens
from .vectors import FloatArray, OutputType, check_dimensions, check_output_type, finish, to_output

if TYPE_CHECKING:
    import httpx

MODEL = "jina-embeddings-v3"
KEY_VARIABLES = ("JINA_V3_API_KEY", "JINA_API_KEY")
DIMENSIONS, MAX_TOKENS = PUBLISHED_DIMENSIONS, 8192
"""Of the published model, for servers that do not say."""
RETRY = RetryPolicy(first=0.5, longest=10.0, total=120.0, wait_for_absent=False)
SHOWN = 300


class RemoteEncoder:
    """A `TextEncoder` whose vectors are made elsewhere.

    The server puts the prompts in. Model, fingerprint and limits are read from its `/v1/models`; a server that tells no
    fingerprint is known by the name of its model alone.

    >>> encoder = RemoteEncoder("http://127.0.0.1:8080")
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        model: str = MODEL,
        max_items: int = 512,
        max_characters: int = 1_000_000,
        timeout: float = 300.0,
        retry: RetryPolicy = RETRY,
        prepare: Callable[[httpx.Request], None] | None = None,
    ) -> None:
        """Ask the server what it serves.

        Args:
            url: As `http://127.0.0.1:8080`, with or without `/v1` or `/v1/embeddings`. A user and password in it are
                sent, and never shown.
            api_key: Sent as a bearer token; by default $JINA_V3_API_KEY or $JINA_API_KEY.
            model: The name to ask for.
            max_items, max_characters: Of one request; longer input takes several.
            timeout: Seconds without a byte from the server.
            retry: How long to repeat what a busy server refused.
            prepare: Changes each request before it is sent, as to sign it for a cloud's endpoint.

        Raises:
            MissingExtra: httpx is not installed.
            InvalidInput: no address of a server.
            RemoteError: the server cannot be reached or refused.
        """
        try:
            import httpx
        except ImportError:
            raise MissingExtra("httpx", "remote") from None
        address = server_address(url)
        self.url = _base(address.url)
        self._model, self._max_items, self._max_characters, self._retry = model, max_items, max_characters, retry
        key = api_key or next((value for name in KEY_VARIABLES if (value := os.environ.get(name))), None)
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        hooks = {} if prepare is None else {"request": [prepare]}
        self._client = httpx.Client(headers=headers, timeout=timeout, event_hooks=hooks, auth=address.login)
        self.close = weakref.finalize(self, self._client.close)
        """Let the connections go; an encoder that nobody holds does so by itself."""
        try:
            told = self._told()
        except BaseException:
            self.close()
            raise
        loaded = told.get("loaded") or {}
        self._ours = bool(loaded)
        self.model_id: str = loaded.get("model") or model
        self.revision: str | None = loaded.get("revision")
        self.fingerprint: str = loaded.get("fingerprint") or hashlib.sha256(f"served:{model}".encode()).hexdigest()[:16]
        self.dimensions: int = int(told.get("max_output_length") or DIMENSIONS)
        self.max_tokens: int = int(told.get("context_length") or MAX_TOKENS)

    def encode(
        self,
        texts: str | Sequence[str],
        *,
        task: TaskLike | Sequence[TaskLike] = None,
        dimensions: int | None = None,
        normalize: bool = True,
        truncate: bool = False,
        prompt: bool = True,
        progress: bool = False,
        output_type: OutputType = "float32",
    ) -> NDArray[Any]:
        """As `Encoder.encode`.

        Raises:
            InvalidInput: as there, or `prompt=False` with a task that has one: the server always puts it in.
            RemoteError: the server refused, stayed busy, or answered nonsense.
        """
        items = as_texts(texts)
        tasks = as_tasks(task, len(items))
        check_output_type(output_type)
        size = check_dimensions(dimensions, self.dimensions)
        self._check_prompts(tasks, prompt)
        found = np.zeros((len(items), size), dtype=np.float32)
        with tqdm(total=len(items), unit="text", desc="Encoding", disable=not progress) as bar:
            for own, places in self._requests(items, tasks):
                found[places] = self._embed([items[place] for place in places], own, size, {"truncate": truncate})
                bar.update(len(places))
        vectors = to_output(finish(found, normalize=normalize), output_type)
        return vectors[0] if isinstance(texts, str) else vectors

    def encode_chunks(self, chunks: Sequence[str], *, separator: str = " ", **settings: Any) -> NDArray[Any]:
        """As `Encoder.encode_chunks`."""
        return self.encode_spans(*join_chunks(as_texts(chunks, "chunk"), separator), **settings)

    def encode_spans(self, text: str, spans: Sequence[Span], **settings: Any) -> NDArray[Any]:
        """As `Encoder.encode_spans`."""
        return self.encode_documents([text], [spans], **settings)[0]

    def encode_documents(
        self,
        texts: Sequence[str],
        spans: Sequence[Sequence[Span]],
        *,
        task: TaskLike = None,
        dimensions: int | None = None,
        normalize: bool = True,
        prompt: bool = True,
        window: int | None = None,
        overlap: int | None = None,
        progress: bool = False,
        output_type: OutputType = "float32",
    ) -> list[NDArray[Any]]:
        """As `Encoder.encode_documents`, a request for each document.

        Raises:
            InvalidInput: as there; and at other servers than this project's, whose interface takes chunks and no
                spans, for spans that leave a gap or overlap, and for a window.
            RemoteError: as `encode`.
        """
        items = as_texts(texts, "document")
        each = as_spans(spans, items)
        check_output_type(output_type)
        resolve_window(window, overlap, self.max_tokens)
        size = check_dimensions(dimensions, self.dimensions)
        own = as_task(task)
        self._check_prompts([own], prompt)
        vectors: list[NDArray[Any]] = []
        for number, text in enumerate(tqdm(items, unit="document", desc="Encoding", disable=not progress)):
            wanted = check_spans(each[number], len(text), number)
            found = np.zeros((0, size), dtype=np.float32)
            if wanted:
                given, settings = self._late(text, wanted, window, overlap)
                found = self._embed(given, own, size, settings, rows=len(wanted))
            vectors.append(to_output(finish(found, normalize=normalize), output_type))
        return vectors

    def count_tokens(
        self, texts: str | Sequence[str], task: TaskLike = None, *, prompt: bool = True
    ) -> int | list[int]:
        """As `Encoder.count_tokens`; only this project's server can tell.

        Raises:
            RemoteError: another server.
        """
        items, own = as_texts(texts), as_task(task)
        if not self._ours:
            raise RemoteError(f"{self.url} has no way to count tokens; `jina-v3 serve` has")
        self._check_prompts([own], prompt)
        counts: list[int] = []
        for _, places in self._requests(items, [own] * len(items)):
            body = {"input": [items[place] for place in places], "task": own and own.value}
            counts += self._post("/v1/tokens", body)["tokens"]
        return counts[0] if isinstance(texts, str) else counts

    def __enter__(self) -> RemoteEncoder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"RemoteEncoder({self.url!r}, {self.model_id!r}, {self.dimensions} dimensions)"

    def _check_prompts(self, tasks: Sequence[Task | None], prompt: bool) -> None:
        named = next((task for task in tasks if task is not None and PROMPTS.get(task.value)), None)
        if not prompt and named is not None:
            raise InvalidInput(f"prompt=False cannot be asked of a server: it always puts the prompt of {named} in")

    def _requests(self, texts: Sequence[str], tasks: Sequence[Task | None]) -> Iterator[tuple[Task | None, list[int]]]:
        """Places of texts of one task each, within the limits of one request."""
        for own in dict.fromkeys(tasks):
            places: list[int] = []
            size = 0
            for place, task in enumerate(tasks):
                if task is not own:
                    continue
                length = len(texts[place])
                if places and (len(places) == self._max_items or size + length > self._max_characters):
                    yield own, places
                    places, size = [], 0
                places.append(place)
                size += length
            yield own, places

    def _late(
        self, text: str, spans: Sequence[Span], window: int | None, overlap: int | None
    ) -> tuple[Any, dict[str, Any]]:
        if self._ours:
            return [text], {"late_chunking": True, "spans": spans, "window": window, "overlap": overlap}
        covered = [0, *(end for _, end in spans)]
        if window is not None or [start for start, _ in spans] != covered[:-1]:
            raise InvalidInput(
                f"{self.url} takes the chunks of a document one after the other: no window, and spans without gap or "
                "overlap from 0 on. `jina-v3 serve` takes any"
            )
        return [text[start:end] for start, end in spans], {"late_chunking": True}

    def _embed(
        self, texts: Sequence[str], task: Task | None, size: int, settings: Mapping[str, Any], rows: int | None = None
    ) -> FloatArray:
        """(rows, size), not normalised."""
        body = {
            "model": self._model,
            "input": texts,
            "task": task and task.value,
            "dimensions": size,
            "normalized": False,
            "embedding_type": "base64",
            **settings,
        }
        answer = self._post("/v1/embeddings", body)
        try:
            data = sorted(answer["data"], key=lambda item: item["index"])
            found = np.stack([np.frombuffer(base64.b64decode(item["embedding"]), dtype="<f4") for item in data])
            add_tokens(int(answer["usage"]["total_tokens"]))
        except (KeyError, TypeError, ValueError) as error:
            raise RemoteError(f"{self.url} answered something that holds no vectors ({error!r})") from error
        wanted = (len(texts) if rows is None else rows, size)
        if found.shape != wanted:
            raise RemoteError(f"{self.url} answered vectors of shape {found.shape}, asked for {wanted}")
        return np.asarray(found, dtype=np.float32)

    def _told(self) -> dict[str, Any]:
        """What the server says of the model; nothing if it does not know the question."""
        try:
            rows = self._send("GET", "/v1/models", None).get("data") or []
        except _Refused as error:
            if error.status in (404, 405):
                return {}
            raise
        names = (self._model, f"jina-ai/{self._model}", f"jinaai/{self._model}")
        return next((row for row in rows if isinstance(row, dict) and row.get("id") in names), {})

    def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self._send("POST", path, body)

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        return with_retries(lambda: self._once(method, path, body), self._retry)

    def _once(self, method: str, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        import httpx

        try:
            response = self._client.request(method, self.url + path, json=body)
            answer = response.json()
        except (httpx.InvalidURL, UnicodeError) as error:
            raise RemoteError(f"{self.url} is no address that can be asked: {error}") from error
        except httpx.TransportError as error:
            absent = isinstance(error, httpx.ConnectError)
            raise RemoteBusy(f"{self.url} cannot be reached: {error}", absent=absent) from error
        except ValueError:
            answer = None
        told = _told_error(answer)
        if response.status_code in BUSY_STATUS:
            raise RemoteBusy(f"{self.url}: {response.status_code} {told}", wished_wait(response.headers))
        if response.status_code >= 400 or not isinstance(answer, dict) or (told and "data" not in answer):
            raise _Refused(f"{self.url}{path}: {response.status_code} {told or 'no JSON object'}", response.status_code)
        return answer


class _Refused(RemoteError):
    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def _base(url: str) -> str:
    """The address without the path of an interface."""
    base = url.rstrip("/")
    for tail in ("/embeddings", "/v1"):
        base = base.removesuffix(tail)
    return base


def _told_error(answer: Any) -> str:
    if not isinstance(answer, dict) or "detail" not in answer:
        return ""
    detail = answer["detail"]
    return str(detail.get("message", detail) if isinstance(detail, dict) else detail)[:SHOWN]
