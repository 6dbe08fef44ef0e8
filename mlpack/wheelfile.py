"""The wheel format as values: a bundle's ``.dist-info``, and archives whose bytes never vary.

Sources: https://packaging.python.org/en/latest/specifications/binary-distribution-format/ and
https://packaging.python.org/en/latest/specifications/core-metadata/

Entries are stored, not compressed. Two zlibs (classic, -ng, -rs; another version) give different
bytes for the same content, so compressing would break the promise that two machines build the
same artifact, and what is big in a bundle is installed from the local disk or compressed by what
carries it: an image's layer, a server's transport.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import shutil
import stat
import zipfile
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import BinaryIO

from packaging.utils import canonicalize_name
from packaging.version import Version

from mlpack.bundle import Bundle
from mlpack.files import contained
from mlpack.runtime.contract import Manifest

EPOCH = 315_532_800
"""1980-01-01, the earliest time that a zip entry can have: what entries have by default."""

_LATEST = 4_354_819_198  # 2107-12-31T23:59:58, the latest one
_GENERATOR = "mlpack"  # without a version: another mlpack that packs the same gives the same bytes
_TAG = "py3-none-any"
_CHUNK = 1 << 20


def archive(entries: Mapping[str, bytes | Path], epoch: int = EPOCH) -> bytes:
    """A zip archive of `entries` in their order, whose bytes depend on nothing else.

    Args:
        entries: path inside the archive, with forward slashes, to content or a file with it.
        epoch: the time of every entry in seconds since 1970, as in ``SOURCE_DATE_EPOCH``.

    Raises:
        ValueError: a path climbs out of the archive.
    """
    buffer = io.BytesIO()
    write_archive(buffer, entries, epoch)
    return buffer.getvalue()


def write_archive(
    stream: BinaryIO, entries: Mapping[str, bytes | Path], epoch: int = EPOCH
) -> None:
    """The same into a file; what lies in files is not held in memory.

    Raises:
        ValueError: a path climbs out of the archive.
    """
    moment = datetime.fromtimestamp(entry_time(epoch), timezone.utc)
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as writer:
        for name, content in entries.items():
            info = zipfile.ZipInfo(contained(name), moment.timetuple()[:6])
            info.create_system = 3  # Unix, whatever it is made on: the mode below is Unix's
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            if isinstance(content, bytes):
                writer.writestr(info, content)
                continue
            info.file_size = content.stat().st_size  # decides on the form of its header
            with content.open("rb") as source, writer.open(info, "w") as target:
                shutil.copyfileobj(source, target, _CHUNK)


def entry_time(epoch: int) -> int:
    """The time that a zip entry has for `epoch`: of 1980 to 2107, and of every second second."""
    return min(max(epoch, EPOCH), _LATEST) // 2 * 2


def wheel_stem(manifest: Manifest) -> str:
    """``NAME-VERSION`` as wheels and their folders spell it, such as ``my_churn-1.2.0``."""
    name = canonicalize_name(manifest.name, validate=True).replace("-", "_")
    return f"{name}-{Version(manifest.version)}"


def wheel_name(manifest: Manifest) -> str:
    """The wheel's file name, such as ``my_churn-1.2.0-py3-none-any.whl``.

    Raises:
        packaging.utils.InvalidName: the name cannot be a distribution's.
        packaging.version.InvalidVersion: the version cannot be one.
    """
    return f"{wheel_stem(manifest)}-{_TAG}.whl"


def wheel_bytes(bundle: Bundle, epoch: int = EPOCH) -> bytes:
    """The wheel of a bundle."""
    return archive(installed(bundle), epoch)


def installed(bundle: Bundle) -> dict[str, bytes]:
    """Everything that the wheel puts into a ``site-packages``, ``RECORD`` last."""
    info = f"{wheel_stem(bundle.manifest)}.dist-info"
    tree = {name: bundle.tree[name] for name in sorted(bundle.tree)}
    entries = {"METADATA": metadata(bundle), "WHEEL": _wheel(), **bundle.extra}
    tree |= {f"{info}/{name}": entries[name] for name in sorted(entries)}
    tree[f"{info}/RECORD"] = _record(tree, f"{info}/RECORD")
    return tree


def metadata(bundle: Bundle) -> bytes:
    """``METADATA``: the oldest format that can say what is said."""
    licenses = [name for name in sorted(bundle.extra) if name.startswith("licenses/")]
    fields = [
        ("Metadata-Version", "2.4" if bundle.license or licenses else "2.1"),
        ("Name", bundle.manifest.name),
        ("Version", bundle.manifest.version),
        ("Summary", bundle.summary),
    ]
    if bundle.license:
        fields.append(("License-Expression", bundle.license))
    fields += [("License-File", name.removeprefix("licenses/")) for name in licenses]
    # Indexes refuse it: a model is not published by mistake.
    fields.append(("Classifier", "Private :: Do Not Upload"))
    fields.append(("Requires-Python", bundle.requires_python))
    fields += [("Requires-Dist", requirement) for requirement in bundle.requires]
    fields.append(("Description-Content-Type", "text/markdown; charset=UTF-8"))
    return _message(fields) + b"\n" + describe(bundle).encode()


def describe(bundle: Bundle) -> str:
    """How to use the wheel, in Markdown."""
    manifest = bundle.manifest
    runs = "Python 3.10 or later" if manifest.form == "onnx" else f"Python {manifest.python}"
    return f"""\
# {manifest.name} {manifest.version}

{bundle.summary.rstrip(".")}. It runs on {runs}.

```python
from {manifest.package} import Model

model = Model()
model.predict([{{...}}])  # rows as dicts, a DataFrame, or a dict of arrays
model.signature  # the columns that it takes, and what it answers
```

```console
$ python -m {manifest.package} serve
$ python -m {manifest.package} predict in.csv out.csv
```
"""


def _wheel() -> bytes:
    return _message(
        [
            ("Wheel-Version", "1.0"),
            ("Generator", _GENERATOR),
            ("Root-Is-Purelib", "true"),
            ("Tag", _TAG),
        ]
    )


def _message(fields: list[tuple[str, str]]) -> bytes:
    """Header lines in UTF-8, not folded.

    Raises:
        ValueError: a value has a line break, which would start a header of its own.
    """
    for name, value in fields:
        if len(value.splitlines()) > 1:
            raise ValueError(f"{name} has a line break: {value!r}")
    return "".join(f"{name}: {value}\n" for name, value in fields).encode()


def _record(tree: Mapping[str, bytes], own: str) -> bytes:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    for name, data in tree.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        writer.writerow((name, f"sha256={digest}", len(data)))
    writer.writerow((own, "", ""))
    return buffer.getvalue().encode()
