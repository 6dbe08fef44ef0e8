"""What an artifact that somebody hands over says of itself."""

from __future__ import annotations

import calendar
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from mlpack import times
from mlpack.comparing.zips import Zip
from mlpack.errors import InputError
from mlpack.oci.archive import read_whole_archive
from mlpack.oci.offline import OFFLINE_FILE, decode
from mlpack.oci.values import ANNOTATION, AnyImage
from mlpack.provenance import PROVENANCE_FILE
from mlpack.spdx import SPDX_FILE
from mlpack.wheelfile import entry_time

KINDS = {".whl": "wheel", ".zip": "zip", ".tar": "image"}
"""What an artifact is by the ending of its file's name."""

_WHEEL = re.compile(r"([A-Za-z0-9_.]+)-([A-Za-z0-9_.!+]+)\.dist-info/")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_ZIP = re.compile(r"([a-z0-9-]+)-([A-Za-z0-9.!+]+)/")


@dataclass(frozen=True)
class Described:
    """What an artifact says of itself; nothing of it is believed before it was rebuilt.

    Attributes:
        kind: ``wheel``, ``zip`` or ``image``.
        name, version: the project's; empty where the artifact names none.
        epoch: the time of what is in it, seconds since 1970; None where it says none.
        platforms: what an image, or the wheels in an offline zip, are for.
        digest: what a registry calls an image.
        revision: the commit that it names, of which nothing can be said without its repository.
        glibc: of an offline zip the C library that its wheels run on.
    """

    kind: str
    name: str
    version: str
    epoch: int | None
    platforms: tuple[str, ...] = ()
    digest: str | None = None
    revision: str | None = None
    glibc: str | None = None


def describe(path: Path) -> Described:
    """What the artifact in a file says of itself; the kind is told by the file's name.

    Raises:
        InputError: there is no such file, it is of no kind, or it cannot be trusted.
    """
    if not path.is_file():
        raise InputError("there is no such artifact", where=str(path), hint="Run: mlpack build")
    kind = KINDS.get(path.suffix)
    if kind is None:
        raise InputError(
            f"{path.name} is no artifact",
            hint="Artifacts are a wheel (.whl), a zip (.zip) and an image (.oci.tar).",
        )
    return _image(path) if kind == "image" else _zip(path, kind)


def _zip(path: Path, kind: str) -> Described:
    pattern = _WHEEL if kind == "wheel" else _ZIP
    with path.open("rb") as stream:
        opened = Zip(stream, path.name)
        infos = opened.infos
        told = _beside(opened) if kind == "zip" else {}
    offline = decode(told[OFFLINE_FILE], path.name) if OFFLINE_FILE in told else None
    named = next((found for name in infos if (found := pattern.match(name))), None)
    moments = {info.date_time for info in infos.values()}
    try:
        epoch = calendar.timegm((*min(moments), 0, 0, 0)) if moments else None
    except ValueError:  # no such day: it is not what mlpack made
        epoch = None
    name, version = (named[1], named[2]) if named else ("", "")
    if epoch is not None and SPDX_FILE in told:
        epoch = _exact(epoch, told[SPDX_FILE])
    revision = _commit(told.get(PROVENANCE_FILE, b""))
    if offline is None:
        return Described(kind, name, version, epoch, revision=revision)
    return Described(
        kind,
        name,
        version,
        epoch,
        offline.platforms,
        revision=revision,
        glibc=offline.glibc,
    )


def _beside(opened: Zip) -> dict[str, bytes]:
    """What a zip says of itself in files of its own, by their names."""
    places = {
        name: file for name in opened.infos for folder, _, file in [name.partition("/")] if folder
    }
    known = (OFFLINE_FILE, PROVENANCE_FILE, SPDX_FILE)
    asked = [name for name, file in places.items() if file in known]
    return {places[name]: content for name, content in opened.contents(asked).items()}


class _Creation(msgspec.Struct, frozen=True):
    created: str = ""


class _Bill(msgspec.Struct, frozen=True, rename="camel"):
    creation_info: _Creation = _Creation()


def _exact(entries: int, bill: bytes) -> int:
    """The time of a build, which the entries of a zip have only as near as zips can tell it."""
    try:
        said = times.read(msgspec.json.decode(bill, type=_Bill).creation_info.created)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return entries
    return said if said is not None and entry_time(said) == entries else entries


class _Source(msgspec.Struct, frozen=True):
    digest: dict[str, str] = {}


class _Parameters(msgspec.Struct, frozen=True):
    source: _Source = _Source()


class _Definition(msgspec.Struct, frozen=True, rename="camel"):
    external_parameters: _Parameters = _Parameters()


class _Predicate(msgspec.Struct, frozen=True, rename="camel"):
    build_definition: _Definition = _Definition()


class _Statement(msgspec.Struct, frozen=True):
    predicate: _Predicate = _Predicate()


def _commit(statement: bytes) -> str | None:
    """The commit in the provenance of a zip."""
    try:
        found = msgspec.json.decode(statement, type=_Statement)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    source = found.predicate.build_definition.external_parameters.source
    return _plain_commit(source.digest.get("gitCommit", ""))


def _plain_commit(text: str) -> str | None:
    return text if _COMMIT.fullmatch(text) else None


def _image(path: Path) -> Described:
    image = read_whole_archive(path)
    name, version = named(image)
    epoch = times.read(image.images[0].config.created or "") if image.images else None
    return Described(
        "image",
        name,
        version,
        epoch,
        tuple(sorted({each.config.platform for each in image.images})),
        image.digest,
        _plain_commit(_annotations(image).get(f"{ANNOTATION}revision", "")),
    )


def named(image: AnyImage) -> tuple[str, str]:
    """The project and the version that an image's annotations name; empty where they do not."""
    annotations = _annotations(image)
    return annotations.get(f"{ANNOTATION}title", ""), annotations.get(f"{ANNOTATION}version", "")


def _annotations(image: AnyImage) -> Mapping[str, str]:
    return (image.images[0].manifest.annotations or {}) if image.images else {}
