"""Run inside environments of a story, never imported: reference rows out, predictions out.

``python reference_rows.py write PROJECT ROWS.json``: the project's reference rows with what the
original pipeline said of them, asked again here and now.
``python reference_rows.py predict PACKAGE ROWS.json ANSWERS.json``: what the installed wheel says.
"""

import importlib
import json
import sys
import warnings
from pathlib import Path


def write(project, target):
    import joblib
    import pandas as pd

    warnings.simplefilter("ignore")
    sys.path.insert(0, str(Path(project) / "src"))
    table = pd.read_parquet(Path(project) / "models" / "reference.parquet")
    rows = table[[name for name in table.columns if not name.startswith("mlpack:")]]
    pipeline = joblib.load(Path(project) / "models" / "model.joblib")
    plain = rows.astype(object).where(rows.notna(), None)
    found = {
        "rows": [
            {k: v.item() if hasattr(v, "item") else v for k, v in row.items()}
            for row in plain.to_dict("records")
        ],
        "predictions": pipeline.predict(rows).tolist(),
    }
    if hasattr(pipeline, "predict_proba"):
        found["probabilities"] = pipeline.predict_proba(rows).tolist()
    Path(target).write_text(json.dumps(found))


def predict(package, source, target):
    Model = importlib.import_module(package).Model  # noqa: N806 - it is a class
    model = Model()
    rows = json.loads(Path(source).read_text())["rows"]
    found = {
        "predictions": model.predict(rows),
        "version": model.version,
        "one": model.predict(rows[0]),
    }
    if model.signature.task == "classification":
        found["probabilities"] = [list(each.values()) for each in model.predict_proba(rows)]
    found["modules"] = sorted(
        {name.split(".")[0] for name in sys.modules}
        & {"sklearn", "pandas", "scipy", "joblib", "skl2onnx", "mlpack"}
    )
    Path(target).write_text(json.dumps(found))


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
