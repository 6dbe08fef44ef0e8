"""The zip: everything that a machine with pip or uv needs to install the model, hashes checked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from packaging.utils import canonicalize_name

from mlpack import files
from mlpack.bundle import Artifact, Bundle
from mlpack.materials import materials
from mlpack.needs import LOCK_NAME
from mlpack.oci.account import Offline
from mlpack.oci.offline import OFFLINE_FILE, Supply, encode
from mlpack.ports import Reporter
from mlpack.provenance import PROVENANCE_FILE, UNTOLD, Origin, Subject, provenance
from mlpack.runtime.contract import MANIFEST_FILE, PARITY_FILE, Manifest
from mlpack.sbom import SBOM_FILE, cyclonedx
from mlpack.sizes import megabytes
from mlpack.spdx import SPDX_FILE, spdx
from mlpack.wheelfile import EPOCH, archive, wheel_bytes, wheel_name, write_archive

README_FILE = "README.md"
WHEELS = "wheels"
"""The folder with all that the model needs, in an offline zip."""


class ZipPackager:
    """Writes the zip of a bundle."""

    kind = "zip"

    def __init__(
        self, epoch: int = EPOCH, origin: Origin = UNTOLD, supply: Supply | None = None
    ) -> None:
        """A packager.

        Args:
            epoch: the time of all entries, in seconds since 1970 (``SOURCE_DATE_EPOCH``).
            origin: where the sources come from, for the provenance.
            supply: gets the wheels for a zip that installs without a network; None for one whose
                dependencies come from an index.
        """
        self._epoch = epoch
        self._origin = origin
        self._supply = supply

    def package(self, bundle: Bundle, into: Path, reporter: Reporter) -> Artifact:
        """Write the zip into the folder `into`, whole or not at all.

        Raises:
            InputError: it is to be an offline one, and a package has no wheel.
            OutsideError: the index or the disk said no.
        """
        target = into / f"{zip_stem(bundle.manifest)}.zip"
        offline, wheels = None, {}
        if self._supply is not None:
            offline = self._supply.offline
            with reporter.stage("Fetching the locked wheels for the zip") as stage:
                gathered = self._supply.gather(bundle.manifest.python)
                wheels = gathered.wheels
                stage.result(f"{len(wheels)} wheels, {gathered.downloaded} downloaded")
        with reporter.stage("Packing the zip") as stage:
            content = _content(bundle, self._epoch, self._origin, offline, wheels)
            with files.staged(target) as file, file.open("wb") as stream:
                write_archive(stream, content, self._epoch)
            size = target.stat().st_size
            stage.result(f"{target.name}, {megabytes(size)}")
        return Artifact(
            kind=self.kind,
            file=target.name,
            sha256=files.sha256_file(target),
            size=size,
            offline=offline,
        )


def zip_stem(manifest: Manifest) -> str:
    """The zip's name without its ending, and the folder inside: ``churn-1.2.0``."""
    return f"{canonicalize_name(manifest.name, validate=True)}-{manifest.version}"


def zip_bytes(bundle: Bundle, epoch: int = EPOCH, origin: Origin = UNTOLD) -> bytes:
    """The zip of a bundle, whose dependencies come from an index."""
    return archive(_content(bundle, epoch, origin, None, {}), epoch)


def _content(
    bundle: Bundle,
    epoch: int,
    origin: Origin,
    offline: Offline | None,
    wheels: Mapping[str, Path],
) -> dict[str, bytes | Path]:
    """What is in it, by path."""
    wheel = wheel_bytes(bundle, epoch)
    data = f"{bundle.manifest.package}/_mlpack/data"
    made = materials(bundle)
    # Its own digest cannot stand in the zip: what is told is how the wheel in it came to be.
    subject = Subject(wheel_name(bundle.manifest), files.sha256(wheel))
    content: dict[str, bytes | Path] = {
        README_FILE: _readme(bundle, offline).encode(),
        LOCK_NAME: _lock(bundle, wheel, offline=offline is not None).encode(),
        MANIFEST_FILE: bundle.tree[f"{data}/{MANIFEST_FILE}"],
        PARITY_FILE: bundle.tree[f"{data}/{PARITY_FILE}"],
        PROVENANCE_FILE: provenance(bundle, made, (subject,), kind="wheel", origin=origin),
        SBOM_FILE: cyclonedx(made),
        SPDX_FILE: spdx(made, epoch),
        wheel_name(bundle.manifest): wheel,
        **{f"{WHEELS}/{name}": path for name, path in wheels.items()},
    }
    if offline is not None:
        content[OFFLINE_FILE] = encode(offline)
    stem = zip_stem(bundle.manifest)
    return {f"{stem}/{name}": content[name] for name in sorted(content)}


def _lock(bundle: Bundle, wheel: bytes, *, offline: bool) -> str:
    """The production lock and the wheel itself, which is looked for in the lock's own folder.

    A line such as ``./churn-1.2.0-py3-none-any.whl`` would be looked for in the working directory.
    A relative ``--find-links`` is read from the file's folder by pip, and by uv from 0.13 on.
    """
    manifest = bundle.manifest
    sources = (
        "# Everything lies beside this file: nothing is asked of a network.\n"
        f"--no-index\n--find-links .\n--find-links {WHEELS}\n"
        if offline
        else "# The model lies beside this file; everything else comes from the package index.\n"
        "--find-links .\n"
    )
    return (
        f"{sources}"
        f"{canonicalize_name(manifest.name)}=={manifest.version} \\\n"
        f"    --hash=sha256:{files.sha256(wheel)}\n"
        f"{bundle.lock.rstrip()}\n"
    )


def _readme(bundle: Bundle, offline: Offline | None) -> str:
    manifest = bundle.manifest
    stem = zip_stem(manifest)
    runs = "3.10 or later" if manifest.form == "onnx" else f"{manifest.python} and no other"
    place, older, wheels, made_for = "", f"add `--find-links {stem}`", "", ""
    if offline is not None:
        place = (
            f" on {' or '.join(offline.platforms)}\n(Linux with glibc {offline.glibc} or later; "
            "`ldd --version` tells), without a network"
        )
        older = f"add\n`--find-links {stem} --find-links {stem}/{WHEELS}`"
        wheels = f"| `{WHEELS}/` | all that it needs |\n"
        made_for = f"| `{OFFLINE_FILE}` | which machines the wheels are for |\n"
    return f"""\
# {manifest.name} {manifest.version}

{bundle.summary.rstrip(".")}.

Install it into an environment of Python {manifest.python}{place}, from any working
directory; the digests of all files are checked:

```console
$ pip install -r {stem}/{LOCK_NAME}
```

or `uv pip install -r {stem}/{LOCK_NAME}` with uv 0.13 or later. An older uv looks for the model
in the working directory: {older}.

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
{wheels}| `{LOCK_NAME}` | exact versions of all that it needs, made for Python {manifest.python} |
{made_for}| `{MANIFEST_FILE}` | what it is made of, by digest |
| `{PARITY_FILE}` | the proof that it answers as the trained pipeline does |
| `{PROVENANCE_FILE}` | how the wheel came to be, as SLSA's provenance |
| `{SBOM_FILE}` | its packages, as a CycloneDX document |
| `{SPDX_FILE}` | the same as an SPDX document |
"""
