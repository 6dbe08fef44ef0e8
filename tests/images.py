"""What tests of images share: small base images made of nothing but a few files."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

from mlpack.oci.compression import GZIP, compressor
from mlpack.oci.values import (
    COMPRESSED,
    Descriptor,
    Execution,
    Image,
    ImageConfig,
    Layer,
    RootFs,
    digest_of,
    make_image,
)

GLIBC = b"\0GNU C Library (Debian GLIBC 2.36-9) stable release version 2.36.\n\0"

SLIM: Mapping[str, bytes | str | None] = {
    "bin": "usr/bin",
    "lib": "usr/lib",
    "usr/bin/sh": b"#",
    "usr/lib/x86_64-linux-gnu/libc.so.6": GLIBC,
    "usr/local/bin/python3.11": b"\x7fELF",
    "usr/local/bin/python3": "python3.11",
    "usr/local/lib/python3.11/os.py": b"",
}
"""A root file system: bytes are files, texts links, None folders."""


def tar_of(files: Mapping[str, bytes | str | None]) -> bytes:
    """A tar of files (bytes), symbolic links (text) and folders (None), in the given order."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            if content is None:
                info.type = tarfile.DIRTYPE
            elif isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
            else:
                info.size = len(content)
            tar.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
    return out.getvalue()


def layer_of(
    folder: Path, files: Mapping[str, bytes | str | None], compression: str = GZIP
) -> Layer:
    """A compressed layer whose blob lies in `folder`."""
    tar = tar_of(files)
    path = folder / f"{digest_of(tar)[7:]}.{compression}"
    with path.open("wb") as stream, compressor(compression)(stream) as layer:
        layer.write(tar)
        done = layer.finish()
    kind = COMPRESSED[compression]
    descriptor = Descriptor(media_type=kind, digest=done.digest, size=done.size)
    return Layer(descriptor, done.diff_id, lambda: path.open("rb"))


def image_of(
    folder: Path,
    *layers: Mapping[str, bytes | str | None],
    env: tuple[str, ...] = ("PATH=/usr/local/bin:/usr/bin:/bin",),
    architecture: str = "amd64",
    **execution: object,
) -> Image:
    """An image whose layers hold the given files."""
    made = tuple(layer_of(folder, files) for files in layers)
    config = ImageConfig(
        architecture=architecture,
        os="linux",
        config=Execution(env=env, **execution),  # type: ignore[arg-type]
        rootfs=RootFs(type="layers", diff_ids=tuple(layer.diff_id for layer in made)),
    )
    return make_image(config, made, {})
