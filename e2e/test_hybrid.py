"""A pipeline with one branch in code of its author's own: that branch alone ships as Python.

The image of a hybrid is built and run by the story of ``titanic``, in test_stories.py.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import textwrap
import zipfile
from pathlib import Path

import pytest
from environments import Environment, free_port, post, run, running, wait_ready, with_mlpack

SCRIPT = Path(__file__).with_name("reference_rows.py")
NAME = "sightings"
KINDS = ("--only", "wheel", "--only", "zip")

PYPROJECT = """
    [build-system]
    requires = ["hatchling"]
    build-backend = "hatchling.build"

    [project]
    name = "sightings"
    version = "1.0.0"
    requires-python = ">=3.10"
    dependencies = ["pandas>=2.1", "scikit-learn>=1.5", "wcwidth", "tabulate"]

    [dependency-groups]
    dev = ["palmerpenguins", "setuptools<81"]
"""
"""``tabulate`` is for the reports alone, which no prediction needs; palmerpenguins reads its data
with ``pkg_resources``, which setuptools had until 81."""

MODULES = {
    "__init__": '"""Which penguin it was."""\n',
    "data": """
        from palmerpenguins import load_penguins

        def load(config):
            rows = load_penguins().dropna(subset=["bill_length_mm", "sex"])
            rows["note"] = [
                f"{sex}, {island} {year}: {'é' * (i % 3)}"
                for i, (sex, island, year) in enumerate(zip(rows.sex, rows.island, rows.year))
            ]
            return rows[["bill_length_mm", "bill_depth_mm", "body_mass_g", "note", "species"]]
    """,
    "texts": """
        import re

        from wcwidth import wcswidth

        WORDS = re.compile(r"[^\\W\\d_]+")

        def parts(text):
            words = WORDS.findall(text)
            return [float(len(words)), float(wcswidth(text)), float(words[0] == "male")]
    """,
    "features": """
        import numpy as np
        from sklearn.base import BaseEstimator, TransformerMixin

        from .texts import parts

        class Notes(TransformerMixin, BaseEstimator):
            \"\"\"What a note says, row by row; a note without a word is a mistake.\"\"\"

            def fit(self, X, y=None):
                self.n_features_in_ = X.shape[1]
                return self

            def transform(self, X):
                return np.array([parts(note) for note in X["note"]])
    """,
    "reports": """
        from tabulate import tabulate

        def table(rows):
            return tabulate(rows)
    """,
    "pipeline": """
        from sklearn.compose import ColumnTransformer
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.impute import SimpleImputer
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        from sightings.features import Notes

        NUMBERS = ["bill_length_mm", "bill_depth_mm", "body_mass_g"]

        def build(config):
            numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
            notes = make_pipeline(Notes(), StandardScaler())
            columns = ColumnTransformer([("numbers", numbers, NUMBERS), ("notes", notes, ["note"])])
            return make_pipeline(columns, RandomForestClassifier(20, random_state=0))
    """,
}


class Project:
    """The project, trained and built, and what its original said."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / NAME
        self.package = self.folder / "src" / NAME
        self.package.mkdir(parents=True)
        (self.folder / "pyproject.toml").write_text(textwrap.dedent(PYPROJECT))
        (self.folder / "config").mkdir()
        (self.folder / "config" / "default.toml").write_text('target = "species"\nseed = 1\n')
        for name, text in MODULES.items():
            (self.package / f"{name}.py").write_text(textwrap.dedent(text))
        self.environment = with_mlpack(folder / "environment")
        for command in ("lock", "install", "train"):
            self.environment.mlpack(command, cwd=self.folder)
        self.said = self.environment.mlpack("build", *KINDS, cwd=self.folder).stderr
        self.rows = folder / "rows.json"
        self.environment.run("python", SCRIPT, "write", self.folder, self.rows)
        self.expected = json.loads(self.rows.read_text())
        self.build = json.loads((self.folder / "dist" / "build.json").read_text())

    def artifact(self, kind: str) -> Path:
        """A file in ``dist/``."""
        return self.folder / "dist" / self.build["artifacts"][kind]["file"]

    def locked(self) -> set[str]:
        """The names in the production lock."""
        text = (self.folder / "requirements.lock.txt").read_text()
        return {line.split("==")[0] for line in text.splitlines() if "==" in line}

    def assert_same(self, predictions, probabilities):
        """The predictions are the original's, on every row."""
        assert len(predictions) > 50
        assert predictions == self.expected["predictions"]
        for mine, theirs in zip(probabilities, self.expected["probabilities"], strict=True):
            assert mine == pytest.approx(theirs, abs=1e-12)

    def assert_installed_answers(self, environment: Environment, folder: Path):
        """The installed wheel answers the same."""
        answers = folder / "answers.json"
        environment.run("python", SCRIPT, "predict", NAME, self.rows, answers, cwd=folder)
        found = json.loads(answers.read_text())
        self.assert_same(found["predictions"], found["probabilities"])
        assert found["one"] == self.expected["predictions"][0]

    def assert_serves_same(self, url):
        """The same over HTTP; a row for which the author's code raises is refused by itself."""
        found = post(f"{url}/predict", {"instances": self.expected["rows"]})["predictions"]
        self.assert_same(
            [each["label"] for each in found],
            [list(each["probabilities"].values()) for each in found],
        )


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return Project(tmp_path_factory.mktemp("hybrid"))


def test_the_verdict_is_hybrid_and_names_the_step(project):
    assert project.build["form"] == "hybrid"
    said = " ".join(project.said.split())
    assert "Python columntransformer → notes → notes" in said, project.said
    assert "graph columntransformer → notes → standardscaler" in said
    assert "graph randomforestclassifier" in said
    with zipfile.ZipFile(project.artifact("wheel")) as wheel:
        data = f"{NAME}/_mlpack/data"
        manifest = json.loads(wheel.read(f"{data}/manifest.json"))
        assert manifest["form"] == "hybrid"
        assert "Notes" in manifest["reason"]
        assert manifest["parts"]["file"] == "parts.joblib"
        # The one step alone: the model, whose trees are large, is in the graph.
        assert wheel.getinfo(f"{data}/parts.joblib").file_size < 2_000
        assert f"{NAME}/features.py" in wheel.namelist()
    project.environment.mlpack("lock", "--check", cwd=project.folder)
    unchanged = project.environment.mlpack("build", *KINDS, "--json", cwd=project.folder)
    assert json.loads(unchanged.stdout)["unchanged"] is True


def test_production_has_what_that_step_imports_and_no_more(project):
    locked = project.locked()
    assert {"onnxruntime", "pandas", "joblib", "scikit-learn", "wcwidth"} <= locked
    assert not locked & {"tabulate", "palmerpenguins", "skl2onnx", "onnx", "setuptools"}
    with zipfile.ZipFile(project.artifact("wheel")) as wheel:
        name = next(each for each in wheel.namelist() if each.endswith(".dist-info/METADATA"))
        metadata = wheel.read(name).decode()
    assert "Requires-Dist: wcwidth==" in metadata
    assert "Requires-Dist: scikit-learn==" in metadata
    assert "tabulate" not in metadata
    again = project.locked()
    project.environment.mlpack("lock", cwd=project.folder)
    assert project.locked() == again


def test_the_wheel_with_the_production_lock_only(project, tmp_path):
    clean = Environment(tmp_path / "clean")
    lock = project.folder / "requirements.lock.txt"
    clean.install("--require-hashes", "--no-deps", "-r", lock)
    clean.install("--no-deps", project.artifact("wheel"))
    run("uv", "pip", "check", "--python", clean.python)
    project.assert_installed_answers(clean, tmp_path)
    port = free_port()
    server = subprocess.Popen(
        [clean.python, "-m", NAME, "serve", "--port", str(port)], cwd=tmp_path
    )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_ready(url)
        project.assert_serves_same(url)
    finally:
        server.terminate()
        assert server.wait(30) == 0


def test_the_zip(project, tmp_path):
    shutil.unpack_archive(project.artifact("zip"), tmp_path)
    lock = next(tmp_path.iterdir()) / "requirements.lock.txt"
    clean = Environment(tmp_path / "clean")
    clean.install("--require-hashes", "-r", lock, cwd=tmp_path)
    project.assert_installed_answers(clean, tmp_path)


def test_a_second_build_elsewhere_is_the_same_to_the_bit(project, tmp_path):
    other = tmp_path / "another folder"
    shutil.copytree(project.folder, other, ignore=shutil.ignore_patterns(".mlpack", "dist"))
    project.environment.mlpack("build", *KINDS, cwd=other, env={"PYTHONHASHSEED": "7"})
    again = json.loads((other / "dist" / "build.json").read_text())
    assert again["artifacts"] == project.build["artifacts"]


def assert_the_image_serves_same(project, folder, base, engine):
    """An image of the project in `folder`, in which packages are not whole, answers the same."""
    project.environment.mlpack("build", "--only", "image", "--base", f"archive:{base}", cwd=folder)
    build = json.loads((folder / "dist" / "build.json").read_text())["artifacts"]["image"]
    cut = {part["name"] for part in build["parts"] if part.get("cuts")}
    assert {"numpy", "pandas"} <= cut
    with running(engine, build["config"]) as url:
        project.assert_serves_same(url)


def test_the_image(project, base, engine, tmp_path):
    other = shutil.copytree(project.folder, tmp_path / "other")
    assert_the_image_serves_same(project, other, base, engine)


def test_the_same_project_as_python(project, base, engine, tmp_path):
    """Where it is asked for, the whole pipeline ships, with all that the project depends on."""
    other = tmp_path / "other"
    shutil.copytree(project.folder, other, ignore=shutil.ignore_patterns(".mlpack", "dist"))
    with (other / "pyproject.toml").open("a") as file:
        file.write('\n[tool.mlpack]\nformat = "python"\n')
    said = project.environment.mlpack("build", "--only", "wheel", cwd=other).stderr
    assert "the production set follows the export: hybrid with" in said
    clean = Environment(tmp_path / "clean")
    clean.install("--require-hashes", "--no-deps", "-r", other / "requirements.lock.txt")
    clean.install("--no-deps", next((other / "dist").glob("*.whl")))
    run("uv", "pip", "check", "--python", clean.python)
    project.assert_installed_answers(clean, tmp_path)
    listed = run("uv", "pip", "list", "--python", clean.python).stdout
    assert "tabulate" in listed
    assert "onnxruntime" not in listed
    assert_the_image_serves_same(project, other, base, engine)
