"""From documents to stored points.

A document is one value at each stage, and each stage has one file:

    Document ─ preparation ─► ChunkedDocument ─ encoding ─► EncodedDocument ─ writing ─► stored
                    └► Unchanged, Refused            └► Refused

`ingestion` moves documents from stage to stage, `report` counts what becomes of them, `journal` remembers it for the
next run, and `reconcile` says before a run whether the journal can be believed.
"""
