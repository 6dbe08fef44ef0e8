"""The lock: what was decided, so that it is decided only once.

``mlpack.lock`` is TOML with a format version of its own::

    format = 1
    inputs = "6f1c..."
    python = "3.11"
    platforms = ["linux/amd64"]
    resolver = "uv"
    form = "onnx"
    prod = "0a9d..."
    dev = "77be..."

    [base]
    reference = "docker.io/library/python:3.11-slim"
    digest = "sha256:1d3a..."
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from mlpack import files
from mlpack.errors import InputError
from mlpack.runtime.contract import Form

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FORMAT = 1
"""The version of the format of ``mlpack.lock`` that this mlpack writes, and the newest it reads."""

_HEADER = "# Made by mlpack lock: commit it, do not edit it.\n"
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Pin:
    """One package of a lock: an exact version with the digests of all its files.

    Attributes:
        name: normalised (PEP 503).
        version: exact.
        hashes: ``sha256:...``, sorted.
        marker: a PEP 508 marker, or None.
    """

    name: str
    version: str
    hashes: tuple[str, ...]
    marker: str | None = None


@dataclass(frozen=True)
class PlatformBase:
    """What identifies a base image on one platform: see `BaseImage`."""

    digest: str
    layers: tuple[str, ...] = ()


@dataclass(frozen=True)
class BaseImage:
    """The base image by what identifies it, so that the same one is used again.

    Attributes:
        reference: as the user or the default names it (see `project.ImageSettings.base`).
        digest: ``sha256:...`` of the manifest or index (registry), or of the configuration (other
            sources); empty where each platform has one of its own.
        layers: the layers' diff ids, where the digest is a configuration's.
        platforms: of a lock for several platforms, where the digest would be a configuration's:
            digest and layers by platform.
    """

    reference: str
    digest: str = ""
    layers: tuple[str, ...] = ()
    platforms: Mapping[str, PlatformBase] = field(default_factory=dict)

    def on(self, platform: str) -> BaseImage | None:
        """What identifies it on one platform; None where that is not known yet."""
        if self.digest:
            return BaseImage(self.reference, self.digest, self.layers)
        found = self.platforms.get(platform)
        return BaseImage(self.reference, found.digest, found.layers) if found else None

    def for_platforms(self, before: tuple[str, ...], after: tuple[str, ...]) -> BaseImage:
        """The same for a lock with other platforms."""
        known = dict(self.platforms)
        if self.layers:  # a configuration's: it is that of the only platform
            known = {platform: PlatformBase(self.digest, self.layers) for platform in before[:1]}
        elif self.digest:
            return self
        kept = {platform: known[platform] for platform in sorted(after) if platform in known}
        if len(after) == 1 and kept:
            return BaseImage(self.reference, kept[after[0]].digest, kept[after[0]].layers)
        return BaseImage(self.reference, platforms=kept)


@dataclass(frozen=True)
class Lock:
    """``mlpack.lock``.

    Attributes:
        inputs: the digest of everything that the resolution depends on.
        python: the minor version it was made for, such as ``3.11``.
        platforms: such as ``linux/amd64``.
        resolver: ``uv`` or ``pip-tools``.
        form: the exporter's verdict that the production set was made for; before there is a
            model: ``onnx``.
        prod, dev: the digests of the two requirement files.
        base: the base image, once it is known.
        imports: for a hybrid the distributions that its Python parts import, by their names.
    """

    inputs: str
    python: str
    platforms: tuple[str, ...]
    resolver: str
    form: Form
    prod: str
    dev: str
    base: BaseImage | None = None
    imports: tuple[str, ...] = ()


def with_base(lock: Lock, base: BaseImage | None) -> Lock:
    """The same lock with another base image."""
    return replace(lock, base=base)


def dumps(lock: Lock) -> str:
    """The text of ``mlpack.lock``: the same lock always gives the same bytes."""
    lines = [
        _HEADER + f"format = {FORMAT}",
        f"inputs = {_toml(lock.inputs)}",
        f"python = {_toml(lock.python)}",
        f"platforms = {_toml(lock.platforms)}",
        f"resolver = {_toml(lock.resolver)}",
        f"form = {_toml(lock.form)}",
        f"prod = {_toml(lock.prod)}",
        f"dev = {_toml(lock.dev)}",
    ]
    if lock.imports:
        lines.insert(-2, f"imports = {_toml(lock.imports)}")
    if lock.base:
        lines += [
            "",
            "[base]",
            f"reference = {_toml(lock.base.reference)}",
            *(_identity(lock.base) if lock.base.digest else ()),
        ]
        for name, each in sorted(lock.base.platforms.items()):
            lines += ["", f"[base.platforms.{_toml(name)}]", *_identity(each)]
    return "\n".join(lines) + "\n"


def _identity(base: BaseImage | PlatformBase) -> list[str]:
    layers = [f"layers = {_toml(base.layers)}"] if base.layers else []
    return [f"digest = {_toml(base.digest)}", *layers]


def loads(text: str, where: str = "mlpack.lock") -> Lock:
    """The lock that a text of ``mlpack.lock`` holds.

    Raises:
        InputError: it is damaged, or a newer mlpack wrote it.
    """
    try:
        table: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _damaged(str(error), where) from error
    version = table.pop("format", None)
    if not isinstance(version, int):
        raise _damaged("it has no format version", where)
    if version > FORMAT:
        raise InputError(
            f"it has format {version}, and this mlpack reads up to format {FORMAT}",
            where=where,
            hint="Upgrade mlpack: pip install --upgrade mlpack-builder",
        )
    try:
        return msgspec.convert(table, Lock)
    except msgspec.ValidationError as error:
        raise _damaged(str(error), where) from error


def read(path: Path) -> Lock | None:
    """The lock in a file, or None where there is no such file.

    Raises:
        InputError: it is damaged, or a newer mlpack wrote it.
    """
    try:
        text = files.read_text(path)
    except UnicodeDecodeError as error:
        raise _damaged("it is not text", path.name) from error
    return None if text is None else loads(text, path.name)


def write(path: Path, lock: Lock) -> None:
    """Write ``mlpack.lock`` whole or not at all."""
    files.write(path, dumps(lock))


def this_platform() -> str:
    """The machine that mlpack runs on, such as ``linux/amd64`` or ``darwin/arm64``."""
    machine = platform.machine().lower()
    return f"{platform.system().lower()}/{_MACHINES.get(machine, machine)}"


def _damaged(reason: str, where: str) -> InputError:
    hint = "Take it back from version control, or delete it and run: mlpack lock"
    return InputError(f"the lock is damaged: {reason}", where=where, hint=hint)


def _toml(value: str | tuple[str, ...]) -> str:
    """A TOML string or array. JSON's escapes are TOML's, but for DEL, which JSON leaves alone."""
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(item) for item in value)}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
