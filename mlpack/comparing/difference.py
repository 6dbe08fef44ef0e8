"""What two trees of files, or two documents, do not have in common."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import zip_longest
from typing import Any, Protocol

import msgspec

_LONGEST = 120
_MOST_READ = 100
_CHUNK = 1 << 12
_DEEPEST = 50

ARTIFACT_ONLY = "only in the artifact"
REBUILT_ONLY = "only in the rebuilt one"
BYTES = "other bytes"
MODE = "other mode"
TIME = "other time"
FORM = "other form"
VALUE = "other value"
DAMAGED = "damaged"


class Difference(msgspec.Struct, frozen=True):
    """Something that is not the same.

    Attributes:
        file: which file, or which value of a document.
        what: in what it differs: one of the words above.
        detail: what the artifact has, and what it would have, in a few words.
    """

    file: str
    what: str
    detail: str = ""


class Item(msgspec.Struct, frozen=True):
    """An entry of an archive.

    Attributes:
        digest: the SHA-256 of its content in hexadecimal; empty where it has none.
        size: of its content, in bytes.
        mode: its permissions.
        time: as the archive has it.
        form: what else the archive says of it: its type, its owner, how it is compressed.
        damage: why its content cannot be trusted, where that is so.
        unreadable: whether the content cannot be had to its end.
    """

    digest: str
    size: int
    mode: int
    time: str
    form: str
    damage: str = ""
    unreadable: bool = False


class Listing(Protocol):
    """An archive's entries by name, in their order."""

    @property
    def items(self) -> Mapping[str, Item]:
        """All of them."""
        ...

    def contents(self, names: Collection[str]) -> Mapping[str, bytes]:
        """The contents of some of them, those left out that are too large to be held."""
        ...


def shown(text: str) -> str:
    """A text of an artifact as it may stand on a terminal: one line, no control characters."""
    plain = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return plain if len(plain) <= _LONGEST else f"{plain[:_LONGEST]}…"


def compare(artifact: Listing, rebuilt: Listing, prefix: str = "") -> list[Difference]:
    """What differs between two archives, file by file in the order of their names."""
    ours, theirs = artifact.items, rebuilt.items
    both = sorted(ours.keys() & theirs.keys())
    other = [name for name in both if ours[name].digest != theirs[name].digest][:_MOST_READ]
    one, two = artifact.contents(other), rebuilt.contents(other)
    found = []
    for name in sorted(ours.keys() | theirs.keys()):
        file = prefix + shown(name)
        if name not in theirs:
            found.append(Difference(file, ARTIFACT_ONLY, _bytes(ours[name].size)))
        elif name not in ours:
            found.append(Difference(file, REBUILT_ONLY, _bytes(theirs[name].size)))
        else:
            found += _of_one(file, ours[name], theirs[name], one.get(name), two.get(name))
    if not found and list(ours) != list(theirs):
        found.append(Difference(f"{prefix}the order of the files", FORM))
    return found


def _of_one(
    file: str, ours: Item, theirs: Item, one: bytes | None, two: bytes | None
) -> list[Difference]:
    found = []
    if ours.damage:
        found.append(Difference(file, DAMAGED, shown(ours.damage)))
    if ours.digest != theirs.digest:
        sizes = (
            _bytes(ours.size)
            if ours.size == theirs.size
            else f"{_bytes(ours.size)}, rebuilt {_bytes(theirs.size)}"
        )
        where = "" if one is None or two is None else f"; they differ from {first(one, two)}"
        found.append(Difference(file, BYTES, sizes + where))
    if ours.mode != theirs.mode:
        found.append(Difference(file, MODE, f"{ours.mode:o}, rebuilt {theirs.mode:o}"))
    if ours.time != theirs.time:
        found.append(Difference(file, TIME, f"{shown(ours.time)}, rebuilt {shown(theirs.time)}"))
    if ours.form != theirs.form:
        found.append(Difference(file, FORM, f"{shown(ours.form)}, rebuilt {shown(theirs.form)}"))
    return found


def first(one: bytes, two: bytes) -> str:
    """Where two contents begin to differ, in words: a line of text, or the number of a byte."""
    place = first_difference(one, two)
    if place is None:
        return "nowhere"
    try:
        before = one[:place].decode()
        one[place : place + _CHUNK].decode(errors="ignore")
    except UnicodeDecodeError:
        return f"byte {place:,} on"
    if "\0" in before or b"\0" in one[place : place + _CHUNK]:
        return f"byte {place:,} on"
    return f"byte {place:,} on, in line {before.count(chr(10)) + 1:,}"


def first_difference(one: bytes, two: bytes) -> int | None:
    """The number of the first byte, from 0, that is not the same in both; None where all are."""
    if one == two:
        return None
    for start in range(0, min(len(one), len(two)), _CHUNK):
        if one[start : start + _CHUNK] != two[start : start + _CHUNK]:
            pairs = zip_longest(one[start : start + _CHUNK], two[start : start + _CHUNK])
            return start + next(number for number, (a, b) in enumerate(pairs) if a != b)
    return min(len(one), len(two))


def fields(
    artifact: Any,  # noqa: ANN401 - JSON
    rebuilt: Any,  # noqa: ANN401
    path: str,
    depth: int = 0,
) -> list[Difference]:
    """What differs between two values as JSON has them, field by field.

    What is nested deeper than any document of ours is of another value, and not looked into.
    """
    if depth > _DEEPEST:
        return [Difference(path, VALUE, "nested too deep to be looked into")]
    if type(artifact) is type(rebuilt) and isinstance(artifact, dict):
        found = []
        for key in sorted(artifact.keys() | rebuilt.keys()):
            below = f"{path}.{shown(key)}"
            if key not in rebuilt:
                found.append(Difference(below, ARTIFACT_ONLY, _value(artifact[key])))
            elif key not in artifact:
                found.append(Difference(below, REBUILT_ONLY, _value(rebuilt[key])))
            else:
                found += fields(artifact[key], rebuilt[key], below, depth + 1)
        return found
    if type(artifact) is type(rebuilt) and isinstance(artifact, list):
        found = []
        for number in range(max(len(artifact), len(rebuilt))):
            below = f"{path}[{number}]"
            if number >= len(rebuilt):
                found.append(Difference(below, ARTIFACT_ONLY, _value(artifact[number])))
            elif number >= len(artifact):
                found.append(Difference(below, REBUILT_ONLY, _value(rebuilt[number])))
            else:
                found += fields(artifact[number], rebuilt[number], below, depth + 1)
        return found
    if type(artifact) is type(rebuilt) and artifact == rebuilt:
        return []
    return [Difference(path, VALUE, f"{_value(artifact)}, rebuilt {_value(rebuilt)}")]


def _value(value: Any) -> str:  # noqa: ANN401 - JSON
    try:
        return shown(msgspec.json.encode(value).decode())
    except RecursionError:
        return "nested too deep to be shown"


def _bytes(size: int) -> str:
    return f"{size:,} byte{'' if size == 1 else 's'}"
