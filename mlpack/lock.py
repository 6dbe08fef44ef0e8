"""The lock: what was decided, so that it is decided only once."""

from __future__ import annotations

from dataclasses import dataclass

from mlpack.runtime.contract import Form


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
class BaseImage:
    """The base image by what identifies it, so that the same one is used again.

    Attributes:
        reference: as the user or the default names it (see `project.ImageSettings.base`).
        digest: ``sha256:...`` of the manifest (registry), or of the configuration (other sources).
        layers: the layers' diff ids, where the digest is a configuration's.
    """

    reference: str
    digest: str
    layers: tuple[str, ...] = ()


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
    """

    inputs: str
    python: str
    platforms: tuple[str, ...]
    resolver: str
    form: Form
    prod: str
    dev: str
    base: BaseImage | None = None
