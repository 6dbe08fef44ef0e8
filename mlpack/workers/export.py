"""Loads the fitted pipeline, exports it, proves the export, and writes what the bundle needs.

The folder it writes has the model, signature, schema, encoding, parity report and ``export.json``.
It depends on nothing but the project's files and the installed versions, so that the use case can
keep it until one of those changes.
"""

from __future__ import annotations

import platform
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import msgspec

from mlpack import inspection
from mlpack.errors import ProofError
from mlpack.export import Exported, Parity, Step, WorstRow
from mlpack.files import write_tree
from mlpack.project import Project
from mlpack.runtime import contract
from mlpack.runtime.onnx_session import FAILURES
from mlpack.runtime.session import Session
from mlpack.training.described import demanded
from mlpack.training.usercode import importable
from mlpack.workers import forms, wire
from mlpack.workers import subject as subjects
from mlpack.workers.needed import NOTHING
from mlpack.workers.subject import Subject

VERSIONED = ("scikit-learn", "numpy", "pandas", "onnx", "skl2onnx", "onnxruntime", "mlpack-builder")

EXPORT_FILE = "export.json"


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """``export.json``: what the use case reads.

    Attributes:
        form: the form that was proved.
        reason: why it is not a graph, or not all of it; None if it is.
        model: the file of the model.
        encoded: whether there is an encoding.
        parts: whether there are steps that stay Python beside a graph.
        own_code: whether those need the user's own package.
        imports: the distributions of others that those need, with the versions of training.
        versions: the versions that exported and proved it.
        metrics: training's metrics, if they belong to this model.
        notes: what the user should know.
    """

    form: contract.Form
    reason: str | None
    model: str
    encoded: bool
    versions: dict[str, str]
    metrics: dict[str, float]
    notes: tuple[str, ...]
    parts: bool = False
    own_code: bool = False
    imports: dict[str, str] = {}


def work(request: dict[str, Any], progress: Callable[[str], None]) -> wire.Answer:
    """Export and prove; the answer has the worst rows, which never enter a bundle."""
    project = inspection.read(Path(request["root"]))
    progress("loading the model")
    with importable(project), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _export(project, Path(request["out"]), request.get("given_up"), progress)


def _export(
    project: Project, out: Path, given_up: str | None, progress: Callable[[str], None]
) -> wire.Answer:
    subject = subjects.read(project)
    schema = demanded(project, subject.signature)
    exported, needs = forms.best(
        project, subject.pipeline, subject.signature, given_up=given_up, progress=progress
    )
    progress("proving the export")
    proved = _proved(subject, exported)
    if proved.failed is not None:
        reason = proved.failed
        if project.settings.format in forms.DEMANDED:
            raise ProofError(
                reason,
                where=str(project.model and project.model.relative_to(project.root).as_posix()),
                hint='Set format = "auto" in [tool.mlpack] to ship the pipeline as Python.',
            )
        steps = proved.steps
        if exported.reason is not None:
            reason = f"{exported.reason}; with that as Python and the rest as a graph, {reason}"
        exported, needs = forms.as_python(project, steps, reason), NOTHING
        progress("proving the pipeline as Python")
        # The worst rows of the graph are those that the author wants to see.
        proved = replace(_proved(subject, exported), worst=proved.worst)
    parity = proved.parity
    if not parity.equal:
        raise ProofError(
            f"served as Python it answers otherwise than the original: {difference(parity)}",
            hint="Does predict depend on the other rows, on chance or on time? It must not.",
        )
    real = parity.checks[0]
    if real.rows and real.refused == real.rows:
        raise ProofError(
            f"the model refuses all of the {real.rows:,} rows that it was held out for",
            hint="Does predict, or predict_proba, raise? Try it on rows of your own.",
        )
    result = Result(
        form=exported.form,
        reason=exported.reason,
        model=contract.PICKLE_FILE if exported.form == "python" else contract.ONNX_FILE,
        encoded=exported.encoding is not None,
        parts=bool(exported.parts),
        own_code=needs.own_code,
        imports=dict(sorted(needs.distributions.items())),
        versions=_versions(),
        metrics=dict(subject.metrics),
        notes=subject.notes,
    )
    files = {
        EXPORT_FILE: contract.encode(result),
        result.model: exported.model,
        contract.SIGNATURE_FILE: contract.encode(subject.signature),
        contract.SCHEMA_FILE: contract.encode(schema),
        contract.PARITY_FILE: contract.encode(parity),
    }
    if exported.encoding is not None:
        files[contract.ENCODING_FILE] = contract.encode(exported.encoding)
    if exported.parts:
        files[contract.PARTS_FILE] = exported.parts
    write_tree(out, files)
    return {"worst": [msgspec.to_builtins(row) for row in proved.worst]}


@dataclass(frozen=True)
class _Proved:
    """What the proof of one form found.

    Attributes:
        parity: the report; one without checks if the graph broke down.
        worst: for the author's eyes.
        failed: why the form does not ship, in words; None if it does, or is Python's.
        steps: what becomes of the steps if it does not.
    """

    parity: Parity
    worst: tuple[WorstRow, ...] = ()
    failed: str | None = None
    steps: tuple[Step, ...] = ()


def _proved(subject: Subject, exported: Exported) -> _Proved:
    session = Session(subject.signature, forms.engine(exported, subject.signature))
    try:
        parity, worst = subject.prove(session, exported)
    except FAILURES as error:
        if exported.form == "python":
            raise
        # It could be loaded, but some of its operators cannot take some row.
        first = (str(error).splitlines() or [""])[0][:200]
        failed = f"ONNX Runtime cannot run its graph for some rows: {first}"
        steps = (Step(path=type(subject.pipeline).__name__, form="python", reason=failed),)
        broken = Parity(equal=False, form=exported.form, tolerance=exported.tolerance, checks=())
        return _Proved(broken, failed=failed, steps=steps)
    if parity.equal or exported.form == "python":
        return _Proved(parity, worst)
    return _Proved(parity, worst, difference(parity), _fallen_back(parity))


def _fallen_back(parity: Parity) -> tuple[Step, ...]:
    """The steps of a graph that does not ship; where it went wrong is the reason of one of them."""
    wrong = parity.first_differing
    return tuple(
        Step(
            path=step.path,
            form="python",
            reason=f"in the graph {_amount(step)}" if step is wrong else step.reason,
        )
        for step in parity.steps
    )


def difference(parity: Parity) -> str:
    """The first failing check in words, and the step at which that begins."""
    wrong = parity.first_differing
    if wrong is not None:
        return f"{_check(parity)}; it first differs at {wrong.path}: {_amount(wrong)}"
    if any(step.compared for step in parity.steps):
        return f"{_check(parity)}; no step that was compared differs by itself"
    return _check(parity)


def _amount(step: Step) -> str:
    """What was found in a step's own answer, in words."""
    found = step.compared
    if found is None or found.equal:
        return "nothing differs"
    told = []
    if found.beyond:
        size = f" by up to {found.largest:.3g}" if found.largest else ""
        told.append(f"{found.beyond:,} of {found.rows * found.columns:,} values differ{size}")
    if found.outcomes_wrong:
        told.append(f"{found.outcomes_wrong} rows are refused there by one side only")
    return ", ".join(told)


def _check(parity: Parity) -> str:
    """The first failing check in words."""
    for check in parity.checks:
        if not check.equal:
            wrong = []
            if check.labels_wrong:
                wrong.append(f"{check.labels_wrong} labels differ")
            if check.outcomes_wrong:
                wrong.append(f"{check.outcomes_wrong} rows are refused by one side only")
            if check.beyond:
                wrong.append(f"{check.beyond} rows differ by up to {check.largest:.3g}")
            return f"of {check.rows} rows of “{check.name}” {', '.join(wrong)}"
    return "nothing differs"


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in VERSIONED:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    sys.exit(wire.main(work))
