"""XGBoost's models in a pipeline export exactly: labels alike, numbers within float32."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xgboost
from exporting import NUMBERS, PENGUINS, STRINGS, assert_equal, proved
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from mlpack.exporters.sklearn.converters.xgboost_steps import MODELS
from mlpack.exporters.sklearn.features import Context
from mlpack.ports import NotExportableError
from mlpack.runtime.contract import Column, Signature

FLOAT32 = 1e-6
SOME = PENGUINS.iloc[::4].reset_index(drop=True)
FRAME = SOME[[*NUMBERS, *STRINGS]]
SPECIES = SOME.species.astype("category").cat.codes.to_numpy()
ADELIE = (SPECIES == 0).astype(int)
MASS = SOME.body_mass_g.fillna(4200).to_numpy()
FEW = {"n_estimators": 5, "max_depth": 3, "n_jobs": 1, "random_state": 0}


def codes(last):
    """Codes of categories and numbers with gaps."""
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    columns = ColumnTransformer([("codes", encoder, STRINGS)], remainder="passthrough")
    return Pipeline([("columns", columns), ("model", last)])


def filled(last, *, sparse=False):
    """Scaled numbers and one-hot categories, dense or not."""
    columns = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), NUMBERS),
            ("hot", OneHotEncoder(handle_unknown="ignore", sparse_output=sparse), STRINGS),
        ],
        sparse_threshold=1.0 if sparse else 0.0,
    )
    return Pipeline([("columns", columns), ("model", last)])


def classifier(**options):
    return xgboost.XGBClassifier(**FEW | options)


def regressor(**options):
    return xgboost.XGBRegressor(**FEW | options)


@pytest.mark.parametrize(
    ("pipeline", "target"),
    [
        (codes(classifier()), ADELIE),
        (codes(classifier(base_score=0.2, scale_pos_weight=3)), ADELIE),
        (codes(classifier(objective="multi:softmax", missing=1.0)), SPECIES),
        (codes(classifier(booster="dart", rate_drop=0.5)), SPECIES),
        (filled(classifier(booster="gblinear")), SPECIES),
        (filled(classifier(), sparse=True), SPECIES),
        (codes(classifier(objective="binary:hinge")), ADELIE),
        (codes(classifier(objective="binary:logitraw")), ADELIE),
        (filled(xgboost.XGBRFClassifier(missing=0.0, **FEW)), ADELIE),
        (codes(classifier(enable_categorical=True, feature_types=[*"ccqqq"])), SPECIES),
    ],
)
def test_classifiers_are_exact(pipeline, target):
    assert_equal(pipeline.fit(FRAME, target), FRAME, FLOAT32)


@pytest.mark.parametrize(
    ("model", "target"),
    [
        (regressor(), MASS),
        (regressor(objective="reg:absoluteerror"), MASS),
        (regressor(objective="count:poisson"), MASS / 1000),
        (regressor(objective="reg:quantileerror", quantile_alpha=[0.1, 0.5, 0.9]), MASS),
        (regressor(), np.column_stack([MASS, SPECIES])),
        (regressor(multi_strategy="multi_output_tree"), np.column_stack([MASS, SPECIES])),
    ],
)
def test_regressors_are_exact(model, target):
    assert_equal(codes(model).fit(FRAME, target), FRAME, FLOAT32)


def test_only_the_rounds_up_to_the_best_one_are_asked():
    model = classifier(n_estimators=60, early_stopping_rounds=3, learning_rate=1.0)
    pipeline = Pipeline([("model", model)])
    numbers = SOME[NUMBERS]
    others = [(numbers, np.roll(SPECIES, 10))]
    pipeline.fit(numbers, SPECIES, model__eval_set=others, model__verbose=False)
    assert model.best_iteration + 1 < model.get_booster().num_boosted_rounds()
    assert_equal(pipeline, numbers, FLOAT32)


def test_categories_of_pandas_are_looked_up_as_the_model_learned_them():
    frame = FRAME.assign(
        island=pd.Categorical(FRAME.island, categories=["Torgersen", "Dream", "Biscoe", "Ørsted"]),
        sex=FRAME.sex.astype("category"),
        year=SOME.year.astype("category"),
    )
    pipeline = Pipeline([("model", classifier(enable_categorical=True))]).fit(frame, SPECIES)
    assert_equal(pipeline, frame, FLOAT32)


def test_an_objective_of_ones_own_is_not_guessed():
    def own(truth, margin):
        return margin - truth, np.ones_like(margin)

    pipeline = codes(regressor(objective=own)).fit(FRAME, MASS)
    report, worst, _ = proved(pipeline, FRAME)
    assert report.equal, worst


def test_an_unknown_link_says_what_is_known():
    fitted = regressor().fit(np.zeros((4, 1)), MASS[:4])
    file = bytes(fitted.get_booster().save_raw("json")).replace(b"squarederror", b"newest")

    class Booster:
        def __init__(self, model_file=None):
            self.model_file = model_file

        def save_raw(self, raw_format):
            return file

    step = SimpleNamespace(
        get_booster=Booster, missing=np.nan, predict=lambda *_, **__: np.zeros(1, np.float32)
    )
    signature = Signature(
        task="regression", columns=(Column(name="a", type="number", dtype="float64"),), outputs=()
    )
    context = Context(signature=signature, vocabulary={}, numbers=("a",))
    with pytest.raises(NotExportableError, match="reg:newest"):
        MODELS["xgboost.XGBRegressor"]("model", step, context.raw_features(), context, None)
