"""Digests that stand where others read them, of what secrets went into."""

from __future__ import annotations

import hashlib
from functools import cache


@cache
def slow_digest(text: bytes, salt: bytes, size: int) -> str:
    """A digest of `size` bytes, in hexadecimal, that is slow to guess by: some 30 ms each.

    It is remembered, since a command asks for the same one several times.
    """
    return hashlib.scrypt(text, salt=salt, n=2**14, r=8, p=1, dklen=size).hex()
