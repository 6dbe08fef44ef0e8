"""`mlpack inspect`: every fact of a project, as JSON, without touching its code."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import joblib
import pytest
import sklearn
from sklearn.linear_model import LogisticRegression

from mlpack.errors import InputError
from mlpack.runtime.contract import Column, Output, Signature, encode
from mlpack.usecases.inspect import inspect

ROOT = Path(__file__).parent.parent.parent
PROJECTS = ROOT / "tests" / "projects"
SIGNATURE = Signature(
    task="classification",
    columns=(
        Column(name="age", type="number", dtype="float64"),
        Column(name="plan", type="string", dtype="str"),
    ),
    outputs=(Output(name="label", type="string"),),
    labels=("no", "yes"),
    target="left",
    rows=80,
)


@pytest.fixture
def flat(tmp_path):
    shutil.copytree(PROJECTS / "flat", tmp_path / "flat")
    joblib.dump(LogisticRegression(), tmp_path / "flat" / "model.joblib")
    return tmp_path / "flat"


@pytest.fixture
def conventional(tmp_path):
    root = tmp_path / "conventional"
    shutil.copytree(PROJECTS / "conventional", root)
    (root / "models").mkdir()
    joblib.dump(LogisticRegression(), root / "models" / "model.joblib")
    (root / "models" / "signature.json").write_bytes(encode(SIGNATURE))
    return root


def whats(found) -> str:
    return "\n".join(remark.what for remark in found.remarks)


def test_a_folder_with_requirements_a_script_and_a_model(flat):
    found = inspect(flat).to_json()
    assert json.loads(json.dumps(found)) == found
    assert found["name"] == "flat"
    assert found["version"] is None
    assert found["dependencies"] == ["scikit-learn==1.9.1", "pandas>=2.1"]
    assert found["package_dir"] == "train.py"
    model = found["model"]
    assert model["path"] == "model.joblib"
    assert model["kind"] == "pickle"
    assert model["size"] == (flat / "model.joblib").stat().st_size
    assert len(model["sha256"]) == 64
    assert model["root"] == "sklearn.linear_model._logistic.LogisticRegression"
    assert model["classes"] == ["sklearn.linear_model._logistic.LogisticRegression"]
    assert model["sklearn"] == sklearn.__version__
    assert found["environments"] == ["development", "test", "production"]
    assert found["locks"] == {
        "mlpack.lock": False,
        "requirements.lock.txt": False,
        "requirements-dev.lock.txt": False,
    }
    assert {remark["kind"] for remark in found["remarks"]} == {"assumed", "missing"}


def test_a_conventional_project_with_everything(conventional):
    for name in ("mlpack.lock", "requirements.lock.txt", "requirements-dev.lock.txt"):
        (conventional / name).write_text("")
    (conventional / "schema.toml").write_text("")
    inspection = inspect(conventional)
    assert inspection.remarks == ()
    found = inspection.to_json()
    assert found["signature"] == {
        "path": "models/signature.json",
        "task": "classification",
        "target": "left",
        "labels": ["no", "yes"],
        "columns": {"age": "number", "plan": "string"},
        "rows": 80,
        "source": "train",
    }
    assert found["sample"] == {
        "path": "data/sample.csv",
        "columns": ["age", "plan", "left"],
        "rows": 2,
    }
    assert found["schema"] == "schema.toml"
    assert found["environments"] == ["development", "test", "production", "staging"]
    assert all(found["locks"].values())
    assert found["settings"]["image"] == {
        "base": "oci:../base:3.11",
        "builder": "docker",
        "prune": True,
        "compression": "gzip",
        "system_packages": [],
        "build_packages": [],
        "pip": {
            "index_url": None,
            "extra_index_urls": [],
            "no_binary": [],
            "only_binary": [],
            "timeout": None,
            "retries": None,
        },
        "secrets": [],
    }


def test_no_path_of_this_machine_is_in_the_json(conventional):
    assert str(conventional) not in json.dumps(inspect(conventional).to_json())


@pytest.mark.parametrize("example", ["penguins", "mpg", "names", "titanic"])
def test_the_examples_are_conventional_projects(example):
    found = inspect(ROOT / "examples" / example)
    assert found.project.name == found.project.package == example
    assert found.sample
    assert found.sample.rows == 8
    assert not [remark for remark in found.remarks if remark.kind == "assumed"]


def test_a_truncated_model_is_a_remark(flat):
    path = flat / "model.joblib"
    path.write_bytes(path.read_bytes()[:-20])
    found = inspect(flat)
    assert found.model
    assert not found.model.complete
    assert "model.joblib could not be read whole: the file ends in the middle" in whats(found)


def test_a_model_whose_class_is_in_a_script_is_a_remark(flat):
    (flat / "model.joblib").write_bytes(b"\x80\x04\x8c\x08__main__\x8c\x05Title\x93)R.")
    found = inspect(flat)
    remark = next(one for one in found.remarks if "__main__.Title" in one.what)
    assert remark.fix.startswith("from flat import Title")


def test_damaged_side_files_are_remarks(conventional):
    (conventional / "models" / "signature.json").write_text("{")
    (conventional / "data" / "sample.csv").write_bytes(b"")
    found = inspect(conventional)
    assert found.signature is None
    assert found.sample is None
    assert "models/signature.json is damaged" in whats(found)
    assert "data/sample.csv: has no header" in whats(found)


def test_a_signature_of_a_newer_format_is_a_remark(conventional):
    (conventional / "models" / "signature.json").write_text('{"format": 99}')
    assert "has format 99" in whats(inspect(conventional))


def test_a_model_without_signature_and_sample_asks_for_one(flat):
    assert "which columns the model takes" in whats(inspect(flat))


def test_nothing_is_unpickled_or_imported(flat, tmp_path):
    class Bomb:
        def __reduce__(self):
            return Path.touch, (tmp_path / "pwned",)

    (flat / "model.joblib").write_bytes(pickle.dumps(Bomb()))
    (flat / "train.py").write_text(f"open({str(tmp_path / 'pwned')!r}, 'w')\n")
    found = inspect(flat)
    assert found.model
    assert found.model.complete
    assert any(name.endswith(("touch", "getattr")) for name in found.model.classes)
    assert not (tmp_path / "pwned").exists()


def test_a_folder_that_is_no_project_is_refused():
    with pytest.raises(InputError, match="not a project"):
        inspect(PROJECTS / "nothing")
