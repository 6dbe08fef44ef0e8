"""Tiny projects that can be trained in a second: for the tests of training, workers and build."""

from __future__ import annotations

import itertools
import textwrap
from pathlib import Path

import joblib
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

_COUNT = itertools.count()

DATA = """
    import pandas as pd

    def load(config):
        return pd.DataFrame({
            "size": [float(i % 7) for i in range(40)],
            "plan": ["a", "b"] * 20,
            "left": ["yes" if i % 3 else "no" for i in range(40)],
        })
"""

PIPELINE = """
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    def build(config):
        return make_pipeline(
            make_column_transformer(
                (OneHotEncoder(handle_unknown="ignore"), ["plan"]), (StandardScaler(), ["size"])
            ),
            LogisticRegression(C=config.get("c", 1.0)),
        )
"""

CONFIG = 'target = "left"\nseed = 1\n'

ROWS = pd.DataFrame(
    {"size": [float(i) for i in range(12)], "plan": ["a", "b", "c"] * 4},
)
LABELS = ["no", "yes"] * 6


def project(
    root: Path,
    *,
    data: str | None = DATA,
    pipeline: str | None = PIPELINE,
    config: str | None = CONFIG,
    settings: str = "",
    **modules: str,
) -> tuple[Path, str]:
    """A project in a folder of `root`, and its package, whose name no other project has.

    Python keeps what it has imported, so two projects of a test run may not share a name.
    """
    package = f"tiny{next(_COUNT)}"
    folder = root / package
    code = folder / "src" / package
    code.mkdir(parents=True)
    (code / "__init__.py").write_text("")
    for name, text in {"data": data, "pipeline": pipeline, **modules}.items():
        if text is not None:
            (code / f"{name}.py").write_text(textwrap.dedent(text).lstrip("\n"))
    (folder / "pyproject.toml").write_text(
        f'[project]\nname = "{package}"\nversion = "1.0.0"\nrequires-python = ">=3.10"\n'
        f'dependencies = ["scikit-learn", "pandas"]\n[tool.mlpack]\n{settings}\n'
    )
    if config is not None:
        (folder / "config").mkdir()
        (folder / "config" / "default.toml").write_text(config)
    return folder, package


def fitted():
    """A pipeline on `ROWS` that becomes a graph."""
    return make_pipeline(
        make_column_transformer(
            (OneHotEncoder(handle_unknown="ignore"), ["plan"]), (StandardScaler(), ["size"])
        ),
        LogisticRegression(),
    ).fit(ROWS, LABELS)


def save(folder: Path, model, sample: pd.DataFrame | None = ROWS) -> None:
    """Put a model and a sample into a project."""
    (folder / "models").mkdir(exist_ok=True)
    joblib.dump(model, folder / "models" / "model.joblib")
    if sample is not None:
        (folder / "data").mkdir(exist_ok=True)
        sample.to_csv(folder / "data" / "sample.csv", index=False)
