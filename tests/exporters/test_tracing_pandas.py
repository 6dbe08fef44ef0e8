"""The user's own functions and classes inside pipelines: traced, proved, or told why not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from exporting import NUMBERS, STRINGS, assert_equal, proved
from exporting import PENGUINS as ALL
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.utils.validation import check_array, check_is_fitted

from mlpack.exporters.sklearn import SklearnExporter
from mlpack.exporters.sklearn.features import Context
from mlpack.exporters.sklearn.tracing.trace import trace_numbers
from mlpack.ports import NotExportableError
from mlpack.runtime.contract import Signature
from mlpack.training.observe import observe

PENGUINS = ALL.sample(90, random_state=0).reset_index(drop=True)  # proofs go by rows
FRAME = PENGUINS[[*NUMBERS, *STRINGS, "year"]]


def behind(function, frame=FRAME):
    """A pipeline that begins with a function of the whole frame."""
    pipeline = make_pipeline(
        FunctionTransformer(function),
        SimpleImputer(),
        StandardScaler(),
        LogisticRegression(max_iter=3000),
    )
    return pipeline.fit(frame, PENGUINS.species)


def engineered(df):
    df = df.copy()
    df["ratio"] = df["bill_length_mm"] / df["bill_depth_mm"]
    df["long"] = (df.flipper_length_mm > 200).astype(int)
    df["dream"] = df["island"] == "Dream"
    df["known"] = df["sex"].notna().astype(float)
    df["place"] = df["island"].map({"Dream": 1, "Biscoe": 2, "Torgersen": 3})
    df["late"] = df["year"].isin([2008, 2009]).astype(int)
    df["even"] = df["year"] % 2
    df["half"] = df.year // 3
    df.loc[df["bill_depth_mm"] < 15, "bill_depth_mm"] = 15
    df[["a", "b"]] = df[["bill_length_mm", "bill_depth_mm"]].clip(lower=14, upper=50) ** 2
    return df.drop(columns=["island", "sex"])


def made_anew(df):
    part = df[NUMBERS].fillna({"bill_length_mm": 44.0, "bill_depth_mm": 17})
    return pd.DataFrame(
        {
            "log": np.log1p(part["bill_length_mm"]),
            "where": np.where(part["bill_depth_mm"].between(15, 18), 1.5, -1),
            "mapped": df["year"].map(lambda year: (year - 2000) * 2),
            "cut": pd.cut(part["flipper_length_mm"], [100, 190, 200, 300], labels=False),
            "gaps": df[NUMBERS].isna().sum(axis=1),
            "most": part.max(axis=1),
            "named": df["sex"].replace({"male": 1.0, "female": 2.0}).isin([1.0]),
        },
        index=df.index,
    ).assign(both=lambda d: d["log"] + d["where"])


def joined(df):
    renamed = df[NUMBERS].rename(columns=str.upper).add_prefix("x_").mul(2).round(1)
    absent = df.select_dtypes("number").isna().astype(int).add_suffix("_gap")
    centred = df[NUMBERS].sub(pd.Series([44.0, 17.0, 200.0], index=NUMBERS))
    return pd.concat([renamed, absent, centred], axis=1)


@pytest.mark.parametrize("function", [engineered, made_anew, joined])
def test_columns_of_a_frame(function):
    _, exported = assert_equal(behind(function), FRAME)
    assert exported.steps[0].how == "traced"


def test_whole_numbers_run_over_and_miss_as_pandas_has_it():
    def function(df):
        return df.assign(cube=df.year**3, root=df.year / 7, gap=df.year.isna(), m=df.year % 5 == 2)

    frame = PENGUINS[["year", "flipper_length_mm"]]
    target = PENGUINS.body_mass_g.fillna(4000)
    pipeline = make_pipeline(FunctionTransformer(function), SimpleImputer(), Ridge())
    assert_equal(pipeline.fit(frame, target), frame, 1e-9)


def test_categories_are_grouped_before_an_encoder():
    def function(df):
        return df.assign(
            island=df["island"].fillna("none").replace({"Dream": "far", "Torgersen": "far"}),
            sex=df["sex"].map({"male": "m", "female": "f"}).fillna("?"),
            season=df["year"].map({2007: "a", 2008: "b"}).fillna("other"),
        )

    encoder = OneHotEncoder(handle_unknown="ignore")
    pipeline = make_pipeline(
        FunctionTransformer(function),
        ColumnTransformer(
            [("hot", encoder, ["island", "sex", "season"]), ("n", SimpleImputer(), NUMBERS)]
        ),
        LogisticRegression(max_iter=3000),
    ).fit(FRAME, PENGUINS.species)
    assert_equal(pipeline, FRAME)


def texts(df):
    size = np.where(df["flipper_length_mm"] > 210, "large", np.where(df.year > 2008, "new", "old"))
    return df.assign(
        size=size,
        part=pd.cut(df["bill_depth_mm"], [10, 15, 18, 30], labels=["a", "b", "c"]),
        low=df["island"].str.lower().str.strip(),
        start=df["sex"].fillna("none").str[:2],
        first=df["island"].fillna("nowhere").str.split("e").str[0],
        group=df["island"].str.extract(r"([ao])", expand=False),
        has=df["island"].str.contains("ea|isc", case=False).fillna(False).astype(int),
        ends=df["sex"].str.endswith("male", na=False).astype(int),
        long=df["island"].str.len(),
    )


def test_computed_text_is_encoded():
    hot = ["size", "part", "low", "start", "first", "group"]
    pipeline = make_pipeline(
        FunctionTransformer(texts),
        ColumnTransformer(
            [
                ("hot", OneHotEncoder(handle_unknown="ignore"), hot),
                ("n", SimpleImputer(), ["has", "ends", "long", "bill_length_mm"]),
            ]
        ),
        LogisticRegression(max_iter=9000),
    ).fit(FRAME, PENGUINS.species)
    assert_equal(pipeline, FRAME)


def test_unknown_computed_text_is_refused_where_the_encoder_refuses():
    def function(df):
        return df.assign(low=df["island"].str.lower())[["low"]]

    pipeline = make_pipeline(FunctionTransformer(function), OneHotEncoder(), LogisticRegression())
    report, _ = assert_equal(pipeline.fit(FRAME, PENGUINS.species), FRAME)
    assert sum(check.refused for check in report.checks) > 10


class Clipper(TransformerMixin, BaseEstimator):
    def __init__(self, share=0.05):
        self.share = share

    def fit(self, X, y=None):  # noqa: N803 - its name in scikit-learn
        numbers = check_array(X, ensure_all_finite="allow-nan")
        self.low_ = np.nanquantile(numbers, self.share, axis=0)
        self.high_ = np.nanquantile(numbers, 1 - self.share, axis=0)
        return self

    def transform(self, X):  # noqa: N803 - its name in scikit-learn
        check_is_fitted(self)
        numbers = check_array(X, ensure_all_finite="allow-nan")
        self.asked_ = getattr(self, "asked_", 0) + 1
        return np.c_[np.clip(numbers, self.low_, self.high_), np.isnan(numbers[:, 0])]


class Centred(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):  # noqa: N803 - its name in scikit-learn
        self.mean_ = X.mean()
        self.spread_ = X.std()
        return self

    def transform(self, X):  # noqa: N803 - its name in scikit-learn
        return (X.fillna(self.mean_) - self.mean_) / self.spread_


class Squashed(StandardScaler):
    def transform(self, X, copy=None):  # noqa: N803 - its name in scikit-learn
        return np.tanh(super().transform(X, copy=copy))


class Looped(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):  # noqa: N803 - its name in scikit-learn
        self.fitted_ = True
        return self

    def transform(self, X):  # noqa: N803 - its name in scikit-learn
        return np.array([[max(value, 190.0) for value in row] for row in X])


class Told(Looped):
    def __mlpack_export__(self, X, graph):  # noqa: N803 - its name in scikit-learn
        return graph.node("Max", X, 190.0)


class WronglyTold(Looped):
    def __mlpack_export__(self, X, graph):  # noqa: N803 - its name in scikit-learn
        return np.minimum(X, 190.0)


def own(step, filled=True):
    steps = [SimpleImputer(), step] if filled else [step, SimpleImputer()]
    pipeline = make_pipeline(
        ColumnTransformer([("own", make_pipeline(*steps), NUMBERS)]),
        LogisticRegression(max_iter=9000),
    )
    return pipeline.fit(FRAME, PENGUINS.species)


def test_own_classes_before_anything_else():
    assert_equal(own(Centred(), filled=False), FRAME)


@pytest.mark.parametrize("step", [Squashed(), Told()])
def test_own_classes_behind_a_step(step):
    assert_equal(own(step), FRAME)


def test_a_hook_that_says_otherwise_is_caught():
    report, _, _ = proved(own(WronglyTold()), FRAME)
    assert not report.equal


def test_what_is_traced_is_a_copy():
    pipeline = own(Clipper(), filled=False)
    step = pipeline[0].named_transformers_["own"][0]
    signature = observe(FRAME, pipeline, target="y", source="train")
    asked = step.asked_
    SklearnExporter().export(pipeline, signature)
    assert step.asked_ == asked
    assert_equal(pipeline, FRAME)


def test_names_are_handed_on():
    first = ColumnTransformer(
        [("n", SimpleImputer(), NUMBERS), ("year", "passthrough", ["year"])],
        verbose_feature_names_out=False,
    )
    second = FunctionTransformer(
        lambda df: df.assign(area=df["bill_length_mm"] * df["bill_depth_mm"])
    )
    third = ColumnTransformer([("area", StandardScaler(), ["area", "year"])])
    pipeline = make_pipeline(first, second, third, LogisticRegression(max_iter=3000))
    assert_equal(pipeline.set_output(transform="pandas").fit(FRAME, PENGUINS.species), FRAME)


def test_a_series_and_a_sparse_matrix():
    series = FunctionTransformer(lambda s: (s == "male").astype(float).to_frame())
    hot = OneHotEncoder(handle_unknown="ignore")
    dense = FunctionTransformer(lambda x: x.toarray())
    pipeline = make_pipeline(
        ColumnTransformer([("s", series, "sex"), ("h", make_pipeline(hot, dense), ["island"])]),
        LogisticRegression(),
    ).fit(FRAME, PENGUINS.species)
    assert_equal(pipeline, FRAME)


def test_options_and_validation():
    def shifted(x, by=0.0, *, factor=1.0):
        return (x + by) * factor

    step = FunctionTransformer(shifted, kw_args={"by": 2, "factor": 0.5}, validate=True)
    pipeline = make_pipeline(step, LogisticRegression(max_iter=3000))
    data = PENGUINS.dropna(subset=NUMBERS).reset_index(drop=True)
    report, _ = assert_equal(pipeline.fit(data[NUMBERS], data.species), data[NUMBERS])
    assert sum(check.refused for check in report.checks) > 3


TRAINED = make_pipeline(
    ColumnTransformer([("fill", SimpleImputer(), NUMBERS)]), LogisticRegression(max_iter=3000)
).fit(FRAME, PENGUINS.species)
REFUSED = {
    "rows": (lambda df: df[df.year > 2007], "chosen by a condition"),
    "apply": (lambda df: df.assign(x=df.apply(lambda row: row.year, axis=1)), "axis=1"),
    "mean": (lambda df: df[NUMBERS] - df[NUMBERS].mean(), "learn it in fit"),
    "rank": (lambda df: df.assign(x=df.year.rank()), "Series.rank"),
    "shift": (lambda df: df.assign(x=df.year.shift()), "Series.shift"),
    "branch": (lambda df: df if (df.year > 2007).all() else -df, "Series.all"),
    "text": (lambda df: df.assign(x=df.island.str.upper()), "nobody has seen"),
    "index": (lambda df: df.assign(x=df.index.values), "index"),
    "dummies": (lambda df: 1 * pd.get_dummies(df), "get_dummies"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_traced_names_the_line(name):
    function, told = REFUSED[name]
    signature = observe(FRAME, TRAINED, target="y", source="train")
    pipeline = Pipeline([("own", FunctionTransformer(function)), *TRAINED.steps])
    with pytest.raises(NotExportableError) as error:
        SklearnExporter().export(pipeline, signature)
    assert error.value.path == "own"
    assert told in error.value.reason
    assert "test_tracing_pandas.py, line" in error.value.reason


def test_a_function_of_numbers_alone_is_for_every_converter():
    signature = Signature(task="regression", columns=(), outputs=())
    context = Context(signature=signature, vocabulary={}, numbers=())
    context.made("value", [None])
    tensor = trace_numbers("target", lambda y: np.expm1(y) * 2, "value", 1, context)
    assert tensor
    with pytest.raises(NotExportableError, match="other rows"):
        trace_numbers("target", lambda y: y - y.mean(), "value", 0, context)
