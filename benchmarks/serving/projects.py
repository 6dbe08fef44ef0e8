"""The pipelines: two projects, each with a logistic regression and a forest, built for real."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import running

from . import environments

HERE = Path(__file__).resolve().parent
EXAMPLES = HERE.parent.parent / "examples"
PROJECTS = {"penguins": EXAMPLES / "penguins", "flights": HERE / "flights"}
MODELS = {
    "linear": None,
    "forest": "RandomForestClassifier(n_estimators=100, max_depth=10, random_state=0)",
}
TITLES = {
    "penguins": "Penguins (6 columns, 2 of them strings)",
    "flights": "Flights (60 columns, 15 of them strings)",
    "linear": "logistic regression",
    "forest": "100 trees of depth 10",
}
NAMES = tuple(f"{project}-{model}" for project in PROJECTS for model in MODELS)
ROWS, COMPARED = 1000, 50


@dataclass(frozen=True)
class Pipeline:
    """A built pipeline, and what to ask it.

    Attributes:
        name: such as ``penguins-linear``.
        package: what the wheel installs.
        environment: where the wheel is installed.
        model: the fitted pipeline, pickled.
        facts: the file with `rows`, their labels and the columns.
        rows: as JSON has them.
        labels: scikit-learn's own answers.
        dtypes: by column.
    """

    name: str
    package: str
    environment: Path
    model: Path
    facts: Path
    rows: list[dict[str, Any]]
    labels: list[str]
    dtypes: dict[str, str]

    @property
    def title(self) -> str:
        """What it is, in words."""
        return ", ".join(TITLES[word] for word in self.name.split("-"))


def build(name: str, cache: Path, *, reuse: bool = False) -> Pipeline:
    """Lock, train and build a pipeline, and install its wheel.

    Args:
        name: one of `NAMES`.
        cache: keeps projects and environments.
        reuse: take what was built before, if it was.

    Raises:
        MissingError: one of these failed.
    """
    project, model = name.split("-")
    root = cache / "projects" / name
    facts = root / ".mlpack" / "rows.json"
    if not (reuse and facts.exists()):
        _make(root, project, model, facts)
    wheel = next((root / "dist").glob("*.whl"))
    lock = root / "requirements.lock.txt"
    found = json.loads(facts.read_text())
    return Pipeline(
        name=name,
        package=project,
        environment=environments.artifact(name, cache, lock, wheel),
        model=root / "models" / "model.joblib",
        facts=facts,
        rows=found["rows"],
        labels=found["labels"],
        dtypes=found["dtypes"],
    )


def run(*words: object, cwd: Path, env: Mapping[str, str] | None = None) -> None:
    """Run a command.

    Raises:
        MissingError: it failed; with the end of what it wrote.
    """
    try:
        running.run(words, cwd, env)
    except running.FailedError as error:
        raise environments.MissingError(str(error)) from error


def _replace(path: Path, model: str) -> None:
    """Put another estimator where the pipeline has its logistic regression."""
    text = path.read_text()
    imported = "from sklearn.linear_model import LogisticRegression"
    other = f"from sklearn.ensemble import {model.partition('(')[0]}"
    text, count = re.subn(r"LogisticRegression\(\*\*.*?\)", model, text.replace(imported, other))
    if count != 1:
        sys.exit(f"{path.name} has no logistic regression to replace")
    path.write_text(text)


def _make(root: Path, project: str, model: str, facts: Path) -> None:
    """A project from its source to a wheel; what is kept makes what did not change quick."""
    kept = {"schema.toml", "models", ".mlpack", "dist"}
    if root.exists():
        for path in root.iterdir():
            if path.is_dir() and path.name not in kept:
                shutil.rmtree(path)
    shutil.copytree(
        PROJECTS[project], root, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True
    )
    other = MODELS[model]
    if other:
        _replace(root / "src" / project / "pipeline.py", other)
    mlpack = Path(sys.executable).with_name("mlpack")
    run(mlpack, "lock", cwd=root)
    run(mlpack, "train", cwd=root)
    prepare = [sys.executable, str(HERE / "prepare.py")]
    run(*prepare, "schema", root, cwd=root)
    run(mlpack, "build", "--only", "wheel", cwd=root)
    run(*prepare, "rows", root, facts, ROWS, cwd=root)
