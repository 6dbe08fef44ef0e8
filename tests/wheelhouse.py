"""What tests of installing share: wheels made on the spot."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Mapping

EXECUTABLE = 0o100755 << 16
PLAIN = 0o100644 << 16


def wheel(
    name: str = "demo",
    version: str = "1.0",
    files: Mapping[str, bytes] | None = None,
    tag: str = "py3-none-any",
    executable: tuple[str, ...] = (),
    extra: Mapping[str, bytes] | None = None,
) -> tuple[str, bytes]:
    """A wheel's file name and content; `extra` are entries of its ``.dist-info``."""
    info = f"{name}-{version}.dist-info"
    content = dict(files if files is not None else {f"{name}/__init__.py": b"x = 1\n"})
    content[f"{info}/METADATA"] = (
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode()
    )
    pure = "true" if tag.endswith("any") else "false"
    content[f"{info}/WHEEL"] = (
        f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: {pure}\nTag: {tag}\n".encode()
    )
    content.update({f"{info}/{entry}": data for entry, data in (extra or {}).items()})
    rows = []
    for path, data in content.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
        rows.append(f"{path},sha256={digest},{len(data)}\n")
    content[f"{info}/RECORD"] = ("".join(rows) + f"{info}/RECORD,,\n").encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path, data in content.items():
            entry = zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0))
            entry.external_attr = EXECUTABLE if path in executable else PLAIN
            archive.writestr(entry, data)
    return f"{name}-{version}-{tag}.whl", out.getvalue()


def sha256(data: bytes) -> str:
    """As a lock has it."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
