"""The worker that trains, for projects whose data have no target."""

from __future__ import annotations

import pandas as pd
import pytest
import tiny

from mlpack.errors import InputError
from mlpack.export import Parity
from mlpack.runtime import contract
from mlpack.workers.export import Result
from mlpack.workers.export import work as export
from mlpack.workers.train import work

DATA = """
    import pandas as pd
    def load(config):
        return pd.DataFrame({"size": [float(i % 7) for i in range(30)], "rooms": [1, 2] * 15})
"""
OUTLIERS = """
    from sklearn.ensemble import IsolationForest
    def build(config):
        return IsolationForest(n_estimators=5, random_state=0)
"""
CLUSTERS = """
    from sklearn.cluster import KMeans
    def build(config):
        return KMeans(3, n_init=1, random_state=0)
"""


def train(folder):
    return work({"root": str(folder), "environment": "development"}, [].append)


@pytest.mark.parametrize(("pipeline", "task"), [(OUTLIERS, "outliers"), (CLUSTERS, "clusters")])
def test_a_project_without_a_target_is_trained(tmp_path, pipeline, task):
    folder, _ = tiny.project(tmp_path, data=DATA, pipeline=pipeline, config="seed = 1\n")
    answer = train(folder)
    assert (answer["task"], answer["dropped"], answer["stratified"]) == (task, 0, False)
    assert len(answer["metrics"]) == 1
    signature = contract.read(folder / "models", "signature.json", contract.Signature)
    assert (signature.task, signature.target) == (task, None)
    assert [column.name for column in signature.columns] == ["size", "rooms"]
    table = pd.read_parquet(folder / "models" / "reference.parquet")
    assert set(table["mlpack:label"]) <= set(signature.labels)
    out = tmp_path / "out"
    out.mkdir()
    export({"root": str(folder), "out": str(out)}, [].append)
    assert contract.read(out, "export.json", Result).form == "onnx"
    assert contract.read(out, contract.PARITY_FILE, Parity).equal
    assert contract.read(out, contract.SIGNATURE_FILE, contract.Signature) == signature


def test_a_column_that_the_configuration_calls_the_target_is_none_of_the_models(tmp_path):
    data = DATA.replace('"rooms"', '"left"')
    folder, _ = tiny.project(tmp_path, data=data, pipeline=OUTLIERS)
    train(folder)
    signature = contract.read(folder / "models", "signature.json", contract.Signature)
    assert [column.name for column in signature.columns] == ["size"]


def test_a_classifier_still_needs_one(tmp_path):
    folder, _ = tiny.project(tmp_path, data=DATA, config="seed = 1\n")
    with pytest.raises(InputError, match="which column is to be predicted"):
        train(folder)
