"""Pipelines on columns of other dtypes: the graph rounds as the original's frame does."""

from __future__ import annotations

import datetime as dt

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from exporting import NUMBERS, PENGUINS, assert_equal, proved
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler

from mlpack.exporters.portable import compose
from mlpack.exporters.sklearn import SklearnExporter
from mlpack.ports import NotExportableError
from mlpack.proof.original import ask
from mlpack.proof.prove import prove
from mlpack.proof.rows import batches
from mlpack.runtime.hybrid_session import HybridEngine, load_parts
from mlpack.runtime.session import Session
from mlpack.training.columns import real_rows
from mlpack.training.observe import observe
from mlpack.training.reference import read_reference, write_reference

SPECIES = PENGUINS.species.to_numpy()
SINGLE = PENGUINS[NUMBERS].astype("float32").assign(year=PENGUINS.year)
DAYS = [dt.date(2007, 11, 11) + dt.timedelta(days=place % 90) for place in range(len(PENGUINS))]


def scaled(last):
    return make_pipeline(SimpleImputer(), StandardScaler(), last)


@pytest.mark.parametrize(
    "pipeline",
    [
        make_pipeline(RandomForestClassifier(n_estimators=5, random_state=0)),
        scaled(LogisticRegression(max_iter=300)),
        make_pipeline(HistGradientBoostingClassifier(max_iter=5)),
        make_pipeline(
            make_column_transformer(
                (OneHotEncoder(handle_unknown="ignore"), ["bill_length_mm"]),
                remainder=SimpleImputer(),
            ),
            LogisticRegression(max_iter=300),
        ),
    ],
)
def test_numbers_are_rounded_to_float32(pipeline):
    _, exported = assert_equal(pipeline.fit(SINGLE, SPECIES), SINGLE)
    assert b"numbers/rounded" in exported.model or not exported.encoding.numbers


def test_a_number_beside_a_threshold_takes_the_side_of_its_rounded_value():
    frame = pd.DataFrame({"a": np.array([0.0, 0.1, 0.2, 0.3], "float32"), "b": np.arange(4.0)})
    pipeline = make_pipeline(
        FunctionTransformer(), HistGradientBoostingClassifier(max_iter=1, min_samples_leaf=1)
    ).fit(frame, [0, 0, 1, 1])
    _, exported = assert_equal(pipeline, frame)
    signature = observe(frame, pipeline, target="y", source="train")
    portable = onnxruntime.InferenceSession(
        compose(exported.model, exported.encoding, signature), providers=["CPUExecutionProvider"]
    )
    rows = [{"a": value, "b": 1.0} for value in np.linspace(0.1, 0.2, 501).tolist()]
    feed = {name: np.array([[row[name]] for row in rows]) for name in frame}
    label = portable.run(["label"], feed)[0]
    assert label.tolist() == ask(pipeline, signature, rows).labels.tolist()


def test_a_column_of_half_precision_is_no_graph_and_says_so():
    frame = SINGLE.astype({"bill_length_mm": "float16"})
    with pytest.raises(NotExportableError, match="'bill_length_mm' is float16"):
        proved(scaled(LogisticRegression(max_iter=300)).fit(frame, SPECIES), frame)


@pytest.mark.parametrize(
    "dtypes",
    [
        {"year": "Int16", "bill_length_mm": "Float32", "sex": "string[python]"},
        {"year": "uint16", "bill_length_mm": "double[pyarrow]", "sex": "large_string[pyarrow]"},
    ],
)
def test_nullable_columns(dtypes):
    frame = PENGUINS[[*NUMBERS, "year", "sex"]].astype(dtypes)
    texts = make_pipeline(
        SimpleImputer(missing_values=pd.NA, strategy="most_frequent"),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
    )
    columns = ColumnTransformer(
        [("texts", texts, ["sex"]), ("numbers", scaled("passthrough"), [*NUMBERS, "year"])]
    )
    pipeline = make_pipeline(columns, LogisticRegression(max_iter=300)).fit(frame, SPECIES)
    report, _ = assert_equal(pipeline, frame)
    assert report.rows > 500


def test_a_category_called_nan_is_not_a_missing_one():
    sex = PENGUINS.sex.astype(object).replace({"male": "nan", "female": "None"})
    frame = PENGUINS[NUMBERS].fillna(0.0).assign(sex=sex)
    columns = make_column_transformer((OneHotEncoder(), ["sex"]), remainder="passthrough")
    pipeline = make_pipeline(columns, LogisticRegression(max_iter=300))
    _, exported = assert_equal(pipeline.fit(frame, SPECIES), frame)
    (codes,) = exported.encoding.codes
    assert {"nan", "None"} <= set(codes.categories)


def weekdays(frame):
    return frame.map(lambda day: np.nan if pd.isna(day) else float(day.weekday()))


def dated(days):
    return PENGUINS[NUMBERS].assign(day=pd.Series(days))


def with_days(step):
    return make_pipeline(
        make_column_transformer((scaled("passthrough"), NUMBERS), (step, ["day"])),
        LogisticRegression(max_iter=300),
    )


def test_a_date_that_is_dropped_needs_no_python():
    frame = dated(pd.to_datetime(DAYS))
    pipeline = with_days("drop").fit(frame, SPECIES)
    assert_equal(pipeline, frame)
    signature = observe(frame, pipeline, target="y", source="train")
    exported = SklearnExporter().export(pipeline, signature)
    compose(exported.model, exported.encoding, signature)


def test_a_date_without_a_function_is_refused_with_what_to_write():
    frame = dated(pd.to_datetime(DAYS))
    with pytest.raises(NotExportableError, match=r"'day' holds dates or times.*data\.load"):
        proved(with_days(StandardScaler()).fit(frame, SPECIES), frame)


@pytest.mark.parametrize("days", [DAYS, pd.to_datetime(DAYS).tz_localize("Europe/Berlin")])
def test_a_function_of_dates_stays_python_and_is_proved(days):
    frame = dated(days)
    own = make_pipeline(FunctionTransformer(weekdays), SimpleImputer())
    pipeline = with_days(own).fit(frame, SPECIES)
    signature = observe(frame, pipeline, target="y", source="train")
    exported = SklearnExporter().export(pipeline, signature, hybrid=True)
    assert exported.form == "hybrid"
    parts = load_parts(exported.parts)
    session = Session(signature, HybridEngine(exported.model, exported.encoding, signature, parts))
    every = list(batches(signature, real_rows(frame), exported, nodes=20))
    assert "odd dates" in [batch.name for batch in every]
    report, worst = prove(pipeline, session, signature, exported, every)
    assert report.equal, worst[:3]


def test_reference_rows_keep_dates_and_decimals(tmp_path):
    frame = dated(DAYS).assign(at=pd.to_datetime(DAYS).as_unit("s").tz_localize("Europe/Berlin"))
    frame["year"] = PENGUINS.year.astype("Int16").where(PENGUINS.year > 2007)
    pipeline = make_pipeline(
        make_column_transformer((scaled("passthrough"), NUMBERS)), LogisticRegression(max_iter=300)
    ).fit(frame, SPECIES)
    signature = observe(frame, pipeline, target="y", source="train")
    outcomes = ask(pipeline, signature, real_rows(frame))
    write_reference(tmp_path / "reference.parquet", frame, SPECIES, outcomes, signature)
    found = read_reference(tmp_path / "reference.parquet")
    before, after = Session(signature, None), real_rows(found)
    read = [before._reader.rows(rows) for rows in (real_rows(frame), after)]
    assert not read[0].refusals
    assert not read[1].refusals
    assert [list(column) for column in read[0].columns] == [list(c) for c in read[1].columns]


@pytest.mark.parametrize(
    "year",
    [
        PENGUINS.year.astype("category"),
        (PENGUINS.year / 2).astype("category"),
        (PENGUINS.year > 2007).astype("category"),
        (PENGUINS.year > 2007).astype("boolean").where(PENGUINS.year != 2009),
    ],
)
@pytest.mark.parametrize(
    "step", [OneHotEncoder(handle_unknown="ignore"), SimpleImputer(strategy="most_frequent")]
)
def test_categories_that_are_numbers(year, step):
    frame = PENGUINS[NUMBERS].fillna(0.0).assign(year=year)
    columns = make_column_transformer((step, ["year"]), remainder=StandardScaler())
    assert_equal(
        make_pipeline(columns, LogisticRegression(max_iter=300)).fit(frame, SPECIES), frame
    )
