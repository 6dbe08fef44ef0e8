"""Fits, exports and proves one case, and says what became of it."""

from __future__ import annotations

import copy
import re
import time
import warnings
from importlib.util import find_spec
from typing import Any

import msgspec

from cases.case import Case
from cases.data import spoiled, table
from mlpack.errors import MlpackError
from mlpack.export import Exported, Parity
from mlpack.exporters.sklearn import SklearnExporter
from mlpack.ports import NotExportableError
from mlpack.proof.prove import prove
from mlpack.proof.rows import batches
from mlpack.runtime import contract
from mlpack.runtime.contract import Encoding, Signature
from mlpack.runtime.hybrid_session import HybridEngine, load_parts
from mlpack.runtime.onnx_session import OnnxEngine
from mlpack.runtime.python_session import PythonEngine
from mlpack.runtime.session import Session
from mlpack.training.columns import real_rows
from mlpack.training.observe import observe

EXACT, TOLERANCE = 1e-12, 1e-6

VERDICTS = {
    "exact": "exact",
    "float32": "exact within float32",
    "near": "within 1e-6",
    "hybrid": "hybrid",
    "python": "Python: not exportable",
    "caught": "Python: caught by the proof",
    "unserved": "not served",
    "unequal": "not shipped",
    "raised": "the exporter failed",
    "unfinished": "not finished",
    "absent": "library not installed",
    "broken": "the case is broken",
}
"""What can become of a case, from best to worst, in the words of the table.

``exact`` and ``float32`` ship as they are. ``near`` ships too, but the original computes in
float64, so that more is wanted. ``hybrid`` ships with some steps as Python, and the other steps
with the model as a graph. ``python`` and ``caught`` ship as Python, which was proved as well.
``unserved`` is refused before any export, because of what it answers, and ``unequal`` because it
answers otherwise as Python too: by chance, or by the other rows. The others are faults of mlpack or
of the list.
"""


class Result(msgspec.Struct, kw_only=True):
    """What became of a case.

    Attributes:
        id, what: the case's.
        verdict: a key of `VERDICTS`.
        reason: why it is not exact, in one line.
        largest: the largest difference of a probability, or relative difference of a value.
        labels_wrong, outcomes_wrong, beyond: rows that differ, as in the proof.
        rows: how many rows were compared.
        refused: how many of them both sides refused.
        size: of the graph, in bytes.
        seconds: that it took, fitting included.
    """

    id: str
    what: str
    verdict: str
    reason: str = ""
    largest: float | None = None
    labels_wrong: int = 0
    outcomes_wrong: int = 0
    beyond: int = 0
    rows: int = 0
    refused: int = 0
    size: int = 0
    seconds: float = 0.0


def judge(case: Case, times: int = 1, seed: int = 0) -> Result:
    """What becomes of the case, in this very process.

    Args:
        case: of the list.
        times: so many times the rows that the gate asks for.
        seed: of the choice of rows; the gate's is 0.
    """
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = _judge(case, times, seed)
    result.seconds = round(time.perf_counter() - started, 1)
    return result


def _said(case: Case, verdict: str, reason: object = "") -> Result:
    return Result(id=case.id, what=case.what, verdict=verdict, reason=_line(reason))


def _line(reason: object) -> str:
    """A reason in one line, the same in every run."""
    text = " ".join(str(reason).split())
    return re.sub(r" at 0x[0-9a-f]+", "", text)[:300]


def _judge(case: Case, times: int, seed: int) -> Result:
    if case.needs is not None and find_spec(case.needs) is None:
        return _said(case, "absent", f"{case.needs} is not installed")
    try:
        rows = table(case.data, case.target)
        pipeline = case.build().fit(rows.fit, rows.target)
    except Exception as error:
        return _said(case, "broken", f"{type(error).__name__}: {error}")
    exported, reason = None, ""
    try:
        signature = observe(rows.fit, pipeline, target="y", source="train")
        exported, engine = _exported(pipeline, signature)
    except NotExportableError as error:
        reason = str(error)
    except MlpackError as error:
        return _said(case, "unserved", error.what)
    except Exception as error:
        return _said(case, "raised", f"{type(error).__name__}: {error}")
    test = spoiled(
        real_rows(rows.test),
        [column.name for column in signature.columns if column.type == "string"],
        [column.name for column in signature.columns if column.nullable],
        seed,
    )
    try:
        if exported is None:
            return _as_python(pipeline, signature, test, _said(case, "python", reason))
        every = batches(signature, test, exported, seed=seed, times=times)
        parity, _ = prove(pipeline, Session(signature, engine), signature, exported, every)
        result = _told(case, parity, len(exported.model), exported.reason)
        return result if parity.equal else _as_python(pipeline, signature, test, result)
    except Exception as error:
        return _said(case, "raised", f"in the proof: {type(error).__name__}: {error}")


def _as_python(
    pipeline: Any, signature: Signature, test: list[dict[str, Any]], result: Result
) -> Result:
    """The fallback is put before the gate too."""
    session = Session(signature, PythonEngine(copy.deepcopy(pipeline), signature))
    exported = Exported(form="python", model=b"", encoding=None, steps=())
    parity, _ = prove(pipeline, session, signature, exported, batches(signature, test, exported))
    if not parity.equal:
        result.verdict = "unequal"
        result.reason = f"as Python, {_figures(parity)}"
    return result


def _read_back(encoding: Encoding) -> Encoding:
    """An encoding as the runtime reads it from its file."""
    return contract.decode(contract.encode(encoding), Encoding, contract.ENCODING_FILE)


def _exported(pipeline: Any, signature: Signature) -> tuple[Exported, OnnxEngine]:
    """The whole as a graph, else a hybrid, and what serves it.

    A graph of all is tried by itself, so that a converter that fails is seen: a hybrid would take
    its step for one that stays Python.
    """
    exporter = SklearnExporter()
    try:
        if not exporter.accepts(pipeline):
            raise NotExportableError("", "no exporter accepts it")
        exported = exporter.export(pipeline, signature)
        return exported, OnnxEngine(exported.model, _read_back(exported.encoding), signature)
    except NotExportableError:
        exported = exporter.export(pipeline, signature, hybrid=True)
    if exported.form == "onnx":
        return exported, OnnxEngine(exported.model, _read_back(exported.encoding), signature)
    parts = load_parts(exported.parts)
    return exported, HybridEngine(exported.model, _read_back(exported.encoding), signature, parts)


def _told(case: Case, parity: Parity, size: int, reason: str | None = None) -> Result:
    checks = parity.checks
    largest = max(check.largest for check in checks)
    result = Result(
        id=case.id,
        what=case.what,
        verdict="",
        largest=largest,
        labels_wrong=sum(check.labels_wrong for check in checks),
        outcomes_wrong=sum(check.outcomes_wrong for check in checks),
        beyond=sum(check.beyond for check in checks),
        rows=parity.rows,
        refused=sum(check.refused for check in checks),
        size=size,
    )
    if not parity.equal:
        result.verdict = "caught"
        result.reason = _figures(parity)
    elif parity.form == "hybrid":
        result.verdict = "hybrid"
        result.reason = _line(reason)
    elif largest <= EXACT:
        result.verdict = "exact"
    elif case.float32 and largest <= TOLERANCE:
        result.verdict = "float32"
    else:
        result.verdict = "near"
        worst = max(checks, key=lambda check: check.largest)
        result.reason = f"differs by up to {largest:.2g} ({worst.name})"
    return result


def _figures(parity: Parity) -> str:
    """Which checks found a difference, and how large it is."""
    told = []
    for check in parity.checks:
        if check.equal:
            continue
        parts: list[Any] = []
        if check.labels_wrong:
            parts.append(f"{check.labels_wrong} labels")
        if check.outcomes_wrong:
            parts.append(f"{check.outcomes_wrong} refusals")
        if check.beyond:
            parts.append(f"{check.beyond} rows by up to {check.largest:.2g}")
        told.append(f"{check.name}: {', '.join(parts)} of {check.rows}")
    return "; ".join(told)
