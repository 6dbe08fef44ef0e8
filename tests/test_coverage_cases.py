"""The list of what exports: whole, in order, and its judge tells right from wrong."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils.validation import NotFittedError, check_is_fitted

import judge
import report
from cases import CASES, GROUPS
from cases.case import Case
from cases.data import CACHE, FRAMES, HELD_OUT, TARGETS, prepare, source, spoiled, table
from cases.parts import model
from judge import Result
from mlpack.export import Check, Parity

ROOT = Path(__file__).resolve().parent.parent
HERE = [case for case in CASES if case.needs is None or find_spec(case.needs)]

PROMISED = """
SimpleImputer KNNImputer IterativeImputer MissingIndicator StandardScaler MinMaxScaler
MaxAbsScaler RobustScaler Normalizer PowerTransformer QuantileTransformer KBinsDiscretizer
PolynomialFeatures SplineTransformer Binarizer OneHotEncoder OrdinalEncoder TargetEncoder
CountVectorizer TfidfVectorizer HashingVectorizer PCA TruncatedSVD Nystroem SelectKBest
SelectFromModel VarianceThreshold RFE LogisticRegression LogisticRegressionCV RidgeClassifier
SGDClassifier Perceptron LinearRegression Ridge Lasso ElasticNet Lars BayesianRidge
HuberRegressor QuantileRegressor PoissonRegressor GammaRegressor TweedieRegressor SGDRegressor
PLSRegression SVC SVR NuSVC LinearSVC KNeighborsClassifier KNeighborsRegressor NearestCentroid
DecisionTreeClassifier DecisionTreeRegressor RandomForestClassifier RandomForestRegressor
ExtraTreesClassifier ExtraTreesRegressor GradientBoostingClassifier GradientBoostingRegressor
HistGradientBoostingClassifier HistGradientBoostingRegressor AdaBoostClassifier
AdaBoostRegressor BaggingClassifier BaggingRegressor VotingClassifier VotingRegressor
StackingClassifier StackingRegressor CalibratedClassifierCV TunedThresholdClassifierCV
FixedThresholdClassifier MLPClassifier MLPRegressor GaussianNB MultinomialNB ComplementNB
BernoulliNB LinearDiscriminantAnalysis QuadraticDiscriminantAnalysis IsolationForest
LocalOutlierFactor OneClassSVM KMeans TransformedTargetRegressor MultiOutputClassifier
MultiOutputRegressor ClassifierChain RegressorChain OneVsRestClassifier OneVsOneClassifier
DummyClassifier DummyRegressor ColumnTransformer FeatureUnion GridSearchCV RandomizedSearchCV
HalvingGridSearchCV XGBClassifier XGBRegressor LGBMClassifier LGBMRegressor CatBoostClassifier
CatBoostRegressor
"""


def test_every_row_has_a_place_of_its_own():
    ids = [case.id for case in CASES]
    assert len(ids) == len(set(ids)) > 400
    for group, (_, cases) in GROUPS.items():
        assert cases
        for case in cases:
            assert re.fullmatch(group + r"/[a-z0-9_]+(-[a-z0-9_]+)*", case.id), case.id
            assert case.target in TARGETS[FRAMES[case.data][0]], case.id


def test_no_two_rows_of_a_group_say_the_same():
    for _, cases in GROUPS.values():
        told = [case.what for case in cases]
        assert len(told) == len(set(told))


@pytest.mark.parametrize("name", PROMISED.split())
def test_what_is_promised_is_in_the_list(name):
    assert any(re.search(rf"\b{name}\b", case.what) for case in CASES), name


def parts(estimator, found):
    """All estimators in an estimator, whichever way it holds them."""
    if isinstance(estimator, BaseEstimator):
        found[id(estimator)] = estimator
        for value in estimator.get_params(deep=False).values():
            parts(value, found)
    elif isinstance(estimator, list | tuple):
        for value in estimator:
            parts(value, found)
    return found


def test_functions_build_pipelines_that_are_new_and_not_fitted():
    for case in HERE:
        first, second = case.build(), case.build()
        assert not parts(first, {}).keys() & parts(second, {}).keys(), case.id
        with pytest.raises(NotFittedError):
            check_is_fitted(first)


@pytest.mark.parametrize(
    "name",
    [
        "linear/logistic-penguins",
        "text/tfidf",
        "structure/bare",
        "structure/bare-integers",
        "scaling/standard-integers",
    ],
)
def test_a_few_rows_are_exact(name):
    case = next(case for case in CASES if case.id == name)
    result = judge.judge(case)
    assert result.verdict == "exact", result.reason
    assert result.rows > 500
    assert result.refused < result.rows / 4


class Mine(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):  # noqa: N803 - its name in scikit-learn
        return self

    def transform(self, X):  # noqa: N803 - its name in scikit-learn
        return X.apply(sorted, axis=1, result_type="broadcast")


def own(build, **options):
    return judge.judge(Case("own/case", "own", build, data="flights, integers", **options))


def test_what_cannot_be_a_graph_is_told_with_the_step():
    result = own(lambda: make_pipeline(Mine(), LogisticRegression()))
    assert result.verdict == "hybrid"
    assert "mine → Mine" in result.reason


def test_a_row_that_does_not_fit_is_broken_and_no_fallback():
    assert own(lambda: model(LogisticRegression())).verdict == "broken"


def test_a_library_that_is_not_there_is_told():
    assert own(LogisticRegression, needs="no_such_library").verdict == "absent"


def parity(**figures):
    told = {"labels_wrong": 0, "outcomes_wrong": 0, "refused": 1, "largest": 0.0, "beyond": 0}
    check = Check(name="held-out", rows=10, **{**told, **figures})
    return Parity(equal=check.equal, form="onnx", tolerance=1e-6, checks=(check,))


@pytest.mark.parametrize(
    ("figures", "float32", "verdict"),
    [
        ({}, False, "exact"),
        ({"largest": 1e-12}, False, "exact"),
        ({"largest": 2e-12}, False, "near"),
        ({"largest": 2e-12}, True, "float32"),
        ({"largest": 2e-6, "beyond": 1}, True, "caught"),
        ({"labels_wrong": 1}, False, "caught"),
        ({"outcomes_wrong": 1}, True, "caught"),
    ],
)
def test_verdicts(figures, float32, verdict):
    case = Case("own/case", "own", LogisticRegression, float32=float32)
    result = judge._told(case, parity(**figures), 100)
    assert (result.verdict, result.rows, result.refused) == (verdict, 10, 1)
    assert bool(result.reason) == (verdict in ("caught", "near"))


def test_spoiled_rows_keep_what_may_not_be_missing():
    rows = [{"a": 1.0, "b": "x", "c": 2.0}] * 3000
    made = spoiled(rows, ["b"], ["a", "b"])
    assert {row["c"] for row in made} == {2.0}
    assert 90 < sum(row["a"] is None for row in made) < 210
    assert 30 < sum(str(row["b"]).startswith("never seen") for row in made) < 90
    assert made == spoiled(rows, ["b"], ["a", "b"])


def test_results_are_replaced_one_by_one_in_the_order_of_the_list(tmp_path):
    path = tmp_path / "results.json"
    first, second = CASES[3], CASES[1]
    for case, verdict in ((first, "near"), (second, "exact"), (first, "exact")):
        report.add(path, judge.Result(id=case.id, what=case.what, verdict=verdict))
    assert [one.id for one in report.read(path).cases] == [second.id, first.id]
    assert {one.verdict for one in report.read(path).cases} == {"exact"}


def test_the_document_is_made_from_the_results():
    results = report.read(ROOT / "coverage" / "results.json")
    assert [one.id for one in results.cases] == [case.id for case in CASES]
    assert report.document(results) == (ROOT / "docs" / "coverage.md").read_text(encoding="utf-8")


def test_the_document_survives_its_own_marks():
    case = CASES[0]
    result = judge.Result(id=case.id, what="a | b", verdict="python", reason="x | <y>")
    text = report.document(report.Results(versions={}, cases=[result]))
    assert "`a \\| b` | Python: not exportable |  |  | x \\| &lt;y> |" in text
    assert "0 of 1 are exact" in text


def test_what_ships_and_differs_on_unseen_rows_is_told():
    def result(name: str, verdict: str) -> Result:
        return Result(id=name, what=name, verdict=verdict, reason="why", rows=5)

    def results(**verdicts: str) -> report.Results:
        found = [result(name, verdict) for name, verdict in verdicts.items()]
        return report.Results(versions={"onnx": "1"}, cases=found)

    gate = results(a="exact", b="near", c="python")
    again = results(a="exact", b="caught", c="python")
    told = report.unseen(gate, again, 10)
    assert "1 of 2 that ship" in told
    assert "10 rows" in told
    assert "| `b` | Python: caught by the proof | why |" in told
    assert "`c`" not in told


def test_rows_for_the_unseen_run_are_others_and_those_learnt_from_the_same(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE, "")
    source.cache_clear()
    prepare(tmp_path)
    small = table("flights, integers", "late")
    source.cache_clear()
    prepare(tmp_path, 2)
    large = table("flights, integers", "late")
    source.cache_clear()
    pd.testing.assert_frame_equal(small.fit, large.fit)
    assert len(large.test) == len(small.test) == HELD_OUT
    assert not large.test.equals(small.test)
