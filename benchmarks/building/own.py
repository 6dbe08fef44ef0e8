"""mlpack: the penguins example in a folder of its own, with a cache of its own."""

from __future__ import annotations

import csv
import json
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import running
from running import FailedError

EXAMPLE = Path(__file__).resolve().parent.parent.parent / "examples" / "penguins"
BUMPED = "idna"
VERSIONS = ("3.11", "3.10", "3.9", "3.8", "3.7", "3.6", "3.4")
"""Small releases of a package that the server has and nobody else asks for. A round takes the next
one: with two in turn, caches would answer from the third round on."""


@dataclass(frozen=True)
class Took:
    """One ``mlpack build``, in seconds.

    Attributes:
        whole: the command, from start to end.
        export: its stage "Exporting and proving"; 0 where nothing was exported.
        loading: its stage that hands the image to the engine.
        stages: all of them by title.
    """

    whole: float
    export: float
    loading: float
    stages: dict[str, float]

    @property
    def beyond(self) -> float:
        """Everything but the export: wheel, zip and image, and the image in the engine."""
        return self.whole - self.export

    @property
    def starting(self) -> float:
        """What no stage tells: Python, reading the project, looking for what changed."""
        return self.whole - sum(self.stages.values())


class Project:
    """The project that is built.

    Args:
        folder: where it is put.
        base: what ``--base`` names.
        env: variables for every command.
        version: told of everything that is built; no other image in the engine may have it.
    """

    def __init__(self, folder: Path, base: str, env: dict[str, str], version: str) -> None:
        self.root = folder / "penguins"
        self.base = base
        self.version = version
        self.folder = folder
        self.env = {**env, "MLPACK_CACHE": str(folder / "cache")}
        self.mlpack = Path(sys.executable).with_name("mlpack")
        ignored = shutil.ignore_patterns("__pycache__", ".*", "dist", "models")
        shutil.copytree(EXAMPLE, self.root, ignore=ignored)
        self._change("pyproject.toml", r'^version = ".*"$', f'version = "{version}"')
        self._run("lock")
        self._run("train")

    @property
    def wheel(self) -> Path:
        """What was built last."""
        return next((self.root / "dist").glob("*.whl"))

    @property
    def lock(self) -> Path:
        """The production set."""
        return self.root / "requirements.lock.txt"

    @property
    def image(self) -> str:
        """The image's name in the engine."""
        return f"penguins:{self.version}"

    def row(self) -> dict[str, Any]:
        """What the images are asked."""
        with (self.root / "data" / "sample.csv").open(newline="") as file:
            found = next(csv.DictReader(file))
        found.pop("species", None)
        words = {"island", "sex"}
        return {
            name: (value if name in words else float(value)) if value else None
            for name, value in found.items()
        }

    def build(self, *, empty: int | None = None) -> Took:
        """Time a build.

        Args:
            empty: a number for new, empty caches of mlpack, uv and pip; None for those in use.
        """
        env = dict(self.env)
        if empty is not None:
            # What the last build left would be found as it stands.
            shutil.rmtree(self.root / "dist")
            caches = self.folder / f"empty-{empty}"
            names = {"MLPACK_CACHE": "mlpack", "UV_CACHE_DIR": "uv", "PIP_CACHE_DIR": "pip"}
            env |= {variable: str(caches / name) for variable, name in names.items()}
        argv = (self.mlpack, "build", "--json", "--base", self.base)
        whole, told = running.timed(argv, self.root, env)
        stages = {each["title"]: each["seconds"] for each in json.loads(told)["stages"]}

        def of(word: str) -> float:
            return sum(seconds for title, seconds in stages.items() if title.startswith(word))

        if empty is not None:
            shutil.rmtree(self.folder / f"empty-{empty}")
        return Took(whole, of("Exporting"), of("Loading"), stages)

    def change_model(self, number: int) -> None:
        """Train with another setting."""
        self._change("config/default.toml", r"^C = .*$", f"C = {1 + number / 10}")
        self._run("train")

    def change_file(self, number: int) -> None:
        """Change a source file of the project."""
        with (self.root / "src" / "penguins" / "pipeline.py").open("a") as file:
            file.write(f"\n# {number}\n")

    def change_dependency(self, number: int) -> str:
        """Take another release of one package of the production set; says which."""
        version = VERSIONS[number % len(VERSIONS)]
        dev = rf'^dev = \[(?:"{BUMPED}==[^"]*", )?'
        self._change("pyproject.toml", dev, f'dev = ["{BUMPED}=={version}", ')
        self._run("lock")
        if f"{BUMPED}=={version}" not in self.lock.read_text():
            raise FailedError(f"{BUMPED} {version} did not come into the production set")
        return f"{BUMPED} {version}"

    def _change(self, name: str, pattern: str, text: str) -> None:
        path = self.root / name
        changed, count = re.subn(pattern, text, path.read_text(), flags=re.MULTILINE)
        if count != 1:
            raise FailedError(f"{name} is not as this benchmark knows it: {pattern}")
        path.write_text(changed)

    def _run(self, *words: str) -> None:
        running.run((self.mlpack, *words), self.root, self.env)
