"""Chunks by a language model, which answers with numbers of sentences and writes no text that is cut."""
