"""Export a fitted pipeline and prove it, as a project's own is, for the tests of the converters."""

from __future__ import annotations

import warnings

from palmerpenguins import load_penguins

from mlpack.exporters.sklearn import SklearnExporter
from mlpack.proof.prove import prove
from mlpack.proof.rows import batches
from mlpack.runtime.onnx_session import OnnxEngine
from mlpack.runtime.session import Session
from mlpack.training.columns import real_rows
from mlpack.training.observe import observe

PENGUINS = load_penguins()
NUMBERS = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm"]
STRINGS = ["island", "sex"]
EXACT = 1e-12
NODES = 300
"""Fewer comparisons than a build meets: there are many small pipelines here."""


def proved(pipeline, frame, target="y"):
    """Export a fitted pipeline and prove it; the report, the worst rows and the export."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        signature = observe(frame, pipeline, target=target, source="train")
        exported = SklearnExporter().export(pipeline, signature)
        session = Session(signature, OnnxEngine(exported.model, exported.encoding, signature))
        rows = batches(signature, real_rows(frame), exported, nodes=NODES)
        report, worst = prove(pipeline, session, signature, exported, rows)
    return report, worst, exported


def assert_equal(pipeline, frame, tolerance=EXACT):
    """The export answers as the pipeline does on every row, within `tolerance`."""
    report, worst, exported = proved(pipeline, frame)
    assert report.equal, worst[:3]
    assert max(check.largest for check in report.checks) <= tolerance
    return report, exported
