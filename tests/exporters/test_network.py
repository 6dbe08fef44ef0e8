"""Multi-layer perceptrons."""

from __future__ import annotations

import numpy as np
import pytest
from exporting import NUMBERS, PENGUINS, assert_equal
from sklearn.impute import SimpleImputer
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

FRAME = PENGUINS[NUMBERS]
MASS = PENGUINS.body_mass_g.fillna(4000.0).to_numpy() / 1000

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def fitted(kind, target, **options):
    step = kind(hidden_layer_sizes=(9, 5), max_iter=30, random_state=0, **options)
    return make_pipeline(SimpleImputer(), StandardScaler(), step).fit(FRAME, target)


@pytest.mark.parametrize(
    ("activation", "classes"),
    [("relu", 2), ("relu", 3), ("tanh", 3), ("logistic", 2), ("identity", 3)],
)
def test_classifiers(activation, classes):
    target = PENGUINS.species if classes == 3 else PENGUINS.species == "Gentoo"
    assert_equal(fitted(MLPClassifier, target, activation=activation), FRAME)


@pytest.mark.parametrize("target", [MASS, np.column_stack([MASS, -MASS])])
def test_regressions_of_one_and_two_values(target):
    assert_equal(fitted(MLPRegressor, target), FRAME)


def test_a_regression_with_a_logarithmic_link():
    assert_equal(fitted(MLPRegressor, MASS, loss="poisson"), FRAME)
