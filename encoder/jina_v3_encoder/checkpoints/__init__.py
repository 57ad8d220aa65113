"""Model files on disk: found, checked, read, written and fingerprinted."""
