"""Whether the last build still stands: told from bytes alone, before anything is read or imported.

The fingerprint is over every file that a build may read, the arguments, mlpack's own code and the
installed versions that an export depends on. It is only a memory: without it everything is built
again, and each step looks for its own kept result.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from mlpack.files import read_text, sha256_file, write

STATE = "build-state.json"

PACKAGES = (
    *("scikit-learn", "numpy", "pandas", "onnx", "skl2onnx", "onnxruntime", "joblib"),
    *("torch", "onnxscript"),
)
"""What an export depends on beside the project's own files."""

LEFT_OUT = frozenset({"dist", "build", "notebooks", "tests", "node_modules"})
"""Folders of the project that no build reads. Deeper ones may be part of its package. Hidden ones
and virtual environments are left out too."""

CONFIG = "config"
"""The configuration is for training and deploying."""

SAMPLE = "sample.csv"


def fingerprint(root: Path, arguments: Mapping[str, object]) -> str:
    """The digest of everything that a build of the project in `root` depends on."""
    digest = hashlib.sha256()
    for name, value in sorted(arguments.items()):
        digest.update(f"{name}={value!r}\0".encode())
    digest.update(f"{sys.version_info[:2]}\0{own_digest()}\0".encode())
    versions = installed_versions() | installed(_imports(root))
    for package, found in sorted(versions.items()):
        digest.update(f"{package}=={found}\0".encode())
    for path in sorted(project_files(root)):
        # Names may be of any bytes: this system's own are taken.
        digest.update(os.fsencode(path.relative_to(root)) + b"\0" + sha256_file(path).encode())
    return digest.hexdigest()


def installed_versions() -> dict[str, str]:
    """The installed versions of what an export depends on."""
    return installed(PACKAGES)


def installed(packages: Iterable[str]) -> dict[str, str]:
    """The installed versions of some packages; those that are not there are left out."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _imports(root: Path) -> list[str]:
    """What the Python parts of a hybrid import, as `mlpack.lock.dumps` wrote it in one line."""
    lock = root / "mlpack.lock"
    text = lock.read_bytes().decode(errors="replace") if lock.is_file() else ""
    for line in text.splitlines():
        name, _, value = line.partition(" = ")
        if name == "imports":
            try:
                names = json.loads(value)
            except ValueError:
                return []  # whoever reads the lock says what is wrong with it
            return [str(each) for each in names] if isinstance(names, list) else []
    return []


@functools.cache
def own_digest() -> str:
    """The digest of mlpack's own code: another version may export otherwise."""
    root = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        if path.suffix in (".py", ".html", ".css", ".js"):  # what ships has pages
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def project_files(root: Path) -> Iterator[Path]:
    """Every file that a build may read. Of ``data/`` that is the sample alone."""
    for folder, folders, files in os.walk(root):
        here = Path(folder)
        folders[:] = [
            name
            for name in folders
            if not (name == "__pycache__" or (here == root and name in LEFT_OUT))
            and not (name == CONFIG and here == root)
            and not name.startswith(".")
            and not (here / name / "pyvenv.cfg").exists()
        ]
        data = here == root / "data"
        if data:
            folders.clear()
        for name in files:
            wanted = name == SAMPLE or not (data or name.startswith("."))
            if wanted and (here / name).is_file():  # not a dangling link, not a pipe
                yield here / name


def stands(root: Path, key: str) -> bool:
    """Whether the last build had the same fingerprint, and its files lie as it left them."""
    text = read_text(root / ".mlpack" / STATE)
    if text is None:
        return False
    try:
        state = json.loads(text)
    except ValueError:
        return False
    if not isinstance(state, dict) or state.get("key") != key:
        return False
    left = state.get("files")
    return bool(left) and isinstance(left, dict) and left == stats(root / "dist", left)


def remember(root: Path, key: str, names: Iterable[str]) -> None:
    """Remember a finished build by its fingerprint and what it left in ``dist/``."""
    state = {"key": key, "files": stats(root / "dist", names)}
    write(root / ".mlpack" / STATE, json.dumps(state))


def stats(folder: Path, names: Iterable[str]) -> dict[str, list[int]]:
    """Size and time of each file that is there."""
    found = {}
    for name in names:
        path = folder / name
        if path.is_file():
            stat = path.stat()
            found[name] = [stat.st_size, stat.st_mtime_ns]
    return found
