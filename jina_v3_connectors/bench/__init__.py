"""Speed measurements behind `jina-v3 bench`: interleaved runs, medians, ratios."""
