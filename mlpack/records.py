"""``dist/build.json``: what was built, for scripts and for deploying."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import msgspec
from packaging.utils import InvalidName, canonicalize_name
from packaging.version import InvalidVersion, Version

from mlpack import files
from mlpack.bundle import Artifact, Document
from mlpack.errors import InputError
from mlpack.ports import Built
from mlpack.runtime.contract import FORMAT

BUILD_FILE = "build.json"
BUILD_COMMAND = "mlpack build"


class BuildRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The content of ``build.json``.

    Attributes:
        name: the project's name.
        version: its version.
        form: ``onnx``, ``hybrid`` or ``python``.
        lock: the digest of the production lock.
        bundle: the digest of the bundle.
        artifacts: by kind.
        inputs: the digest of everything that the build depends on.
        reference: the digest of the reference rows of the model's training; empty for none.
    """

    format: int
    name: str
    version: str
    form: str
    lock: str
    bundle: str
    artifacts: dict[str, Artifact]
    inputs: str = ""
    reference: str = ""


def encode_build(built: Built, inputs: str = "") -> bytes:
    """The content of ``build.json``: indented JSON that ends in a newline."""
    record = BuildRecord(
        format=FORMAT,
        name=built.name,
        version=built.version,
        form=built.form,
        lock=built.lock,
        bundle=built.bundle,
        artifacts={kind: built.artifacts[kind] for kind in sorted(built.artifacts)},
        inputs=inputs,
        reference=built.reference,
    )
    return msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n"


def write_build_json(built: Built, inputs: str) -> Path:
    """Write ``build.json`` into ``built.dist``; its path."""
    target = built.dist / BUILD_FILE
    files.write(target, encode_build(built, inputs))
    return target


def read_record(dist: Path) -> BuildRecord | None:
    """What ``build.json`` says, without a look at the artifacts; None where there is none.

    Raises:
        InputError: it is damaged, or a newer mlpack wrote it.
    """
    where = f"{dist.name}/{BUILD_FILE}"
    try:
        text = files.read_text(dist / BUILD_FILE)
        if text is None:
            return None
        record = msgspec.json.decode(text, type=BuildRecord)
        canonicalize_name(record.name, validate=True)
        Version(record.version)
    except (UnicodeDecodeError, msgspec.DecodeError, InvalidName, InvalidVersion) as error:
        raise InputError(f"it is damaged: {error}", where=where, hint=BUILD_COMMAND) from error
    if record.format > FORMAT:
        raise InputError(
            f"it has format {record.format}, this mlpack reads up to {FORMAT}",
            where=where,
            hint=f"Use a newer mlpack, or build again: {BUILD_COMMAND}",
        )
    for name in (name for artifact in record.artifacts.values() for name in artifact.files):
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", name):
            raise InputError(
                f"it is damaged: {name!r} is no artifact's name",
                where=where,
                hint=BUILD_COMMAND,
            )
    return record


def read_build(dist: Path) -> Built:
    """What was built, every artifact's digest checked.

    Raises:
        InputError: nothing was built, or something in it is missing or damaged.
    """
    record = read_record(dist)
    if record is None:
        raise InputError("nothing is built yet", where=dist.name, hint=BUILD_COMMAND)
    for artifact in record.artifacts.values():
        check_artifact(dist, artifact)
    return built_from(record, dist)


def built_from(record: BuildRecord, dist: Path) -> Built:
    """The record of the folder `dist` as what targets take."""
    artifacts: Mapping[str, Artifact] = dict(record.artifacts)
    return Built(
        name=record.name,
        version=record.version,
        form=record.form,
        lock=record.lock,
        bundle=record.bundle,
        artifacts=artifacts,
        dist=dist,
        reference=record.reference,
    )


def check_artifact(dist: Path, artifact: Artifact) -> None:
    """Check that an artifact is what it was when it was built.

    Raises:
        InputError: it is missing or other.
    """
    _check_file(dist, artifact.kind, artifact)
    for document in artifact.documents:
        _check_file(dist, f"document of the {artifact.kind}", document)


def _check_file(dist: Path, what: str, recorded: Artifact | Document) -> None:
    path = dist / recorded.file
    where = f"{dist.name}/{recorded.file}"
    if not path.is_file():
        raise InputError(f"the {what} is missing", where=where, hint=BUILD_COMMAND)
    if path.stat().st_size != recorded.size or files.sha256_file(path) != recorded.sha256:
        raise InputError(
            f"the {what} is not the one that was built: its digest is another",
            where=where,
            hint=BUILD_COMMAND,
        )
