#!/usr/bin/env python3
"""``make bench``: how long the things take that people wait for, as ratios in one run.

Each figure is the median of rounds that alternate between mlpack and what it is compared with, so
that a busy machine slows both. Nothing here is a test: the bars are read by people.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = 7


def seconds(argv, cwd=None, env=None):
    """How long a command takes, in seconds."""
    start = time.perf_counter()
    subprocess.run(
        argv, cwd=cwd, check=True, capture_output=True, env={**os.environ, **(env or {})}
    )
    return time.perf_counter() - start


def alternate(commands, cwd=None, env=None):
    """The median of each named command over rounds that take turns."""
    for command in commands.values():
        seconds(command, cwd, env)
    times = {name: [] for name in commands}
    for _ in range(ROUNDS):
        for name, command in commands.items():
            times[name].append(seconds(command, cwd, env))
    return {name: statistics.median(found) for name, found in times.items()}


def table(title, rows):
    """Print rows of (what, seconds, ratio to the first)."""
    print(f"\n{title}")
    first = rows[0][1]
    for what, value in rows:
        print(f"  {what:<52} {value * 1000:9.1f} ms  {value / first:6.1f}x")


def commands():
    """What the command line costs beside a bare interpreter."""
    mlpack = Path(sys.executable).with_name("mlpack")
    found = alternate(
        {
            "python -c pass": [sys.executable, "-c", "pass"],
            "python -c 'import typer'": [sys.executable, "-c", "import typer"],
            "mlpack --help": [mlpack, "--help"],
        }
    )
    table("The command line", list(found.items()))


def project(folder):
    """A trained and locked penguins project in `folder`."""
    root = folder / "penguins"
    shutil.copytree(ROOT / "examples" / "penguins", root)
    mlpack = Path(sys.executable).with_name("mlpack")
    for arguments in (["lock"], ["train"]):
        subprocess.run([mlpack, *arguments], cwd=root, check=True, capture_output=True)
    return root, mlpack


def builds(root, mlpack):
    """Building again: nothing changed, the version changed."""
    base = os.environ.get("MLPACK_BASE")
    what = ["build"] if base else ["build", "--only", "wheel", "--only", "zip"]
    start = time.perf_counter()
    subprocess.run([mlpack, *what], cwd=root, check=True, capture_output=True)
    first = time.perf_counter() - start
    found = alternate(
        {"python -c pass": [sys.executable, "-c", "pass"], "unchanged": [mlpack, *what]}, cwd=root
    )
    pyproject = root / "pyproject.toml"
    text = pyproject.read_text()
    changed = []
    for number in range(3):
        pyproject.write_text(text.replace("0.1.0", f"0.2.{number}"))
        changed.append(seconds([mlpack, *what], cwd=root))
    pyproject.write_text(text)
    kinds = "wheel, zip and image" if base else "wheel and zip (set MLPACK_BASE for the image)"
    table(
        f"mlpack build of penguins: {kinds}",
        [
            *found.items(),
            ("another version, the same model (median of 3)", statistics.median(changed)),
            ("the first build, its export and proof included (once)", first),
        ],
    )


PREDICT = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
sys.path.insert(0, "src")
import joblib, pandas as pd
from mlpack.runtime.onnx_session import OnnxEngine
from mlpack.runtime.session import Session
from mlpack.runtime import contract
from pathlib import Path
folder = next(Path(".mlpack/export").iterdir())
signature = contract.read(folder, "signature.json", contract.Signature)
encoding = contract.read(folder, "encoding.json", contract.Encoding)
session = Session(signature, OnnxEngine((folder / "model.onnx").read_bytes(), encoding, signature))
pipeline = joblib.load("models/model.joblib")
table = pd.read_csv("data/sample.csv").drop(columns=["species"]).iloc[[0]]
row = table.to_dict("records")[0]
def best(call, count):
    times = []
    for _ in range(7):
        start = time.perf_counter()
        for _ in range(count):
            call()
        times.append((time.perf_counter() - start) / count)
    return sorted(times)[3]
print(json.dumps({
    "one row, exported, from a dict": best(lambda: session.rows([row]), 2000),
    "one row, scikit-learn, a ready DataFrame": best(lambda: pipeline.predict_proba(table), 30),
}))
"""


def predictions(root):
    """One row in process: the exported form and the original."""
    done = subprocess.run(
        [sys.executable, "-c", PREDICT], cwd=root, check=True, capture_output=True, text=True
    )
    table("One row in process (median of 7 rounds)", list(json.loads(done.stdout).items()))


def main():
    """Run all of them."""
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {ROUNDS} rounds")
    commands()
    with tempfile.TemporaryDirectory() as folder:
        root, mlpack = project(Path(folder))
        builds(root, mlpack)
        predictions(root)


if __name__ == "__main__":
    main()
