"""Move a live collection to another model: look, plan, run, compare, switch, and go back.

The old collection is never written. The new one is an ordinary collection with a contract, filled by the ingest
engine: so a move can be stopped at any moment and repeated, and what is stored already is not encoded again.
"""
