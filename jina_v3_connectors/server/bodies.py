"""How much a JSON body holds, told before it is parsed."""

from __future__ import annotations

import numpy as np

SIGNS = (b",", b"[", b"{")


def count_values(body: bytes, limit: int) -> int:
    """At least as many as there are: one for each comma, opening bracket and brace outside of strings, and one more.

    Where strings and all hold no more than `limit`, that is the answer. Takes milliseconds a megabyte and three times
    the body's size, whatever the body is; what is no JSON has some number too.
    """
    with_strings = sum(map(body.count, SIGNS)) + 1
    if with_strings <= limit:
        return with_strings
    plain = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    characters = np.frombuffer(plain, dtype=np.uint8)
    outside = ~np.bitwise_xor.accumulate(characters == ord('"'))
    return sum(int(np.count_nonzero(outside & (characters == ord(sign)))) for sign in SIGNS) + 1
