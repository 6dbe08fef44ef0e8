"""Linear classifiers far away from everything, where each probability is next to nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from exporting import NUMBERS, PENGUINS, assert_equal
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

KNOWN = PENGUINS.dropna(subset=NUMBERS).reset_index(drop=True)
FRAME = KNOWN[NUMBERS[:2]]
TWO = np.where(KNOWN.species == "Gentoo", "Gentoo", "other")


@pytest.mark.parametrize("loss", ["log_loss", "modified_huber"])
@pytest.mark.parametrize("labels", [TWO, KNOWN.species], ids=["two", "three"])
def test_the_probabilities_of_sgd(loss, labels):
    model = SGDClassifier(loss=loss, random_state=0)
    pipeline = make_pipeline(StandardScaler(), model).fit(FRAME, labels)
    assert_equal(pipeline, FRAME)


def low(model):
    """Every class says less and less the further a row is to the right."""
    frame = pd.DataFrame({"x": np.linspace(0, 1200, 400)})
    pipeline = make_pipeline(FunctionTransformer(), model).fit(frame, np.arange(400) % 3)
    starts = np.array([0.25, 0.75, 1.5])
    members = getattr(model, "estimators_", [model])
    for member, start in zip(members, np.split(starts, len(members)), strict=True):
        member.coef_[:] = -1.0
        member.intercept_ = start
    return pipeline, frame


@pytest.mark.parametrize(
    "model",
    [
        SGDClassifier(loss="log_loss", random_state=0),
        SGDClassifier(loss="modified_huber", random_state=0),
        OneVsRestClassifier(LogisticRegression()),
    ],
    ids=str,
)
def test_next_to_nothing_is_shared_among_the_classes(model):
    """ONNX Runtime's Sigmoid is zero where exp is not, and all are zero further out."""
    pipeline, frame = low(model)
    assert_equal(pipeline, frame)


def test_shares_of_next_to_nothing_are_not_alike():
    """What the test before would not see if the original did not keep its digits."""
    pipeline, _ = low(SGDClassifier(loss="log_loss", random_state=0))
    shares = pipeline.predict_proba(pd.DataFrame({"x": [300.0]}))
    assert np.ptp(shares) > 0.2


@pytest.mark.parametrize("labels", [TWO, KNOWN.species], ids=["two", "three"])
@pytest.mark.parametrize("scheme", ["ovr", "multinomial"])
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_the_schemes_for_several_classes_of_older_releases(scheme, labels):
    """scikit-learn 1.8 and later know only one, and have no parameter for it."""
    older = "multi_class" in LogisticRegression().get_params()
    model = LogisticRegression(**({"multi_class": scheme} if older else {}))
    assert_equal(make_pipeline(StandardScaler(), model).fit(FRAME, labels), FRAME)
