"""Any encoder as an `mteb` model, with the adapter that fits each kind of task, where the model has adapters.

>>> import mteb
>>> from jina_v3_encoder import Encoder
>>> from jina_v3_connectors.evaluation.mteb_model import MtebModel
>>> mteb.evaluate(MtebModel(Encoder.from_pretrained("nano")), mteb.get_tasks(["NFCorpus"]))  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from jina_v3_encoder.errors import MissingExtra
from jina_v3_encoder.task import Task, offered
from jina_v3_encoder.text_encoder import TextEncoder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mteb.models import ModelMeta

TASKS = {
    "BitextMining": Task.TEXT_MATCHING,
    "Classification": Task.CLASSIFICATION,
    "Clustering": Task.SEPARATION,
    "MultilabelClassification": Task.CLASSIFICATION,
    "PairClassification": Task.CLASSIFICATION,
    "Reranking": Task.SEPARATION,
    "STS": Task.TEXT_MATCHING,
    "Summarization": Task.TEXT_MATCHING,
}
"""The tasks of `mteb`'s own entry for jina-embeddings-v3. In retrieval, questions and passages have their own."""
SIDES = {"query": Task.RETRIEVAL_QUERY, "document": Task.RETRIEVAL_PASSAGE}


class MtebModel:
    """Meets `mteb.models.EncoderProtocol` (mteb 2). Texts past the model's limit are cut.

    `dimensions` takes a Matryoshka slice, None the full vector.

    Raises:
        MissingExtra: `mteb` is not installed.
    """

    def __init__(self, encoder: TextEncoder, dimensions: int | None = None) -> None:
        self.encoder, self.dimensions = encoder, dimensions
        self._similarity = _import_mteb().similarity_functions

    def encode(
        self,
        inputs: Iterable[Mapping[str, Any]],
        *,
        task_metadata: Any,
        hf_split: str,
        hf_subset: str,
        prompt_type: Any = None,
        **_: Any,
    ) -> NDArray[np.float32]:
        """Float32 (n, dimensions) of the "text" of all batches."""
        texts = [text for batch in inputs for text in batch["text"]]
        side = getattr(prompt_type, "value", prompt_type)
        suitable = TASKS.get(task_metadata.type) or SIDES.get(side or "document")
        task = suitable and offered(suitable, self.encoder.tasks)
        vectors: NDArray[np.float32] = self.encoder.encode(texts, task=task, dimensions=self.dimensions, truncate=True)
        return vectors

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Any:
        """Cosine of every pair (n, m)."""
        return self._similarity.cos_sim(embeddings1, embeddings2)

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Any:
        """Cosine of corresponding rows (n,)."""
        return self._similarity.pairwise_cos_sim(embeddings1, embeddings2)

    @property
    def mteb_model_meta(self) -> ModelMeta:
        """Names the weights by their fingerprint, so that `mteb` never reuses results of other weights."""
        name = self.encoder.model_id if "/" in self.encoder.model_id else f"local/{self.encoder.model_id}"
        size = self.dimensions or self.encoder.dimensions
        known = {
            "name": name,
            "revision": f"{self.encoder.fingerprint}-{size}",
            "max_tokens": self.encoder.max_tokens,
            "embed_dim": size,
            "similarity_fn_name": "cosine",
            "use_instructions": True,
        }
        meta: ModelMeta = _import_mteb().models.ModelMeta.create_empty(overwrites=known)
        return meta


def _import_mteb() -> Any:
    try:
        import mteb
        import mteb.models
        import mteb.similarity_functions
    except ImportError:
        raise MissingExtra("mteb", "mteb") from None
    return mteb
