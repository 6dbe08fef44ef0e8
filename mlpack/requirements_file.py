r"""Requirement files: exact versions with the digests of their files, one package after the other.

The format is pip's (https://pip.pypa.io/en/stable/reference/requirements-file-format/), and of it
only what a lock needs, so that pip and uv both install from it with hashes checked::

    # Made by mlpack lock: ...
    h11==0.16.0 ; sys_platform == "linux" \
        --hash=sha256:4e35b956cf45792e4caa5885e69fba00bdbc6ffafbfa020300e549b208ee5ff1 \
        --hash=sha256:63cf8bbe7522de3bf65932fda1d9c2772064ffb3dae62d55932da54b31cb6c86

An index, a date or a path never stands in it: the same pins always give the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from packaging.markers import InvalidMarker, Marker
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from mlpack import files
from mlpack.errors import InputError
from mlpack.lock import Pin

_PINNED = re.compile(
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)"
    r"\s*==\s*(?P<version>[^\s;,*]+)\s*(?:;\s*(?P<marker>.+))?"
)
_HASH = re.compile(r"sha256:[0-9a-f]{64}")
_HINT = "Take it back from version control, or run: mlpack lock"


def dumps(pins: Iterable[Pin], header: str) -> str:
    """The text of a requirement file.

    Args:
        pins: in any order.
        header: what the file is, in one or more lines, without ``#``.
    """
    lines = [f"# {text}".rstrip() for text in header.splitlines()]
    for pin in sorted(pins, key=lambda pin: (pin.name, pin.version, pin.marker or "")):
        hashes = [f"    --hash={digest}" for digest in sorted(pin.hashes)]
        lines.append(" \\\n".join([line(pin), *hashes]))
    return "\n".join(lines) + "\n"


def line(pin: Pin) -> str:
    """A pin without its digests, as a constraint has it."""
    return f"{pin.name}=={pin.version}" + (f" ; {pin.marker}" if pin.marker else "")


def loads(text: str, where: str) -> tuple[Pin, ...]:
    """The pins of a requirement file, sorted by name.

    Args:
        text: the file's.
        where: the file's name, for the error.

    Raises:
        InputError: a line is something else than an exact version with its SHA-256 digests, or a
            package stands there twice.
    """
    pins: dict[tuple[str, str | None], Pin] = {}
    for number, logical in _logical_lines(text):
        try:
            pin = _pin(logical)
        except ValueError as error:
            raise InputError(str(error), where=f"{where}, line {number}", hint=_HINT) from error
        if (pin.name, pin.marker) in pins:
            raise InputError(
                f"{pin.name} is there twice", where=f"{where}, line {number}", hint=_HINT
            )
        pins[pin.name, pin.marker] = pin
    return tuple(sorted(pins.values(), key=lambda pin: (pin.name, pin.version, pin.marker or "")))


def digest(text: str) -> str:
    """What ``mlpack.lock`` records of a requirement file's text.

    Line ends do not count: version control may change them on their way to another machine.
    """
    return files.sha256(text.replace("\r\n", "\n").encode())


def read(path: Path) -> str | None:
    """A requirement file's text, or None where there is no such file.

    Raises:
        InputError: it is not text.
    """
    try:
        return files.read_text(path)
    except UnicodeDecodeError as error:
        raise InputError("it is not text", where=path.name, hint=_HINT) from error


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their continuations and without comments, by the number of their first line."""
    start = 0
    parts: list[str] = []
    for number, raw in enumerate(text.splitlines(), 1):
        text_line = raw.strip()
        if text_line.startswith("#"):
            continue
        start = start if parts else number
        parts.append(text_line.removesuffix("\\").strip())
        if not text_line.endswith("\\"):
            if joined := " ".join(part for part in parts if part):
                yield start, joined
            parts = []
    if joined := " ".join(part for part in parts if part):
        yield start, joined


def _pin(text: str) -> Pin:
    requirement, *options = re.split(r"\s+--", f" {text}")
    match = _PINNED.fullmatch(requirement.strip())
    if not match:
        raise ValueError(f"{text[:80]!r} is not an exact version with its hashes")
    hashes = []
    for option in options:
        name, _, value = option.strip().partition("=")
        if name != "hash" or not _HASH.fullmatch(value):
            raise ValueError(f"'--{option.strip()[:80]}' is not a SHA-256 digest")
        hashes.append(value)
    if not hashes:
        raise ValueError(f"{match['name']} has no SHA-256 digest")
    try:
        version = str(Version(match["version"]))
        marker = str(Marker(match["marker"])) if match["marker"] else None
    except (InvalidVersion, InvalidMarker) as error:
        raise ValueError(f"{text[:80]!r} is damaged: {error}") from error
    return Pin(canonicalize_name(match["name"]), version, tuple(sorted(set(hashes))), marker)
