"""From documents to stored points: what is chunked, encoded, written and journalled, in which order."""
