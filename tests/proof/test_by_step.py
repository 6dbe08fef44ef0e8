"""What each step answers in the graph is compared with what it answers in the original."""

from __future__ import annotations

import warnings
from dataclasses import replace

import msgspec
import numpy as np
import onnx
import pandas as pd
import pytest
from exporting import PENGUINS
from onnx import numpy_helper
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier, StackingClassifier
from sklearn.experimental import enable_iterative_imputer  # noqa: F401 - it is experimental
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.feature_selection import SelectKBest, VarianceThreshold
from sklearn.frozen import FrozenEstimator
from sklearn.impute import IterativeImputer, SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    MaxAbsScaler,
    OneHotEncoder,
    PolynomialFeatures,
    StandardScaler,
)

from mlpack.export import Figures, Parity
from mlpack.exporters.sklearn import SklearnExporter
from mlpack.proof.by_step import UNREAD
from mlpack.proof.prove import prove
from mlpack.proof.recorded import recorded
from mlpack.proof.rows import Batch
from mlpack.runtime import contract
from mlpack.runtime.hybrid_session import HybridEngine, load_parts
from mlpack.runtime.onnx_session import OnnxEngine
from mlpack.runtime.session import Session
from mlpack.training.columns import real_rows
from mlpack.training.observe import observe

FRAME = PENGUINS[["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "island", "sex"]]
NUMBERS = FRAME.columns[:3].tolist()
TEXTS = pd.DataFrame(
    {
        "text": [
            f"the {one} of {other}"
            for one, other in zip(PENGUINS.species, PENGUINS.island, strict=True)
        ],
        "mass": PENGUINS.body_mass_g.fillna(0.0),
    }
)


def columns():
    scaled = FeatureUnion([("scaled", StandardScaler()), ("products", PolynomialFeatures(2))])
    numeric = ColumnTransformer([("inner", make_pipeline(SimpleImputer(), scaled), NUMBERS)])
    filled = SimpleImputer(strategy="most_frequent")
    return ColumnTransformer(
        [
            ("numbers", numeric, NUMBERS),
            ("texts", make_pipeline(filled, OneHotEncoder(handle_unknown="ignore")), ["island"]),
            ("root", make_pipeline(SimpleImputer(), FunctionTransformer(np.sqrt)), NUMBERS[:1]),
        ]
    )


def report(pipeline, frame=FRAME, change=None, hybrid=False, rows=None):
    """Prove an export whose graph somebody may have changed, on the frame's rows."""
    signature = observe(frame, pipeline, target="y", source="train")
    exported = SklearnExporter().export(pipeline, signature, hybrid=hybrid)
    if change is not None:
        model = onnx.load_from_string(exported.model)
        change(model.graph)
        exported = replace(exported, model=model.SerializeToString())
    if exported.parts:
        engine = HybridEngine(
            exported.model, exported.encoding, signature, load_parts(exported.parts)
        )
    else:
        engine = OnnxEngine(exported.model, exported.encoding, signature)
    batch = Batch("held-out", tuple(rows or real_rows(frame)))
    return prove(pipeline, Session(signature, engine), signature, exported, [batch])[0]


def by_name(made):
    return {step.path.rsplit(" → ", 1)[-1]: step.compared for step in made.steps}


def constant(graph, wanted):
    return next(t for t in graph.initializer if wanted(numpy_helper.to_array(t)))


def shift(value, by=0.1):
    """A change of the first constant that holds `value`: it becomes larger."""

    def change(graph):
        tensor = constant(graph, lambda a: a.dtype == np.float64 and np.isin(value, a))
        array = numpy_helper.to_array(tensor).copy()
        array[array == value] += by
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))

    return change


LINEAR = make_pipeline(columns(), MaxAbsScaler(), LogisticRegression())
LINEAR.fit(FRAME, PENGUINS.species)


def test_every_step_of_a_right_graph_answers_alike():
    made = report(LINEAR)
    assert made.equal
    assert made.first_differing is None
    assert [step.uncompared for step in made.steps] == [None] * 9
    assert all(step.compared.equal and step.compared.largest < 1e-14 for step in made.steps)
    assert {step.compared.rows for step in made.steps} == {300}
    widths = [(step.path.rsplit(" → ", 1)[-1], step.compared.columns) for step in made.steps]
    assert widths == [
        ("SimpleImputer", 3),
        ("StandardScaler", 3),
        ("PolynomialFeatures", 10),
        ("SimpleImputer", 1),
        ("OneHotEncoder", 3),
        ("SimpleImputer", 1),
        ("FunctionTransformer", 1),
        ("MaxAbsScaler", 17),
        ("LogisticRegression", 4),
    ]


def test_nothing_is_left_in_the_original():
    report(LINEAR)
    for step in (LINEAR, LINEAR[0], LINEAR[-1], LINEAR[0].named_transformers_["texts"][-1]):
        assert not {"transform", "predict", "predict_proba"} & vars(step).keys()


def scaler():
    inner = LINEAR[0].named_transformers_["numbers"].named_transformers_["inner"]
    return inner[-1].transformer_list[0][1]


def test_a_constant_of_the_scaler_is_found_at_the_scaler():
    made = report(LINEAR, change=shift(scaler().scale_[1]))
    assert not made.equal
    wrong = made.first_differing
    path = "columntransformer → numbers → inner → featureunion → scaled → StandardScaler"
    assert wrong.path == path
    assert wrong.compared.beyond > 290  # one column
    assert 0.01 < wrong.compared.largest < 1
    found = by_name(made)
    assert found["PolynomialFeatures"].equal  # beside it, not behind it
    assert not found["LogisticRegression"].equal


def test_a_lost_category_is_found_at_its_encoder():
    def lose(graph):
        tensor = constant(graph, lambda a: a.dtype == np.float64 and a.shape == (5, 3))
        tensor.CopyFrom(numpy_helper.from_array(np.zeros((5, 3)), tensor.name))

    made = report(LINEAR, change=lose)
    assert made.first_differing.path.endswith("OneHotEncoder")
    assert (made.first_differing.compared.largest, made.first_differing.compared.beyond > 300) == (
        1.0,
        True,
    )


def test_what_is_wrong_in_the_model_is_found_at_the_model():
    made = report(LINEAR, change=shift(LINEAR[-1].intercept_[0]))
    assert made.first_differing is made.steps[-1]


def refusing():
    """A pipeline in which the second step raises for what the first computes, and a row for it."""
    frame = FRAME[NUMBERS].dropna()
    pipeline = make_pipeline(StandardScaler(), Binarizer(), LogisticRegression())
    pipeline.fit(frame, PENGUINS.species[frame.index])
    pipeline[0].scale_[0] = 1e-3
    rows = real_rows(frame)
    return pipeline, frame, [*rows, {**rows[0], NUMBERS[0]: 1.7e308}]


def test_the_refusal_that_the_graph_lacks_is_found_at_the_step_that_raises():
    pipeline, frame, rows = refusing()
    right = report(pipeline, frame, rows=rows)
    assert right.equal
    assert right.checks[0].refused == 1

    def lack(graph):
        node = next(each for each in graph.node if "refused" in each.output)
        graph.initializer.append(numpy_helper.from_array(np.array([False]), "never"))
        node.op_type = "And"
        node.input.append("never")

    made = report(pipeline, frame, change=lack, rows=rows)
    assert made.checks[0].outcomes_wrong == 1
    assert made.first_differing.path.endswith("Binarizer")
    assert (made.first_differing.compared.outcomes_wrong, made.first_differing.compared.beyond) == (
        1,
        0,
    )


def test_a_refusal_of_the_graph_alone_is_found_at_the_step_that_it_belongs_to():
    pipeline, frame, rows = refusing()

    def always(graph):
        nothing = constant(graph, lambda a: a.dtype == np.float64 and a.shape == () and a == 0)
        nothing.CopyFrom(numpy_helper.from_array(np.float64("nan"), nothing.name))

    made = report(pipeline, frame, change=always, rows=rows)
    assert made.checks[0].outcomes_wrong > 300
    assert made.first_differing.path.endswith("Binarizer")
    assert made.first_differing.compared.outcomes_wrong == 5


def test_texts_are_compared_by_their_entries():
    words = make_pipeline(TfidfVectorizer(), SelectKBest(k=4))
    steps = ColumnTransformer(
        [
            ("words", words, "text"),
            ("hashed", HashingVectorizer(n_features=2**12, alternate_sign=False), "text"),
            ("letters", CountVectorizer(analyzer="char"), "text"),
            ("mass", StandardScaler(), ["mass"]),
        ]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipeline = make_pipeline(steps, LogisticRegression()).fit(TEXTS, PENGUINS.species)
    vectorizer = pipeline[0].named_transformers_["words"][0]
    found = by_name(report(pipeline, TEXTS))
    assert all(each.equal for each in found.values())
    assert found["TfidfVectorizer"].columns == len(vectorizer.vocabulary_)
    assert (found["SelectKBest"].columns, found["HashingVectorizer"].columns) == (4, 2**12)
    weight = vectorizer.idf_[vectorizer.vocabulary_["adelie"]]
    made = report(pipeline, TEXTS, change=shift(weight))
    assert made.first_differing.path.endswith("TfidfVectorizer")


def test_models_within_models_are_compared_and_their_trees_too():
    frame = FRAME[NUMBERS].dropna()
    members = [
        ("linear", make_pipeline(StandardScaler(), LogisticRegression())),
        ("forest", RandomForestClassifier(5, random_state=0, n_jobs=2)),
    ]
    pipeline = StackingClassifier(members, cv=2).fit(frame, PENGUINS.species[frame.index])
    made = report(pipeline, frame)
    assert made.equal
    paths = [step.path for step in made.steps]
    assert paths == [
        "linear → standardscaler → StandardScaler",
        "linear → logisticregression → LogisticRegression",
        "forest → RandomForestClassifier",
        "final → LogisticRegression",
    ]
    assert all(step.compared.equal for step in made.steps)
    assert made.steps[2].compared.columns == 3  # its label is not in the graph

    def swap(graph):
        trees = next(each for each in graph.node if each.op_type == "TreeEnsemble")
        weights = next(each for each in trees.attribute if each.name == "leaf_weights").t
        array = numpy_helper.to_array(weights)[::-1].copy()
        weights.CopyFrom(numpy_helper.from_array(array, weights.name))

    assert report(pipeline, frame, change=swap).first_differing.path == paths[2]


class Halves(TransformerMixin, BaseEstimator):
    """A step with a loop, which stays Python, before one that is a graph."""

    def fit(self, frame, target=None):
        self.fitted_ = True
        return self

    def transform(self, frame):
        return np.array([[value / 2 for value in row] for row in frame.to_numpy()])


def test_of_a_hybrid_what_is_in_the_graph_is_compared():
    frame = FRAME[NUMBERS].dropna()
    steps = ColumnTransformer(
        [("own", make_pipeline(Halves()), NUMBERS[:2]), ("scaled", StandardScaler(), NUMBERS[2:])]
    )
    pipeline = make_pipeline(steps, StandardScaler(), LinearRegression())
    made = report(pipeline.fit(frame, frame.bill_length_mm), frame, hybrid=True)
    assert (made.equal, made.form) == (True, "hybrid")
    assert [(step.form, step.compared and step.compared.columns) for step in made.steps] == [
        ("python", None),
        ("graph", 1),
        ("graph", 3),
        ("graph", 1),
    ]
    assert made.steps[0].uncompared is None  # that it is Python says it


class Overwriting(TransformerMixin, BaseEstimator):
    """Writes over what it is given."""

    def fit(self, rows, target=None):
        self.fitted_ = True
        return self

    def transform(self, rows):
        rows *= 2
        return rows


def test_a_step_that_writes_over_what_it_is_given_is_no_difference_of_the_one_before():
    frame = FRAME[NUMBERS].dropna()
    pipeline = make_pipeline(StandardScaler(), Overwriting(), LinearRegression())
    made = report(pipeline.fit(frame, frame.bill_length_mm), frame)
    assert made.equal
    assert [step.compared.columns for step in made.steps] == [3, 3, 1]
    assert made.first_differing is None
    assert [step.how for step in made.steps] == ["mlpack", "traced", "mlpack"]


def test_what_cannot_be_compared_says_why():
    frame = FRAME[NUMBERS].dropna()
    union = FeatureUnion([("a", StandardScaler()), ("b", MaxAbsScaler())])
    pipeline = make_pipeline(union, VarianceThreshold(), LinearRegression())
    pipeline.fit(frame, frame.bill_length_mm)
    pipeline[1].variances_ = np.array([1.0, 1, 1, 0, 0, 0])
    pipeline[2].fit(np.asarray(frame), frame.bill_length_mm)
    found = {step.path.rsplit(" ", 1)[-1]: step for step in report(pipeline, frame).steps}
    assert found["StandardScaler"].compared.equal
    assert found["MaxAbsScaler"].compared is None
    assert found["MaxAbsScaler"].uncompared == UNREAD
    shared = FrozenEstimator(StandardScaler().fit(frame))
    union = FeatureUnion([("a", shared), ("b", shared)])
    pipeline = make_pipeline(union, LinearRegression()).fit(frame, frame.bill_length_mm)
    assert [step.uncompared is None for step in report(pipeline, frame).steps] == [
        False,
        False,
        True,
    ]


def test_an_imputer_of_rounds_is_told_as_one():
    pipeline = make_pipeline(IterativeImputer(max_iter=2), LinearRegression())
    made = report(pipeline.fit(FRAME[NUMBERS], PENGUINS.body_mass_g.fillna(0)), FRAME[NUMBERS])
    assert [(step.path, step.compared.columns) for step in made.steps] == [
        ("iterativeimputer → IterativeImputer", 3),
        ("linearregression → LinearRegression", 1),
    ]
    assert made.first_differing is None


def test_only_what_was_answered_for_all_rows_is_recorded():
    step = StandardScaler().fit(np.arange(6.0).reshape(3, 2))
    with recorded([step, step], 3) as record:
        step.transform(np.zeros((2, 2)))
        assert record.answer(step, "transform") is None
        made = step.transform(np.zeros((3, 2)))
        made[:] = 7
        with pytest.raises(ValueError, match="features"):
            step.transform(np.zeros((3, 5)))
    assert not np.any(record.answer(step, "transform") == 7)
    assert record.raised == [id(step)]
    assert "transform" not in vars(step)


OLD = b"""{"format": 1, "equal": true, "form": "onnx", "tolerance": 1e-6, "checks": [],
"steps": [{"path": "a", "form": "graph", "how": "mlpack"}]}"""


def test_the_report_of_an_older_release_is_read():
    made = msgspec.json.decode(OLD, type=Parity)
    assert (made.steps[0].compared, made.steps[0].uncompared) == (None, None)
    assert made.first_differing is None


def test_the_figures_are_kept_whole():
    made = report(LINEAR)
    data = contract.encode(made)
    assert msgspec.json.decode(data, type=Parity) == made
    first = msgspec.json.decode(data)["steps"][0]
    assert first["compared"] == {
        "rows": 300,
        "columns": 3,
        "largest": 0.0,
        "beyond": 0,
        "outcomes_wrong": 0,
    }
    assert Figures(rows=1, columns=1, largest=0.0, beyond=0, outcomes_wrong=1).equal is False
