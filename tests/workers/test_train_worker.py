"""The worker that trains, asked in this process."""

from __future__ import annotations

import json

import joblib
import pandas as pd
import pytest
import tiny

from mlpack import inspection
from mlpack.errors import InputError
from mlpack.files import sha256_file
from mlpack.runtime import contract
from mlpack.training.columns import real_rows
from mlpack.training.reference import read_reference
from mlpack.workers.train import work


def train(folder, environment="development"):
    told = []
    answer = work({"root": str(folder), "environment": environment}, told.append)
    json.dumps(answer, allow_nan=False)  # it goes through a pipe
    return answer, told


def test_training_writes_everything_that_the_export_needs(tmp_path):
    folder, _ = tiny.project(tmp_path)
    answer, told = train(folder)
    assert answer["task"] == "classification"
    assert answer["rows"] == {"train": 32, "held_out": 8}
    assert (answer["stratified"], answer["dropped"], answer["schema"]) == (True, 0, True)
    assert told == [
        *("loading the data", "fitting on 32 rows", "measuring on 8 rows", "writing models/"),
    ]
    models = folder / "models"
    assert sorted(path.name for path in models.iterdir()) == [
        *("metrics.json", "model.joblib", "reference.parquet", "signature.json"),
    ]
    kept = json.loads((models / "metrics.json").read_text())
    assert kept["model"] == sha256_file(models / "model.joblib")
    assert kept["metrics"] == answer["metrics"]
    assert (kept["seed"], kept["environment"]) == (1, "development")
    signature = contract.read(models, "signature.json", contract.Signature)
    assert [column.name for column in signature.columns] == ["size", "plan"]
    assert (signature.target, signature.labels, signature.rows) == ("left", ("no", "yes"), 32)
    held_out = real_rows(read_reference(models / "reference.parquet"))
    assert len(held_out) == 8
    assert (folder / "schema.toml").is_file()


def test_the_same_seed_gives_the_same_metrics_and_reference_rows(tmp_path):
    folder, _ = tiny.project(tmp_path)
    first = train(folder)[0]
    rows = (folder / "models" / "reference.parquet").read_bytes()
    assert train(folder)[0]["metrics"] == first["metrics"]
    assert (folder / "models" / "reference.parquet").read_bytes() == rows
    (folder / "config" / "default.toml").write_text('target = "left"\nseed = 2\n')
    train(folder)
    assert (folder / "models" / "reference.parquet").read_bytes() != rows


def test_the_environment_chooses_the_configuration(tmp_path):
    folder, _ = tiny.project(tmp_path)
    (folder / "config" / "test.toml").write_text("c = 0.125\n")
    train(folder, "test")
    assert joblib.load(folder / "models" / "model.joblib").steps[-1][1].C == 0.125


def test_the_schema_is_the_authors_once_it_is_written(tmp_path):
    folder, _ = tiny.project(tmp_path)
    (folder / "schema.toml").write_text("format = 1\n# mine\n")
    assert train(folder)[0]["schema"] is False
    assert (folder / "schema.toml").read_text() == "format = 1\n# mine\n"


def test_rows_without_a_target_are_left_out_and_counted(tmp_path):
    data = tiny.DATA.replace(
        '"yes" if i % 3 else "no" for', 'None if i < 10 else "yes" if i % 3 else "no" for'
    )
    folder, _ = tiny.project(tmp_path, data=data)
    answer, _ = train(folder)
    assert answer["dropped"] == 10
    assert answer["rows"] == {"train": 24, "held_out": 6}


def pair(target):
    return f"""
        import numpy as np
        import pandas as pd
        def load(config):
            return pd.DataFrame({{"size": range(10), "plan": ["a", "b"] * 5}}), {target}
    """


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("[1, 2, 3]", "10 rows but 3 targets"),
        ("[None] * 10", "target is missing in every row"),
        ("None", "target that data.load gives is a NoneType"),
        ("'left'", "target that data.load gives is a str"),
        ("pd.Series(['a', 'b'] * 6)", "10 rows but 12 targets"),
        ("['only'] * 10", "raised ValueError"),
    ],
)
def test_targets_that_cannot_be_learned_are_refused(tmp_path, target, said):
    folder, _ = tiny.project(tmp_path, data=pair(target))
    with pytest.raises(InputError, match=said):
        train(folder)
    assert not (folder / "models").exists()


def test_one_row_is_too_few(tmp_path):
    data = """
        import pandas as pd
        def load(config):
            return pd.DataFrame({"size": [1.0], "plan": ["a"], "left": ["yes"]})
    """
    folder, _ = tiny.project(tmp_path, data=data)
    with pytest.raises(InputError, match="1 row"):
        train(folder)


REGRESSION = """
    from sklearn.linear_model import LinearRegression
    def build(config):
        return LinearRegression()
"""


@pytest.mark.parametrize("target", ["[float(i) for i in range(10)]", "np.eye(10)[:, :2]"])
def test_regressions_of_one_and_of_two_values(tmp_path, target):
    data = pair(target).replace(', "plan": ["a", "b"] * 5', "")
    folder, _ = tiny.project(tmp_path, data=data, pipeline=REGRESSION)
    answer, _ = train(folder)
    assert answer["task"] == "regression"
    signature = contract.read(folder / "models", "signature.json", contract.Signature)
    assert signature.outputs[0].size == (2 if "eye" in target else 1)


def test_so_few_rows_that_a_metric_is_undefined_still_train(tmp_path):
    data = """
        import pandas as pd
        def load(config):
            return pd.DataFrame({"size": [1.0, 2.0, 3.0, 4.0], "left": [1.0, 2.0, 3.0, 4.0]})
    """
    folder, _ = tiny.project(tmp_path, data=data, pipeline=REGRESSION)
    assert set(train(folder)[0]["metrics"]) == {"mae", "rmse"}


def test_an_estimator_of_no_framework_is_trained_too(tmp_path):
    pipeline = """
        class Mean:
            def fit(self, rows, target):
                self.mean = float(sum(target) / len(target))
                return self
            def predict(self, rows):
                return [self.mean] * len(rows)
        def build(config):
            return Mean()
    """
    data = """
        import pandas as pd
        def load(config):
            return pd.DataFrame({"size": [1.0] * 10, "left": [2.0] * 10})
    """
    folder, _ = tiny.project(tmp_path, data=data, pipeline=pipeline)
    assert train(folder)[0]["metrics"]["mae"] == 0


def test_a_pipeline_that_cannot_be_saved_leaves_no_half_model(tmp_path):
    pipeline = tiny.PIPELINE.replace(
        "return make_pipeline(",
        "from sklearn.preprocessing import FunctionTransformer\n"
        "        return make_pipeline(\n            FunctionTransformer(lambda rows: rows),",
    )
    folder, package = tiny.project(tmp_path, pipeline=pipeline)
    with pytest.raises(InputError, match=r"cannot be saved: .*lambda") as caught:
        train(folder)
    assert caught.value.where == f"src/{package}/pipeline.py"
    assert "lambda" in caught.value.hint
    assert list((folder / "models").iterdir()) == []


def test_what_fitting_raises_is_told_as_the_users(tmp_path):
    pipeline = """
        from sklearn.linear_model import LogisticRegression
        def build(config):
            return LogisticRegression()
    """
    folder, _ = tiny.project(tmp_path, pipeline=pipeline)
    with pytest.raises(InputError, match=r"fitting the pipeline raised ValueError.*'a'"):
        train(folder)
    assert (folder / ".mlpack" / "last-traceback.txt").is_file()


def test_a_seed_that_is_no_number_is_refused(tmp_path):
    for seed in ("'1'", "true", "1.5"):
        folder, _ = tiny.project(tmp_path, config=f'target = "left"\nseed = {seed}\n')
        with pytest.raises(InputError, match="seed is not a whole number") as caught:
            train(folder)
        assert caught.value.hint == "Write: seed = 0"


def test_a_column_of_durations_is_refused_before_anything_is_written(tmp_path):
    data = """
        import pandas as pd
        def load(config):
            return pd.DataFrame({
                "stay": pd.to_timedelta(range(10), unit="D"), "left": ["a", "b"] * 5
            })
    """
    pipeline = """
        from sklearn.dummy import DummyClassifier
        def build(config):
            return DummyClassifier()
    """
    folder, _ = tiny.project(tmp_path, data=data, pipeline=pipeline)
    with pytest.raises(InputError, match=r"'stay' has the type timedelta64.*") as caught:
        train(folder)
    assert ".dt.year" in caught.value.hint
    assert not (folder / "models").exists()


def test_the_model_file_holds_the_pipeline_that_was_measured(tmp_path):
    folder, _ = tiny.project(tmp_path)
    answer, _ = train(folder)
    model = joblib.load(folder / "models" / "model.joblib")
    table = pd.read_parquet(folder / "models" / "reference.parquet")
    rows = read_reference(folder / "models" / "reference.parquet")
    right = model.predict(rows) == table["mlpack:target"]
    assert right.mean() == answer["metrics"]["accuracy"]
    assert inspection.read(folder).reference is not None
