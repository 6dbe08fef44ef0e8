"""The spread of training's predictions, as the signature carries it."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import tiny

from mlpack.proof.original import Outcomes
from mlpack.runtime.contract import Column, Output, Signature, decode, encode, read
from mlpack.training.predicted import distribution
from mlpack.workers.train import work as train

LABELLED = Signature(
    task="classification",
    columns=(Column(name="x", type="number", dtype="float64"),),
    outputs=(Output(name="label", type="string"),),
    labels=("a", "b", "c"),
)
NUMBERS = Signature(
    task="regression",
    columns=LABELLED.columns,
    outputs=(Output(name="value", type="number"),),
)


def outcomes(refused=None, labels=None, numbers=None) -> Outcomes:
    count = len(labels if labels is not None else numbers)
    refused = np.zeros(count, bool) if refused is None else refused
    return Outcomes(refused=refused, labels=labels, numbers=numbers)


def test_shares_of_labels_leave_refused_rows_out():
    labels = np.array([0] * 60 + [1] * 20 + [2] * 20)
    refused = labels == 2
    found = distribution(outcomes(refused, labels), LABELLED)
    assert found.shares == (0.75, 0.25, 0.0)
    assert (found.edges, found.rows) == ((), 80)


def test_bins_of_a_regression_hold_a_tenth_each():
    values = np.random.default_rng(0).permutation(np.arange(1000.0))
    found = distribution(outcomes(numbers=values[:, None]), NUMBERS)
    assert len(found.edges) == 9
    assert len(found.shares) == 10
    assert found.shares == pytest.approx([0.1] * 10)
    assert list(found.edges) == sorted(found.edges)


def test_a_value_that_many_rows_share_is_one_bound():
    values = np.array([1.0] * 70 + [2.0] * 30)
    found = distribution(outcomes(numbers=values[:, None]), NUMBERS)
    assert found.edges == (1.5,)
    assert found.shares == (0.7, 0.3)


def test_a_constant_is_one_bin():
    found = distribution(outcomes(numbers=np.full((60, 1), 3.0)), NUMBERS)
    assert (found.edges, found.shares) == ((), (1.0,))


@pytest.mark.parametrize(
    "given",
    [
        (outcomes(labels=np.zeros(49, int)), LABELLED),
        (outcomes(np.arange(60) < 20, np.zeros(60, int)), LABELLED),
        (outcomes(numbers=np.zeros((100, 2))), NUMBERS),
        (outcomes(numbers=np.zeros((10, 1))), NUMBERS),
    ],
    ids=["few rows", "few answered rows", "two outputs", "few values"],
)
def test_nothing_is_told_where_it_would_be_chance(given):
    assert distribution(*given) is None


def test_signatures_from_before_are_read():
    found = json.loads(encode(LABELLED))
    assert found.pop("predictions") is None
    assert decode(json.dumps(found).encode(), Signature, "signature.json") == LABELLED


def test_training_records_it(tmp_path):
    data = tiny.DATA.replace("range(40)", "range(400)").replace("] * 20", "] * 200")
    folder, _ = tiny.project(tmp_path, data=data)
    train({"root": str(folder), "environment": "development"}, lambda _: None)
    signature = read(folder / "models", "signature.json", Signature)
    reference = pd.read_parquet(folder / "models" / "reference.parquet")
    assert signature.predictions.rows == len(reference) == 80
    said = reference["mlpack:label"].value_counts(normalize=True)
    assert signature.predictions.shares == tuple(said.get(each, 0) for each in signature.labels)
