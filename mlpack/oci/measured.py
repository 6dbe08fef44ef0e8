"""What layers that an engine made hold, package by package: their tars and ``RECORD`` tell."""

from __future__ import annotations

import csv
import io
import posixpath
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.util import source_from_cache

from mlpack.oci.account import Part, part
from mlpack.oci.install import HOME, LIBRARY
from mlpack.oci.tars import opened
from mlpack.oci.values import Layer

SYSTEM = "packages of the system"
"""The name of the part that is no Python package: what lies outside of ``/app``."""

_RECORD_LIMIT = 16 << 20


@dataclass
class _Found:
    sizes: dict[str, int] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    records: list[str] = field(default_factory=list)


def measured(layers: Iterable[Layer], model: str) -> tuple[int, tuple[Part, ...]]:
    """The size of all files in bytes, and the parts but for the model's own package.

    Args:
        layers: those over the base.
        model: the folder of the model's metadata, ``NAME-VERSION.dist-info``.
    """
    found = _Found()
    for layer in layers:
        with opened(layer, "the engine's image") as tar:
            _read(tar, found)
    kept: dict[str, dict[str, int]] = {record: {} for record in found.records}
    system: dict[str, int] = {}
    for path, size in found.sizes.items():
        record = found.owners.get(path) or found.owners.get(_source(path))
        if record is not None:
            kept[record][path] = size
        elif not path.startswith(f"{HOME}/"):
            system[path] = size
    parts = [
        part(record, files, {})
        for record, files in sorted(kept.items())
        if record != f"{LIBRARY}/{model}/RECORD"
    ]
    if system:
        parts.append(Part(name=SYSTEM, version="", files=len(system), size=sum(system.values())))
    return sum(found.sizes.values()), tuple(parts)


def _read(tar: tarfile.TarFile, found: _Found) -> None:
    for member in tar:
        if not member.isfile():
            continue
        path = posixpath.normpath(member.name).lstrip("/")
        found.sizes[path] = member.size
        if _is_record(path) and member.size <= _RECORD_LIMIT:
            stream = tar.extractfile(member)
            text = stream.read().decode("utf-8", "replace") if stream else ""
            found.records.append(path)
            for row in csv.reader(io.StringIO(text)):
                if row:
                    # A script lies beside the library for pip, in whatever folder it took.
                    name = posixpath.normpath(posixpath.join(LIBRARY, row[0]))
                    scripts = posixpath.join(LIBRARY, "bin", posixpath.basename(name))
                    found.owners[name] = path
                    found.owners.setdefault(scripts, path)


def _is_record(path: str) -> bool:
    folder, name = posixpath.split(path)
    return (
        name == "RECORD" and folder.endswith(".dist-info") and posixpath.dirname(folder) == LIBRARY
    )


def _source(path: str) -> str:
    """The source of a file with bytecode; the file itself where it is none."""
    try:
        return source_from_cache(path)
    except ValueError:
        return path
