"""The OCI image: a base, a layer of dependencies, a small layer with the model. No engine needed.

The documents are those of the OCI image specification 1.1; the health check is Docker's extension.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import ClassVar

import msgspec

from mlpack.bundle import Artifact, Bundle
from mlpack.errors import InputError
from mlpack.files import staged
from mlpack.lock import BaseImage, Pin
from mlpack.oci.archive import write_archive
from mlpack.oci.assemble import dependency_layer, model_layer
from mlpack.oci.cache import Cache
from mlpack.oci.install import HOME, LIBRARY
from mlpack.oci.layers import EPOCH
from mlpack.oci.machine import Machine
from mlpack.oci.python import Interpreter, find_python
from mlpack.oci.source import Base
from mlpack.oci.values import (
    LAYER_TYPES,
    Execution,
    Healthcheck,
    History,
    Image,
    ImageConfig,
    Layer,
    RootFs,
    make_image,
)
from mlpack.oci.wheels import fetch
from mlpack.ports import Engine, Reporter
from mlpack.process import Runner
from mlpack.wheelfile import installed

USER = "65532:65532"
"""Nobody in particular, as in distroless images; needs no entry in the base's passwd."""

PORT = "8080/tcp"
_SECOND = 1_000_000_000
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SPEC = "org.opencontainers.image."


def base_image(base: Base) -> BaseImage:
    """What a lock writes down of an opened base."""
    return BaseImage(base.reference, base.digest, base.layers)


def image_name(name: str, version: str) -> tuple[str, str]:
    """The repository and the tag of a project's image.

    A version's ``+`` and ``!`` may not stand in a tag; ``_`` stands for them.
    """
    return re.sub(r"[-_.]+", "-", name).lower(), re.sub(r"[+!]", "_", version)


@dataclass(frozen=True)
class ImagePackager:
    """Makes ``NAME-VERSION.oci.tar``, and loads it into an engine if one answers.

    Attributes:
        base: the base image, from `mlpack.oci.source.open_base`.
        pins: the production lock, for all platforms.
        platform: ``linux/amd64`` or ``linux/arm64``.
        cache: the user's cache.
        runner: runs pip and the compiling process.
        epoch: the time of everything in the image, seconds since 1970 (SOURCE_DATE_EPOCH).
        engine: where the image is loaded to; None for nowhere.
    """

    kind: ClassVar[str] = "image"

    base: Base
    pins: Sequence[Pin]
    platform: str
    cache: Cache
    runner: Runner
    epoch: int = EPOCH
    engine: Engine | None = field(default=None)

    def package(self, bundle: Bundle, into: Path, reporter: Reporter) -> Artifact:
        """Write the image's archive into the folder `into`, whole or not at all.

        Raises:
            InputError: the base has no fitting Python or C library, or a package no wheel.
            OutsideError: the index, the registry or the disk said no.
        """
        manifest = bundle.manifest
        name, tag = image_name(manifest.name, manifest.version)
        target = into / f"{name}-{manifest.version}.oci.tar"
        with reporter.stage("Reading the base image") as stage:
            python = find_python(self.base.image, manifest.python, self.cache, self.base.reference)
            stage.result(f"{python.path}, glibc {python.glibc[0]}.{python.glibc[1]}")
        machine = Machine(self.platform, python.minor, python.glibc)
        with reporter.stage("Fetching the locked wheels") as stage:
            fetched = fetch(self.pins, machine, self.cache, self.runner)
            stage.result(f"{len(fetched.wheels)} wheels, {fetched.downloaded} downloaded")
        with reporter.stage("Assembling the image") as stage:
            layers = (
                dependency_layer(
                    fetched.wheels, python.minor, python.path, self.epoch, self.cache, self.runner
                ),
                model_layer(installed(bundle), python.minor, self.epoch, self.cache, self.runner),
            )
            image = compose(self.base, layers, bundle, python, self.epoch)
            with staged(target) as file:
                written = write_archive(image, file, name, tag)
            stage.result(
                f"{_megabytes(written.size)}: dependencies "
                f"{_megabytes(layers[0].descriptor.size)}, model "
                f"{_megabytes(layers[1].descriptor.size)}, the rest is the base"
            )
        if self.engine is not None and self.engine.available():
            with reporter.stage(f"Loading it into {self.engine.name}") as stage:
                stage.result(self.engine.load(target)[:19])
        return Artifact(
            kind=self.kind,
            file=target.name,
            sha256=written.sha256,
            size=written.size,
            digest=image.digest,
            image=f"{name}:{tag}",
            config=image.config_digest,
            unpacked=sum(layer.unpacked for layer in layers),
        )


def compose(
    base: Base, layers: tuple[Layer, ...], bundle: Bundle, python: Interpreter, epoch: int
) -> Image:
    """The image of a base and the layers over it. A value: nothing is written.

    Raises:
        InputError: the package's name is no name.
    """
    manifest = bundle.manifest
    if not manifest.package.isidentifier():
        raise InputError(f"{manifest.package!r} is no import package")
    annotations = _annotations(base, bundle, epoch)
    below = base.image.config
    inherited = {
        key: value
        for key, value in (below.execution.labels or {}).items()
        if not key.startswith(_SPEC)
    }
    labels = {
        **inherited,
        **annotations,
        "io.mlpack.form": manifest.form,
        "io.mlpack.lock": manifest.lock,
        "io.mlpack.bundle": bundle.digest,
        "io.mlpack.base": base.digest,
    }
    created = _created(epoch)
    titles = ("dependencies", "model")
    config = ImageConfig(
        created=created,
        architecture=below.architecture,
        os=below.os,
        os_version=below.os_version,
        variant=below.variant,
        config=_execution(below.execution, python.path, manifest.package, labels),
        rootfs=RootFs(
            type="layers",
            diff_ids=(*below.rootfs.diff_ids, *(layer.diff_id for layer in layers)),
        ),
        history=(
            *_history(below),
            *(
                History(created=created, created_by=f"mlpack build ({title})")
                for title, _ in zip(titles, layers, strict=True)
            ),
        ),
    )
    return make_image(config, (*map(_as_oci, base.image.layers), *layers), annotations)


def _execution(below: Execution, python: str, package: str, labels: dict[str, str]) -> Execution:
    ours = {
        # The container's own network; whatever command it is started with (`serve` is SageMaker's).
        "MLPACK_HOST": "0.0.0.0",  # noqa: S104
        # On a laptop one process is enough; a container is given CPUs so that they are used.
        "MLPACK_WORKERS": "auto",
        "PYTHONPATH": f"/{LIBRARY}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
    }
    kept = [line for line in below.env or () if line.partition("=")[0] not in ours]
    if below.variable("PATH") is None:
        kept.insert(0, f"PATH={_DEFAULT_PATH}")
    return Execution(
        user=USER,
        exposed_ports={PORT: {}},
        env=(*kept, *(f"{key}={value}" for key, value in ours.items())),
        entrypoint=(python, "-m", package),
        cmd=("serve",),
        working_dir=f"/{HOME}",
        labels=labels,
        stop_signal="SIGTERM",
        healthcheck=Healthcheck(
            test=("CMD", python, "-m", package, "health"),
            interval=30 * _SECOND,
            timeout=5 * _SECOND,
            start_period=30 * _SECOND,
            retries=3,
        ),
    )


def _annotations(base: Base, bundle: Bundle, epoch: int) -> dict[str, str]:
    found = {
        f"{_SPEC}title": bundle.manifest.name,
        f"{_SPEC}version": bundle.manifest.version,
        f"{_SPEC}created": _created(epoch),
    }
    if base.name is not None:
        found[f"{_SPEC}base.name"] = base.name
        found[f"{_SPEC}base.digest"] = base.digest
    return found


def _history(config: ImageConfig) -> tuple[History, ...]:
    """The base's history; a made-up one where it does not fit the layers, as it must."""
    entries = config.history or ()
    count = len(config.rootfs.diff_ids)
    if sum(not entry.empty_layer for entry in entries) == count:
        return entries
    return tuple(History(created_by="base image") for _ in range(count))


def _as_oci(layer: Layer) -> Layer:
    """A base's layer as an OCI manifest names it: the same bytes."""
    descriptor = msgspec.structs.replace(
        layer.descriptor,
        media_type=LAYER_TYPES[layer.descriptor.media_type],
        annotations=None,
        platform=None,
    )
    return Layer(descriptor, layer.diff_id, layer.open, layer.unpacked, layer.origin)


def _created(epoch: int) -> str:
    return datetime.fromtimestamp(epoch, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
