"""Support vector machines, their scores and their probabilities."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from exporting import NUMBERS, PENGUINS, assert_equal
from sklearn.impute import SimpleImputer
from sklearn.kernel_ridge import KernelRidge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR, NuSVC

from mlpack.exporters.sklearn.converters.kernels import MODELS
from mlpack.exporters.sklearn.features import Context
from mlpack.exporters.sklearn.graph import DOUBLE
from mlpack.runtime.contract import Column, Output, Signature

FRAME = PENGUINS[NUMBERS]
TWO = PENGUINS.species != "Gentoo"
ROWS = StandardScaler().fit_transform(SimpleImputer().fit_transform(FRAME))


def behind_a_scaler(last):
    return make_pipeline(SimpleImputer(), StandardScaler(), last)


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize(
    ("model", "kernel", "classes"),
    [(SVC, "rbf", 2), (SVC, "linear", 3), (NuSVC, "rbf", 3), (NuSVC, "poly", 2)],
)
def test_probabilities_are_found_by_libsvms_own_iteration(model, kernel, classes):
    rows = FRAME if classes == 3 else FRAME[TWO]
    target = PENGUINS.species if classes == 3 else PENGUINS.species[TWO]
    last = model(kernel=kernel, probability=True, random_state=0)
    assert_equal(behind_a_scaler(last).fit(rows, target), rows)


def scores(step):
    """What the graph's tensor of scores holds for the penguins."""
    signature = Signature(
        task="classification",
        columns=tuple(Column(name=name, type="number", dtype="float64") for name in NUMBERS),
        outputs=(Output(name="label", type="string"),),
        labels=tuple(step.classes_),
    )
    context = Context(signature=signature, vocabulary={}, numbers=tuple(NUMBERS))
    made = MODELS[type(step).__name__]("", step, context.raw_features(), context, None)
    context.declare_inputs()
    graph = context.graph.build([("scores", made.scores, DOUBLE, ["rows", "scores"])])
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    return session.run(["scores"], {"numbers": ROWS})[0]


@pytest.mark.parametrize("shape", ["ovr", "ovo"])
@pytest.mark.parametrize("classes", [2, 3])
def test_scores_are_those_of_the_decision_function(shape, classes):
    target = PENGUINS.species if classes == 3 else TWO
    step = SVC(decision_function_shape=shape).fit(ROWS, target)
    own = step.decision_function(ROWS).reshape(len(ROWS), -1)
    np.testing.assert_allclose(scores(step), own, rtol=1e-13, atol=1e-13)


def test_ties_are_broken_by_the_scores():
    last = SVC(break_ties=True, gamma=3.0)
    assert_equal(behind_a_scaler(last).fit(FRAME, PENGUINS.species), FRAME)


@pytest.mark.parametrize("model", [SVR(C=100.0), KernelRidge(kernel="rbf", gamma=0.5)])
def test_regressions_with_large_weights(model):
    target = PENGUINS.body_mass_g.fillna(4000.0)
    assert_equal(behind_a_scaler(model).fit(FRAME, target), FRAME)


def test_support_vectors_are_met_some_rows_at_a_time():
    """No tensor of all rows with all vectors, whatever the number of rows."""
    last = SVC(gamma=2.0)
    _, exported = assert_equal(behind_a_scaler(last).fit(FRAME, PENGUINS.species), FRAME)
    graph = onnx.load_from_string(exported.model).graph
    assert "Loop" in {node.op_type for node in graph.node}
    assert not {"Exp", "CumSum"} & {node.op_type for node in graph.node}
