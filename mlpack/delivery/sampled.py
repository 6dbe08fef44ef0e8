"""Sampled requests out of a container: its own Python reads them, wherever the container runs.

They lie where only the server writes, in a container without tools; an engine or a cluster copies
nothing from there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mlpack.errors import InputError
from mlpack.runtime.samples import FILES
from mlpack.runtime.settings import Settings

FILE, SIZE = "MLPACK_SAMPLE_FILE", "MLPACK_SAMPLE_MAX_BYTES"
"""The variable that switches samples on, and names their file; and how large they may become."""

WRITABLE = "/tmp"  # noqa: S108 - the container's own
"""The one folder that a container can write to, with a limit of its size."""

_MIB = 1 << 20

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


def check(env: Mapping[str, str]) -> None:
    """See to it that the samples lie where containers with these variables can write.

    Raises:
        InputError: they do not.
    """
    path = env.get(FILE, "")
    inside = path.startswith(f"{WRITABLE}/") and not path.endswith("/")
    if path and (not inside or ".." in path.split("/")):
        raise InputError(
            f"the containers can write below {WRITABLE} alone",
            where=f"[deploy.env] {FILE}",
            hint=f'{FILE} = "{WRITABLE}/samples.jsonl"',
        )


def space(env: Mapping[str, str]) -> int:
    """So much of `WRITABLE` samples may take, in bytes, whole MiB; 0 where they are off."""
    if not env.get(FILE):
        return 0
    text = env.get(SIZE, "")
    most = int(text) if text.isascii() and text.isdigit() else Settings().sample_max_bytes
    return -(-most // _MIB) * _MIB


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
