"""Texts to tokens, and the spans and windows of late chunking."""
