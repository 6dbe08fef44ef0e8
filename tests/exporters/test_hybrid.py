"""Pipelines of which some steps have no graph: those stay Python, the rest is a graph."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pandas as pd
import pytest
from exporting import EXACT, PENGUINS
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler

from mlpack.exporters.sklearn import SklearnExporter
from mlpack.exporters.sklearn.features import Context
from mlpack.exporters.sklearn.parts import through
from mlpack.ports import NotExportableError
from mlpack.proof.prove import prove
from mlpack.proof.rows import batches
from mlpack.runtime.hybrid_session import HybridEngine, load_parts
from mlpack.runtime.session import Session
from mlpack.training.columns import real_rows
from mlpack.training.observe import observe

NUMBERS = ["bill_length_mm", "body_mass_g"]
SOME = PENGUINS.dropna(subset=["bill_length_mm"]).iloc[::3].reset_index(drop=True)
ROWS, SPECIES = SOME[[*NUMBERS, "island", "sex"]], SOME["species"]


class Letters(TransformerMixin, BaseEstimator):
    """Two numbers of each text of a frame's first column, found with ``re`` row by row."""

    def fit(self, X, y=None):  # noqa: N803
        return self

    def transform(self, X):  # noqa: N803
        texts = [str(value) for value in X.iloc[:, 0]]
        return np.array([[len(text), len(re.findall("[aeiou]", text))] for text in texts], float)


class Picky(Letters):
    """Raises for what is no island."""

    def transform(self, X):  # noqa: N803
        if not X.iloc[:, 0].isin(["Biscoe", "Dream", "Torgersen"]).all():
            raise ValueError("no island")
        return super().transform(X)


class Own(LogisticRegression):
    """A model of which nothing is known."""


def shorter(X):  # noqa: N803
    """The same frame with a further column of texts."""
    return X.assign(place=[str(value)[:2] for value in X["island"]])


def initials(X):  # noqa: N803
    """Texts of a column that may be given as a series."""
    assert isinstance(X, pd.Series)
    return pd.DataFrame({"first": [ord(str(value)[:1] or "-") for value in X]})


def tokens(text):
    """A tokenizer of one's own."""
    return text.split()


def export(pipeline, frame=ROWS, target=SPECIES):
    """Fit and export; the signature and what was exported."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipeline.fit(frame, target)
        signature = observe(frame, pipeline, target="y", source="train")
        return signature, SklearnExporter().export(pipeline, signature, hybrid=True)


def assert_equal_hybrid(pipeline, frame=ROWS, target=SPECIES):
    """A hybrid that answers as the pipeline does on every row; what was exported."""
    signature, exported = export(pipeline, frame, target)
    assert exported.form == "hybrid"
    engine = HybridEngine(exported.model, exported.encoding, signature, load_parts(exported.parts))
    rows = batches(signature, real_rows(frame), exported)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report, worst = prove(pipeline, Session(signature, engine), signature, exported, rows)
    assert report.equal, worst[:3]
    assert max(check.largest for check in report.checks) <= EXACT
    return exported


def forms(exported):
    """The last word of each step's path, by what became of it."""
    found = {"graph": [], "python": []}
    for step in exported.steps:
        found[step.form].append(step.path.split(" → ")[-1].split("(")[0])
    return found


def numbers():
    return ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), NUMBERS)


def sexes(*further):
    return ("sex", OneHotEncoder(handle_unknown="ignore"), ["sex", *further])


def with_columns(*branches, model=None):
    return make_pipeline(ColumnTransformer(list(branches)), model or LogisticRegression())


def test_a_branch_stays_python_and_what_follows_in_it_is_in_the_graph():
    branch = ("island", make_pipeline(Letters(), StandardScaler()), ["island"])
    exported = assert_equal_hybrid(with_columns(numbers(), branch, sexes()))
    (part,) = exported.encoding.parts
    assert (part.name, part.columns, part.width, part.series) == ("python_0", ("island",), 2, False)
    assert exported.encoding.numbers == tuple(NUMBERS)
    assert [codes.column for codes in exported.encoding.codes] == ["sex"]
    assert forms(exported)["python"] == ["Letters"]
    assert forms(exported)["graph"].count("StandardScaler") == 2
    assert exported.reason == "; ".join(
        f"{step.path}: {step.reason}" for step in exported.steps if step.form == "python"
    )
    (steps,) = load_parts(exported.parts).values()
    assert [type(step) for step in steps] == [Letters]


def test_without_leave_it_is_not_exportable():
    pipeline = with_columns(numbers(), ("island", Letters(), ["island"]))
    with pytest.raises(NotExportableError, match="Letters"):
        SklearnExporter().export(pipeline.fit(ROWS, SPECIES), export(pipeline)[0])


@pytest.mark.parametrize("columns", [[2], [False, False, True, False]])
def test_a_branch_may_name_its_columns_in_any_way(columns):
    exported = assert_equal_hybrid(with_columns(numbers(), ("island", Letters(), columns)))
    assert exported.encoding.parts[0].columns == ("island",)


def test_a_column_named_by_itself_is_a_series():
    pipeline = with_columns(numbers(), ("island", FunctionTransformer(initials), "island"))
    assert assert_equal_hybrid(pipeline).encoding.parts[0].series
    texts = with_columns(numbers(), ("island", CountVectorizer(tokenizer=tokens), "island"))
    exported = assert_equal_hybrid(texts, ROWS.assign(island=ROWS["island"] + " island"))
    assert exported.encoding.parts[0].series


def test_selectors_and_the_remainder():
    columns = ColumnTransformer(
        [("numbers", SimpleImputer(), make_column_selector(dtype_include="number"))],
        remainder=make_pipeline(Letters(), StandardScaler()),
    )
    exported = assert_equal_hybrid(make_pipeline(columns, LogisticRegression()))
    assert exported.encoding.parts[0].columns == ("island", "sex")


def test_behind_a_column_transformer_all_before_it_stays_python():
    pipeline = make_pipeline(
        ColumnTransformer([numbers(), sexes()]),
        FunctionTransformer(np.sinc),
        StandardScaler(),
        LogisticRegression(),
    )
    pipeline.steps[1] = ("own", Halves())
    exported = assert_equal_hybrid(pipeline)
    assert exported.encoding.parts[0].columns == tuple(ROWS.columns)
    assert forms(exported) == {
        "python": ["ColumnTransformer", "Halves"],
        "graph": ["StandardScaler", "LogisticRegression"],
    }
    feeding, own = exported.steps[:2]
    assert "feeds" in feeding.reason
    assert exported.reason == f"{own.path}: {own.reason}"
    # What the encoder and the imputer had put into the graph before is gone again.
    assert (exported.encoding.numbers, exported.encoding.codes) == ((), ())


class Halves(TransformerMixin, BaseEstimator):
    """Numbers that no graph has, with a value that is not exact in single precision."""

    def fit(self, X, y=None):  # noqa: N803
        return self

    def transform(self, X):  # noqa: N803
        return np.array([[float(f"{value:.6g}") / 3 for value in row] for row in np.asarray(X)])


def test_an_encoder_behind_a_step_of_ones_own_goes_with_it():
    columns = ColumnTransformer([numbers(), sexes("place")])
    rows = ROWS.dropna()
    pipeline = make_pipeline(FunctionTransformer(shorter), columns, RandomForestClassifier(10))
    exported = assert_equal_hybrid(pipeline, rows, SPECIES[rows.index])
    assert forms(exported)["graph"] == ["RandomForestClassifier"]
    # The first reason is the step of one's own, and not the encoder that had to follow it.
    assert exported.reason.startswith("functiontransformer")


@pytest.mark.parametrize("way", ["pandas", "default"])
def test_the_way_that_steps_hand_on_their_answers_is_kept(way):
    pipeline = make_pipeline(
        ColumnTransformer([numbers(), ("island", FunctionTransformer(named), ["island"])]),
        LogisticRegression(),
    )
    pipeline[0].set_output(transform=way)
    assert_equal_hybrid(pipeline)


def named(X):  # noqa: N803
    """A frame whose columns are of different types."""
    lengths = [len(str(value)) for value in X["island"]]
    return pd.DataFrame({"length": lengths, "long": np.array(lengths) > 5}, index=X.index)


def test_a_branch_of_a_union():
    union = FeatureUnion(
        [("letters", Letters()), ("code", OneHotEncoder(handle_unknown="ignore"))],
        transformer_weights={"letters": 0.5},
    )
    exported = assert_equal_hybrid(with_columns(numbers(), ("island", union, ["island"])))
    assert forms(exported)["python"] == ["Letters"]
    assert [codes.column for codes in exported.encoding.codes] == ["island"]


def test_a_union_whose_branch_says_nothing_of_its_width_goes_as_a_whole():
    # Nothing can be made up that this step does not raise for.
    rows = ROWS.assign(island=[f"{island} {i}" for i, island in enumerate(ROWS["island"])])
    union = FeatureUnion([("letters", Numbered()), ("code", OrdinalEncoder())])
    union.set_params(code__handle_unknown="use_encoded_value", code__unknown_value=-1)
    exported = assert_equal_hybrid(with_columns(numbers(), ("island", union, ["island"])), rows)
    assert forms(exported)["python"] == ["Numbered"]
    assert exported.encoding.parts[0].width == 2
    (steps,) = load_parts(exported.parts).values()
    assert [type(step) for step in steps] == [FeatureUnion]


class Numbered(Letters):
    """The number behind a text."""

    def transform(self, X):  # noqa: N803
        return np.array([[float(text.split()[1])] for text in X.iloc[:, 0]])


def test_where_a_part_raises_the_row_is_refused_and_no_other():
    exported = assert_equal_hybrid(with_columns(numbers(), ("island", Picky(), ["island"])))
    assert exported.encoding.parts[0].width == 2


def test_several_parts_and_a_search_around_all():
    voting = VotingClassifier(
        [
            ("a", with_columns(numbers(), ("island", Letters(), ["island"]))),
            ("b", with_columns(numbers(), ("sex", Letters(), ["sex"]))),
        ],
        voting="soft",
    )
    exported = assert_equal_hybrid(GridSearchCV(voting, {"a__logisticregression__C": [1.0]}, cv=2))
    assert [part.name for part in exported.encoding.parts] == ["python_0", "python_1"]
    assert load_parts(exported.parts).keys() == {"python_0", "python_1"}
    assert len(exported.reason.split("; ")) >= 2


def test_regressions():
    pipeline = with_columns(
        ("numbers", SimpleImputer(), ["bill_length_mm"]),
        ("island", Letters(), ["island"]),
        model=LinearRegression(),
    )
    rows = ROWS.dropna()
    assert_equal_hybrid(pipeline, rows[["bill_length_mm", "island"]], rows["body_mass_g"])


def test_a_traced_step_behind_one_that_stays_python_goes_with_it():
    # Whether it is given a frame or an array, nobody can tell before it runs.
    branch = make_pipeline(Letters(), FunctionTransformer(ratio), StandardScaler())
    exported = assert_equal_hybrid(with_columns(numbers(), ("island", branch, ["island"])))
    kept = [each.lower() for each in forms(exported)["python"]]
    assert kept == ["letters", "functiontransformer"]
    traced = make_pipeline(SimpleImputer(), FunctionTransformer(ratio))
    apart = with_columns(("numbers", traced, NUMBERS), ("island", Letters(), ["island"]))
    exported = assert_equal_hybrid(apart)
    assert forms(exported)["python"] == ["Letters"]
    assert "FunctionTransformer" in forms(exported)["graph"]


def ratio(X):  # noqa: N803
    """Numbers that can be traced."""
    return np.column_stack([X[:, 0] / (X[:, 1] + 1.0), X[:, 1]])


class Stumbling:
    """A walk whose converters meet something that they do not know."""

    def transform(self, path, step, features, context):
        raise ZeroDivisionError("of what\nand more")


def test_a_step_whose_converter_stumbles_stays_python():
    signature, _ = export(with_columns(numbers(), sexes()))
    context = Context(signature=signature, vocabulary={}, numbers=tuple(NUMBERS))
    features, told = context.raw_features()[2:3], []
    made = through(Stumbling(), told, "a", [("b", Letters())], features, context, None)
    assert [(each.tensor, each.index) for each in made] == [("python_0", 0), ("python_0", 1)]
    (step,) = told
    assert step.reason == "making its graph failed: ZeroDivisionError: of what"
    assert [kept.reason for kept in context.parts] == [f"a → b → Letters: {step.reason}"]


def test_a_model_that_has_no_graph_is_no_hybrid():
    pipeline = with_columns(numbers(), ("island", Letters(), ["island"]), model=Own())
    with pytest.raises(NotExportableError, match="Own"):
        export(pipeline)


def test_a_pipeline_that_has_a_graph_is_no_hybrid():
    _, exported = export(with_columns(numbers(), sexes()))
    assert (exported.form, exported.parts, exported.reason) == ("onnx", b"", None)
    assert exported.encoding.parts == ()


def test_the_same_pipeline_gives_the_same_bytes():
    pipeline = with_columns(numbers(), ("island", Letters(), ["island"]))
    first, second = export(pipeline)[1], export(pipeline)[1]
    assert (first.model, first.parts) == (second.model, second.parts)


def test_steps_that_do_nothing_are_left_out():
    branch = Pipeline([("first", "passthrough"), ("own", Letters()), ("last", None)])
    exported = assert_equal_hybrid(with_columns(numbers(), ("island", branch, ["island"])))
    assert forms(exported)["python"] == ["Letters"]
