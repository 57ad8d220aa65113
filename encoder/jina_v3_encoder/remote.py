"""`RemoteEncoder`: an encoder over HTTP, for `jina-v3 serve`, the hosted service and others like them."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, unquote

import numpy as np

from .address import Address, server_address
from .config import PROMPTS, QUANTIZATIONS
from .engine import EncoderInfo, Progress, SpanRequest, TextRequest
from .errors import InvalidInput, JinaV3Error, MissingExtra, RemoteBusy, RemoteError
from .published import DIMENSIONS, MAX_TOKENS, V3, is_v2, without_owner
from .retry import BUSY_STATUS, RetryPolicy, wished_wait, with_retries
from .task import TASK_NAMES, Task
from .text_encoder import TextEncoder
from .usage import add_tokens
from .vectors import FloatArray

if TYPE_CHECKING:
    import httpx

KEY_VARIABLES = ("JINA_V3_API_KEY", "JINA_API_KEY")
RETRY = RetryPolicy(first=0.5, longest=10.0, total=120.0, wait_for_absent=False)
SHOWN = 300
TASK_ENDINGS = tuple(f":{task}" for task in TASK_NAMES)
"""What further names of one model end in, where a client can name the task only so."""
_Kind = TypeVar("_Kind")

NUMBERED = re.compile(r"\b(text|document) (\d+)\b")
"""How a server names one of the texts of a request."""


class RemoteEngine:
    """One model of a server, which computes. The server adds the prompts itself."""

    def __init__(self, server: _Server, model: str | None, max_items: int, max_characters: int) -> None:
        """`model` is the name in each request, None for the only one. The others are limits of one request."""
        self.server, self._max_items, self._max_characters = server, max_items, max_characters
        self._model, described = server.described(model)
        loaded = server.told(described, "loaded", dict) or {}
        self._is_ours = bool(loaded)
        like_v3 = not is_v2(self._model)
        listed_tasks = server.told(described, "tasks", list)
        tasks = TASK_NAMES if listed_tasks is None and like_v3 else listed_tasks or ()
        shortened = server.told(described, "can_be_shortened", bool)
        quantization: Any = server.told(described, "quantization", str)
        fingerprint = server.told(loaded, "fingerprint", str)
        unknown = hashlib.sha256(f"served:{self._model}".encode()).hexdigest()[:16]
        self.info = EncoderInfo(
            model_id=server.told(loaded, "model", str) or self._model,
            revision=server.told(loaded, "revision", str),
            compute_fingerprint=partial(str, fingerprint or unknown),
            dimensions=server.told_size(described, "max_output_length") or self._size(),
            max_tokens=server.told_size(described, "context_length") or MAX_TOKENS,
            late_chunking_window=server.told_size(loaded, "late_chunking_window") or None,
            can_be_shortened=like_v3 if shortened is None else shortened,
            tasks=tuple(task for task in TASK_NAMES if task in tasks),
            prompts=PROMPTS if tasks else {},
            quantization=quantization if quantization in QUANTIZATIONS else None,
            can_leave_prompts_out=False,
            can_read_windows=self._is_ours,
        )

    def text_means(self, request: TextRequest, progress: Progress) -> FloatArray:
        """One task in each request."""
        means = np.zeros((len(request.texts), request.dimensions), dtype=np.float32)
        for task, indices in self._requests(request.texts, request.tasks):
            settings = {"truncate": request.truncate}
            numbers = [request.first + index for index in indices]
            texts = [request.texts[index] for index in indices]
            means[indices] = self._embed(texts, task, (len(texts), request.dimensions), settings, numbers)
            progress(len(indices))
        return means

    def span_means(self, request: SpanRequest, progress: Progress) -> FloatArray:
        """One document in each request."""
        means = np.zeros((request.vectors, request.dimensions), dtype=np.float32)
        start = 0
        for number, (text, spans) in enumerate(zip(request.texts, request.spans, strict=True), request.first):
            if spans:
                texts, settings = self._late(text, spans, request)
                rows = means[start : start + len(spans)]
                rows[:] = self._embed(texts, request.task, rows.shape, settings, [number])
                start += len(spans)
                progress(len(spans))
        return means

    def token_counts(self, texts: Sequence[str], tasks: Sequence[Task | None], *, prompt: bool) -> list[int]:
        """Only this project's server can count.

        Raises:
            RemoteError: another server.
        """
        if not self._is_ours:
            raise RemoteError(f"{self.server.url} has no way to count tokens; `jina-v3 serve` has")
        counts = [0] * len(texts)
        for task, indices in self._requests(texts, tasks):
            body = {"model": self._model, "input": [texts[index] for index in indices], **self._of_task(task)}
            answer = self.server.send("POST", "/v1/tokens", body, indices)
            try:
                for index, tokens in zip(indices, answer["tokens"], strict=True):
                    counts[index] = int(tokens)
            except (KeyError, TypeError, ValueError, OverflowError) as error:
                raise RemoteError(f"{self.server.url} answered something that holds no counts ({error!r})") from error
        return counts

    def close(self) -> None:
        """Close the connections. Without this call they end with the last reference to the server."""
        self.server.close()

    def _requests(self, texts: Sequence[str], tasks: Sequence[Task | None]) -> Iterator[tuple[Task | None, list[int]]]:
        """Indices of texts of one task each, within the limits of one request."""
        for one_task in dict.fromkeys(tasks):
            indices: list[int] = []
            size = 0
            for index, task in enumerate(tasks):
                if task is not one_task:
                    continue
                length = len(texts[index])
                if indices and (len(indices) == self._max_items or size + length > self._max_characters):
                    yield one_task, indices
                    indices, size = [], 0
                indices.append(index)
                size += length
            yield one_task, indices

    def _late(
        self, text: str, spans: Sequence[tuple[int, int]], request: SpanRequest
    ) -> tuple[list[str], dict[str, Any]]:
        """What is sent for a document: other servers take chunks that follow one another, as the face made sure."""
        if not self._is_ours:
            return [text[start:end] for start, end in spans], {"late_chunking": True}
        window, overlap = request.window
        return [text], {"late_chunking": True, "spans": spans, "window": window, "overlap": overlap}

    def _embed(
        self,
        texts: Sequence[str],
        task: Task | None,
        shape: tuple[int, ...],
        settings: Mapping[str, Any],
        numbers: Sequence[int],
    ) -> FloatArray:
        """Vectors of this shape, not normalised. `numbers` are the caller's of the texts, for errors."""
        size = {"dimensions": shape[1]} if self.info.can_be_shortened else {}
        vectors, tokens = self._vectors(texts, {**self._of_task(task), **size, **settings}, numbers)
        if vectors.shape != shape:
            raise RemoteError(f"{self.server.url} answered vectors of shape {vectors.shape}, requested {shape}")
        add_tokens(tokens)
        return vectors

    def _of_task(self, task: Task | None) -> dict[str, Any]:
        """What a request says of its task. A server of a model without tasks may not know the field."""
        return {"task": task} if self.info.tasks else {}

    def _size(self) -> int:
        """Components of a vector, where the server does not tell: those of a published name, else of a first vector."""
        published = DIMENSIONS.get(without_owner(self._model))
        return published or self._vectors(["size"], {}, [])[0].shape[1]

    def _vectors(
        self, texts: Sequence[str], settings: Mapping[str, Any], numbers: Sequence[int]
    ) -> tuple[FloatArray, int]:
        """Vectors in the order of the texts, and the tokens that were read."""
        body = {"model": self._model, "input": texts, "normalized": False, "embedding_type": "base64", **settings}
        answer = self.server.send("POST", "/v1/embeddings", body, numbers)
        url = self.server.url
        try:
            rows = sorted(answer["data"], key=lambda row: row["index"])
            indexes = [row["index"] for row in rows]
            vectors = np.stack([np.frombuffer(base64.b64decode(row["embedding"]), dtype="<f4") for row in rows])
            tokens = int(answer["usage"]["total_tokens"])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise RemoteError(f"{url} answered something that holds no vectors ({error!r})") from error
        if indexes != list(range(len(rows))):
            raise RemoteError(
                f"{url} numbered {len(rows)} vectors otherwise than from 0 to {len(rows) - 1}, so nobody knows which "
                f"text each belongs to; their index: {str(indexes)[:SHOWN]}"
            )
        return vectors, tokens


class RemoteEncoder(TextEncoder):
    """A `TextEncoder` whose vectors are made elsewhere.

    The server puts the prompts in. Fingerprint, size, tasks and limits of the model are read from its `/v1/models`; a
    server that tells no fingerprint is known by the name of its model alone.

    >>> encoder = RemoteEncoder("http://127.0.0.1:8080")
    >>> encoder = RemoteEncoder("http://127.0.0.1:8080#jina-embeddings-v2-base-de")
    """

    engine: RemoteEngine

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        model: str | None = None,
        max_items: int = 512,
        max_characters: int = 1_000_000,
        timeout: float = 300.0,
        retry: RetryPolicy = RETRY,
        prepare: Callable[[httpx.Request], None] | None = None,
    ) -> None:
        """Ask the server what it serves.

        Args:
            url: As `http://127.0.0.1:8080`, with or without `/v1` or `/v1/embeddings`. A user and password in it are
                sent, and never shown. It may end in `#` and the model's name.
            api_key: Sent as a bearer token, without blanks around it; by default $JINA_V3_API_KEY or $JINA_API_KEY.
            model: The name to ask for, where it is not in the address. Without a name: the only model that the server
                has; jina-embeddings-v3 of the hosted service, and of servers that do not list their models.
            max_items, max_characters: Of one request; longer input takes several.
            timeout: Seconds without a byte from the server.
            retry: How long to repeat what a busy server refused.
            prepare: Changes each request before it is sent, as to sign it for a cloud's endpoint.

        Raises:
            MissingExtra: httpx is not installed.
            InvalidInput: no address of a server, a key that no HTTP header can hold, two names of a model, or none
                where the server has several.
            RemoteError: the server cannot be reached or refused, or has no such model.
        """
        address, model = _named_model(server_address(url), model)
        server = _Server(address, api_key, timeout, retry, prepare)
        self.url = server.url
        """Of the server, without the path of an interface."""
        try:
            engine = RemoteEngine(server, model, max_items, max_characters)
        except BaseException:
            server.close()
            raise
        super().__init__(engine)

    def __repr__(self) -> str:
        return f"RemoteEncoder({self.url!r}, {self.model_id!r}, {self.dimensions} dimensions)"


class _Server:
    """JSON over HTTP. Requests are repeated while the server is busy."""

    def __init__(
        self,
        address: Address,
        api_key: str | None,
        timeout: float,
        retry: RetryPolicy,
        prepare: Callable[[httpx.Request], None] | None,
    ) -> None:
        try:
            import httpx
        except ImportError:
            raise MissingExtra("httpx", "remote") from None
        self.url = _base(address.url)
        self._retry = retry
        key = _checked_key(api_key)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        hooks = {} if prepare is None else {"request": [prepare]}
        self.client = httpx.Client(headers=headers, timeout=timeout, event_hooks=hooks, auth=address.login)
        self.close = weakref.finalize(self, self.client.close)
        """Close the connections. Without this call they end with the last reference to the server."""

    def described(self, model: str | None) -> tuple[str, dict[str, Any]]:
        """A name to ask for, and what the server says of that model; nothing if it does not know the question.

        Raises:
            InvalidInput: no name, and the server has several models.
            RemoteError: the server says that it has no such model.
        """
        rows = self._listed()
        name = self._only_model(rows) if model is None else model
        same = [listed for listed in rows if without_owner(listed) == without_owner(name)]
        for listed in (name, *same):
            if listed in rows:
                return name, rows[listed]
        if any(_is_loaded(row) for row in rows.values()):
            return name, self.send("GET", f"/v1/models/{quote(name, safe='')}")
        return name, {}

    def _listed(self) -> dict[str, dict[str, Any]]:
        """What the server says of its models, by name."""
        try:
            rows = self.told(self.send("GET", "/v1/models"), "data", list) or []
        except _Refused as error:
            if error.status in (404, 405):
                return {}
            raise
        named = [row for row in rows if isinstance(row, dict) and isinstance(row.get("id"), str)]
        return {row["id"]: row for row in reversed(named)}

    def _only_model(self, rows: dict[str, dict[str, Any]]) -> str:
        """The model that is meant where the caller names none.

        Raises:
            InvalidInput: there are several.
        """
        names = [name for name in reversed(rows) if not name.endswith(TASK_ENDINGS)]
        loaded = [name for name in names if _is_loaded(rows[name])]
        if not loaded and (not names or V3 in map(without_owner, names)):
            return V3
        candidates = loaded or [name for name in names if without_owner(name) in DIMENSIONS]
        if len(candidates) == 1:
            return candidates[0]
        raise InvalidInput(
            f"{self.url} has several models, so name one with model=, or at the end of the address as in "
            f"{self.url}#{names[0]}; it has: {', '.join(names)[:SHOWN]}"
        )

    def told(self, fields: Mapping[str, Any], name: str, kind: type[_Kind]) -> _Kind | None:
        """A field of what the server says of a model, None if it is absent.

        Raises:
            RemoteError: it is of another kind.
        """
        value = fields.get(name)
        if value is None or isinstance(value, kind):
            return value
        raise self._senseless(name, value)

    def told_size(self, fields: Mapping[str, Any], name: str) -> int:
        """A whole number, or one as text; 0 if it is absent.

        Raises:
            RemoteError: it is none, or below 0.
        """
        value = fields.get(name)
        try:
            size = int(str(value or 0))
        except ValueError:
            size = -1
        if size < 0:
            raise self._senseless(name, value)
        return size

    def _senseless(self, name: str, value: object) -> RemoteError:
        return RemoteError(f"{self.url}/v1/models answered a {name} that makes no sense: {value!r:.{SHOWN}}")

    def send(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, numbers: Sequence[int] = ()
    ) -> dict[str, Any]:
        """The answer. `numbers` are the caller's of the texts in the body, for errors.

        Raises:
            JinaV3Error: the connections are closed.
            RemoteError: the server refused, stayed busy, or answered nonsense.
        """
        return with_retries(lambda: self._once(method, path, body, numbers), self._retry)

    def _once(self, method: str, path: str, body: Mapping[str, Any] | None, numbers: Sequence[int]) -> dict[str, Any]:
        import httpx

        if self.client.is_closed:
            raise JinaV3Error("this RemoteEncoder is closed")
        try:
            response = self.client.request(method, self.url + path, json=body)
        except (httpx.InvalidURL, UnicodeError) as error:
            raise RemoteError(f"{self.url} is no valid address: {error}") from error
        except httpx.TransportError as error:
            absent = isinstance(error, httpx.ConnectError)
            raise RemoteBusy(f"{self.url} cannot be reached: {error}", absent=absent) from error
        except httpx.HTTPError as error:
            raise RemoteError(f"{self.url}{path} answered something that cannot be read: {error}") from error
        try:
            answer = response.json()
        except (ValueError, RecursionError):
            answer = None
        message = _renumbered(_error_message(answer), numbers)[:SHOWN]
        if response.status_code in BUSY_STATUS:
            raise RemoteBusy(f"{self.url}: {response.status_code} {message}", wished_wait(response.headers))
        if response.status_code >= 400 or not isinstance(answer, dict) or (message and "data" not in answer):
            raise _Refused(
                f"{self.url}{path}: {response.status_code} {message or 'no JSON object'}", response.status_code
            )
        return answer


class _Refused(RemoteError):
    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def _is_loaded(row: Mapping[str, Any]) -> bool:
    """Whether a server of this project says so of a model, and which weights these are."""
    return row.get("loaded") is not None


def _named_model(address: Address, model: str | None) -> tuple[Address, str | None]:
    """The address without the model's name after `#`, and the name.

    Raises:
        InvalidInput: another name is given too.
    """
    url, _, fragment = address.url.partition("#")
    named = unquote(fragment)
    if named and model is not None and named != model:
        raise InvalidInput(f"{address.url} names the model {named!r}, and model= is {model!r}: leave one of them out")
    return replace(address, url=url), model or named or None


def _checked_key(api_key: str | None) -> str:
    """The caller's key, else the environment's, without blanks around it. Empty if there is none.

    Raises:
        InvalidInput: it has other characters than printable ASCII. The message does not show it.
    """
    keys = {"api_key": api_key, **{f"${name}": os.environ.get(name) for name in KEY_VARIABLES}}
    for name, given in keys.items():
        key = given.strip() if isinstance(given, str) else given
        if not key:
            continue
        if not isinstance(key, str) or not (key.isascii() and key.isprintable()):
            raise InvalidInput(f"{name} must be a str of printable ASCII characters, as keys of servers are")
        return key
    return ""


def _base(url: str) -> str:
    """The address without the path of an interface."""
    base = url.rstrip("/")
    for tail in ("/embeddings", "/v1"):
        base = base.removesuffix(tail)
    return base


def _error_message(answer: Any) -> str:
    if not isinstance(answer, dict) or "detail" not in answer:
        return ""
    detail = answer["detail"]
    return str(detail.get("message", detail) if isinstance(detail, dict) else detail)


def _renumbered(message: str, numbers: Sequence[int]) -> str:
    """A server's words with the caller's number of each text, since it counts those of one request."""

    def renumbered(named: re.Match[str]) -> str:
        number = int(named[2])
        return f"{named[1]} {numbers[number]}" if number < len(numbers) else named[0]

    return NUMBERED.sub(renumbered, message)
