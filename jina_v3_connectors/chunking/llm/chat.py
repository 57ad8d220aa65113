"""One question to a chat endpoint that speaks OpenAI's interface. Its answer is as little trusted as any stranger's."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jina_v3_encoder.address import server_address
from jina_v3_encoder.errors import InvalidInput, MissingExtra, RemoteBusy, RemoteError
from jina_v3_encoder.retry import BUSY_STATUS, RetryPolicy, wished_wait, with_retries

if TYPE_CHECKING:
    import httpx

KEY_VARIABLE = "JINA_V3_LLM_KEY"
RETRY = RetryPolicy(first=0.5, longest=10.0, total=60.0, wait_for_absent=False)
SECONDS = 120.0
"""For one answer, from the first byte of the question to the last of the answer."""
CONNECT_SECONDS = 10.0
MAX_ANSWER_BYTES = 256 * 1024
"""A list of numbers and short summaries is far below it."""
MAX_ANSWER_TOKENS = 4096
ENDING = "/chat/completions"


class UselessAnswer(RemoteError):
    """The endpoint answered, or did not in time, with something that cuts nothing. Its window falls back."""


@dataclass(frozen=True)
class Answer:
    """What a model wrote, and the tokens that the endpoint says it read and wrote."""

    text: str
    tokens_in: int = 0
    tokens_out: int = 0
    is_cut_off: bool = False


class ChatClient:
    """A model behind `URL/chat/completions`. Threads may share it."""

    def __init__(
        self, url: str, model: str, *, key: str | None = None, seconds: float = SECONDS, retry: RetryPolicy = RETRY
    ) -> None:
        """The key is by default that of `KEY_VARIABLE`; it stands in no repr and no error.

        Raises:
            InvalidInput: the URL is no address, or the model has no name.
            MissingExtra: httpx is not installed.
        """
        try:
            import httpx
        except ImportError:
            raise MissingExtra("httpx", "remote") from None
        if not model:
            raise InvalidInput("the language model needs a name: --llm-model NAME")
        address = server_address(url)
        base = address.url.rstrip("/").removesuffix(ENDING)
        self.url, self.model = f"{base}{ENDING}", model
        self._seconds, self._retry = seconds, retry
        secret = key or os.environ.get(KEY_VARIABLE)
        headers = {"authorization": f"Bearer {secret}"} if secret else {}
        timeout = httpx.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS))
        self._client = httpx.Client(headers=headers, auth=address.login, timeout=timeout, follow_redirects=False)

    def __repr__(self) -> str:
        return f"ChatClient({self.url!r}, {self.model!r})"

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def ask(self, system: str, question: str, on_retry: Callable[[], None] = lambda: None) -> Answer:
        """The model's answer.

        Raises:
            UselessAnswer: it stayed busy, took too long, wrote too much, or something that is no answer.
            RemoteError: it cannot be reached, or refuses: every question would fare alike.
        """
        body = {
            "model": self.model,
            "messages": [{"role": "system", "content": system}, {"role": "user", "content": question}],
            "temperature": 0,
            "max_tokens": MAX_ANSWER_TOKENS,
            "stream": False,
        }
        try:
            return with_retries(lambda: self._once(body), self._retry, on_retry=on_retry)
        except RemoteBusy as error:
            if error.absent:
                raise RemoteError(str(error)) from None
            raise UselessAnswer(str(error)) from error
        except UselessAnswer:
            raise
        except RemoteError as error:
            if isinstance(error.__cause__, RemoteBusy):
                raise UselessAnswer(str(error)) from error
            raise

    def _once(self, body: dict[str, Any]) -> Answer:
        import httpx

        deadline = time.monotonic() + self._seconds
        try:
            with self._client.stream("POST", self.url, json=body) as response:
                if response.status_code in BUSY_STATUS:
                    raise RemoteBusy(f"{self.url} answers {response.status_code}", wished_wait(response.headers))
                if response.status_code != 200:
                    raise RemoteError(
                        f"{self.url} answers {response.status_code}: check --llm, --llm-model and ${KEY_VARIABLE}"
                    )
                content = self._content(response, deadline)
        except httpx.ConnectError as error:
            raise RemoteBusy(f"{self.url} cannot be reached: {error}", absent=True) from error
        except httpx.TimeoutException:
            raise UselessAnswer(f"{self.url} gave no answer within {self._seconds:g} s") from None
        except httpx.TransportError as error:
            raise RemoteBusy(f"{self.url} broke off: {error}") from error
        except httpx.DecodingError as error:
            raise UselessAnswer(f"{self.url} answered something that cannot be read: {error}") from error
        return _answer(content, self.url)

    def _content(self, response: httpx.Response, deadline: float) -> bytes:
        """The body, within the limits of size and time."""
        content = bytearray()
        for part in response.iter_bytes(65536):
            content += part
            if len(content) > MAX_ANSWER_BYTES:
                raise UselessAnswer(f"{self.url} answered more than {MAX_ANSWER_BYTES // 1024} KiB")
            if time.monotonic() > deadline:
                raise UselessAnswer(f"{self.url} gave no whole answer within {self._seconds:g} s")
        return bytes(content)


def _answer(content: bytes, url: str) -> Answer:
    try:
        values = json.loads(content)
        choice = values["choices"][0]
        text = choice["message"]["content"]
        cut_off = choice.get("finish_reason") == "length"
        usage = values.get("usage")
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:
        raise UselessAnswer(f"{url} answered something that is no chat completion ({type(error).__name__})") from None
    if not isinstance(text, str):
        raise UselessAnswer(f"{url} answered a chat completion without text")
    return Answer(text, _count(usage, "prompt_tokens"), _count(usage, "completion_tokens"), cut_off)


def _count(usage: object, name: str) -> int:
    count = usage.get(name) if isinstance(usage, dict) else 0
    return count if isinstance(count, int) and not isinstance(count, bool) and 0 <= count < 2**31 else 0
