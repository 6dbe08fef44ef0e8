"""The OCI image: a base, layers of dependencies, a small layer with the model. No engine needed.

The documents are those of the OCI image specification 1.1; the health check is Docker's extension.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from platform import python_version
from typing import ClassVar

from mlpack import container
from mlpack.bundle import Artifact, Bundle, PlatformImage
from mlpack.container import as_oci, image_name
from mlpack.documents import beside_image, bills
from mlpack.errors import OutsideError
from mlpack.files import staged
from mlpack.loading import load
from mlpack.lock import Pin
from mlpack.materials import Foundation, materials
from mlpack.oci.archive import write_archive
from mlpack.oci.assemble import Assembler, Dependencies
from mlpack.oci.bytecode import can_compile
from mlpack.oci.cache import Cache
from mlpack.oci.compression import GZIP, ZSTD
from mlpack.oci.install import HOME
from mlpack.oci.layers import EPOCH
from mlpack.oci.layout import DamagedLayerError
from mlpack.oci.machine import Machine
from mlpack.oci.pruning import PRUNED, WHOLE
from mlpack.oci.python import Interpreter, find_python
from mlpack.oci.source import Base
from mlpack.oci.values import (
    ANNOTATION,
    AnyImage,
    Execution,
    Healthcheck,
    History,
    Image,
    ImageConfig,
    Layer,
    RootFs,
    make_image,
    make_multi_image,
)
from mlpack.oci.wheels import Fetched, NoWheelError, fetch
from mlpack.ports import Engine, Reporter
from mlpack.process import Runner
from mlpack.provenance import UNTOLD, Origin, Subject
from mlpack.sizes import megabytes
from mlpack.wheelfile import installed

_SECOND = 1_000_000_000


@dataclass(frozen=True)
class ImagePackager:
    """Makes ``NAME-VERSION.oci.tar``, and loads it into an engine if one answers.

    Attributes:
        bases: by platform (``linux/amd64``, ``linux/arm64``) its base image, from
            `mlpack.oci.source.open_base`. For one platform the archive holds an image, for several
            an index of one image for each.
        pins: the production lock, for all platforms.
        cache: the user's cache.
        runner: runs pip and the compiling process.
        epoch: the time of everything in the image, seconds since 1970 (SOURCE_DATE_EPOCH).
        engine: where the image is loaded to; None for nowhere.
        prune: leave out the tests, tools and sources of well-known packages.
        compression: of the layers over the base, ``gzip`` or ``zstd``.
        origin: where the sources come from.
    """

    kind: ClassVar[str] = "image"

    bases: Mapping[str, Base]
    pins: Sequence[Pin]
    cache: Cache
    runner: Runner
    epoch: int = EPOCH
    engine: Engine | None = field(default=None)
    prune: bool = True
    compression: str = GZIP
    origin: Origin = UNTOLD

    def package(self, bundle: Bundle, into: Path, reporter: Reporter) -> Artifact:
        """Write the image's archive into the folder `into`, whole or not at all.

        A layer of the cache that turns out to be damaged is made again.

        Raises:
            InputError: a base has no fitting Python or C library, or a package no wheel.
            OutsideError: the index, the registry or the disk said no.
        """
        again: set[str] = set()
        while True:
            try:
                return self._package(bundle, into, reporter)
            except DamagedLayerError as error:
                if error.digest in again or not self.cache.damaged(error.digest):
                    raise  # it is not the cache's
                self.cache.intact(error.digest)  # it is removed there
                again.add(error.digest)
                reporter.note("a layer in the cache was damaged: it is made again")

    def _package(self, bundle: Bundle, into: Path, reporter: Reporter) -> Artifact:
        manifest = bundle.manifest
        name, tag = image_name(manifest.name, manifest.version)
        target = into / container.archive_name(bundle)
        with reporter.stage("Reading the base image") as stage:
            pythons = {
                platform: find_python(base.image, manifest.python, self.cache, base.reference)
                for platform, base in self.bases.items()
            }
            stage.result("; ".join(sorted({_told(python) for python in pythons.values()})))
        if not can_compile(manifest.python):
            reporter.note(
                f"the image has no bytecode and starts slower: it is for Python {manifest.python}, "
                f"and mlpack runs on {python_version()}"
            )
        with reporter.stage("Fetching the locked wheels") as stage:
            wheels = {
                platform: self._fetched(Machine(platform, python.minor, python.glibc))
                for platform, python in pythons.items()
            }
            downloaded = sum(each.downloaded for each in wheels.values())
            files = {wheel.file for each in wheels.values() for wheel, _ in each.wheels}
            stage.result(f"{len(files)} wheels, {downloaded} downloaded")
        with reporter.stage("Assembling the image") as stage:
            dependencies = {
                platform: self._assembler(pythons[platform].minor).dependencies(
                    each.wheels, pythons[platform].path, PRUNED if self.prune else WHOLE
                )
                for platform, each in wheels.items()
            }
            parts = {platform: each.parts for platform, each in dependencies.items()}
            # Without the base: a layer that stays the same over another one.
            told = bills(materials(bundle, parts), self.epoch).files
            model = self._assembler(manifest.python).model(installed(bundle), told)
            images = {
                platform: compose(
                    base,
                    dependencies[platform],
                    model,
                    bundle,
                    pythons[platform],
                    self.epoch,
                    self.origin,
                )
                for platform, base in self.bases.items()
            }
            image = _together(images)
            with staged(target) as file:
                written = write_archive(image, file, name, tag)
            bases = [self.bases[platform] for platform in sorted(self.bases)]
            documents = beside_image(
                target,
                Subject(f"{name}:{tag}", image.digest.removeprefix("sha256:")),
                bundle,
                materials(bundle, parts, (Foundation(each.digest, each.name) for each in bases)),
                self.epoch,
                platforms=sorted(self.bases),
                wheels={w.file: w.digest for each in wheels.values() for w, _ in each.wheels},
                origin=self.origin,
            )
            sizes = sum(each.size for each in dependencies.values())
            stage.result(
                f"{megabytes(written.size)}: dependencies {megabytes(sizes)}, model "
                f"{megabytes(model.descriptor.size)}, the rest is the base"
            )
        if self.engine is not None and self.engine.available():
            self._load(self.engine, images, target, (name, tag), reporter)
        on = {
            platform: PlatformImage(
                digest=each.digest,
                config=each.config_digest,
                unpacked=dependencies[platform].unpacked + model.unpacked,
                parts=parts[platform],
            )
            for platform, each in sorted(images.items())
        }
        alone = next(iter(on.values())) if len(on) == 1 else None
        return Artifact(
            kind=self.kind,
            file=target.name,
            sha256=written.sha256,
            size=written.size,
            digest=image.digest,
            image=f"{name}:{tag}",
            config=alone.config if alone else None,
            unpacked=alone.unpacked if alone else None,
            parts=alone.parts if alone else (),
            platforms={} if alone else on,
            documents=documents,
        )

    def _assembler(self, python: str) -> Assembler:
        return Assembler(python, self.epoch, self.cache, self.runner, self.compression)

    def _fetched(self, machine: Machine) -> Fetched:
        try:
            return fetch(self.pins, machine, self.cache, self.runner)
        except NoWheelError as error:
            others = [platform for platform in self.bases if platform != machine.platform]
            if not others:
                raise
            fewer = f"Or build for fewer platforms: mlpack build --platform {','.join(others)}"
            raise replace(error, hint=f"{error.hint}\n{fewer}") from error

    def _load(
        self,
        engine: Engine,
        images: Mapping[str, Image],
        archive: Path,
        called: tuple[str, str],
        reporter: Reporter,
    ) -> None:
        try:
            alone = len(images) == 1
            platform = next(iter(images)) if alone else engine.platform()
            if platform not in images:
                reporter.note(
                    f"{engine.name} runs {platform}, which the image is not for: not loaded"
                )
                return
            what = "it" if alone else f"that for {platform}"
            with (
                reporter.stage(f"Loading {what} into {engine.name}") as stage,
                self.cache.scratch() as scratch,
            ):
                # An older engine would take every platform's image, and knows no index.
                whole = archive if alone else None
                base = self.bases[platform]
                loaded = load(engine, images[platform], called, base, scratch, whole)
                stage.result(f"{loaded.identity[:19]}, {megabytes(loaded.sent)} sent")
        except OutsideError as error:
            if self.compression != ZSTD:
                raise
            # The archive is as good as it was asked for, and a registry takes it.
            reporter.warn(
                f"{engine.name} could not load the image, as Docker before 23 cannot with layers "
                f"of zstd: {error.what}"
            )


def _together(images: Mapping[str, Image]) -> AnyImage:
    """The image itself where there is one; an index, annotated as its images are, of several."""
    if len(images) == 1:
        return next(iter(images.values()))
    found = [dict(image.manifest.annotations or {}) for image in images.values()]
    shared = {
        key: value for key, value in found[0].items() if all(a.get(key) == value for a in found)
    }
    return make_multi_image(images.values(), shared)


def _told(python: Interpreter) -> str:
    return f"{python.path}, glibc {python.glibc[0]}.{python.glibc[1]}"


def compose(
    base: Base,
    dependencies: Dependencies,
    model: Layer,
    bundle: Bundle,
    python: Interpreter,
    epoch: int,
    origin: Origin = UNTOLD,
) -> Image:
    """The image of a base and the layers over it. A value: nothing is written.

    Raises:
        InputError: the package's name is no name.
    """
    annotations = container.manifest_annotations(base, bundle, epoch, origin)
    below = base.image.config
    inherited = {
        key: value
        for key, value in (below.execution.labels or {}).items()
        if not key.startswith(ANNOTATION)
    }
    labels = {**inherited, **container.labels(base, bundle, epoch, origin)}
    created = container.created(epoch)
    layers, titles = (*dependencies.layers, model), (*dependencies.titles, "model")
    config = ImageConfig(
        created=created,
        architecture=below.architecture,
        os=below.os,
        os_version=below.os_version,
        variant=below.variant,
        config=_execution(below.execution, python.path, bundle.manifest.package, labels),
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
    return make_image(config, (*map(as_oci, base.image.layers), *layers), annotations)


def _execution(below: Execution, python: str, package: str, labels: dict[str, str]) -> Execution:
    ours = container.VARIABLES
    kept = [line for line in below.env or () if line.partition("=")[0] not in ours]
    if below.variable("PATH") is None:
        kept.insert(0, f"PATH={container.DEFAULT_PATH}")
    start = container.entry_point(python, package)
    return Execution(
        user=container.USER,
        exposed_ports={container.PORT: {}},
        env=(*kept, *(f"{key}={value}" for key, value in ours.items())),
        entrypoint=start,
        cmd=container.COMMAND,
        working_dir=f"/{HOME}",
        labels=labels,
        stop_signal=container.STOP_SIGNAL,
        healthcheck=Healthcheck(
            test=("CMD", *start, "health"),
            interval=container.INTERVAL * _SECOND,
            timeout=container.TIMEOUT * _SECOND,
            start_period=container.START_PERIOD * _SECOND,
            retries=container.RETRIES,
        ),
    )


def _history(config: ImageConfig) -> tuple[History, ...]:
    """The base's history; a made-up one where it does not fit the layers, as it must."""
    entries = config.history or ()
    count = len(config.rootfs.diff_ids)
    if sum(not entry.empty_layer for entry in entries) == count:
        return entries
    return tuple(History(created_by="base image") for _ in range(count))
