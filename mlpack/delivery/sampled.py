"""Sampled requests out of a container: its own Python reads them, wherever the container runs.

They lie where only the server writes, in a container without tools; an engine or a cluster copies
nothing from there.
"""

from __future__ import annotations

from collections.abc import Sequence

from mlpack.runtime.samples import FILES

FILE = "MLPACK_SAMPLE_FILE"
"""The variable that switches samples on, and names their file."""

_ALL = 1 << 40
_READ = f"""\
import pathlib, sys
name, last = sys.argv[1], int(sys.argv[2])
ends = ["", *(f".{{number}}" for number in range(1, {FILES}))]
kept = []
for path in (pathlib.Path(name + end) for end in ends):
    if path.is_file() and last:
        size = path.stat().st_size
        with path.open("rb") as file:
            file.seek(max(0, size - last))
            kept.append(file.read(min(last, size)))
        last -= len(kept[-1])
for part in reversed(kept):
    sys.stdout.buffer.write(part)
"""


def reading(python: str, path: str, last: int | None) -> Sequence[str]:
    """The command that writes the samples to its standard output, the oldest first.

    Args:
        python: the container's.
        path: of the newest file.
        last: so many bytes at most, the last ones; None for all.
    """
    return (python, "-I", "-c", _READ, path, str(_ALL if last is None else last))


def whole(said: bytes) -> bytes:
    """What was read, to the end of its last whole line: others' lines may follow."""
    return said[: said.rfind(b"\n") + 1]
