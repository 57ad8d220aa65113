"""`JinaV3TextEmbedder`: a question to its vector."""

from __future__ import annotations

import asyncio
from typing import Any

from haystack import component
from haystack.utils import ComponentDevice

from jina_v3_encoder.config import Quantization
from jina_v3_encoder.task import AUTO_TASK, Task, chosen
from jina_v3_encoder.text_encoder import TextEncoder
from jina_v3_encoder.usage import count_usage

from .model import CONTRACT_KEY, DEFAULT_MODEL, compact_contract, open_encoder, saved, usage_meta


@component
class JinaV3TextEmbedder:
    """Embeds a text, by default as a question: `retrieval.query` with its prompt.

    ```python
    embedder = JinaV3TextEmbedder(model="nano", dimensions=256)
    embedder.run("what is a lightsaber?")["embedding"]
    ```
    """

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        *,
        task: str | None = AUTO_TASK,
        dimensions: int | None = None,
        prefix: str = "",
        suffix: str = "",
        truncate: bool = False,
        device: ComponentDevice | None = None,
        dtype: str = "auto",
        quantize: Quantization | None = None,
        revision: str | None = None,
        encoder: TextEncoder | None = None,
    ) -> None:
        """Nothing is loaded yet.

        Args:
            model: Hub id, folder, "nano", the small bundled model, or the URL of a server, whose key is in
                $JINA_V3_API_KEY.
            task: Adapter and prompt; None is the base model. "auto" is retrieval.query, or None for a model without
                tasks.
            dimensions: 1 to 1024, sliced and renormalised; None for all. The documents' own.
            prefix, suffix: Put around the text.
            truncate: Cut a text past 8192 tokens instead of raising.
            device: None takes a GPU where there is one, and stays None in YAML.
            dtype: "auto", "float32", "bfloat16" or "float16".
            quantize: "int8" halves the memory and is faster on CPUs with VNNI.
            revision: Branch, tag or commit on the hub.
            encoder: Used in place of a local model, as a remote or a fake one.
        """
        self.model, self.task, self.dimensions = model, task, dimensions
        self.prefix, self.suffix, self.truncate = prefix, suffix, truncate
        self.device, self.dtype, self.revision, self.quantize = device, dtype, revision, quantize
        self.encoder = encoder
        self._loaded = encoder

    def warm_up(self) -> None:
        """Load the model; encoders of one model share their weights."""
        if self._loaded is None:
            self._loaded = open_encoder(self.model, self.revision, self.device, self.dtype, self.quantize, None)

    @component.output_types(embedding=list[float], meta=dict[str, Any])
    def run(self, text: str) -> dict[str, Any]:
        """The vector of a text.

        Args:
            text: The text.

        Returns:
            `embedding` as a list of floats, `meta` with model, usage and the vector's contract.

        Raises:
            TypeError: `text` is no str.
        """
        if not isinstance(text, str):
            raise TypeError(
                "JinaV3TextEmbedder expects a string as an input. "
                "In case you want to embed a list of Documents, please use the JinaV3DocumentEmbedder."
            )
        self.warm_up()
        assert self._loaded is not None
        task = chosen(self.task, Task.RETRIEVAL_QUERY, self._loaded.tasks)
        with count_usage() as usage:
            vector = self._loaded.encode(
                self.prefix + text + self.suffix, task=task, dimensions=self.dimensions, truncate=self.truncate
            )
        meta = usage_meta(self._loaded, usage.tokens)
        meta[CONTRACT_KEY] = compact_contract(self._loaded, task, self.dimensions)
        return {"embedding": vector.tolist(), "meta": meta}

    @component.output_types(embedding=list[float], meta=dict[str, Any])
    async def run_async(self, text: str) -> dict[str, Any]:
        """`run` in a thread."""
        return await asyncio.to_thread(self.run, text=text)

    def to_dict(self) -> dict[str, Any]:
        """For saved pipelines: every setting, and no weights.

        Raises:
            InvalidInput: an encoder object was given, which YAML cannot hold.
        """
        return saved(self)
