"""A graph that does not ship: the reason names the step at which it first goes wrong."""

from __future__ import annotations

import textwrap

import pytest
import tiny
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mlpack import inspection
from mlpack.errors import ProofError
from mlpack.export import Check, Figures, Parity, Step
from mlpack.runtime import contract
from mlpack.training.usercode import importable
from mlpack.workers.export import difference, work

WRONG = """
    from sklearn.base import BaseEstimator, TransformerMixin

    class Doubled(TransformerMixin, BaseEstimator):
        def fit(self, X, y=None):
            self.fitted_ = True
            return self

        def transform(self, X):
            return X * 2

        def __mlpack_export__(self, X, graph):
            return X * 2.5
"""
PATH = "columntransformer → pipeline → doubled → Doubled"


def saved(folder, package, text=WRONG):
    (folder / "src" / package / "steps.py").write_text(textwrap.dedent(text))
    with importable(inspection.read(folder)):
        kind = __import__(f"{package}.steps", fromlist=["Doubled"]).Doubled
        steps = make_column_transformer((make_pipeline(StandardScaler(), kind()), ["size"]))
        tiny.save(folder, make_pipeline(steps, LogisticRegression()).fit(tiny.ROWS, tiny.LABELS))


def test_a_graph_that_breaks_down_ships_as_python_with_what_onnx_runtime_said(tmp_path):
    folder, package = tiny.project(tmp_path)
    # It can be loaded: only the numbers of some rows are no places of the table.
    place = "np.arange(3.0), (X * 9).astype(np.int64), width=1, dtype=np.float64"
    hook = f"import numpy as np\n            return graph.node('Gather', {place})"
    saved(folder, package, WRONG.replace("return X * 2.5", hook))
    parity = asked(folder)
    assert (parity.equal, parity.form) == (True, "python")
    told = (folder / ".out" / "export.json").read_text(encoding="utf-8")
    assert "ONNX Runtime cannot run its graph for some rows" in told
    assert "Gather" in told


def asked(folder):
    out = folder / ".out"
    out.mkdir(exist_ok=True)
    work({"root": str(folder), "out": str(out)}, lambda _: None)
    return contract.read(out, contract.PARITY_FILE, Parity)


def test_what_ships_as_python_instead_says_where_the_graph_went_wrong(tmp_path):
    folder, package = tiny.project(tmp_path)
    saved(folder, package)
    parity = asked(folder)
    assert (parity.equal, parity.form) == (True, "python")
    assert {(step.form, step.compared) for step in parity.steps} == {("python", None)}
    reasons = {step.path: step.reason for step in parity.steps}
    assert reasons.pop(PATH) == "in the graph 17 of 17 values differ by up to 0.25"
    assert set(reasons.values()) == {None}
    told = (folder / ".out" / "export.json").read_text(encoding="utf-8")
    assert f"it first differs at {PATH}: 17 of 17 values differ" in told


def test_where_a_graph_is_demanded_the_error_says_so(tmp_path):
    folder, package = tiny.project(tmp_path, settings='format = "onnx"')
    saved(folder, package)
    with pytest.raises(ProofError, match=rf"it first differs at {PATH}: \d+ of \d+ values differ"):
        asked(folder)


def test_what_ships_has_the_figures_of_every_step(tmp_path):
    folder, _ = tiny.project(tmp_path)
    tiny.save(folder, tiny.fitted())
    made = asked(folder).steps
    assert [(each.compared.rows, each.compared.columns) for each in made] == [
        (12, 3),
        (12, 1),
        (12, 3),
    ]
    assert all(each.compared.equal for each in made)


def step(path, **figures):
    found = Figures(rows=100, columns=2, **{"largest": 0.0, "beyond": 0, **figures})
    return Step(path=path, form="graph", compared=found)


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ((), "3 labels differ"),
        ((Step(path="a", form="graph"),), "3 labels differ"),
        ((step("a"), step("b")), "3 labels differ; no step that was compared differs by itself"),
        (
            (step("a"), step("b", beyond=7, largest=0.25), step("c", beyond=9)),
            "3 labels differ; it first differs at b: 7 of 200 values differ by up to 0.25",
        ),
        ((step("a", beyond=1500),), "it first differs at a: 1,500 of 200 values differ"),
        (
            (step("a", outcomes_wrong=2),),
            "it first differs at a: 2 rows are refused there by one side only",
        ),
    ],
)
def test_the_reason_of_a_fallback_names_the_step(steps, said):
    check = Check(
        name="held-out",
        rows=100,
        labels_wrong=3,
        outcomes_wrong=0,
        refused=0,
        largest=0.0,
        beyond=0,
    )
    report = Parity(equal=False, form="onnx", tolerance=1e-6, checks=(check,), steps=steps)
    assert difference(report).endswith(said)
