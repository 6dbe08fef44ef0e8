"""Quantiles and splines, within and beyond what was seen."""

from __future__ import annotations

import numpy as np
import pytest
from exporting import NUMBERS, PENGUINS, assert_equal, proved
from scipy.special import ndtri
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import QuantileTransformer, SplineTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from mlpack.exporters.sklearn.converters import curves
from mlpack.ports import NotExportableError

KEPT = PENGUINS.dropna(subset=["bill_length_mm"])
FRAME = KEPT[NUMBERS]
TREE = DecisionTreeClassifier(max_depth=6, random_state=0)


def fitted(*steps, last=None, frame=FRAME):
    pipeline = make_pipeline(*steps, last or LogisticRegression(max_iter=300))
    return pipeline.fit(frame, KEPT.species)


@pytest.mark.parametrize(
    "step",
    [
        QuantileTransformer(n_quantiles=300, random_state=0),
        QuantileTransformer(n_quantiles=40, output_distribution="normal", random_state=0),
    ],
    ids=["uniform", "normal"],
)
def test_quantiles(step):
    """The tree sees the last bit: measures have one digit, so many quantiles are the same."""
    assert_equal(fitted(step, last=TREE), FRAME)


def test_quantiles_let_gaps_pass():
    frame = FRAME.copy()
    frame.iloc[::9, 1] = np.nan
    step = QuantileTransformer(n_quantiles=50, output_distribution="normal", random_state=0)
    assert_equal(fitted(step, SimpleImputer(), frame=frame), frame)


def test_quantiles_of_one_value_and_of_huge_ones():
    frame = FRAME.assign(same=3.0, huge=FRAME.bill_length_mm * 1e12)
    step = QuantileTransformer(n_quantiles=30, output_distribution="normal", random_state=0)
    assert_equal(fitted(step, frame=frame), frame)


def test_coefficients_are_those_of_scipy():
    share = np.concatenate([np.linspace(1e-6, 1 - 1e-6, 20001), np.logspace(-9, -1, 2000)])
    tail = np.minimum(share, 1 - share)
    centre = tail - 0.5
    square = centre**2
    inner = centre + centre * (
        square * np.polyval(curves.P0, square) / np.polyval(curves.Q0, square)
    )
    x = np.sqrt(-2 * np.log(tail))
    ratio = np.polyval(curves.P1, 1 / x) / np.polyval(curves.Q1, 1 / x)
    outer = -(x - np.log(x) / x - ratio / x)
    found = np.where(tail > curves.CENTRE, inner * curves.ROOT, outer)
    np.testing.assert_allclose(found, ndtri(tail), rtol=1e-14)


@pytest.mark.parametrize(
    "steps",
    [
        [
            SplineTransformer(),
            SplineTransformer(n_knots=7, degree=2, knots="quantile", sparse_output=True),
            SplineTransformer(degree=2, knots=np.array([[30, 12, 170], [40, 15, 200.5]])),
        ],
        [
            SplineTransformer(degree=1, extrapolation="linear", include_bias=False),
            SplineTransformer(degree=4, extrapolation="linear"),
            SplineTransformer(extrapolation="continue"),
            SplineTransformer(n_knots=4, extrapolation="periodic"),
        ],
    ],
    ids=["held", "continued"],
)
def test_splines(steps):
    assert_equal(fitted(make_union(*steps)), FRAME)


def test_splines_that_end():
    step = SplineTransformer(n_knots=3, degree=1, extrapolation="error")
    report, _ = assert_equal(fitted(step), FRAME)
    assert sum(check.refused for check in report.checks) > 20


def test_splines_through_gaps():
    frame = FRAME.copy()
    frame.iloc[::9, 1] = np.nan
    step = SplineTransformer(extrapolation="linear")
    if "handle_missing" in step.get_params():
        steps = [step.set_params(handle_missing="zeros")]
    else:  # before scikit-learn 1.8
        steps = [SimpleImputer(), step]
    assert_equal(fitted(*steps, frame=frame), frame)


def test_splines_before_a_tree():
    assert_equal(fitted(StandardScaler(), SplineTransformer(), last=TREE), FRAME)


def test_steps_for_splines_are_refused():
    with pytest.raises(NotExportableError, match="KBinsDiscretizer"):
        proved(fitted(SplineTransformer(degree=0)), FRAME)
