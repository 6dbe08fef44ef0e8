"""``bentoml build`` of the same fitted pipeline: a Bento, which is no image yet."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import running
from serving import environments

SERVICE = """\
from pathlib import Path

import bentoml
import joblib
import pandas as pd


@bentoml.service(workers=1)
class Penguins:
    def __init__(self) -> None:
        self.model = joblib.load(Path(__file__).with_name("model.joblib"))

    @bentoml.api
    def predict(self, rows: pd.DataFrame) -> list[str]:
        return self.model.predict(rows).tolist()
"""
PACKAGES = ("scikit-learn", "pandas", "joblib")


class ByBentoML:
    """Builds Bentos.

    Args:
        cache: keeps the environment.
        scratch: a folder for the service and its Bentos.

    Raises:
        MissingError: the environment cannot be made.
    """

    def __init__(self, cache: Path, scratch: Path) -> None:
        programs = environments.peer("bentoml", cache) / "bin"
        self.folder = scratch / "bento"
        self.folder.mkdir()
        self.programs = programs
        self.env = {
            "BENTOML_HOME": str(scratch / "bentos"),
            "BENTOML_DO_NOT_TRACK": "True",
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": "",
        }
        pins = dict(
            line.split(";")[0].strip().split("==")
            for line in (environments.PINS / "bentoml.txt").read_text().splitlines()
            if "==" in line and not line.startswith("#")
        )
        chosen = [f"{name}=={pins[name]}" for name in PACKAGES]
        (self.folder / "service.py").write_text(SERVICE)
        told = {
            "service": "service:Penguins",
            "include": ["service.py", "model.joblib"],
            "python": {"packages": chosen},
        }
        # JSON is YAML.
        (self.folder / "bentofile.yaml").write_text(json.dumps(told))

    def take(self, model: Path) -> None:
        """The fitted pipeline."""
        shutil.copy(model, self.folder / "model.joblib")

    def build(self) -> float:
        """Time a build, in seconds."""
        argv = [self.programs / "bentoml", "build", "--output", "tag"]
        took, _ = running.timed(argv, self.folder, self.env)
        return took
