"""The corpus and questions of `jina-v3 demo`, written for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..documents import Document
from ..files.folders import read_documents

CORPUS = Path(__file__).parent / "corpus.jsonl"
CHUNK_TOKENS = 64
DIMENSIONS = 256


@dataclass(frozen=True)
class ExampleQuestion:
    """A question and the document that answers it."""

    text: str
    language: str
    document_id: str


QUESTIONS = (
    ExampleQuestion("How do honey bees tell each other where the flowers are?", "en", "bees"),
    ExampleQuestion("Was hat Gutenberg erfunden?", "de", "gutenberg"),
    ExampleQuestion("Quelle est la hauteur de la tour Eiffel ?", "fr", "eiffel"),
    ExampleQuestion("¿Dónde está el desierto de Atacama?", "es", "atacama"),
    ExampleQuestion("Wanneer werd de Afsluitdijk gesloten?", "nl", "afsluitdijk"),
    ExampleQuestion("富士山の高さは何メートルですか？", "ja", "fuji"),
    ExampleQuestion("长城有多长？", "zh", "greatwall"),
)
LATE_QUESTION = QUESTIONS[2]
"""Chosen because it shows the effect: the passage says "Elle mesure 330 mètres" and never names the tower."""
HYBRID_QUESTION = ExampleQuestion("Qui est Antoni Gaudí ?", "fr", "sagrada")
"""Chosen because it shows the effect: a name says little to a small model, and its passage is in Spanish."""


def documents() -> Iterator[Document]:
    """Sixteen short documents in nine languages."""
    return read_documents(CORPUS)
