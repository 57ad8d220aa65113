"""`JinaV3Embedding`: an embedding model for LlamaIndex that knows questions from texts."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal, TypeVar

from llama_index.core import instrumentation
from llama_index.core.base.embeddings.base import BaseEmbedding, Embedding
from llama_index.core.bridge.pydantic import Field, PrivateAttr
from llama_index.core.callbacks.schema import CBEventType, EventPayload
from llama_index.core.instrumentation.events.embedding import EmbeddingEndEvent, EmbeddingStartEvent
from llama_index.core.schema import BaseNode, MetadataMode

from jina_v3_encoder.address import without_userinfo
from jina_v3_encoder.config import Quantization
from jina_v3_encoder.task import AUTO_TASK, Task, chosen
from jina_v3_encoder.text_encoder import TextEncoder
from jina_v3_encoder.texts.blend import as_late_chunking, blend_of

from ..shared_encoders import shared_encoder
from .cache import RoleCache
from .groups import groups_of

DEFAULT_MODEL = "jinaai/jina-embeddings-v3"
DEFAULT_BATCH = 64
TEXT, QUERY = "text", "query"
Result = TypeVar("Result")
_role: ContextVar[str] = ContextVar("role of the text that is embedded", default=TEXT)
_dispatcher = instrumentation.get_dispatcher(__name__)  # type: ignore[attr-defined]  # re-exported


class JinaV3Embedding(BaseEmbedding):
    """Embeds on this machine. All settings are fields: they are saved, hashed and pickled. Weights are not.

    ```python
    Settings.embed_model = JinaV3Embedding(model_name="nano", dimensions=256)
    ```
    """

    model_name: str = Field(default=DEFAULT_MODEL, description='Hub id, folder, "nano", or the URL of a server.')
    query_task: str | None = Field(
        default=AUTO_TASK, description="Adapter and prompt of questions; auto: retrieval.query where the model has it."
    )
    text_task: str | None = Field(
        default=AUTO_TASK, description="Adapter and prompt of texts; auto: retrieval.passage where the model has it."
    )
    dimensions: int | None = Field(default=None, description="Size of a vector, sliced and renormalised; None for all.")
    late_chunking: bool | Literal["blend"] = Field(
        default=False,
        description="As a transformation: read all nodes of one document together, then pool each. blend: add the "
        "vectors of each node alone and of its neighbours.",
    )
    truncate: bool = Field(default=False, description="Cut texts past 8192 tokens instead of raising.")
    device: str = Field(default="auto", description="auto, cpu, cuda, cuda:1 …")
    dtype: str = Field(default="auto", description="auto, float32, bfloat16 or float16.")
    quantize: Quantization | None = Field(default=None, description="int8: half the memory, faster on CPUs with VNNI.")
    revision: str | None = Field(default=None, description="Branch, tag or commit of a hub model.")
    embed_batch_size: int = Field(default=DEFAULT_BATCH, gt=0, le=2048, description="Texts in one call.")
    _encoder: TextEncoder | None = PrivateAttr(default=None)
    _worker: ThreadPoolExecutor | None = PrivateAttr(default=None)
    _warned: bool = PrivateAttr(default=False)

    def __init__(self, model_name: str = DEFAULT_MODEL, *, encoder: TextEncoder | None = None, **settings: Any) -> None:
        """Nothing is loaded yet; see the fields.

        Args:
            model_name: Hub id, folder, "nano", or the URL of a server, whose key is in $JINA_V3_API_KEY.
            encoder: Used in place of a local model, as a remote or a fake one. It is not saved.
            settings: The other fields.
        """
        super().__init__(model_name=model_name, **settings)
        self._encoder = encoder
        if self.embeddings_cache is not None and not isinstance(self.embeddings_cache, RoleCache):
            self.embeddings_cache = RoleCache(self.embeddings_cache, self._cache_prefix)

    @classmethod
    def class_name(cls) -> str:
        return "JinaV3Embedding"

    @property
    def encoder(self) -> TextEncoder:
        """The encoder, loaded when it is first needed; one copy of the weights in a process."""
        if self._encoder is None:
            self._encoder = shared_encoder(
                self.model_name,
                revision=self.revision,
                device=self.device,
                dtype=self.dtype,
                quantize=self.quantize,
            )
        return self._encoder

    def get_query_embedding(self, query: str) -> Embedding:
        """The vector of a question."""
        with _as_query():
            return super().get_query_embedding(query)

    async def aget_query_embedding(self, query: str) -> Embedding:
        """As `get_query_embedding`, in a thread."""
        with _as_query():
            return await super().aget_query_embedding(query)

    def __call__(self, nodes: Sequence[BaseNode], **kwargs: Any) -> Sequence[BaseNode]:
        """As a transformation: nodes get their embeddings.

        Raises:
            InvalidInput: with `late_chunking`, nodes cannot be put together; the message says what to use.
        """
        return self.embed_late(nodes, {}) if self.late_chunking else super().__call__(nodes, **kwargs)

    async def acall(self, nodes: Sequence[BaseNode], **kwargs: Any) -> Sequence[BaseNode]:
        """As `__call__`, in a thread."""
        if self.late_chunking:
            return await self._in_worker(lambda: self.embed_late(nodes, {}))
        return await super().acall(nodes, **kwargs)

    def embed_late(self, nodes: Sequence[BaseNode], sources: Mapping[str, str]) -> Sequence[BaseNode]:
        """Give nodes their late-chunked embeddings. `sources` are the known texts of whole documents, by id."""
        groups = groups_of(nodes, sources)
        payload = self.to_payload()
        _dispatcher.event(EmbeddingStartEvent(model_dict=payload))
        with self.callback_manager.event(CBEventType.EMBEDDING, payload={EventPayload.SERIALIZED: payload}) as event:
            group_vectors = self.encoder.encode_documents(
                [group.text for group in groups],
                [group.spans for group in groups],
                task=self._task(TEXT),
                dimensions=self.dimensions,
                blend=blend_of(as_late_chunking(self.late_chunking)),
                alone=[[nodes[number].get_content(MetadataMode.EMBED) for number in group.numbers] for group in groups],
            )
            for group, vectors in zip(groups, group_vectors, strict=True):
                for number, vector in zip(group.numbers, vectors.tolist(), strict=True):
                    nodes[number].embedding = vector
            texts = [node.get_content(MetadataMode.NONE) for node in nodes]
            embeddings = [node.get_embedding() for node in nodes]
            event.on_end(payload={EventPayload.CHUNKS: texts, EventPayload.EMBEDDINGS: embeddings})
        _dispatcher.event(EmbeddingEndEvent(chunks=texts, embeddings=embeddings))
        return nodes

    def _get_query_embedding(self, query: str) -> Embedding:
        return self._vectors([query], self._task(QUERY))[0]

    async def _aget_query_embedding(self, query: str) -> Embedding:
        return await self._in_worker(lambda: self._get_query_embedding(query))

    def _get_text_embedding(self, text: str) -> Embedding:
        return self._get_text_embeddings([text])[0]

    async def _aget_text_embedding(self, text: str) -> Embedding:
        return (await self._aget_text_embeddings([text]))[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        if self.late_chunking and not self._warned:
            self._warned = True
            warnings.warn(
                "late chunking needs nodes, and here are only texts, so each is embedded on its own: embed in an "
                "IngestionPipeline, transformations=[…, JinaV3Embedding(late_chunking=True)], and index its nodes",
                stacklevel=2,
            )
        return self._vectors(texts, self._task(TEXT))

    async def _aget_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        return await self._in_worker(lambda: self._get_text_embeddings(texts))

    def _task(self, role: str) -> str | None:
        if role == QUERY:
            return chosen(self.query_task, Task.RETRIEVAL_QUERY, self.encoder.tasks)
        return chosen(self.text_task, Task.RETRIEVAL_PASSAGE, self.encoder.tasks)

    def _vectors(self, texts: list[str], task: str | None) -> list[Embedding]:
        vectors = self.encoder.encode(texts, task=task, dimensions=self.dimensions, truncate=self.truncate)
        return list(vectors.tolist())

    async def _in_worker(self, call: Callable[[], Result]) -> Result:
        """Run in one thread of this model. LlamaIndex starts all batches at once; here they are computed one by one."""
        if self._worker is None:
            self._worker = ThreadPoolExecutor(1, "jina-v3-llama-index")
        return await asyncio.get_running_loop().run_in_executor(self._worker, call)

    def _cache_prefix(self) -> str:
        return f"{self.encoder.fingerprint}|{self._task(_role.get())}|{self.dimensions}"

    def __getstate__(self) -> dict[str, Any]:
        """Settings only: the process that unpickles loads its own weights. This process may encode meanwhile."""
        settings_only = self.model_copy()
        settings_only._encoder = settings_only._worker = None
        return BaseEmbedding.__getstate__(settings_only)

    def to_payload(self) -> dict[str, Any]:
        """The settings for events and callbacks, without user and password of a server."""
        return {**super().to_payload(), "model_name": without_userinfo(self.model_name)}

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            yield name, without_userinfo(value) if name == "model_name" else value


@contextmanager
def _as_query() -> Iterator[None]:
    token = _role.set(QUERY)
    try:
        yield
    finally:
        _role.reset(token)
