"""Training and exporting projects that predict several columns at once."""

from __future__ import annotations

import joblib
import msgspec
import numpy as np
import pandas as pd
import pytest
import tiny

from mlpack.errors import InputError, ProofError
from mlpack.export import Parity
from mlpack.runtime import contract
from mlpack.workers.export import Result
from mlpack.workers.export import work as export
from mlpack.workers.train import work

DATA = """
    import pandas as pd
    def load(config):
        return pd.DataFrame({
            "size": [float(i % 7) for i in range(60)],
            "large": ["yes" if i % 7 > 3 else "no" for i in range(60)],
            "kind": ["abc"[i % 3] for i in range(60)],
        })
"""
PIPELINE = """
    from sklearn.tree import DecisionTreeClassifier
    def build(config):
        return DecisionTreeClassifier(max_depth=3, random_state=0)
"""
CONFIG = 'target = ["large", "kind"]\nseed = 1\n'


def train(folder):
    return work({"root": str(folder), "environment": "development"}, [].append)


def test_several_targets_are_trained_proved_and_kept(tmp_path):
    folder, _ = tiny.project(tmp_path, data=DATA, pipeline=PIPELINE, config=CONFIG)
    answer = train(folder)
    assert (answer["task"], answer["stratified"]) == ("classification", True)
    assert set(answer["metrics"]) == {"accuracy", "accuracy_each", "f1_macro"}
    assert answer["metrics"]["accuracy"] < answer["metrics"]["accuracy_each"] < 1
    signature = contract.read(folder / "models", "signature.json", contract.Signature)
    assert [column.name for column in signature.columns] == ["size"]
    assert (signature.target, signature.groups) == ("large, kind", (2, 3))
    assert signature.labels == ("no", "yes", "a", "b", "c")
    table = pd.read_parquet(folder / "models" / "reference.parquet")
    assert set(table["mlpack:target:0"]) == {"no", "yes"}
    assert np.mean(table["mlpack:target:0"] == table["mlpack:label:0"]) == 1
    out = tmp_path / "out"
    out.mkdir()
    export({"root": str(folder), "out": str(out)}, [].append)
    assert contract.read(out, "export.json", Result).form == "onnx"
    assert contract.read(out, contract.PARITY_FILE, Parity).equal


@pytest.mark.parametrize("labels", [("no", "yes", "a", "b", "d"), ("yes", "no", "a", "b", "c")])
def test_a_signature_of_another_model_is_refused(tmp_path, labels):
    folder, _ = tiny.project(tmp_path, data=DATA, pipeline=PIPELINE, config=CONFIG)
    train(folder)
    path = folder / "models" / "signature.json"
    signature = contract.read(folder / "models", "signature.json", contract.Signature)
    path.write_bytes(contract.encode(msgspec.structs.replace(signature, labels=labels)))
    with pytest.raises(InputError, match="the signature's labels are"):
        export({"root": str(folder), "out": str(tmp_path)}, [].append)


def test_a_column_that_is_not_there_is_named(tmp_path):
    config = CONFIG.replace("kind", "kinds")
    folder, _ = tiny.project(tmp_path, data=DATA, pipeline=PIPELINE, config=config)
    with pytest.raises(InputError, match="no column 'kinds' to predict"):
        train(folder)


EACH = """
    from sklearn.linear_model import LogisticRegression
    from sklearn.multioutput import MultiOutputClassifier
    def build(config):
        return MultiOutputClassifier(LogisticRegression())
"""


def test_a_model_for_several_targets_may_learn_one(tmp_path):
    data = DATA.replace("return pd.DataFrame", "rows = pd.DataFrame")
    data += '        return rows[["size"]], rows[["large"]]\n'
    folder, _ = tiny.project(tmp_path, data=data, pipeline=EACH, config="seed = 1\n")
    train(folder)
    signature = contract.read(folder / "models", "signature.json", contract.Signature)
    assert (signature.labels, signature.groups) == (("no", "yes"), ())
    assert signature.has("probabilities")
    out = tmp_path / "out"
    out.mkdir()
    export({"root": str(folder), "out": str(out)}, [].append)
    assert contract.read(out, "export.json", Result).form == "onnx"


def test_targets_of_different_types_have_a_hint(tmp_path):
    data = DATA.replace('"abc"[i % 3]', "i % 3")
    folder, _ = tiny.project(tmp_path, data=data, pipeline=PIPELINE, config=CONFIG)
    with pytest.raises(InputError, match="fitting the pipeline raised") as caught:
        train(folder)
    assert "of one type only: make all of them strings" in caught.value.hint
    assert "last-traceback.txt" in caught.value.hint


def test_a_model_that_refuses_every_row_is_not_shipped(tmp_path):
    folder, _ = tiny.project(tmp_path)
    train(folder)
    path = folder / "models" / "model.joblib"
    joblib.dump(Refusing(joblib.load(path)), path)
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(ProofError, match="refuses all of the"):
        export({"root": str(folder), "out": str(out)}, [].append)


class Refusing:
    """A model that knows its classes and answers nothing."""

    def __init__(self, model):
        self.classes_ = model.classes_
        self.feature_names_in_ = model.feature_names_in_

    def predict(self, rows):
        raise ValueError("never")
