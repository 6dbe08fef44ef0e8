"""A project with a network, from training to a prediction where there is no torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

PYPROJECT = """
    [build-system]
    requires = ["hatchling"]
    build-backend = "hatchling.build"

    [project]
    name = "deep"
    version = "1.0.0"
    requires-python = ">=3.10"
    dependencies = ["pandas>=2.1", "scikit-learn>=1.5", "skorch", "torch"]

    [dependency-groups]
    dev = ["palmerpenguins", "onnxscript"]
"""
MODULES = {
    "__init__": '"""Which penguin it was."""\n',
    "data": """
        from palmerpenguins import load_penguins

        def load(config):
            rows = load_penguins()
            rows["species"] = rows["species"].astype("category").cat.codes.astype("int64")
            return rows[["island", "bill_length_mm", "bill_depth_mm", "body_mass_g", "species"]]
    """,
    "network": """
        import torch
        from torch import nn

        class Network(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = nn.Sequential(
                    nn.Linear(6, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Dropout(), nn.Linear(24, 3)
                )

            def forward(self, X):
                out = self.layers(X.float())
                DECIDES
                return out
    """,
    "pipeline": """
        import torch
        from sklearn.compose import make_column_transformer
        from sklearn.impute import SimpleImputer
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import OneHotEncoder, StandardScaler
        from skorch import NeuralNetClassifier

        from deep.network import Network

        NUMBERS = ["bill_length_mm", "bill_depth_mm", "body_mass_g"]

        def build(config):
            torch.manual_seed(0)
            columns = make_column_transformer(
                (make_pipeline(SimpleImputer(), StandardScaler()), NUMBERS),
                (OneHotEncoder(sparse_output=False, handle_unknown="ignore"), ["island"]),
            )
            net = NeuralNetClassifier(
                Network, criterion=torch.nn.CrossEntropyLoss, optimizer=torch.optim.Adam, lr=0.01,
                max_epochs=10, train_split=None, verbose=0,
            )
            return make_pipeline(columns, net)
    """,
}
ASKED = """
    import json, sys
    import pandas as pd
    sys.path.insert(0, "src")
    import joblib
    rows = pd.read_parquet("models/reference.parquet")[NAMES].iloc[:60]
    model = joblib.load("models/model.joblib")
    told = [{k: None if v != v else v for k, v in row.items()} for row in rows.to_dict("records")]
    answers = {"rows": told, "labels": model.predict(rows).tolist(),
               "shares": model.predict_proba(rows).tolist()}
    print(json.dumps(answers))
"""
ANSWERED = """
    import json, sys
    import deep
    given = json.load(open(sys.argv[1]))
    model = deep.Model()
    print(json.dumps({"labels": list(model.predict(given)),
                      "shares": [list(each.values()) for each in model.predict_proba(given)],
                      "torch": any(name in sys.modules for name in ("torch", "sklearn"))}))
"""
NAMES = '["island", "bill_length_mm", "bill_depth_mm", "body_mass_g"]'


def run(*argv, cwd):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "NO_COLOR": "1"}
    command = [str(word) for word in argv]
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr if argv[0] == "mlpack" else done.stdout


def project(folder, decides="pass"):
    package = folder / "src" / "deep"
    package.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(textwrap.dedent(PYPROJECT))
    (folder / "config").mkdir()
    (folder / "config" / "default.toml").write_text('target = "species"\nseed = 1\n')
    for name, text in MODULES.items():
        (package / f"{name}.py").write_text(textwrap.dedent(text).replace("DECIDES", decides))
    for command in ("lock", "train"):
        run("mlpack", command, cwd=folder)
    return folder


def locked(folder):
    text = (folder / "requirements.lock.txt").read_text()
    return {line.split("==")[0] for line in text.splitlines() if "==" in line}


def test_a_network_ships_as_a_graph_without_torch(tmp_path):
    folder = project(tmp_path / "deep")
    assert "NeuralNetClassifier" in run("mlpack", "export", "--explain", cwd=folder)
    said = run("mlpack", "build", "--only", "wheel", cwd=folder)
    assert "a graph, equal on" in said
    assert not locked(folder) & {"torch", "skorch", "scikit-learn", "pandas"}
    wheel = next((folder / "dist").glob("*.whl"))
    script = textwrap.dedent(ASKED).replace("NAMES", NAMES)
    asked = json.loads(run(sys.executable, "-c", script, cwd=folder))
    rows = tmp_path / "rows.json"
    rows.write_text(json.dumps(asked["rows"]))
    clean = tmp_path / "clean"
    run("uv", "venv", "--quiet", "--python", sys.executable, clean, cwd=tmp_path)
    python = clean / "bin" / "python"
    run("uv", "pip", "install", "--quiet", "--python", python, wheel, cwd=tmp_path)
    answered = json.loads(run(python, "-c", textwrap.dedent(ANSWERED), rows, cwd=tmp_path))
    assert not answered["torch"]
    assert answered["labels"] == asked["labels"]
    for mine, theirs in zip(answered["shares"], asked["shares"], strict=True):
        assert mine == pytest.approx(theirs, abs=1e-6)


def test_a_network_that_decides_by_its_numbers_ships_as_python_with_torch(tmp_path):
    # It looks at all rows, but does the same to each of them whatever it sees.
    folder = project(tmp_path / "deep", "out = out + 0 if out.sum() > 0 else out * 1")
    said = run("mlpack", "build", "--only", "wheel", cwd=folder)
    assert "decides by the numbers" in said
    assert locked(folder) >= {"torch", "skorch", "scikit-learn", "pandas"}
