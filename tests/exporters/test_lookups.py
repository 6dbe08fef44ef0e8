"""Encoded columns: tables by codes, which products and trees take without laying them out."""

from __future__ import annotations

import numpy as np
import onnx
import pandas as pd
import pytest
from exporting import assert_equal
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler, TargetEncoder

from mlpack.exporters.sklearn.graph import DOUBLE, INT64
from mlpack.exporters.sklearn.lookups import LARGEST, MANY, plain
from mlpack.exporters.sklearn.sparse import SparseGraph
from mlpack.runtime.onnx_session import onnxruntime

CHANCE = np.random.default_rng(5)
TEXTS = [f"t{number}" for number in range(MANY + 1)]
ROWS = 240
FRAME = pd.DataFrame(
    {
        **{
            name: CHANCE.choice(list("abcdefgh")[: 3 + number], ROWS)
            for number, name in enumerate(TEXTS)
        },
        "x": CHANCE.normal(size=ROWS),
        "y": CHANCE.normal(size=ROWS),
    }
).astype(dict.fromkeys(TEXTS, object))
LABELS = np.where(FRAME["t0"].isin(["a", "b"]) ^ (FRAME["x"] > 0), "yes", "no")
UNKNOWN = FRAME.assign(t1="never seen", t3=None)


def operators(exported):
    graph = onnx.load_from_string(exported.model).graph
    return [node.op_type for node in graph.node]


def widest(exported):
    graph = onnx.load_from_string(exported.model).graph
    return max(int(np.prod(tensor.dims)) for tensor in graph.initializer)


def encoded(texts, *numbers, encoder=None):
    encoder = encoder or OneHotEncoder(handle_unknown="ignore")
    return make_column_transformer((encoder, texts), (StandardScaler(), list(numbers)))


@pytest.mark.parametrize("count", [1, 2, MANY, MANY + 1])
def test_a_linear_model_takes_tables_for_one_hot_columns(count):
    texts = TEXTS[:count]
    pipeline = make_pipeline(encoded(texts, "x", "y"), LogisticRegression())
    rows = pd.concat([FRAME, UNKNOWN])[[*texts, "x", "y"]]
    _, exported = assert_equal(pipeline.fit(FRAME[[*texts, "x", "y"]], LABELS), rows)
    assert "ScatterElements" not in operators(exported)
    # A number for each code of all columns, and nothing as wide as one-hot columns.
    assert widest(exported) <= sum(FRAME[name].nunique() + 2 for name in texts)


def test_a_linear_model_on_nothing_but_categories():
    pipeline = make_pipeline(OneHotEncoder(handle_unknown="ignore"), Ridge())
    rows = pd.concat([FRAME, UNKNOWN])[TEXTS]
    _, exported = assert_equal(pipeline.fit(FRAME[TEXTS], FRAME["x"]), rows)
    assert "MatMul" not in operators(exported)
    # No row can be refused, so nothing asks.
    assert "refused" not in {
        value.name for value in onnx.load_from_string(exported.model).graph.output
    }


def test_projections_take_tables_too():
    pipeline = make_pipeline(
        encoded(TEXTS, "x", encoder=OneHotEncoder(handle_unknown="ignore", sparse_output=False)),
        PCA(3),
        LogisticRegression(),
    )
    rows = pd.concat([FRAME, UNKNOWN])[[*TEXTS, "x"]]
    assert_equal(pipeline.fit(FRAME[[*TEXTS, "x"]], LABELS), rows)


@pytest.mark.parametrize(
    "encoder",
    [
        OneHotEncoder(handle_unknown="ignore"),
        OneHotEncoder(handle_unknown="ignore", drop="if_binary"),
        OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=50),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
        TargetEncoder(random_state=0),
    ],
    ids=lambda encoder: type(encoder).__name__,
)
def test_a_forest_has_the_columns_of_many_tables_at_once(encoder):
    pipeline = make_pipeline(
        encoded(TEXTS, "x", "y", encoder=encoder), RandomForestClassifier(10, random_state=0)
    )
    rows = pd.concat([FRAME, UNKNOWN])
    _, exported = assert_equal(pipeline.fit(FRAME, LABELS), rows, tolerance=0.0)
    # Three look-ups and no more, however many columns there are: codes, values, places.
    assert operators(exported).count("Gather") <= MANY


def test_what_float32_cannot_hold_is_looked_at():
    assert plain(np.array([[LARGEST, -LARGEST, 0.0]]))
    assert not plain(np.array([[1.0, np.nan]]))
    assert not plain(np.array([[np.inf]]))
    assert not plain(np.array([[LARGEST * 2]]))


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_whatever_stands_in_the_tables(data):
    cells = st.sampled_from([0.0, 1.0, -2.5])
    graph = SparseGraph()
    graph.input("codes", INT64, 3)
    parts, wanted = [], []
    codes = CHANCE.integers(0, 3, size=(7, 3))
    for _ in range(data.draw(st.integers(1, 7))):
        place, width = data.draw(st.integers(0, 2)), data.draw(st.integers(1, 3))
        rows = data.draw(
            st.lists(st.lists(cells, min_size=width, max_size=width), min_size=3, max_size=3)
        )
        table = np.array(rows)
        code = graph.node("Gather", ["codes", graph.constant(np.int64(place))], axis=1)
        parts.append((graph.looked_up(table, place, code), width))
        wanted.append(table[codes[:, place]])
    matrix = np.concatenate(wanted, axis=1)
    weights = CHANCE.normal(size=(matrix.shape[1], 2))
    joined = graph.join(parts)
    product = graph.matmul(joined, graph.constant(weights))
    last_first = list(range(parts[0][1]))[::-1]
    some = graph.columns(parts[0][0], last_first)
    assert graph.unsure(joined, matrix.shape[1]) is None
    model = graph.build(
        [
            ("matrix", joined, DOUBLE, ["rows", matrix.shape[1]]),
            ("product", product, DOUBLE, ["rows", 2]),
            ("some", some, DOUBLE, ["rows", parts[0][1]]),
        ]
    )
    session = onnxruntime.InferenceSession(model.SerializeToString())
    found, multiplied, first = session.run(["matrix", "product", "some"], {"codes": codes})
    assert np.array_equal(found, matrix)
    assert np.allclose(multiplied, matrix @ weights, rtol=0, atol=1e-12)
    assert np.array_equal(first, wanted[0][:, ::-1])


def looked_up(table):
    graph = SparseGraph()
    codes = graph.input("codes", INT64, 1)
    code = graph.node("Gather", [codes, graph.constant(np.int64(0))], axis=1)
    return graph, graph.looked_up(table, 0, code)


def test_a_matrix_that_is_laid_out_is_multiplied_column_by_column():
    for way, there in (
        (lambda graph, made: graph.laid_out(made), True),
        (lambda _, made: made, False),
    ):
        graph, made = looked_up(np.eye(3))
        product = graph.matmul(way(graph, made), graph.constant(np.ones((3, 2))))
        model = graph.build([("product", product, DOUBLE, ["rows", 2])])
        assert ("MatMul" in {node.op_type for node in model.graph.node}) is there


def test_of_a_table_with_something_missing_nothing_is_taken_for_granted():
    for cell in (np.nan, np.inf, LARGEST * 2):
        graph, made = looked_up(np.array([[1.0, cell], [0.0, 2.0]]))
        assert graph.unsure(made, 2) == (made, 2)
        assert not graph.never(graph.not_finite(made, width=2))
