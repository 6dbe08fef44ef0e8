"""Shared objects without what only debuggers read.

The format is the ELF specification's (https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html):
a program is loaded by its program headers, and what lies behind the last segment, such as symbols
and sections for debuggers with the table of all sections, is never read for it.
"""

from __future__ import annotations

import struct

_MAGIC = b"\x7fELF\x02\x01"
"""Of 64 bits, the lowest byte first: x86-64 and arm64 alike."""

_HEADER = 64
_PROGRAM_HEADERS = 32
_SECTIONS = 40
_SHAPE = 54
_SEGMENT = struct.Struct("<IIQQQQQQ")
_NULL = 0

LEAST = 4096
"""A file from which less can be cut stays as it is in the wheel."""


def stripped(data: bytes) -> bytes:
    """A shared object up to the end of its last segment, without a table of sections.

    What is no such object, is damaged, or would lose less than `LEAST` bytes comes back unchanged.
    """
    if not data.startswith(_MAGIC) or len(data) < _HEADER:
        return data
    start = struct.unpack_from("<Q", data, _PROGRAM_HEADERS)[0]
    size, count = struct.unpack_from("<HH", data, _SHAPE)
    end = start + size * count
    if size != _SEGMENT.size or not count or end > len(data):
        return data
    for place in range(start, end, size):
        kind, _, offset, _, _, length, _, _ = _SEGMENT.unpack_from(data, place)
        if kind != _NULL:
            end = max(end, offset + length)
    if end > len(data) - LEAST:
        return data
    made = bytearray(data[:end])
    struct.pack_into("<Q", made, _SECTIONS, 0)
    # How large an entry of the table is, how many there are, and which has their names.
    struct.pack_into("<HHH", made, _SHAPE + 4, 0, 0, 0)
    return bytes(made)
