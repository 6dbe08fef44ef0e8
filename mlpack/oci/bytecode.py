"""Bytecode for images: a cold start is three times faster with it.

The files carry the hash of their source and are not checked when they are loaded (PEP 552,
"unchecked hash-based"): the image does not change, and nothing depends on times.
"""

from __future__ import annotations

import os
import posixpath
import sys
from collections.abc import Mapping
from pathlib import Path

from mlpack.errors import OutsideError
from mlpack.files import full_disk, is_full
from mlpack.oci import compile_child
from mlpack.process import Runner

VERSION = f"{sys.implementation.cache_tag} {sys.version}"
"""What bytecode depends on beside its source: the interpreter, to the last digit."""


def can_compile(python: str) -> bool:
    """Whether this very interpreter makes bytecode for `python`, such as ``3.11``."""
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    return running == python and sys.implementation.name == "cpython" and hasattr(os, "fork")


def pyc_path(path: str) -> str:
    """Where the bytecode of the source at `path` lies (PEP 3147)."""
    folder, name = posixpath.split(path)
    return posixpath.join(folder, "__pycache__", f"{name[:-3]}.{sys.implementation.cache_tag}.pyc")


def compile_sources(
    files: Mapping[str, bytes], scratch: Path, runner: Runner, python: str = sys.executable
) -> dict[str, bytes]:
    """Bytecode by the path of its source, as it will lie in the image (no leading slash).

    Sources that are no valid Python have none, as with pip. The same sources give the same bytes
    with the same interpreter, in any order and company.

    Args:
        files: sources by path.
        scratch: an empty folder.
        runner: runs the compiling process.
        python: the interpreter.

    Raises:
        OutsideError: the compiling process failed.
    """
    paths = sorted(path for path in files if "\n" not in path)
    for number, path in enumerate(paths):
        (scratch / f"{number}.py").write_bytes(files[path])
    (scratch / "list").write_text("".join(f"/{path}\n" for path in paths), encoding="utf-8")
    done = runner(
        [
            python,
            "-s",
            "-S",
            "-B",
            "-W",
            "ignore",
            "-X",
            "utf8",
            compile_child.__file__,
            str(scratch),
        ],
        env=_environment(),
    )
    if done.code and is_full(scratch):
        raise full_disk(scratch)
    if done.code:
        raise OutsideError(f"the sources could not be compiled: {done.stderr.strip()[-300:]}")
    compiled = {}
    for number, path in enumerate(paths):
        pyc = scratch / f"{number}.pyc"
        if pyc.exists():
            compiled[path] = pyc.read_bytes()
    return compiled


def _environment() -> dict[str, str]:
    # Sets are written in the order of their hashes (before 3.11), so the seed is fixed; nothing
    # else of the environment gets in, but what the interpreter itself may need to start.
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    return {"PYTHONHASHSEED": "0", **kept}
