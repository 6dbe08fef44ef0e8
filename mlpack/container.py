"""What an image of mlpack's is, whoever builds it: its name, user, command, variables and labels.

The annotations are those of the OCI image specification 1.1 (``annotations.md``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from mlpack.bundle import Bundle
from mlpack.errors import InputError
from mlpack.lock import BaseImage, Lock, PlatformBase
from mlpack.oci.install import LIBRARY
from mlpack.oci.source import Base
from mlpack.oci.values import ANNOTATION, LAYER_TYPES, Layer
from mlpack.provenance import UNTOLD, Origin
from mlpack.times import written

USER = "65532:65532"
"""Nobody in particular, as in distroless images; needs no entry in the base's passwd."""

PORT = "8080/tcp"
BASE_LABEL = "io.mlpack.base"
"""The label that holds the digest of what an image stands on."""

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
STOP_SIGNAL = "SIGTERM"
COMMAND = ("serve",)

INTERVAL, TIMEOUT, START_PERIOD, RETRIES = 30, 5, 30, 3
"""Of the health check; seconds but for the last one."""

VARIABLES = {
    # The container's own network; whatever command it is started with (`serve` is SageMaker's).
    "MLPACK_HOST": "0.0.0.0",  # noqa: S104
    # On a laptop one process is enough; a container is given CPUs so that they are used.
    "MLPACK_WORKERS": "auto",
    "PYTHONPATH": f"/{LIBRARY}",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
}
"""The environment that the server starts in, over the base's."""


def base_image(base: Base) -> BaseImage:
    """What a lock for one platform writes down of an opened base."""
    return BaseImage(base.reference, base.digest, base.layers)


def base_images(bases: Mapping[str, Base], lock: Lock) -> BaseImage:
    """What `lock` writes down of opened bases, which are given by platform.

    What it says of the same reference on other platforms is kept.
    """
    first = next(iter(bases.values()))
    if len(lock.platforms) == 1 or not first.layers:
        return base_image(first)
    known = lock.base if lock.base and lock.base.reference == first.reference else None
    found = {platform: PlatformBase(each.digest, each.layers) for platform, each in bases.items()}
    kept = known.platforms if known else {}
    return BaseImage(first.reference, platforms={**kept, **found})


def image_name(name: str, version: str) -> tuple[str, str]:
    """The repository and the tag of a project's image.

    A version's ``+`` and ``!`` may not stand in a tag; ``_`` stands for them.
    """
    return re.sub(r"[-_.]+", "-", name).lower(), re.sub(r"[+!]", "_", version)


def archive_name(bundle: Bundle) -> str:
    """The name of an image's archive in ``dist/``."""
    manifest = bundle.manifest
    return f"{image_name(manifest.name, manifest.version)[0]}-{manifest.version}.oci.tar"


def entry_point(python: str, package: str) -> tuple[str, ...]:
    """What a container starts, before `COMMAND`.

    Raises:
        InputError: the package's name is no name.
    """
    if not package.isidentifier():
        raise InputError(f"{package!r} is no import package")
    return (python, "-m", package)


def manifest_annotations(
    base: Base, bundle: Bundle, epoch: int, origin: Origin = UNTOLD
) -> dict[str, str]:
    """What a manifest tells about the image."""
    known = {
        f"{ANNOTATION}licenses": bundle.license,
        f"{ANNOTATION}source": origin.source,
        f"{ANNOTATION}revision": origin.revision,
    }
    found = {
        **{key: value for key, value in known.items() if value},
        f"{ANNOTATION}title": bundle.manifest.name,
        f"{ANNOTATION}version": bundle.manifest.version,
        f"{ANNOTATION}created": created(epoch),
    }
    if base.name is not None:
        found[f"{ANNOTATION}base.name"] = base.name
        found[f"{ANNOTATION}base.digest"] = base.digest
    return found


def labels(base: Base, bundle: Bundle, epoch: int, origin: Origin = UNTOLD) -> dict[str, str]:
    """What a configuration tells about the image: the annotations and mlpack's own."""
    manifest = bundle.manifest
    return {
        **manifest_annotations(base, bundle, epoch, origin),
        "io.mlpack.form": manifest.form,
        "io.mlpack.lock": manifest.lock,
        "io.mlpack.bundle": bundle.digest,
        BASE_LABEL: base.digest,
        # SageMaker may choose the port, and tells it in a variable that the server obeys.
        "com.amazonaws.sagemaker.capabilities.accept-bind-to-port": "true",
    }


def created(epoch: int) -> str:
    """A time in seconds since 1970 as the specification writes it.

    Raises:
        InputError: no document can tell that time.
    """
    return written(epoch)


def as_oci(layer: Layer) -> Layer:
    """A base's layer as an OCI manifest names it: the same bytes."""
    descriptor = msgspec.structs.replace(
        layer.descriptor,
        media_type=LAYER_TYPES[layer.descriptor.media_type],
        annotations=None,
        platform=None,
    )
    return Layer(descriptor, layer.diff_id, layer.open, layer.unpacked, layer.origin)
