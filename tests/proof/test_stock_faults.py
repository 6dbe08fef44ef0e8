"""The eleven kinds of graphs that the stock converters make and that are silently wrong.

Each converts, loads and runs; each must be caught by the proof. They are made here with skl2onnx
as a user would, on float32 where double does not convert, and asked through the very session that
serves. One input per column, as skl2onnx wants it.
"""

from __future__ import annotations

import warnings

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
from exporting import NUMBERS, PENGUINS
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import TunedThresholdClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder, PowerTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from mlpack.export import Exported
from mlpack.proof.prove import prove
from mlpack.proof.rows import batches
from mlpack.runtime.contract import Encoding
from mlpack.runtime.predictions import Predictions, Refusal
from mlpack.runtime.session import Session
from mlpack.training.columns import real_rows
from mlpack.training.observe import observe

STATE = onnxruntime.capi.onnxruntime_pybind11_state
RUNTIME_ERROR = (STATE.Fail, STATE.InvalidArgument, STATE.RuntimeException)
TARGET = {"": 21, "ai.onnx.ml": 3}


class StockEngine:
    """A graph of skl2onnx's behind the interface that serves."""

    blocking = False
    together = 0

    def __init__(self, model, signature):
        self._session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        self._inputs = self._session.get_inputs()
        self._names = [column.name for column in signature.columns]
        self._places = {label: place for place, label in enumerate(signature.labels)}
        self._regression = signature.task == "regression"

    def one(self, values):
        return self.many([[value] for value in values], 1)

    def few(self, rows):
        return self.many([list(column) for column in zip(*rows, strict=True)], len(rows))

    def many(self, columns, rows):
        try:
            return self._all(columns, rows)
        except RUNTIME_ERROR:  # some row has no answer: then each is asked by itself
            each = [self._all([[c[row]] for c in columns], 1) for row in range(rows)]
            return Predictions(
                rows,
                None,
                None,
                np.concatenate([one.values for one in each]),
                tuple(Refusal(row, None, "", "") for row, one in enumerate(each) if one.refusals),
            )

    def _all(self, columns, rows):
        feeds = {
            value.name: tensor(value.type, values)
            for value, values in zip(self._inputs, columns, strict=True)
        }
        try:
            answers = self._session.run(None, feeds)
        except RUNTIME_ERROR:
            if rows > 1:
                raise
            refusal = (Refusal(0, None, "a row", "no answer"),)
            return Predictions(1, None, None, np.zeros((1, 1)), refusal)
        if self._regression:
            return Predictions(
                rows, None, None, np.asarray(answers[0], float).reshape(rows, -1), ()
            )
        labels = np.array([self._places[label] for label in np.asarray(answers[0]).tolist()])
        return Predictions(rows, labels, np.asarray(answers[1], float), None, ())


def tensor(kind, values):
    if kind == "tensor(string)":
        return np.array([["" if v is None else v] for v in values], object)
    return np.array([[np.nan if v is None else v] for v in values], np.float32)


def stock(pipeline, frame, options):
    """skl2onnx's graph of a whole pipeline, one input per column."""
    types = [
        (name, StringTensorType([None, 1]) if frame[name].dtype.kind in "OUT" or
         isinstance(frame[name].dtype, pd.StringDtype) else FloatTensorType([None, 1]))
        for name in frame.columns
    ]  # fmt: skip
    last = getattr(pipeline, "steps", [(None, pipeline)])[-1][1]
    settings = {id(last): {"zipmap": False}} if hasattr(pipeline, "predict_proba") else {}
    model = convert_sklearn(
        pipeline, initial_types=types, target_opset=TARGET, options={**settings, **dict(options)}
    )
    return model.SerializeToString()


def verdict(pipeline, frame, target, options=()):
    """What the proof says of the stock graph."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipeline.fit(frame, target)
        signature = observe(frame, pipeline, target="y", source="train")
        model = stock(pipeline, frame, options)
        session = Session(signature, StockEngine(model, signature))
        exported = Exported(form="onnx", model=model, encoding=Encoding(), steps=())
        rows = batches(signature, real_rows(frame), None)
        return prove(pipeline, session, signature, exported, rows)[0]


GAPS = PENGUINS[NUMBERS].mask(np.random.default_rng(0).random((len(PENGUINS), 3)) < 0.1)
CANCER = load_breast_cancer(as_frame=True)
DIABETES = load_diabetes(as_frame=True)
BINARY = PENGUINS[PENGUINS.species != "Gentoo"].dropna(subset=NUMBERS).reset_index(drop=True)


def columns_first(frame, *steps):
    """skl2onnx gives the first step one input per column: a transformer puts them together."""
    return make_pipeline(ColumnTransformer([("all", "passthrough", list(frame.columns))]), *steps)


def numeric(step, *, frame=GAPS, target=PENGUINS.species):
    return columns_first(frame, step), frame, target


def categorical():
    frame = BINARY[["bill_depth_mm"]].assign(
        island=OrdinalEncoder().fit_transform(BINARY[["island"]])[:, 0],
        group=(np.arange(len(BINARY)) * 7 % 11).astype(float),
    )
    model = HistGradientBoostingClassifier(
        max_iter=20, min_samples_leaf=2, categorical_features=[1, 2]
    )
    return columns_first(frame, model), frame, (np.arange(len(BINARY)) * 7 % 11) % 3 == 0


def ties():
    frame = CANCER.data.iloc[:, :10]
    model = RandomForestClassifier(10, max_depth=3, random_state=0)
    return columns_first(frame, StandardScaler(), model), frame, CANCER.target


def text():
    frame = pd.DataFrame({"note": PENGUINS.island + (" " + PENGUINS.species) * 3})
    words = TfidfVectorizer(sublinear_tf=True)
    steps = make_pipeline(ColumnTransformer([("words", words, "note")]), LogisticRegression())
    return steps, frame, PENGUINS.species, {TfidfVectorizer: {"locale": "C.UTF-8"}}


def yeo():
    frame = BINARY[["flipper_length_mm"]] / 1000 + 5
    power = PowerTransformer()
    return columns_first(frame, power, LogisticRegression()), frame, BINARY.species


def ordinal():
    frame = PENGUINS[["sex", "island"]]
    filled = SimpleImputer(strategy="constant", fill_value=-1)
    steps = make_pipeline(OrdinalEncoder(), filled, LogisticRegression())
    return steps, frame, PENGUINS.species


FAULTS = {
    "a tree and missing values": lambda: numeric(DecisionTreeClassifier(random_state=0)),
    "a forest and missing values": lambda: numeric(RandomForestClassifier(20, random_state=0)),
    "a tuned threshold": lambda: numeric(
        TunedThresholdClassifierCV(LogisticRegression(), scoring="recall", cv=3),
        frame=BINARY[["flipper_length_mm"]],
        target=BINARY.species == "Adelie",
    ),
    "histogram boosting and categories": categorical,
    "histogram boosting for counts": lambda: numeric(
        HistGradientBoostingRegressor(loss="poisson", max_iter=10),
        frame=DIABETES.data.iloc[:, :4],
        target=DIABETES.target,
    ),
    "binary discriminants": lambda: numeric(
        LinearDiscriminantAnalysis(), frame=BINARY[NUMBERS], target=BINARY.species
    ),
    "words counted by their logarithm": text,
    "an imputer's indicators": lambda: (
        columns_first(GAPS, SimpleImputer(add_indicator=True), LogisticRegression()),
        GAPS,
        PENGUINS.species,
    ),
    "nearest neighbours as imputers": lambda: (
        columns_first(GAPS, KNNImputer(), Ridge()),
        GAPS,
        PENGUINS.body_mass_g.fillna(4000),
    ),
    "codes of missing categories": ordinal,
    "powers beyond float32": yeo,
    "ties of a forest in float32": ties,
}


if tuple(map(int, onnxruntime.__version__.split(".")[:2])) < (1, 24):
    # There this stock graph ends the process (TopK of no rows), which the proof's child process is
    # for and this one is not.
    del FAULTS["nearest neighbours as imputers"]


@pytest.fixture
def whole_attributes(monkeypatch):
    """Newer protobuf refuses the numpy booleans that skl2onnx puts among whole numbers."""
    make = onnx.helper.make_attribute

    def coerced(key, value, *args, **kwargs):
        if isinstance(value, (list, np.ndarray)) and all(
            isinstance(each, (bool, int, np.bool_, np.integer)) for each in value
        ):
            value = [int(each) for each in value]
        return make(key, value, *args, **kwargs)

    monkeypatch.setattr(onnx.helper, "make_attribute", coerced)


@pytest.mark.parametrize("fault", FAULTS)
def test_the_proof_catches_what_a_stock_converter_gets_wrong(fault, whole_attributes):
    assert not verdict(*FAULTS[fault]()).equal
