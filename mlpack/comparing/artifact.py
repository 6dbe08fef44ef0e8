"""How an artifact differs from the one that was made anew, whatever its kind."""

from __future__ import annotations

from pathlib import Path

from mlpack.comparing.difference import FORM, Difference
from mlpack.comparing.images import compare_archives
from mlpack.comparing.zips import compare_zips

_CHUNK = 1 << 20


def differences(kind: str, artifact: Path, rebuilt: Path) -> tuple[Difference, ...]:
    """What differs between an artifact and the one that was made anew; nothing where none does.

    Raises:
        InputError: the artifact cannot be trusted.
    """
    place = _first_difference(artifact, rebuilt)
    if place is None:
        return ()
    found = (compare_archives if kind == "image" else compare_zips)(artifact, rebuilt)
    around = f"the same content, and other bytes around it from byte {place:,} on"
    return tuple(found) or (Difference(artifact.name, FORM, around),)


def _first_difference(one: Path, two: Path) -> int | None:
    with one.open("rb") as ours, two.open("rb") as theirs:
        place = 0
        while True:
            a, b = ours.read(_CHUNK), theirs.read(_CHUNK)
            if a != b:
                shorter = min(len(a), len(b))
                return place + next((n for n in range(shorter) if a[n] != b[n]), shorter)
            if not a:
                return None
            place += len(a)
