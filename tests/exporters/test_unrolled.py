"""Small graphs unrolled for one row: the same answers as the graph's own, or no program at all."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import onnx
import pandas as pd
import pytest
from exporting import NUMBERS, PENGUINS
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import (
    LogisticRegression,
    PoissonRegressor,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from mlpack.exporters.sklearn import SklearnExporter
from mlpack.exporters.sklearn.graph import DOUBLE, FLOAT, Graph
from mlpack.exporters.unrolled import unrolled
from mlpack.exporters.unrolled_steps import MOST
from mlpack.runtime.contract import Encoding
from mlpack.runtime.onnx_session import OnnxEngine
from mlpack.runtime.program import compiled
from mlpack.training.observe import observe

TEXTS = ["island", "sex"]
FRAME = PENGUINS[[*NUMBERS, *TEXTS]]
KNOWN = PENGUINS["body_mass_g"].notna()
TWO = PENGUINS["species"] == "Gentoo"


def mixed(model, *between):
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), NUMBERS),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=not between), TEXTS),
    )
    return make_pipeline(columns, *between, model)


def exported(pipeline, frame, target):
    pipeline.fit(frame, target)
    signature = observe(frame, pipeline, target="y", source="train")
    return SklearnExporter().export(pipeline, signature), signature


def values(frame):
    """Clean values, row by row, as a request brings them."""
    rows = frame.astype(object).where(frame.notna(), None)
    return [tuple(row) for row in rows.itertuples(index=False)]


MODELS = {
    "two": (mixed(LogisticRegression()), TWO),
    "three": (mixed(LogisticRegression()), PENGUINS["species"]),
    "margin": (mixed(RidgeClassifier()), PENGUINS["species"]),
    "each": (mixed(SGDClassifier(loss="log_loss", random_state=0)), TWO),
    "value": (mixed(Ridge()), PENGUINS["body_mass_g"].fillna(4000)),
    "link": (mixed(PoissonRegressor()), PENGUINS["body_mass_g"].fillna(4000)),
    "two values": (mixed(Ridge()), PENGUINS[["body_mass_g", "year"]].fillna(4000)),
    "projected": (mixed(LogisticRegression(), PCA(3)), PENGUINS["species"]),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_lone_row_is_answered_as_by_the_graph(name):
    pipeline, target = MODELS[name]
    made, signature = exported(pipeline, FRAME, target)
    assert made.encoding.program is not None
    own = OnnxEngine(made.model, made.encoding, signature)
    without = msgspec.structs.replace(made.encoding, program=None)
    graph = OnnxEngine(made.model, without, signature)
    rows = pd.concat([FRAME, FRAME.assign(island="Atlantis", sex=None)])
    for row in values(rows):
        one, other = own.one(row), graph.one(row)
        assert (one.labels is None) == (other.labels is None)
        if one.labels is not None:
            assert one.labels.dtype == other.labels.dtype
            assert np.array_equal(one.labels, other.labels)
        for mine, its in ((one.probabilities, other.probabilities), (one.values, other.values)):
            assert (mine is None) == (its is None)
            if mine is not None:
                assert mine.shape == its.shape
                assert mine.dtype == its.dtype
                assert np.allclose(mine, its, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("bad", [math.inf, -math.inf])
def test_what_the_graph_refuses_is_refused(bad):
    made, signature = exported(mixed(LogisticRegression()), FRAME, PENGUINS["species"])
    engine = OnnxEngine(made.model, made.encoding, signature)
    row = list(values(FRAME)[0])
    row[0] = bad
    assert engine.one(row).refusals


def test_a_category_that_is_refused_is_named():
    encoder = make_column_transformer((OneHotEncoder(handle_unknown="error"), ["island"]))
    pipeline = make_pipeline(encoder, LogisticRegression())
    made, signature = exported(pipeline, FRAME[["island"]], PENGUINS["species"])
    assert made.encoding.program is not None
    engine = OnnxEngine(made.model, made.encoding, signature)
    [refusal] = engine.one(["Atlantis"]).refusals
    assert (refusal.column, refusal.got) == ("island", '"Atlantis"')
    assert not engine.one(["Dream"]).refusals


def test_where_python_raises_the_graph_is_asked():
    frame = pd.DataFrame({"x": [0.0, 1.0, 2.0, 3.0]})
    made, signature = exported(PoissonRegressor(), frame, [1.0, 2.0, 4.0, 9.0])
    engine = OnnxEngine(made.model, made.encoding, signature)
    assert math.isinf(engine.one([1e6]).values[0, 0])


def test_what_is_no_plain_arithmetic_has_no_program():
    words = make_column_transformer((CountVectorizer(), "island"))
    model = make_pipeline(words, LogisticRegression())
    made, _ = exported(model, FRAME, PENGUINS["species"])
    assert made.encoding.program is None


def test_columns_of_single_precision_are_rounded_first():
    frame = FRAME[NUMBERS].astype(np.float32)
    model = make_pipeline(SimpleImputer(), LogisticRegression())
    made, signature = exported(model, frame, PENGUINS["species"])
    assert "single" in {name for name, _ in made.encoding.program.steps}
    alone = OnnxEngine(made.model, made.encoding, signature)
    graph = OnnxEngine(made.model, msgspec.structs.replace(made.encoding, program=None), signature)
    for row in ((0.1, 17.3, 190.7), (39.123456789, None, 1e-50), (16777217.0, 1.0, 2.0)):
        one, other = alone.one(row), graph.one(row)
        assert one.labels == other.labels
        np.testing.assert_allclose(one.probabilities, other.probabilities, rtol=0, atol=1e-15)


def test_what_is_computed_in_single_precision_has_no_program():
    graph = Graph()
    rounded = graph.cast(graph.input("numbers", DOUBLE, 2), FLOAT)
    for made in (graph.add(rounded, rounded), graph.node("Exp", [rounded])):
        model = graph.build([("value", graph.cast(made, DOUBLE), DOUBLE, ["rows", 2])])
        assert unrolled(model, Encoding(numbers=("a", "b"))) is None


@pytest.mark.parametrize(("width", "there"), [(MOST // 3, True), (MOST // 2, False)])
def test_a_wide_model_has_no_program(width, there):
    graph = Graph()
    weights = graph.constant(np.ones((width, 1)))
    total = graph.matmul(graph.input("numbers", DOUBLE, width), weights)
    model = graph.build([("value", total, DOUBLE, ["rows", 1])])
    names = tuple(f"c{index}" for index in range(width))
    program = unrolled(model, Encoding(numbers=names))
    assert (program is not None) is there
    if program is not None:  # and Python takes a sum of so many
        places = [(place, True) for place in range(width)]
        _, _, values = compiled(program, places, ())([1.0] * width)
        assert values == [width]


def test_a_number_is_no_place_though_they_are_equal():
    graph = Graph()
    one, two = (graph.columns(graph.input("numbers", DOUBLE, 2), [place]) for place in (0, 1))
    by_place = graph.multiply(one, two)
    by_number = graph.multiply(one, graph.constant(np.array([[1.0]])))
    model = graph.build([("value", graph.concat([by_place, by_number]), DOUBLE, ["rows", 2])])
    program = unrolled(model, Encoding(numbers=("a", "b")))
    _, _, found = compiled(program, [(0, True), (1, True)], ())([3.0, 5.0])
    assert found == [15.0, 3.0]


def test_a_shape_that_one_row_does_not_have_has_no_program():
    graph = Graph()
    made = graph.reshape(graph.input("numbers", DOUBLE, 3), [2, -1])
    model = graph.build([("value", made, DOUBLE, ["rows", "width"])])
    assert unrolled(model, Encoding(numbers=("a", "b", "c"))) is None


@pytest.mark.parametrize("operator", ["Tanh", "Erf", "Relu", "Unheard"])
def test_an_operator_that_no_step_says_is_none(operator):
    graph = Graph()
    made = graph.node(operator, [graph.input("numbers", DOUBLE, 2)])
    model = onnx.helper.make_model(
        onnx.helper.make_graph(
            graph._nodes,
            "g",
            list(graph._inputs.values()),
            [onnx.helper.make_tensor_value_info(made, DOUBLE, ["rows", 2])],
        )
    )
    assert unrolled(model, Encoding(numbers=("a", "b"))) is None
