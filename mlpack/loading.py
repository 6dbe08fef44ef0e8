"""Loading an image into an engine: what the engine holds already is not sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from mlpack.container import BASE_LABEL
from mlpack.errors import OutsideError
from mlpack.oci.archive import write_archive, write_thin_archive
from mlpack.oci.source import Base
from mlpack.oci.values import Image
from mlpack.ports import Engine


@dataclass(frozen=True)
class Loaded:
    """What an engine has now: the image's id, and the bytes that were sent for it."""

    identity: str
    sent: int


def load(
    engine: Engine,
    image: Image,
    called: tuple[str, str],
    base: Base,
    scratch: Path,
    whole: Path | None = None,
) -> Loaded:
    """Load `image` as ``name:tag``; without the layers that the engine holds, where it takes that.

    Args:
        engine: which one.
        image: of the engine's platform.
        called: its name and its tag.
        base: what it stands on: an engine may have it, or other images over it.
        scratch: a folder for what is sent.
        whole: the image's archive, where there is one.

    Raises:
        OutsideError: the engine does not answer, or refuses the whole archive too.
    """
    if thin := _thin(engine, image, called, base, scratch):
        return thin
    if whole is None:
        whole = scratch / f"{called[0]}-{called[1]}.oci.tar"
        write_archive(image, whole, *called)
    return Loaded(engine.load(whole), whole.stat().st_size)


def _thin(
    engine: Engine, image: Image, called: tuple[str, str], base: Base, scratch: Path
) -> Loaded | None:
    """The image as a thin archive loaded it; None where the engine holds nothing of it or refused.

    What the engine holds may be gone a moment later, and a thin archive means nothing to some
    engines. Either is refused before there is an image, and whatever is wrong with an engine is
    told when it is given the whole.
    """
    archive = scratch / "thin.tar"
    try:
        known = engine.layers(
            (base.image.config_digest, ":".join(called)), f"{BASE_LABEL}={base.digest}"
        )
        if not (held := _held(image.config.rootfs.diff_ids, known)):
            return None
        size = write_thin_archive(image, archive, *called, held)
        identity = engine.load(archive)
    except OutsideError:
        return None
    return Loaded(identity, size) if identity == image.config_digest else None


def _held(wanted: Sequence[str], known: Sequence[Sequence[str]]) -> int:
    """How many of the lowest layers some image of the engine begins with too."""
    pairs = (zip(wanted, layers, strict=False) for layers in known)
    return max(
        (sum(1 for _ in takewhile(lambda p: p[0] == p[1], each)) for each in pairs), default=0
    )
