"""Environments for models of others: what they were locked to, installed once and kept."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mlpack import conflicts, indexes
from mlpack.delivery.unpacked import Unpacked
from mlpack.errors import OutsideError
from mlpack.files import one_at_a_time, sha256, staged
from mlpack.ports import Reporter
from mlpack.process import Runner

FOLDER = "environments"
"""Where they lie in the user's cache."""

_READY = "ready"
_OFF = ("", "0", "false", "f", "no", "n", "off")
"""What means no where uv reads a variable."""


@dataclass(frozen=True)
class Environments:
    """Virtual environments in a folder, each named after all that is in it.

    Attributes:
        root: the folder.
        runner: runs uv.
        environ: this process's environment, with the indexes that it names.
    """

    root: Path
    runner: Runner
    environ: Mapping[str, str]

    def python(self, model: Unpacked, reporter: Reporter) -> Path:
        """The Python of an environment that has what a model needs, and not the model itself.

        Raises:
            OutsideError: there is no such Python, or a package cannot be had as it was locked.
        """
        # With the minor version that it was locked for a graph and a pickle answer as proved.
        wanted = model.manifest.python
        key = sha256(f"{wanted}\n{model.exact}\n{model.requirements}".encode())[:16]
        folder = self.root / key
        python = folder / "bin" / "python"
        if _ready(folder):
            return python
        with one_at_a_time(self.root / f"{key}.lock"):
            if _ready(folder):
                return python
            title = f"Installing what {model.manifest.name} {model.manifest.version} needs"
            with reporter.stage(title) as stage:
                self._install(model, folder, wanted)
                stage.result(f"Python {wanted}")
        return python

    def _install(self, model: Unpacked, folder: Path, wanted: str) -> None:
        places = indexes.read(self.runner, sys.executable, self.environ)
        environ = places.for_uv(self.environ)
        uv = indexes.uv_program()
        # Where it will stay: an environment knows its own place.
        made = self.runner([uv, "venv", "--clear", "--python", wanted, str(folder)], env=environ)
        if made.code:
            raise OutsideError(
                f"there is no Python {wanted}, with which it was locked",
                where=model.manifest.name,
                hint=f"Install it, or run: uv python install {wanted}",
            )
        with staged(folder / "requirements.txt") as file:
            file.write_text(model.requirements, encoding="utf-8")
        checked = ["--require-hashes", "--no-deps"] if model.exact else []
        done = self.runner(
            [
                *(uv, "pip", "install", "--compile-bytecode"),
                *("--python", str(folder / "bin" / "python")),
                *(*places.uv_options, *checked, "-r", str(folder / "requirements.txt")),
            ],
            env=environ,
        )
        if done.code:
            where = f"{model.manifest.name} {model.manifest.version}"
            raise replace(_not_installed(done.stderr, environ), where=where)
        (folder / _READY).touch()


def _not_installed(said: str, environ: Mapping[str, str]) -> OutsideError:
    """Why, as far as uv's words and variables tell, and what to do about it."""
    what = "what it needs cannot be installed"
    why = " ".join(indexes.redact(said).strip().splitlines()[-3:]).strip()
    if environ.get("UV_OFFLINE", "").lower() not in _OFF:
        return OutsideError(
            f"{what} offline: {why}",
            hint="UV_OFFLINE is set, so uv takes packages from its cache alone. "
            "With a network: unset UV_OFFLINE",
        )
    if (found := conflicts.outside(said)) is not None:
        return OutsideError(f"{what}: {found.what}", hint=found.hint)
    if "Hash mismatch" in said:
        hint = "The file on the index is not the one that was locked: find out why first."
    else:
        hint = (
            "Is it on the index? pip's configuration names that: pip config list\n"
            "To ask another: UV_DEFAULT_INDEX=https://index.example/simple"
        )
    return OutsideError(f"{what}: {why}", hint=hint)


def _ready(folder: Path) -> bool:
    """Whether an environment is whole, and the Python that it was made from is still there."""
    return (folder / _READY).is_file() and (folder / "bin" / "python").exists()
