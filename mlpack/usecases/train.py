"""``mlpack train``: a fitted pipeline, its metrics, signature and reference rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mlpack.ports import Reporter
from mlpack.process import Runner
from mlpack.project import Project
from mlpack.usecases.work import work


@dataclass(frozen=True)
class Trained:
    """What training found.

    Attributes:
        task: what it does, as in the signature.
        metrics: by name, on the held-out rows.
        rows: how many rows were learned from and held out.
        files: what was written, relative to the project.
    """

    task: str
    environment: str
    metrics: dict[str, float]
    rows: dict[str, int]
    files: tuple[str, ...]


FILES = ("model.joblib", "signature.json", "metrics.json", "reference.parquet")


def train(project: Project, *, environment: str, runner: Runner, reporter: Reporter) -> Trained:
    """Load the data, fit the pipeline, measure it, and write what was learned into ``models/``."""
    request = {"root": str(project.root), "environment": environment}
    with reporter.stage("Training") as stage:
        answer: dict[str, Any] = work(
            "train", request, runner=runner, reporter=reporter, stage=stage
        )
        rows = answer["rows"]
        stage.result(f"{rows['train']:,} rows, {rows['held_out']:,} held out")
    if answer["dropped"]:
        reporter.note(f"{answer['dropped']:,} rows without a target were left out")
    if answer["task"] == "classification" and not answer["stratified"]:
        reporter.note("a class has too few rows: the split is not stratified")
    files = [f"models/{name}" for name in FILES]
    if answer["schema"]:
        reporter.note("schema.toml was scaffolded: demand there what a request must keep to")
        files.append("schema.toml")
    return Trained(
        task=answer["task"],
        environment=environment,
        metrics=answer["metrics"],
        rows=rows,
        files=tuple(files),
    )
