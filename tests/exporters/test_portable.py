"""The portable graph answers from raw columns as the bundle's own does."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
from exporting import NUMBERS, PENGUINS, STRINGS, proved
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import SVC

from mlpack.exporters.portable import MISSING, compose, kind
from mlpack.ports import NotExportableError
from mlpack.proof.portable import PortableEngine, PortableSession
from mlpack.proof.prove import prove
from mlpack.proof.rows import batches
from mlpack.runtime.contract import Codes, Column, Encoding, Signature
from mlpack.training.columns import real_rows
from mlpack.training.observe import observe

ORDINAL = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)


def columns(**options):
    return ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), NUMBERS),
            ("strings", OneHotEncoder(**options), STRINGS),
            (
                "year",
                OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
                ["year"],
            ),
        ]
    )


PIPELINES = {
    "linear": (make_pipeline(columns(handle_unknown="ignore"), LogisticRegression()), "species"),
    "forest": (
        make_pipeline(columns(handle_unknown="ignore"), RandomForestClassifier(5, random_state=0)),
        "species",
    ),
    "unknown is refused": (make_pipeline(columns(), SVC()), "species"),
    "regression": (make_pipeline(columns(handle_unknown="ignore"), Ridge()), "flipper_length_mm"),
    "bare": (HistGradientBoostingClassifier(max_iter=5), "late"),
}


def portable(name):
    pipeline, target = PIPELINES[name]
    data = PENGUINS.assign(late=PENGUINS.year > 2007).dropna(subset=["flipper_length_mm"])
    data = data.reset_index(drop=True)
    frame = data[NUMBERS] if name == "bare" else data[[*NUMBERS, *STRINGS, "year"]]
    pipeline.fit(frame, data[target])
    signature = observe(frame, pipeline, target=target, source="train")
    _, _, exported = proved(pipeline, frame)
    made = compose(exported.model, exported.encoding, signature)
    return pipeline, frame, signature, exported, made


@pytest.mark.parametrize("name", PIPELINES)
def test_it_passes_the_gate_that_the_bundle_passes(name):
    pipeline, frame, signature, exported, made = portable(name)
    session = PortableSession(signature, PortableEngine(made, MISSING, signature))
    rows = batches(signature, real_rows(frame), exported)
    report, worst = prove(pipeline, session, signature, exported, rows)
    assert report.equal, worst[:3]
    assert report.rows > 1000


def test_its_inputs_are_the_raw_columns_and_its_labels_the_users():
    pipeline, frame, _, _, made = portable("linear")
    session = onnxruntime.InferenceSession(made, providers=["CPUExecutionProvider"])
    assert [value.name for value in session.get_inputs()] == list(frame.columns)
    row = frame.head(5)
    feeds = {
        name: row[[name]].astype(object).fillna(MISSING).to_numpy()
        if name in STRINGS
        else row[[name]].to_numpy(np.float64)
        for name in frame.columns
    }
    label, probabilities = session.run(["label", "probabilities"], feeds)
    assert label.tolist() == pipeline.predict(row).tolist()
    np.testing.assert_allclose(probabilities, pipeline.predict_proba(row), atol=1e-12)
    props = {prop.key: prop.value for prop in onnx.load_from_string(made).metadata_props}
    assert props["mlpack.missing"] == MISSING


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (Column(name="a", type="number", dtype="float64", nullable=False), "double"),
        (Column(name="a", type="integer", dtype="int64", nullable=False), "int64"),
        (Column(name="a", type="integer", dtype="int64", nullable=True), "double"),
        (Column(name="a", type="boolean", dtype="bool", nullable=False), "bool"),
        (Column(name="a", type="string", dtype="object"), "string"),
    ],
)
def test_an_input_has_a_type_that_can_say_missing_where_a_value_may_be(column, expected):
    assert kind(column) == expected


@pytest.mark.parametrize("name", ["label", "refused", "core/x"])
def test_a_column_may_not_be_called_as_something_in_the_graph(name):
    _, _, signature, exported, _ = portable("bare")
    column = Column(name=name, type="number", dtype="float64")
    signature = Signature(
        task="classification", columns=(column,), outputs=signature.outputs, labels=(False, True)
    )
    with pytest.raises(NotExportableError, match=name):
        compose(exported.model, exported.encoding, signature)


def test_a_category_may_not_be_what_stands_for_missing():
    _, _, signature, exported, _ = portable("linear")
    encoding = Encoding(
        numbers=exported.encoding.numbers,
        codes=(Codes(column="sex", categories=(MISSING,)),),
    )
    with pytest.raises(NotExportableError, match="category of sex"):
        compose(exported.model, encoding, signature)


def test_a_number_of_single_precision_is_rounded_before_it_is_looked_up():
    frame = pd.DataFrame({"x": np.array([0.1, 0.2, 0.3] * 30, np.float32)})
    pipeline = make_pipeline(OneHotEncoder(handle_unknown="ignore"), Ridge())
    pipeline.fit(frame, np.arange(90) % 3)
    signature = observe(frame, pipeline, target="y", source="train")
    _, _, exported = proved(pipeline, frame)
    made = compose(exported.model, exported.encoding, signature)
    engine = PortableEngine(made, MISSING, signature)
    rows = [{"x": value} for value in (0.1, 0.2, 0.3)]
    said = PortableSession(signature, engine).rows(rows).values[:, 0]
    assert np.allclose(said, pipeline.predict(frame.head(3)), rtol=0, atol=1e-12)
    assert len(set(said.round(6))) == 3
