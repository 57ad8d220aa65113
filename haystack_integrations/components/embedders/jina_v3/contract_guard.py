"""`JinaV3ContractGuard`: checks, behind a retriever, that its documents can be compared with the question."""

from __future__ import annotations

from typing import Any

from haystack import Document, component

from jina_v3_encoder.errors import InvalidInput

from .model import CONTRACT_KEY

PAIRS = {"retrieval.query": "retrieval.passage"}
"""The task of a question, and the task of its documents. With any other task, both have the same one."""


@component
class JinaV3ContractGuard:
    """Passes documents on if model, size and task of their vectors belong to those of the question."""

    @component.output_types(documents=list[Document])
    def run(self, documents: list[Document], meta: dict[str, Any]) -> dict[str, Any]:
        """Compare.

        Args:
            documents: What a retriever found.
            meta: The text embedder's `meta`.

        Raises:
            InvalidInput: a document was embedded in another way, or does not say how.
        """
        model, size, task = str(meta.get(CONTRACT_KEY, "//")).split("/", 2)
        wanted = f"{model}/{size}/{PAIRS.get(task, task)}"
        for document in documents:
            stored = document.meta.get(CONTRACT_KEY)
            if stored != wanted:
                raise InvalidInput(
                    f"document {document.id!r} was embedded as {stored!r} (model fingerprint/dimensions/task), the "
                    f"question needs {wanted!r}: embed the documents again with JinaV3DocumentEmbedder, or ask with "
                    "the model that they were embedded with"
                )
        return {"documents": documents}
