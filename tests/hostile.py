"""Zips and tars that try to get out of where they are read: what every reader refuses."""

from __future__ import annotations

import io
import stat
import tarfile
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass

from images import tar_of


@dataclass(frozen=True)
class Hostile:
    """A zip, what it does, and what somebody who is given it is told."""

    what: str
    data: bytes
    told: str


def zip_with(
    *entries: tuple[str, bytes], mode: int = stat.S_IFREG | 0o644, flags: int = 0
) -> bytes:
    """A zip of entries that Python's own writer would put into it without a look."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # names that are there twice
        for name, data in entries:
            info = zipfile.ZipInfo("x")
            info.filename = name
            info.external_attr = mode << 16
            made.writestr(info, data)
            info.flag_bits |= flags
    return out.getvalue()


def _huge() -> bytes:
    """Says of each of five small entries that it unpacks to four gigabytes."""
    made = zip_with(*((str(number), b"abcd") for number in range(5)))
    return made.replace((4).to_bytes(4, "little"), b"\xfe\xff\xff\xff")


_OUT = "leads outside"
_LINK = "is a link"

HOSTILE = (
    Hostile("parent", zip_with(("../evil.py", b"")), _OUT),
    Hostile("parent-inside", zip_with(("demo/../../evil.py", b"")), _OUT),
    Hostile("absolute", zip_with(("/etc/passwd", b"")), _OUT),
    Hostile("drive", zip_with(("C:/evil.py", b"")), _OUT),
    Hostile("drive-relative", zip_with(("C:evil.py", b"")), _OUT),
    Hostile("back-slashes", zip_with(("demo\\..\\..\\evil.py", b"")), _OUT),
    Hostile("share", zip_with(("\\\\host\\share\\evil.py", b"")), _OUT),
    Hostile("empty-part", zip_with(("demo//evil.py", b"")), _OUT),
    Hostile("parent-folder", zip_with(("../", b"")), _OUT),
    Hostile("link", zip_with(("demo", b"/etc"), mode=stat.S_IFLNK | 0o777), _LINK),
    Hostile("link-inside", zip_with(("demo/x", b"y"), mode=stat.S_IFLNK | 0o777), _LINK),
    Hostile("device", zip_with(("demo/x", b""), mode=stat.S_IFCHR | 0o666), "is a device"),
    Hostile("disk", zip_with(("demo/x", b""), mode=stat.S_IFBLK | 0o666), "is a device"),
    Hostile("pipe", zip_with(("demo/x", b""), mode=stat.S_IFIFO | 0o666), "is a pipe"),
    Hostile("twice", zip_with(("demo/x", b"1"), ("demo/x", b"2")), "is twice"),
    Hostile("file-and-folder", zip_with(("demo/x", b"1"), ("demo/x/", b"")), "is twice"),
    Hostile("case", zip_with(("demo/x.py", b"1"), ("Demo/X.py", b"2")), "one file on some systems"),
    Hostile("sharp-s", zip_with(("demo/ß", b"1"), ("demo/SS", b"2")), "one file on some systems"),
    Hostile("accent", zip_with(("demo/\u00e9", b"1"), ("demo/e\u0301", b"2")), "one file on some"),
    Hostile("encrypted", zip_with(("demo/x", b"1"), flags=1), "is encrypted"),
    Hostile("bomb", _huge(), "larger than any artifact"),
)


def _unreadable() -> dict[str, bytes]:
    """Zips whose table of contents is fine, and whose only entry is not."""
    out = io.BytesIO()
    name, content = "schema.json", b'{"a": "' + bytes(range(32, 127)) * 40 + b'"}'
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr(name, content)
    whole = out.getvalue()
    start = 30 + len(name)
    local, central = whole.index(b"PK\x03\x04"), whole.index(b"PK\x01\x02")
    other = bytearray(whole)
    other[local + 8] = other[central + 10] = 97  # a method that Python does not know
    return {
        "deflate": whole[:start] + b"\xff" * 20 + whole[start + 20 :],
        "method": bytes(other),
        "checksum": zip_with((name, content)).replace(content, content[::-1]),
        "encrypted": zip_with((name, content), flags=1),
    }


UNREADABLE = _unreadable()
"""By what is wrong with them."""


def odd_tar(
    files: Mapping[str, bytes | str | None], name: str, kind: bytes, target: str = ""
) -> bytes:
    """A tar of files, of which `name` is a link, a device or a pipe."""
    plain = tar_of({key: value for key, value in files.items() if key != name})
    out = io.BytesIO(plain)
    with tarfile.open(fileobj=out, mode="a") as tar:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, target
        tar.addfile(info)
    return out.getvalue()
