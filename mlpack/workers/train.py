"""Trains the project's pipeline and writes what it learned into ``models/``."""

from __future__ import annotations

import pickle
import platform
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import joblib
import msgspec
import numpy as np
import pandas as pd

from mlpack import config, inspection, schema_file
from mlpack.errors import InputError
from mlpack.files import sha256_file, staged, write
from mlpack.project import Project
from mlpack.proof.original import ask
from mlpack.runtime import contract
from mlpack.training.columns import real_rows
from mlpack.training.evaluate import classifies, measure, needs_target, split
from mlpack.training.observe import observe
from mlpack.training.predicted import distribution
from mlpack.training.reference import write_reference
from mlpack.training.usercode import build_pipeline, importable, load_data, told
from mlpack.workers import wire

VERSIONED = ("scikit-learn", "numpy", "pandas")


def work(request: dict[str, Any], progress: Callable[[str], None]) -> wire.Answer:
    """Train; the answer has the metrics and the number of rows."""
    project = inspection.read(Path(request["root"]))
    settings = config.load(project.config_dir, request["environment"])
    seed = settings.get("seed", 0)
    if type(seed) is not int:
        raise InputError("seed is not a whole number", where="config", hint="Write: seed = 0")
    pipeline = build_pipeline(project, settings)
    progress("loading the data")
    targeted = needs_target(pipeline)
    columns, target, name = load_data(project, settings, targeted=targeted)
    dropped = 0
    if targeted or target is not None:
        columns, target, dropped = _without_missing_targets(columns, target)
    parts = split(columns, target, stratify=classifies(pipeline), seed=seed)
    progress(f"fitting on {len(parts.train):,} rows")
    with importable(project), told(project, "fitting the pipeline", _mixed(parts.train_target)):
        pipeline.fit(parts.train, parts.train_target)
    progress(f"measuring on {len(parts.test):,} rows")
    with importable(project), told(project, "predicting with the pipeline"):
        metrics = measure(pipeline, parts.test, parts.test_target)
        signature = observe(parts.train, pipeline, target=name, source="train")
        outcomes = ask(pipeline, signature, real_rows(parts.test))
    signature = msgspec.structs.replace(signature, predictions=distribution(outcomes, signature))
    progress("writing models/")
    models = project.models_dir
    with importable(project), staged(models / "model.joblib") as stage:
        _save(project, pipeline, stage)
    digest = sha256_file(models / "model.joblib")
    write(models / "signature.json", contract.encode(signature))
    write_reference(
        models / "reference.parquet", parts.test, parts.test_target, outcomes, signature
    )
    scaffolded = _scaffold(project.root / "schema.toml", signature)
    found = {
        "format": contract.FORMAT,
        "model": digest,
        "environment": request["environment"],
        "seed": seed,
        "rows": {"train": len(parts.train), "held_out": len(parts.test)},
        "stratified": parts.stratified,
        "metrics": metrics,
        "versions": {"python": platform.python_version()}
        | {package: version(package) for package in VERSIONED},
    }
    write(models / "metrics.json", contract.encode(found))
    return {**found, "dropped": dropped, "schema": scaffolded, "task": signature.task}


def _save(project: Project, pipeline: Any, path: Path) -> None:
    try:
        joblib.dump(pipeline, path, compress=3)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        pipeline_file = project.pipeline_module
        raise InputError(
            f"the fitted pipeline cannot be saved: {error}",
            where=None
            if pipeline_file is None
            else pipeline_file.relative_to(project.root).as_posix(),
            hint="Replace a lambda or an inner function by a function at the top of a module.",
        ) from error


def _mixed(target: Any) -> str | None:
    """What several targets may be refused for."""
    if not isinstance(target, pd.DataFrame):
        return None
    numeric = [pd.api.types.is_numeric_dtype(kind) for kind in target.dtypes]
    if all(numeric) or not any(numeric):
        return None
    return "scikit-learn learns several targets of one type only: make all of them strings."


def _without_missing_targets(columns: pd.DataFrame, target: Any) -> tuple[pd.DataFrame, Any, int]:
    """Rows whose target is known, and how many are not."""
    if isinstance(target, pd.Series | pd.DataFrame):
        values = target
    elif np.ndim(target) in (1, 2):
        array = np.asarray(target)
        values = pd.Series(array) if array.ndim == 1 else pd.DataFrame(array)
    else:
        raise InputError(f"the target that data.load gives is a {type(target).__name__}")
    if len(values) != len(columns):
        raise InputError(f"data.load gives {len(columns)} rows but {len(values)} targets")
    values = values.reset_index(drop=True)
    known = values.notna() if isinstance(values, pd.Series) else values.notna().all(axis=1)
    if not known.any():
        raise InputError("the target is missing in every row")
    kept = columns[known].reset_index(drop=True), values[known].reset_index(drop=True)
    return *kept, int((~known).sum())


def _scaffold(path: Path, signature: contract.Signature) -> bool:
    """Write ``schema.toml`` once; it is the author's from then on."""
    if path.exists():
        return False
    write(path, schema_file.scaffold(signature))
    return True


if __name__ == "__main__":
    sys.exit(wire.main(work))
