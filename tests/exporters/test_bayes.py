"""Naive Bayes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from exporting import NUMBERS, PENGUINS, STRINGS, assert_equal
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.naive_bayes import BernoulliNB, CategoricalNB, ComplementNB, GaussianNB, MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, OrdinalEncoder

FRAME = PENGUINS[[*NUMBERS, *STRINGS]]


@pytest.mark.parametrize(
    ("model", "classes"),
    [
        (GaussianNB(var_smoothing=1e-6), 3),
        (BernoulliNB(binarize=0.4), 3),
        (BernoulliNB(binarize=None), 2),
        (MultinomialNB(alpha=0.5), 2),
        (MultinomialNB(fit_prior=False), 3),
        (ComplementNB(), 2),
        (ComplementNB(norm=True), 3),
    ],
)
def test_on_numbers_and_categories(model, classes):
    kept = PENGUINS.species != ("Gentoo" if classes == 2 else "")
    rows, target = FRAME[kept], PENGUINS.species[kept]
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(), MinMaxScaler(clip=True)), NUMBERS),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), STRINGS),
    )
    assert_equal(make_pipeline(columns, model).fit(rows, target), rows)


def test_many_columns_are_summed_in_numpys_order():
    chance = np.random.default_rng(0)
    rows = pd.DataFrame(chance.normal(size=(60, 9)), columns=[f"x{i}" for i in range(9)])
    assert_equal(GaussianNB().fit(rows, chance.integers(0, 3, 60)), rows)


def test_categories_that_no_table_has_are_refused():
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    filled = SimpleImputer(strategy="most_frequent")
    pipeline = make_pipeline(filled, encoder, CategoricalNB())
    pipeline.fit(PENGUINS[STRINGS], PENGUINS.species)
    report, _ = assert_equal(pipeline, PENGUINS[STRINGS])
    assert sum(check.refused for check in report.checks) > 0


def test_numbers_as_categories_lose_their_fraction():
    rows = pd.DataFrame({"a": [0.0, 1.0, 2.0, 2.0] * 5, "b": [3.0, 0.0, 1.0, 0.0] * 5})
    report, _ = assert_equal(CategoricalNB().fit(rows, [0, 1, 1, 0] * 5), rows)
    assert sum(check.refused for check in report.checks) > 0
