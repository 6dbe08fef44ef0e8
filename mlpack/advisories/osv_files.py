"""OSV records in files: its export of an ecosystem (``all.zip``), a folder, JSON, JSON lines.

The export: https://google.github.io/osv.dev/data/. Nothing of an archive is written to a disk.
"""

from __future__ import annotations

import lzma
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from packaging.version import Version

from mlpack.errors import InputError
from mlpack.lock import Pin
from mlpack.osv import Record
from mlpack.untrusted import DAMAGE

_LARGEST = 16 << 20
"""The largest record that is read, in bytes."""

_LINES = (".jsonl", ".ndjson")
_HINT = "https://google.github.io/osv.dev/data/ says where the export is; it is PyPI's all.zip."


class OsvFiles:
    """Advisories in a file or folder."""

    def __init__(self, path: Path) -> None:
        """Records in `path`; it is read when it is asked."""
        self._path = path
        self.name = path.name

    def about(self, pins: Sequence[Pin]) -> Sequence[tuple[Pin, Record]]:
        """The pins with the records that are about them.

        Raises:
            InputError: the database is not there, damaged, or has no record at all.
        """
        wanted = [(pin, Version(pin.version)) for pin in pins]
        found = []
        records = 0
        for record in self._records():
            records += 1
            found += [(pin, record) for pin, version in wanted if record.affects(pin.name, version)]
        if not records:
            raise InputError(
                "the database has no records", where=str(self._path), hint=_HINT
            )  # an empty database would say that all is well
        return found

    def _records(self) -> Iterator[Record]:
        path = self._path
        try:
            if path.is_dir():
                for file in sorted(path.rglob("*.json")):
                    yield from _parsed(_limited(file), str(file))
            elif path.suffix == ".zip":
                yield from self._zipped()
            elif path.suffix in _LINES:
                with path.open("rb") as stream:
                    for number, line in enumerate(stream, 1):
                        if line.strip():
                            yield from _parsed(line, f"{path}:{number}")
            else:
                yield from _parsed(path.read_bytes(), str(path))
        except OSError as error:
            raise InputError(
                f"the database cannot be read: {error.strerror}", where=str(path), hint=_HINT
            ) from error

    def _zipped(self) -> Iterator[Record]:
        try:
            with zipfile.ZipFile(self._path) as archive:
                for info in archive.infolist():
                    if info.is_dir() or not info.filename.endswith(".json"):
                        continue
                    with archive.open(info) as stream:
                        data = stream.read(_LARGEST + 1)
                    yield from _parsed(_checked(data, info.filename), info.filename)
        except (*DAMAGE, lzma.LZMAError, RuntimeError) as error:
            # zipfile tells of a password, or of a packing that it does not know, by RuntimeError.
            raise InputError(
                f"the database is damaged: {error}", where=str(self._path), hint=_HINT
            ) from error


def _limited(file: Path) -> bytes:
    with file.open("rb") as stream:
        return _checked(stream.read(_LARGEST + 1), str(file))


def _checked(data: bytes, where: str) -> bytes:
    if len(data) > _LARGEST:
        raise InputError("a record is larger than 16 MiB", where=where)
    return data


def _parsed(data: bytes, where: str) -> Iterator[Record]:
    """The records of a document: one, or a list of them."""
    try:
        document = msgspec.json.decode(data, type=Record | list[Record])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"this is no OSV record: {error}", where=where, hint=_HINT) from error
    yield from document if isinstance(document, list) else [document]
