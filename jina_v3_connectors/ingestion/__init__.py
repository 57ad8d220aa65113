"""From documents to stored points.

A document is one value at each stage, and each stage has one file:

    Document ─ preparation ─► ChunkedDocument ─ encoding ─► EncodedDocument ─ writing ─► stored
                    └► Unchanged, Refused            └► Refused

`ingestion` moves documents from stage to stage. `report` counts the outcomes. `journal` remembers them for the next
run. `reconcile` checks before a run whether the journal is right.
"""
