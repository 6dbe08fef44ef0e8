"""A model on this machine: its files out of an artifact, an image's layer or a container.

Nothing of it is run or believed here: names stay inside the folder, and what is no plain file is
left out. The server that is started on it checks every data file's digest itself.
"""

from __future__ import annotations

import errno
import re
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_string
from pathlib import Path
from typing import BinaryIO, cast

import msgspec
from packaging.requirements import InvalidRequirement, Requirement

from mlpack.errors import InputError
from mlpack.files import contained, staged
from mlpack.oci.archive import read_whole_archive
from mlpack.oci.install import HOME
from mlpack.oci.members import DAMAGE
from mlpack.oci.tars import opened
from mlpack.oci.values import AnyImage, Layer, MultiImage
from mlpack.runtime.contract import MANIFEST_FILE, ContractError, Manifest, read
from mlpack.sbom import SBOM_FILE
from mlpack.untrusted import DAMAGE as ZIP_DAMAGE
from mlpack.untrusted import entries
from mlpack.user_code import RUNTIME

LIB = "lib"

_HEX = re.compile(r"[0-9a-f]{64}")
_FILES = 100_000
_LARGEST = 16 << 30
_CHUNK = 1 << 20
_NO_NAME = frozenset((errno.EEXIST, errno.EISDIR, errno.ENAMETOOLONG, errno.ENOTDIR))


@dataclass(frozen=True)
class Unpacked:
    """A model's files.

    Attributes:
        root: the folder of all that belongs to it.
        manifest: what it says of itself.
        requirements: what it needs, as lines for an installer that adds nothing to them.
        exact: whether those are the versions that were locked, with hashes.
    """

    root: Path
    manifest: Manifest
    requirements: str
    exact: bool

    @property
    def library(self) -> Path:
        """What a ``site-packages`` has of it."""
        return self.root / LIB

    @property
    def data(self) -> Path:
        """The folder of its signature and its graph."""
        return self.library / self.manifest.package / RUNTIME / "data"


def unpack(artifact: Path, into: Path) -> Unpacked:
    """The model of an artifact, in a folder that is not there yet.

    Args:
        artifact: a wheel, a zip or an image's archive.
        into: where to; whole or not at all.

    Raises:
        InputError: it is no artifact, is damaged, or leads outside.
    """
    if not artifact.is_file():
        raise InputError("there is no such artifact", where=str(artifact))
    if artifact.suffix == ".tar":
        return unpack_image(read_whole_archive(artifact), into, artifact.name)
    if artifact.suffix not in (".whl", ".zip"):
        raise InputError(
            f"{artifact.name} is no artifact",
            hint="Artifacts are a wheel (.whl), a zip (.zip) and an image (.oci.tar).",
        )
    with staged(into, folder=True) as stage:
        with artifact.open("rb") as stream:
            if artifact.suffix == ".whl":
                _wheel(stream, stage / LIB, artifact.name)
            else:
                _zip(stream, stage, artifact.name)
        found(stage, artifact.name)
    return found(into)


def unpack_image(image: AnyImage, into: Path, where: str) -> Unpacked:
    """The model of an image; only the layers that may hold it are read, the last one first.

    Raises:
        InputError: it holds none, or is damaged.
        OutsideError: its registry does not answer.
    """
    if isinstance(image, MultiImage):  # the model's layer is the same for all platforms
        image = image.images[0]
    with staged(into, folder=True) as stage:
        for layer in reversed(image.layers):
            if _layer(layer, stage, where):
                found(stage, where)
                break
        else:
            raise InputError("it is no image of mlpack's: there is no model in it", where=where)
    return found(into)


def unpack_tar(tar: tarfile.TarFile, into: Path, where: str, prefix: str = f"{HOME}/") -> bool:
    """The files of a tar below `prefix`, without it, into a folder; whether a model is there.

    Raises:
        InputError: a name leads outside, or it is larger than any model.
    """
    left, there = _LARGEST, False
    for count, member in enumerate(tar):
        if count > _FILES:
            raise InputError("it has more files than any model", where=where)
        name = member.name.removeprefix("./")
        if not member.isreg() or not name.startswith(prefix) or name.endswith(".pyc"):
            continue
        left -= member.size
        if left < 0:
            raise InputError("it is larger than any model", where=where)
        inner = name.removeprefix(prefix)
        there = there or inner.endswith(f"/{RUNTIME}/data/{MANIFEST_FILE}")
        _place(into, inner, cast("BinaryIO", tar.extractfile(member)), where)
    return there


def found(root: Path, where: str = "") -> Unpacked:
    """What was unpacked there before.

    Args:
        root: the folder.
        where: where it came from, for people; by default the folder's name.

    Raises:
        InputError: it holds no model, or is damaged.
    """
    places = sorted((root / LIB).glob(f"*/{RUNTIME}/data/{MANIFEST_FILE}"))
    if not places:
        raise InputError("there is no model of mlpack's in it", where=where or root.name)
    try:
        manifest = read(places[0].parent, MANIFEST_FILE, Manifest)
    except ContractError as error:
        raise InputError(str(error), where=where or root.name) from error
    if manifest.package != places[0].parent.parent.parent.name:
        raise InputError(f"{manifest.package[:80]!r} is not its package", where=where or root.name)
    text = _locked(root)
    return Unpacked(root, manifest, text or _ranges(root), exact=bool(text))


def _layer(layer: Layer, into: Path, where: str) -> bool:
    with opened(layer, where) as tar:
        return unpack_tar(tar, into, where)


def _wheel(stream: BinaryIO, into: Path, where: str) -> None:
    for name, content in _entries(stream, where):
        _place(into, name, content, where)


def _zip(stream: BinaryIO, into: Path, where: str) -> None:
    """A zip's bill of materials, and the files of its own wheel."""
    for name, content in _entries(stream, where):
        _, _, inner = name.partition("/")
        if inner == SBOM_FILE:
            _place(into, inner, content, where)
        elif inner.endswith(".whl") and "/" not in inner:
            _place(into, "own.whl", content, where)
    own = into / "own.whl"
    if own.is_file():
        with own.open("rb") as inner_stream:
            _wheel(inner_stream, into / LIB, where)
        own.unlink()


def _entries(stream: BinaryIO, where: str) -> Iterator[tuple[str, BinaryIO]]:
    try:
        with zipfile.ZipFile(stream) as archive:
            for name, info in entries(archive.infolist(), where, _LARGEST).items():
                if not info.is_dir():
                    with archive.open(info) as content:
                        yield name, cast("BinaryIO", content)
    except ZIP_DAMAGE as error:
        raise InputError(f"it is damaged: {error}", where=where) from error


def _place(root: Path, name: str, content: BinaryIO, where: str) -> None:
    try:
        path = root / contained(name)
    except ValueError as error:
        raise InputError(f"{name[:200]!r} in it leads outside", where=where) from error
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as out:
            while chunk := content.read(_CHUNK):
                out.write(chunk)
    except (*DAMAGE, *ZIP_DAMAGE) as error:
        raise InputError(f"it is damaged: {error}", where=where) from error
    except OSError as error:
        if error.errno not in _NO_NAME:
            raise
        told = f"{name[:200]!r} in it can be no file: {error.strerror}"
        raise InputError(told, where=where) from error


def _locked(root: Path) -> str:
    """The locked requirements with their hashes, as the bill of materials has them."""
    bill = root / SBOM_FILE
    if not bill.is_file():
        return ""
    try:
        components = msgspec.json.decode(bill.read_bytes(), type=_Bill).components
    except msgspec.DecodeError as error:
        raise InputError(f"its bill of materials is damaged: {error}", where=SBOM_FILE) from error
    return "".join(_line(each) for each in components if each.purl.startswith("pkg:pypi/"))


class _Hash(msgspec.Struct, frozen=True):
    alg: str
    content: str


class _Component(msgspec.Struct, frozen=True, rename={"ref": "bom-ref"}):
    name: str
    version: str = ""
    purl: str = ""
    ref: str = ""
    hashes: tuple[_Hash, ...] = ()


class _Bill(msgspec.Struct, frozen=True):
    components: tuple[_Component, ...] = ()


def _line(component: _Component) -> str:
    marker = component.ref.partition("#")[2]
    try:
        told = Requirement(
            f"{component.name}=={component.version}" + (f"; {marker}" if marker else "")
        )
    except InvalidRequirement as error:
        raise InputError(f"{component.name[:80]!r} is no package", where=SBOM_FILE) from error
    if told.name != component.name:  # such as an address, which may stand where a name does
        raise InputError(f"{component.name[:80]!r} is no package", where=SBOM_FILE)
    hashes = [f" \\\n    --hash=sha256:{each.content}" for each in component.hashes]
    if not all(_HEX.fullmatch(each.content) for each in component.hashes):
        raise InputError(f"{component.name} has a hash that is none", where=SBOM_FILE)
    return f"{told}{''.join(hashes)}\n"


def _ranges(root: Path) -> str:
    """What a wheel alone says: ranges around the proved versions."""
    lines = []
    for path in sorted((root / LIB).glob("*.dist-info/METADATA")):
        try:
            told = message_from_string(path.read_text("utf-8")).get_all("Requires-Dist", [])
            lines += [str(Requirement(line)) for line in told]
        except ValueError as error:  # no UTF-8, or no requirement
            raise InputError(f"its METADATA is damaged: {error}", where=path.parent.name) from error
    return "".join(f"{line}\n" for line in lines)
