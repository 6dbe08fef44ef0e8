"""The zip: everything that a machine with pip or uv needs to install the model, hashes checked."""

from __future__ import annotations

from pathlib import Path

from packaging.utils import canonicalize_name

from mlpack import files
from mlpack.bundle import Artifact, Bundle
from mlpack.needs import LOCK_NAME
from mlpack.ports import Reporter
from mlpack.runtime.contract import MANIFEST_FILE, PARITY_FILE, Manifest
from mlpack.sbom import SBOM_FILE, cyclonedx
from mlpack.wheelfile import EPOCH, archive, wheel_bytes, wheel_name

README_FILE = "README.md"


class ZipPackager:
    """Writes the zip of a bundle."""

    kind = "zip"

    def __init__(self, epoch: int = EPOCH) -> None:
        """Entries get the time `epoch`, in seconds since 1970 (``SOURCE_DATE_EPOCH``)."""
        self._epoch = epoch

    def package(self, bundle: Bundle, into: Path, reporter: Reporter) -> Artifact:
        """Write the zip into the folder `into`, whole or not at all."""
        name = f"{zip_stem(bundle.manifest)}.zip"
        with reporter.stage("Packing the zip") as stage:
            data = zip_bytes(bundle, self._epoch)
            files.write(into / name, data)
            stage.result(f"{name}, {len(data) / 1e6:.1f} MB")
        return Artifact(kind=self.kind, file=name, sha256=files.sha256(data), size=len(data))


def zip_stem(manifest: Manifest) -> str:
    """The zip's name without its ending, and the folder inside: ``churn-1.2.0``."""
    return f"{canonicalize_name(manifest.name, validate=True)}-{manifest.version}"


def zip_bytes(bundle: Bundle, epoch: int = EPOCH) -> bytes:
    """The zip of a bundle."""
    wheel = wheel_bytes(bundle, epoch)
    data = f"{bundle.manifest.package}/_mlpack/data"
    content = {
        README_FILE: _readme(bundle).encode(),
        LOCK_NAME: _lock(bundle, wheel).encode(),
        MANIFEST_FILE: bundle.tree[f"{data}/{MANIFEST_FILE}"],
        PARITY_FILE: bundle.tree[f"{data}/{PARITY_FILE}"],
        SBOM_FILE: cyclonedx(bundle),
        wheel_name(bundle.manifest): wheel,
    }
    stem = zip_stem(bundle.manifest)
    return archive({f"{stem}/{name}": content[name] for name in sorted(content)}, epoch)


def _lock(bundle: Bundle, wheel: bytes) -> str:
    """The production lock and the wheel itself, which is looked for in the lock's own folder.

    A line such as ``./churn-1.2.0-py3-none-any.whl`` would be looked for in the working directory.
    A relative ``--find-links`` is read from the file's folder by pip, and by uv from 0.13 on.
    """
    manifest = bundle.manifest
    return (
        "# The model lies beside this file; everything else comes from the package index.\n"
        "--find-links .\n"
        f"{canonicalize_name(manifest.name)}=={manifest.version} \\\n"
        f"    --hash=sha256:{files.sha256(wheel)}\n"
        f"{bundle.lock.rstrip()}\n"
    )


def _readme(bundle: Bundle) -> str:
    manifest = bundle.manifest
    stem = zip_stem(manifest)
    runs = "3.10 or later" if manifest.form == "onnx" else f"{manifest.python} and no other"
    return f"""\
# {manifest.name} {manifest.version}

{bundle.summary.rstrip(".")}.

Install it into an environment of Python {manifest.python}, from any working directory; the
digests of all files are checked:

```console
$ pip install -r {stem}/{LOCK_NAME}
```

or `uv pip install -r {stem}/{LOCK_NAME}` with uv 0.13 or later. An older uv looks for the model
in the working directory: add `--find-links {stem}`.

```python
from {manifest.package} import Model

model = Model()
model.predict([{{...}}])
```

```console
$ python -m {manifest.package} serve
$ python -m {manifest.package} predict in.csv out.csv
```

| file | what it is |
|---|---|
| `{wheel_name(manifest)}` | the model; the wheel itself runs on Python {runs} |
| `{LOCK_NAME}` | exact versions of all that it needs, made for Python {manifest.python} |
| `{MANIFEST_FILE}` | what it is made of, by digest |
| `{PARITY_FILE}` | the proof that it answers as the trained pipeline does |
| `{SBOM_FILE}` | its packages, as a CycloneDX document |
"""
