"""Environments of the contenders' own, kept in a folder and made again when their pins change."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

PINS = Path(__file__).resolve().parent.parent / "peers"


class MissingError(Exception):
    """An environment could not be made; says why, in one line."""


def default_cache() -> Path:
    """Where the environments are kept without being told."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "mlpack-benchmarks"


def peer(name: str, cache: Path) -> Path:
    """The environment of what ``peers/NAME.txt`` pins.

    Raises:
        MissingError: it cannot be installed.
    """
    pins = PINS / f"{name}.txt"
    return _made(cache, name, ["--requirement", str(pins)], pins.read_bytes())


def artifact(name: str, cache: Path, lock: Path, wheel: Path) -> Path:
    """The environment of a built wheel: what the production lock pins, and the wheel.

    Raises:
        MissingError: it cannot be installed.
    """
    content = lock.read_bytes() + wheel.read_bytes()
    locked = ["--require-hashes", "--requirement", str(lock)]
    return _made(cache, name, locked, content, wheel)


def _made(
    cache: Path, name: str, arguments: list[str], content: bytes, wheel: Path | None = None
) -> Path:
    key = hashlib.sha256(sys.version.encode() + content).hexdigest()[:12]
    folder = cache / f"{name}-{key}"
    ready = folder / "ready"
    if not ready.exists():
        cache.mkdir(parents=True, exist_ok=True)
        _uv(["venv", "--clear", "--python", sys.executable, str(folder)])
        # Without bytecode every start is three to four times longer.
        python = ["--python", str(folder / "bin" / "python"), "--compile-bytecode", "--no-deps"]
        _uv(["pip", "install", *python, *arguments])
        if wheel is not None:
            _uv(["pip", "install", *python, str(wheel)])
        ready.touch()
    return folder


def _uv(arguments: list[str]) -> None:
    uv = Path(sys.executable).with_name("uv")
    done = subprocess.run(
        [str(uv), "--quiet", *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        raise MissingError(" ".join(lines[-1].split()))
