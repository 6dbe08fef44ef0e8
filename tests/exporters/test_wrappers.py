"""Transformed targets, several outputs, frozen steps and models that look at nothing."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from exporting import NUMBERS, PENGUINS, STRINGS, assert_equal, proved
from scipy.special import ndtr
from sklearn.compose import TransformedTargetRegressor
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.multioutput import MultiOutputRegressor, RegressorChain
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)
from sklearn.tree import DecisionTreeRegressor

from mlpack.exporters.sklearn.converters.interpolate import interpolated
from mlpack.exporters.sklearn.converters.inverse import _normal_share
from mlpack.exporters.sklearn.features import Context
from mlpack.exporters.sklearn.graph import DOUBLE
from mlpack.ports import NotExportableError
from mlpack.runtime.contract import Column, Output, Signature

KNOWN = PENGUINS.dropna(subset=[*NUMBERS, "body_mass_g"]).reset_index(drop=True)
FRAME = KNOWN[NUMBERS[:2]]
BOTH = KNOWN[["body_mass_g", "flipper_length_mm"]]

TRANSFORMERS = {
    "StandardScaler": StandardScaler(),
    "MinMaxScaler": MinMaxScaler((-1, 2)),
    "MaxAbsScaler": MaxAbsScaler(),
    "RobustScaler": RobustScaler(),
    "yeo-johnson": PowerTransformer(),
    "box-cox": PowerTransformer("box-cox", standardize=False),
    "quantile": QuantileTransformer(n_quantiles=50),
    "quantile normal": QuantileTransformer(n_quantiles=50, output_distribution="normal"),
    "pipeline": make_pipeline(FunctionTransformer(np.log, np.exp), StandardScaler()),
}


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_a_target_comes_back_through_its_transformer(name):
    model = TransformedTargetRegressor(LinearRegression(), transformer=TRANSFORMERS[name])
    assert_equal(make_pipeline(SimpleImputer(), model).fit(FRAME, KNOWN.body_mass_g), FRAME)


@pytest.mark.parametrize(
    "transformer", [PowerTransformer(), QuantileTransformer(n_quantiles=20)], ids=str
)
def test_two_targets_come_back_each_in_its_way(transformer):
    model = TransformedTargetRegressor(LinearRegression(), transformer=transformer)
    assert_equal(make_pipeline(SimpleImputer(), model).fit(FRAME, BOTH), FRAME)


@pytest.mark.parametrize(
    ("power", "numbers"),
    [(0.0, [-1.5, 3]), (2.0, [-1.5, 3]), (-3.0, [-2, 0.3]), (4.5, [-0.3, 2]), (1e-9, [-1, 1])],
)
def test_special_powers(power, numbers):
    frame = pd.DataFrame({"x": np.linspace(*numbers, 50)})
    model = TransformedTargetRegressor(
        LinearRegression(), transformer=PowerTransformer(standardize=False)
    )
    pipeline = make_pipeline(SimpleImputer(), model).fit(frame, frame.x)
    pipeline[-1].transformer_.lambdas_[:] = power
    assert_equal(pipeline, frame)


@pytest.mark.parametrize(
    ("function", "inverse"),
    [
        (np.log, np.exp),
        (np.log1p, np.expm1),
        (np.sqrt, np.square),
        (np.square, np.sqrt),
        (np.reciprocal, np.reciprocal),
        (np.log2, np.exp2),
        (np.negative, np.negative),
        (np.expm1, np.log1p),
        (None, None),
    ],
    ids=str,
)
def test_functions(function, inverse):
    target = KNOWN.body_mass_g / 1000
    model = TransformedTargetRegressor(LinearRegression(), func=function, inverse_func=inverse)
    assert_equal(make_pipeline(SimpleImputer(), model).fit(FRAME[:100], target[:100]), FRAME[:100])


def test_an_infinite_answer_is_refused_where_the_original_looks_at_it():
    """exp(-inf) would be 0, but the original raises before."""
    model = TransformedTargetRegressor(LinearRegression(), func=np.log, inverse_func=np.exp)
    wide = make_pipeline(SimpleImputer(), PolynomialFeatures(3), StandardScaler(), model)
    wide.fit(FRAME[["bill_length_mm"]], KNOWN.body_mass_g)
    wide[-1].regressor_.coef_[:] = -1e200
    assert_equal(wide, FRAME[["bill_length_mm"]])


def kilograms(grams, unit=1000):
    return np.log(grams / unit)


def grams(logarithm, unit=1000):
    back = np.exp(logarithm) * unit
    back[back < 3000] = 3000
    return back


@pytest.mark.parametrize("unit", [1000, 500])
def test_the_authors_own_function_is_followed(unit):
    transformer = FunctionTransformer(
        kilograms, grams, kw_args={"unit": unit}, inv_kw_args={"unit": unit}, check_inverse=False
    )
    model = TransformedTargetRegressor(
        LinearRegression(), transformer=transformer, check_inverse=False
    )
    assert_equal(make_pipeline(SimpleImputer(), model).fit(FRAME, KNOWN.body_mass_g), FRAME)


def test_an_inverse_that_nobody_knows_is_told():
    bins = KBinsDiscretizer(4, encode="ordinal", strategy="uniform")
    model = TransformedTargetRegressor(LinearRegression(), transformer=bins, check_inverse=False)
    with pytest.raises(NotExportableError, match=r"use one of .*StandardScaler"):
        proved(make_pipeline(SimpleImputer(), model).fit(FRAME, KNOWN.body_mass_g), FRAME)


def context():
    signature = Signature(
        columns=(Column(name="x", type="number", dtype="float64"),),
        outputs=(Output(name="y", type="number"),),
        task="regression",
        source="train",
    )
    return Context(signature=signature, vocabulary={}, numbers=("x",))


def computed(make, numbers):
    """What the nodes that `make` adds answer for a column of numbers."""
    made = context()
    tensor = make(made.graph.input("x", DOUBLE, 1), made)
    model = made.graph.build([("y", tensor, DOUBLE, ["rows", 1])])
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {"x": np.reshape(numbers, (-1, 1))})[0].ravel()


def test_the_normal_distribution_is_that_of_scipy():
    numbers = np.concatenate([np.linspace(-12, 12, 20_001), [-1e300, 1e300, 0.0, -0.0]])
    assert np.abs(computed(_normal_share, numbers) - ndtr(numbers)).max() < 3e-16


@pytest.mark.parametrize("points", [1, 2, 3, 17, 200])
def test_interpolation_is_that_of_numpy_to_the_last_bit(points):
    chance = np.random.default_rng(points)
    known = np.unique(chance.normal(size=points))
    values = chance.normal(size=len(known))
    near = [np.nextafter(known, side) for side in (-np.inf, np.inf)]
    numbers = np.concatenate([known, *near, chance.normal(size=500) * 2, [-1e308, 1e308, -0.0]])
    made = computed(lambda x, made: interpolated(x, known, values, made), numbers)
    assert (made == np.interp(numbers, known, values)).all()


@pytest.mark.parametrize(
    "model",
    [
        MultiOutputRegressor(LinearRegression()),
        MultiOutputRegressor(DecisionTreeRegressor(max_depth=3)),
        RegressorChain(LinearRegression(), order=[1, 0]),
        RegressorChain(RandomForestRegressor(2, max_depth=3)),
    ],
    ids=str,
)
def test_several_outputs(model):
    assert_equal(make_pipeline(SimpleImputer(), model).fit(FRAME, BOTH), FRAME)


def test_a_chain_refuses_what_its_members_would_take():
    pipeline = make_pipeline(
        FunctionTransformer(), RegressorChain(DecisionTreeRegressor(max_depth=2), order=[0, 1])
    )
    report, _ = assert_equal(pipeline.fit(FRAME, BOTH), FRAME)
    assert next(check for check in report.checks if "missing" in check.name).refused


@pytest.mark.parametrize(
    "model",
    [
        DummyClassifier(),
        DummyClassifier(strategy="most_frequent"),
        DummyClassifier(strategy="constant", constant="Gentoo"),
    ],
    ids=str,
)
def test_a_classifier_that_looks_at_nothing(model):
    encoder = OneHotEncoder(handle_unknown="ignore")
    assert_equal(
        make_pipeline(encoder, model).fit(PENGUINS[STRINGS], PENGUINS.species), PENGUINS[STRINGS]
    )


@pytest.mark.parametrize("target", ["body_mass_g", ["body_mass_g", "flipper_length_mm"]], ids=str)
def test_a_regressor_that_looks_at_nothing(target):
    model = DummyRegressor(strategy="median")
    assert_equal(make_pipeline(SimpleImputer(), model).fit(FRAME, KNOWN[target]), FRAME)


def test_an_answer_by_chance_is_refused():
    pipeline = make_pipeline(SimpleImputer(), DummyClassifier(strategy="stratified"))
    with pytest.raises(NotExportableError, match="chance"):
        proved(pipeline.fit(FRAME, KNOWN.species), FRAME)


def test_frozen_steps_are_what_they_hold():
    scaler = FrozenEstimator(StandardScaler().fit(FRAME.to_numpy()))
    model = FrozenEstimator(LinearRegression().fit(FRAME.to_numpy(), KNOWN.body_mass_g))
    pipeline = make_pipeline(SimpleImputer(), scaler, model).fit(FRAME, KNOWN.body_mass_g)
    assert_equal(pipeline, FRAME)
