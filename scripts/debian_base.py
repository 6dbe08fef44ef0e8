"""Makes a base image of Debian's packages: ``python scripts/debian_base.py OUT [amd64 arm64]``.

For machines that no registry answers to. As root on Debian, with mmdebstrap, for this machine's
processor or for those that are named: no program of the packages is run. The image holds
Debian 12's Python 3.11 with its libraries, the C and C++ libraries, certificates and time zones;
no shell, no package manager. It is named ``debian-bookworm-python3.11``, for that is what it is:
it is neither Debian's nor Python's official image. The archive is one that ``docker load``,
skopeo and ``base = "archive:PATH"`` read.
"""

from __future__ import annotations

import io
import os
import posixpath
import re
import sys
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from mlpack.errors import MlpackError, OutsideError
from mlpack.files import staged
from mlpack.oci.archive import write_archive
from mlpack.oci.bytecode import can_compile, compile_sources, pyc_path
from mlpack.oci.layers import EPOCH, compress
from mlpack.oci.values import (
    LAYER_GZIP,
    Descriptor,
    Execution,
    History,
    Image,
    ImageConfig,
    Layer,
    RootFs,
    make_image,
    make_multi_image,
)
from mlpack.process import run

SUITE = "bookworm"
PYTHON = "3.11"
NAME = f"debian-{SUITE}-python{PYTHON}"
TAG = "12"
PACKAGES = (
    "base-files",
    "base-passwd",
    "ca-certificates",
    "libc6",
    "libstdc++6",
    "netbase",
    "python3",
    "tzdata",
)
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}

_AUTHORITIES = re.compile(r"usr/share/ca-certificates/.+\.crt")
_LEFT_OUT = re.compile(
    r"dev/.*"
    r"|usr/share/(?:doc/(?!.*/copyright$).*|man/.*|info/.*|locale/.*|lintian/.*|bash-completion/.*)"
    r"|usr/lib/[a-z0-9_]+-linux-gnu/gconv/.*"  # iconv's tables: Python has its own codecs
    r"|usr/s?bin/(?:dpkg|update-alternatives|start-stop-daemon|openssl|c_rehash|py3).*|bin/tar"
    r"|var/(?:lib/dpkg|lib/apt|cache|log)/.+"
    r"|usr/lib/python3[.0-9]*/(?:pydoc_data|lib2to3|ensurepip|idlelib|test)/.*"
)
_USERS = (
    "root:x:0:0:root:/root:/usr/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/usr/sbin/nologin\n"
)
_GROUPS = "root:x:0:\nnonroot:x:65532:\n"


def main(argv: list[str]) -> int:
    """Make the archive that the first argument names, for the processors that the others name."""
    known = set(ARCHITECTURES.values())
    if not argv or argv[0].startswith("-") or not set(argv[1:]) <= known:
        sys.stderr.write(f"{(__doc__ or '').splitlines()[0]}\n")
        return 2
    try:
        size = make(Path(argv[0]), argv[1:] or [_own_architecture()])
    except MlpackError as error:
        sys.stderr.write(f"{error}\n")
        return error.code
    sys.stdout.write(f"{argv[0]}: {NAME}:{TAG}, {size / 1e6:.1f} MB\n")
    return 0


def make(out: Path, architectures: Sequence[str]) -> int:
    """Write the archive; its size in bytes.

    Raises:
        OutsideError: mmdebstrap is not there or failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        images = [_image(architecture, Path(folder)) for architecture in architectures]
        image = make_multi_image(images, {}) if len(images) > 1 else images[0]
        with staged(out) as stage:
            return write_archive(image, stage, NAME, TAG).size


def _own_architecture() -> str:
    found = ARCHITECTURES.get(os.uname().machine)
    if found is None:
        raise OutsideError(f"there is no base image for {os.uname().machine}")
    return found


def _image(architecture: str, folder: Path) -> Image:
    root, plain, scratch = (folder / f"{architecture}-{name}" for name in ("root", "plain", "py"))
    blob = folder / architecture
    _bootstrap(root, architecture)
    scratch.mkdir()
    _rewrite(root, plain, scratch)
    with plain.open("rb") as tar:
        done = compress(tar, blob)
    layer = Layer(
        Descriptor(media_type=LAYER_GZIP, digest=done.digest, size=done.size),
        done.diff_id,
        lambda: blob.open("rb"),
    )
    return make_image(_config(architecture, done.diff_id), (layer,), {})


def _bootstrap(root: Path, architecture: str) -> None:
    # "extract" unpacks packages and what they need, and runs none of their scripts.
    done = run(
        [
            "mmdebstrap",
            "--variant=extract",
            f"--architectures={architecture}",
            "--format=tar",
            f"--include={','.join(PACKAGES)}",
            "--quiet",
            SUITE,
            str(root),
        ],
        on_line=_tell,
    )
    if done.code:
        raise OutsideError(
            f"mmdebstrap failed: {done.stderr.strip()[-500:]}",
            hint="It must run as root on Debian. Run: apt-get install mmdebstrap",
        )


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _rewrite(root: Path, plain: Path, scratch: Path) -> None:
    """Leave out what is not needed, add what the packages' scripts would, fix all times."""
    with tarfile.open(root) as tar, tarfile.open(plain, "w", format=tarfile.PAX_FORMAT) as out:
        members: dict[str, tuple[tarfile.TarInfo, bytes | None]] = {}
        for member in tar:
            name = posixpath.normpath(member.name)
            if name == "." or _LEFT_OUT.fullmatch(name) or member.isdev():
                continue
            content = tar.extractfile(member) if member.isreg() else None
            members[name] = (member, content.read() if content else None)
        for name, data in _made(members, scratch).items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            members[name] = (info, data)
        for name in sorted(members):
            info, content_bytes = members[name]
            info.name = name
            info.mtime = EPOCH
            info.uname = info.gname = ""
            info.pax_headers = {}
            out.addfile(info, None if content_bytes is None else io.BytesIO(content_bytes))


def _made(
    members: Mapping[str, tuple[tarfile.TarInfo, bytes | None]], scratch: Path
) -> dict[str, bytes]:
    """What the scripts of the packages would have made: certificates, users, bytecode."""
    authorities = [
        data for name, (_, data) in sorted(members.items()) if data and _AUTHORITIES.fullmatch(name)
    ]
    made = {
        "etc/ssl/certs/ca-certificates.crt": b"".join(authorities),
        "etc/passwd": _USERS.encode(),
        "etc/group": _GROUPS.encode(),
        "etc/nsswitch.conf": b"hosts: files dns\n",
    }
    library = f"usr/lib/python{PYTHON}/"
    sources = {
        name: data
        for name, (_, data) in members.items()
        if data and name.startswith(library) and name.endswith(".py")
    }
    if can_compile(PYTHON):
        compiled = compile_sources(sources, scratch, run)
        made.update({pyc_path(name): data for name, data in compiled.items()})
    return made


def _config(architecture: str, diff_id: str) -> ImageConfig:
    return ImageConfig(
        created="1980-01-01T00:00:00Z",
        architecture=architecture,
        os="linux",
        config=Execution(
            env=(
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "LANG=C.UTF-8",
                "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt",
            ),
            cmd=("/usr/bin/python3",),
            labels={
                "org.opencontainers.image.title": NAME,
                "org.opencontainers.image.description": "Python from Debian's packages, put "
                "together on this machine; not an official image of Debian or Python",
            },
        ),
        rootfs=RootFs(type="layers", diff_ids=(diff_id,)),
        history=(History(created="1980-01-01T00:00:00Z", created_by="scripts/debian_base.py"),),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
