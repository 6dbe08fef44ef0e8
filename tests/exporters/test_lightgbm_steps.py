"""LightGBM's splits, categories, leaves and links, in the graph as in the library."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from exporting import EXACT, NUMBERS, PENGUINS, STRINGS, assert_equal, proved
from lightgbm import LGBMClassifier, LGBMRegressor, early_stopping
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from mlpack.exporters.sklearn import SklearnExporter
from mlpack.exporters.sklearn.converters.lightgbm_model import told
from mlpack.ports import NotExportableError
from mlpack.training.observe import observe

WHOLE = PENGUINS.dropna(subset=["body_mass_g"])
CHANCE = np.random.default_rng(0)


def model(kind, **options):
    settings = {"n_estimators": 8, "min_child_samples": 5, "random_state": 0, "n_jobs": 1}
    return kind(**{**settings, "verbose": -1, **options})


def fitted(last, target, columns=NUMBERS):
    return last.fit(WHOLE[columns], WHOLE[target])


def made(rows=400):
    """Numbers with zeros, tiny numbers and gaps, and what depends on them."""
    numbers = CHANCE.normal(size=(rows, 3))
    numbers[CHANCE.random(numbers.shape) < 0.3] = 0.0
    frame = pd.DataFrame(numbers, columns=["a", "b", "c"])
    answers = frame["a"] * 3 + frame["b"].abs() - (frame["c"] == 0) * 2
    return frame.mask(CHANCE.random(numbers.shape) < 0.1), answers.to_numpy()


@pytest.mark.parametrize("options", [{}, {"objective": "multiclassova", "sigmoid": 0.7}])
def test_classes_of_three_are_shared_as_the_objective_does(options):
    assert_equal(fitted(model(LGBMClassifier, **options), "species"), WHOLE[NUMBERS])


@pytest.mark.parametrize(
    "options",
    [
        {"sigmoid": 2.0},
        {"boosting_type": "dart", "drop_rate": 0.5},
        {"boosting_type": "rf", "subsample": 0.7, "subsample_freq": 1},
        {"objective": "cross_entropy"},
        {"is_unbalance": True},
    ],
)
def test_two_classes(options):
    frame = WHOLE.dropna(subset=["sex"])
    pipeline = model(LGBMClassifier, **options).fit(frame[NUMBERS], frame["sex"] == "male")
    assert_equal(pipeline, frame[NUMBERS])


@pytest.mark.parametrize("objective", ["poisson", "huber", "mape"])
def test_numbers_by_their_link(objective):
    assert_equal(fitted(model(LGBMRegressor, objective=objective), "body_mass_g"), WHOLE[NUMBERS])


def test_a_target_that_was_learned_as_its_root():
    assert_equal(fitted(model(LGBMRegressor, reg_sqrt=True), "body_mass_g"), WHOLE[NUMBERS])


@pytest.mark.parametrize("options", [{}, {"zero_as_missing": True}, {"use_missing": False}])
def test_zeros_gaps_and_numbers_that_count_as_zero(options):
    frame, answers = made()
    pipeline = model(LGBMRegressor, **options).fit(frame, answers)
    tiny = [1e-35, -1e-35, float(np.float32(1e-35)), -float(np.float32(1e-35)), 2e-35, 5e-324]
    rows = pd.DataFrame({name: [*tiny, 0.0, -0.0, np.nan] for name in frame})
    assert_equal(pipeline, pd.concat([frame, rows], ignore_index=True))


def test_a_category_is_the_whole_part_of_a_number():
    codes = CHANCE.integers(0, 90, size=600).astype(float)
    frame = pd.DataFrame({"code": codes, "size": CHANCE.normal(size=600)})
    answers = (codes % 7 > 3) * 2 + frame["size"]
    pipeline = model(LGBMRegressor, min_data_per_group=5, cat_smooth=1).fit(
        frame, answers, categorical_feature=["code"]
    )
    odd = [-3.0, -1.0, -0.5, -0.0, 0.5, 1.5, 63.9, 64.0, 65.2, 500.0, 3e9, -3e9, np.nan]
    rows = pd.DataFrame({"code": odd, "size": 0.1})
    # Whole numbers from 1 to 64 are one test for ONNX Runtime, the others one after another.
    assert any(
        members.max() > 64 for tree in told(pipeline.booster_).trees for members in tree.sets
    )
    assert_equal(pipeline, pd.concat([frame, rows], ignore_index=True))


def test_columns_of_pandas_categories_go_straight_in():
    frame = WHOLE[[*NUMBERS, *STRINGS]].astype(dict.fromkeys(STRINGS, "category"))
    frame["year"] = pd.Categorical(WHOLE["year"])
    pipeline = model(LGBMClassifier, min_data_per_group=5).fit(frame, WHOLE["species"])
    assert_equal(pipeline, frame)


def test_encoded_categories_in_a_pipeline():
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    columns = ColumnTransformer([("codes", encoder, STRINGS)], remainder="passthrough")
    pipeline = make_pipeline(columns, model(LGBMClassifier, min_data_per_group=5))
    frame = WHOLE[[*NUMBERS, *STRINGS]]
    pipeline.fit(frame, WHOLE["species"], lgbmclassifier__categorical_feature=[0, 1])
    assert_equal(pipeline, frame)


def test_leaves_with_a_linear_model_of_their_own():
    frame, answers = made()
    pipeline = model(LGBMRegressor, linear_tree=True, num_leaves=7).fit(frame, answers)
    assert any(len(leaf) for tree in told(pipeline.booster_).trees for leaf in tree.linear.features)
    report, _, _ = proved(pipeline, frame)
    # Whether infinity is refused is asked with two rows, whose leaves may have no linear model.
    usual = [check for check in report.checks if check.name != "extreme numbers"]
    assert sum(check.labels_wrong + check.outcomes_wrong + check.beyond for check in usual) == 0
    assert max(check.largest for check in report.checks) <= EXACT


def test_linear_leaves_of_several_classes():
    pipeline = fitted(model(LGBMClassifier, linear_tree=True, num_leaves=5), "species")
    assert_equal(pipeline, WHOLE[NUMBERS])


def test_the_best_iteration_is_the_last():
    pipeline = model(LGBMClassifier, n_estimators=200, learning_rate=0.5)
    half = len(WHOLE) // 2
    pipeline.fit(
        WHOLE[NUMBERS][:half],
        WHOLE["island"][:half],
        eval_set=[(WHOLE[NUMBERS][half:], WHOLE["island"][half:])],
        callbacks=[early_stopping(3, verbose=False)],
    )
    assert len(told(pipeline.booster_).trees) == 3 * pipeline.best_iteration_
    assert_equal(pipeline, WHOLE[NUMBERS])


def test_trees_of_one_leaf():
    pipeline = fitted(model(LGBMRegressor, min_child_samples=500), "body_mass_g")
    assert_equal(pipeline, WHOLE[NUMBERS])


def test_an_objective_of_the_authors_own_answers_no_classes():
    def halves(answers, raw):
        return raw - answers, np.ones_like(raw)

    pipeline = fitted(model(LGBMRegressor, objective=halves), "body_mass_g")
    assert_equal(pipeline, WHOLE[NUMBERS])
    frame = WHOLE[NUMBERS]
    signature = observe(frame, fitted(model(LGBMClassifier), "species"), target="y", source="train")
    own = model(LGBMClassifier, objective=halves).fit(frame, WHOLE["sex"] == "male")
    with pytest.raises(NotExportableError, match="objective of your own"):
        SklearnExporter().export(own, signature)
