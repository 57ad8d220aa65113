"""How well a model finds what it should: `jina-v3 eval`, and a wrapper for `mteb`."""
