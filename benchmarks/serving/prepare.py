"""Run in a trained project: its schema's demands, and rows with scikit-learn's own labels.

``prepare.py schema PROJECT`` and ``prepare.py rows PROJECT OUT COUNT``; in the environment that
trained it, since this reads the pickle.
"""

from __future__ import annotations

import importlib
import json
import math
import sys
from pathlib import Path

import joblib

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def table(project: Path):
    """What the project learns from, and the name of its target."""
    sys.path.insert(0, str(project / "src"))
    package = next(path.name for path in (project / "src").iterdir() if path.is_dir())
    config = tomllib.loads((project / "config" / "default.toml").read_text())
    return importlib.import_module(f"{package}.data").load(config), config["target"]


def schema(frame) -> str:
    """Demands of every column that the data meet: a range, categories, whether it is required."""
    lines = ["format = 1"]
    for name, column in frame.items():
        lines += ["", f"[columns.{name}]", f"required = {str(column.notna().all()).lower()}"]
        if column.dtype.kind in "fiu":
            lines += [f"min = {math.floor(column.min())}", f"max = {math.ceil(column.max())}"]
        else:
            lines.append(f"categories = {json.dumps(sorted(column.dropna().unique()))}")
    return "\n".join(lines) + "\n"


def rows(project: Path, frame, count: int) -> dict:
    """`count` rows as JSON has them, and what the fitted pipeline says of each."""
    taken = frame.sample(count, replace=count > len(frame), random_state=1)
    model = joblib.load(project / "models" / "model.joblib")
    records = json.loads(taken.to_json(orient="records", double_precision=15))
    return {
        "rows": records,
        "labels": model.predict(taken).tolist(),
        "dtypes": {name: str(dtype) for name, dtype in frame.dtypes.items()},
        "categories": {
            name: sorted(column.dropna().unique())
            for name, column in frame.items()
            if column.dtype.kind not in "fiu"
        },
        "ranges": {
            name: [math.floor(column.min()), math.ceil(column.max())]
            for name, column in frame.items()
            if column.dtype.kind in "fiu"
        },
        "missing": [name for name, column in frame.items() if column.isna().any()],
    }


def main() -> None:
    what, project = sys.argv[1], Path(sys.argv[2])
    frame, target = table(project)
    frame = frame.drop(columns=[target])
    if what == "schema":
        (project / "schema.toml").write_text(schema(frame))
    else:
        Path(sys.argv[3]).write_text(json.dumps(rows(project, frame, int(sys.argv[4]))))


if __name__ == "__main__":
    main()
