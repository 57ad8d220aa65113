"""Text to character spans: one protocol, several chunkers, and chunks that other libraries cut."""

from .base import Chunker, WholeDocument
from .splitter import SemanticChunker

__all__ = ["Chunker", "SemanticChunker", "WholeDocument"]
