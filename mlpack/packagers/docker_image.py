"""The OCI image through a Docker engine: a generated Dockerfile, built by BuildKit.

For what an archive of wheels cannot have: packages of the system, and packages that are only there
as sources. The base, the lock, the files of the bundle and how the image starts are those of
mlpack's own builder (`mlpack.container`); the result is the same kind of archive.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Protocol

from mlpack import container, files, indexes, requirements_file, words
from mlpack.bundle import Artifact, Bundle
from mlpack.container import as_oci, image_name
from mlpack.dockerfile import (
    APT_SECRET,
    CA_SECRET,
    CLIENT_SECRET,
    LOCK,
    MODEL,
    PIP_SECRET,
    SECRETS,
    dockerfile,
)
from mlpack.documents import beside_image, bills
from mlpack.errors import InputError, OutsideError
from mlpack.files import scratch, staged, write_tree
from mlpack.lock import Pin
from mlpack.materials import Foundation, materials
from mlpack.oci.archive import read_archive, write_archive
from mlpack.oci.cache import Cache
from mlpack.oci.install import HOME, LIBRARY
from mlpack.oci.layers import EPOCH
from mlpack.oci.layout import check_platform
from mlpack.oci.measured import measured
from mlpack.oci.python import find_python
from mlpack.oci.source import Base
from mlpack.oci.values import ANNOTATION, Image, encode
from mlpack.ports import Engine, ImageBuild, ImageBuilder, Reporter, SecretSource
from mlpack.process import Runner
from mlpack.project import BuildSecret, ImageSettings
from mlpack.provenance import UNTOLD, Origin, Subject
from mlpack.sizes import megabytes
from mlpack.wheelfile import installed, wheel_stem

NETWORK = "MLPACK_BUILD_NETWORK"
"""The variable that names the network of the build's steps. No project may choose it."""

BASE_NAME = "mlpack-base"
"""What a base that comes from no registry is called in the engine; its tag is its digest."""

_NETWORKS = ("default", "none", "host")
_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy")
_AUTHORITIES = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
_CA = f"{SECRETS}/{CA_SECRET}"


class ImageEngine(Engine, Protocol):
    """An engine whose images can be named and taken out (`mlpack.engines.docker`)."""

    def tag(self, identity: str, name: str, tag: str) -> bool:
        """Call an image, known by its id, ``name:tag`` too; False where there is no such image."""
        ...

    def save(self, name: str, into: Path) -> None:
        """Write a local image as an archive."""
        ...


@dataclass(frozen=True)
class DockerImagePackager:
    """Makes ``NAME-VERSION.oci.tar`` with an engine.

    Attributes:
        base: the base image, from `mlpack.oci.source.open_base`.
        pins: the production lock, for all platforms.
        platform: ``linux/amd64`` or ``linux/arm64``.
        cache: the user's cache.
        settings: ``[tool.mlpack.image]``.
        root: the project's folder: what the paths of secrets are relative to.
        builder: runs the Dockerfile.
        engine: where the image is then.
        runner: runs pip, to ask for its configuration.
        env: the environment of this process.
        named: give the image its name in the engine.
        epoch: the time that labels tell, seconds since 1970 (SOURCE_DATE_EPOCH).
        origin: where the sources come from.
    """

    kind: ClassVar[str] = "image"

    base: Base
    pins: Sequence[Pin]
    platform: str
    cache: Cache
    settings: ImageSettings
    root: Path
    builder: ImageBuilder
    engine: ImageEngine
    runner: Runner
    env: Mapping[str, str]
    named: bool = True
    epoch: int = EPOCH
    origin: Origin = UNTOLD

    def dockerfile(self, package: str, python: str) -> str:
        """The Dockerfile; needs no engine.

        Args:
            package: the import package that is served.
            python: the lock's minor version.

        Raises:
            InputError: a setting may not stand in a Dockerfile, or the base has no such Python.
        """
        found = find_python(self.base.image, python, self.cache, self.base.reference)
        return dockerfile(self._base_name(), found.path, package, self.settings)

    def package(self, bundle: Bundle, into: Path, reporter: Reporter) -> Artifact:
        """Write the image's archive into the folder `into`, whole or not at all.

        Raises:
            InputError: a setting is wrong, or the base cannot do what is asked.
            OutsideError: there is no engine, or a step of the build failed.
        """
        manifest = bundle.manifest
        name, tag = image_name(manifest.name, manifest.version)
        text = self.dockerfile(manifest.package, manifest.python)
        network = self._network()
        if not self.engine.available():
            raise OutsideError(
                'builder = "docker" needs a Docker engine, and none answers',
                hint="Look at what docker version says, and at DOCKER_HOST.",
            )
        with scratch(into, "docker") as folder:
            with reporter.stage("Building the image with Docker") as stage:
                secrets = self._secrets()
                self._provide_base(folder)
                context = folder / "context"
                _write_context(context, bundle, self.pins, text, self.epoch)
                asked = ImageBuild(
                    context=context,
                    platform=self.platform,
                    tag=f"{name}:{tag}" if self.named else None,
                    labels=self._labels(bundle),
                    # BuildKit 0.11 and later take it for the image's own times.
                    arguments={"SOURCE_DATE_EPOCH": str(self.epoch)},
                    inherited=self._proxies(),
                    secrets=secrets,
                    network=network,
                )
                identity = self.builder.build(asked)
                stage.result(identity[:19])
            with reporter.stage("Taking the image out of the engine") as stage:
                saved = folder / "saved.tar"
                self.engine.save(identity, saved)
                image = self._image(read_archive(saved, self.platform, self.cache), bundle)
                target = into / container.archive_name(bundle)
                with staged(target) as file:
                    written = write_archive(image, file, name, tag)
                documents = beside_image(
                    target,
                    Subject(f"{name}:{tag}", image.digest.removeprefix("sha256:")),
                    bundle,
                    materials(bundle, bases=[Foundation(self.base.digest, self.base.name)]),
                    self.epoch,
                    platforms=(self.platform,),
                    wheels=None,  # pip chose them
                    origin=self.origin,
                )
                stage.result(megabytes(written.size))
            own = image.layers[len(self.base.image.layers) :]
            unpacked, parts = measured(own, f"{wheel_stem(manifest)}.dist-info")
        return Artifact(
            kind=self.kind,
            file=target.name,
            sha256=written.sha256,
            size=written.size,
            digest=image.digest,
            image=f"{name}:{tag}",
            config=image.config_digest,
            unpacked=unpacked,
            parts=parts,
            documents=documents,
        )

    def _labels(self, bundle: Bundle) -> dict[str, str]:
        packages = " ".join(sorted(set(self.settings.system_packages)))
        own = {"io.mlpack.system-packages": packages} if packages else {}
        # What the base says of itself is not true of this image; a label can only be emptied.
        inherited = self.base.image.config.execution.labels or {}
        emptied = {key: "" for key in inherited if key.startswith(ANNOTATION)}
        return {**emptied, **container.labels(self.base, bundle, self.epoch, self.origin), **own}

    def _base_name(self) -> str:
        """The base as the engine finds it: by digest."""
        if self.base.name is None:
            return f"{BASE_NAME}:{self.base.digest.removeprefix('sha256:')}"
        return f"{self.base.name.partition('@')[0]}@{self.base.digest}"

    def _provide_base(self, folder: Path) -> None:
        """See that the engine has a base that it cannot pull."""
        if self.base.name is not None:
            return
        name, _, tag = self._base_name().partition(":")
        if self.engine.tag(self.base.digest, name, tag):
            return
        archive = folder / "base.tar"
        write_archive(self.base.image, archive, name, tag)
        self.engine.load(archive)
        archive.unlink()

    def _network(self) -> str:
        network = self.env.get(NETWORK, "default")
        if network not in _NETWORKS:
            raise InputError(
                f"{NETWORK} is {words.shown(network)}, and not one of {', '.join(_NETWORKS)}"
            )
        return network

    def _proxies(self) -> tuple[str, ...]:
        """The proxies' variables that are set: engines know them, and keep them out of images."""
        names = [name for each in _PROXIES for name in (each, each.upper())]
        return tuple(name for name in names if self.env.get(name))

    def _secrets(self) -> tuple[SecretSource, ...]:
        given = [_source(secret, self.root, self.env) for secret in self.settings.secrets]
        pip = indexes.read(self.runner, sys.executable, self.env)
        if pip.no_index and self.pins and not any(map(_remote, pip.find_links)):
            raise InputError(
                "pip on this machine takes packages from its own folders alone (no-index), and "
                'a build with builder = "docker" does not see those',
                where="pip config list",
                hint='Set pip\'s find-links to a server of the files, or take builder = "mlpack".',
            )
        authorities = _authorities(pip, self.env)
        client = files.expanded(pip.client_cert) if pip.client_cert else None
        told = pip_configuration(
            pip, certificates=authorities is not None, client=client is not None
        )
        values = {PIP_SECRET: told}
        if client is not None:
            given.append(SecretSource(CLIENT_SECRET, file=client))
        if authorities is not None:
            given.append(SecretSource(CA_SECRET, file=authorities))
            values[APT_SECRET] = f'Acquire::https::CAInfo "{_CA}";\n'
        given += [SecretSource(name, value=value) for name, value in values.items() if value]
        return tuple(given)

    def _image(self, built: Image, bundle: Bundle) -> Image:
        """What the engine built, as mlpack's own builder would describe it.

        The base's layers are its own again: the engine gives them back in another compression, and
        a registry that has them would not know them.
        """
        check_platform(built.config, self.platform, "the engine's image")
        below = self.base.image.config.rootfs.diff_ids
        if built.config.rootfs.diff_ids[: len(below)] != below:
            raise OutsideError(
                f"the engine built on another base than {self.base.reference}, which was opened",
                hint="Run the same command again; nothing was written.",
            )
        known = {layer.diff_id: as_oci(layer) for layer in self.base.image.layers}
        layers = tuple(known.get(layer.diff_id, layer) for layer in built.layers)
        manifest = type(built.manifest)(
            schema_version=2,
            media_type=built.manifest.media_type,
            config=built.manifest.config,
            layers=tuple(layer.descriptor for layer in layers),
            annotations=container.manifest_annotations(self.base, bundle, self.epoch, self.origin),
        )
        return replace(built, manifest_bytes=encode(manifest), manifest=manifest, layers=layers)


def pip_configuration(pip: indexes.Indexes, *, certificates: bool, client: bool = False) -> str:
    """What of pip's configuration on this machine means the same in a container, as a file.

    Folders of this machine do not: they are left out. The certificates, and the one of the
    `client`, are where their secrets are. Empty where nothing is left.
    """
    remote = [place for place in (*pip.extra, *pip.find_links) if _remote(place)]
    values = {
        "index-url": [pip.index_url] if pip.index_url and _remote(pip.index_url) else [],
        "extra-index-url": [place for place in remote if place in pip.extra],
        "no-index": ["true"] if pip.no_index else [],
        "find-links": [place for place in remote if place in pip.find_links],
        "trusted-host": pip.trusted_hosts,
        "proxy": [pip.proxy] if pip.proxy else [],
        "timeout": [pip.timeout] if pip.timeout else [],
        "cert": [_CA] if certificates else [],
        "client-cert": [f"{SECRETS}/{CLIENT_SECRET}"] if client else [],
    }
    lines = [f"{key} = {' '.join(found)}" for key, found in values.items() if found]
    return "\n".join(["[global]", *lines, ""]) if lines else ""


def _remote(place: str) -> bool:
    return place.startswith(("https://", "http://"))


def _authorities(pip: indexes.Indexes, env: Mapping[str, str]) -> Path | None:
    """The file of certificate authorities that pip trusts on this machine, where one is set."""
    for place in (pip.cert, *(env.get(name) for name in _AUTHORITIES)):
        if place and (file := files.expanded(place)) is not None:
            return file
    return None


def _source(secret: BuildSecret, root: Path, env: Mapping[str, str]) -> SecretSource:
    where = "[tool.mlpack.image.secrets]"
    if secret.kind == "env":
        if secret.source not in env:
            raise InputError(
                f"the environment variable {secret.source}, which holds the secret {secret.name}, "
                "is not set",
                where=where,
                hint=f"export {secret.source}=...",
            )
        return SecretSource(secret.name, env=secret.source)
    file = files.expanded(secret.source, root)
    if file is None:
        raise InputError(
            f"the file {secret.source}, which holds the secret {secret.name}, is not there",
            where=where,
        )
    return SecretSource(secret.name, file=file)


def _write_context(
    context: Path, bundle: Bundle, pins: Sequence[Pin], text: str, epoch: int
) -> None:
    """What the engine gets: the Dockerfile, the lock, and the files of the model's layer.

    Modes and times are fixed, since both become those of the layer's files.
    """
    library = LIBRARY.removeprefix(f"{HOME}/")
    tree = {f"{MODEL}/{library}/{name}": data for name, data in installed(bundle).items()}
    told = bills(materials(bundle), epoch).files
    tree |= {f"{MODEL}/{name}": data for name, data in told.items()}
    tree[LOCK] = requirements_file.dumps(pins, "What the image installs.").encode()
    tree["Dockerfile"] = text.encode()
    context.mkdir()
    write_tree(context, tree)
    for path in sorted(context.rglob("*"), reverse=True):
        path.chmod(0o755 if path.is_dir() else 0o644)
        os.utime(path, (epoch, epoch))
