#!/usr/bin/env python3
"""``make mutants``: how many faulty graphs the proof catches, of how many.

Right graphs of the coverage list are broken mechanically, one small fault at a time
(`mutations`), and each is put before the gate as if it were new. A mutant that passes is asked ten
times the gate's rows, chosen with another seed: if it answers as the right graph does on all of
them it is told as such, otherwise as missed. Writes ``docs/mutants.md``.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import warnings
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
import onnx

from cases import CASES
from cases.data import prepare, table
from mlpack.exporters.sklearn import SklearnExporter
from mlpack.exporters.unrolled import unrolled
from mlpack.proof.prove import prove, serve, serve_in_pieces, serve_singly
from mlpack.proof.rows import batches
from mlpack.runtime.onnx_session import FAILURES, OnnxEngine
from mlpack.runtime.session import Session
from mlpack.training.columns import real_rows
from mlpack.training.observe import observe
from mutations import Mutant, mutants

RESULTS = Path(__file__).with_name("mutants.json")
"""What is known of each graph, so that the page can be made anew where some were broken again."""

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "mutants.md"

BROKEN = (
    *("structure/names", "scaling/minmax-clip", "scaling/bins-onehot", "scaling/robust-options"),
    *("encoding/onehot-ignore", "encoding/ordinal-unknown", "encoding/target-binary"),
    *("imputing/indicator", "linear/ridge", "linear/logistic", "linear/poisson"),
    *("trees/tree", "trees/tree-gaps", "trees/forest-gaps", "trees/forest-number"),
    *("boosting/hist-gaps", "boosting/hist-classes", "boosting/gradient", "boosting/hist-number"),
    *("text/tfidf", "reducing/pca"),
)
"""What is broken: the kinds of graphs that exporters make."""

PREAMBLE = """# How many faults the proof catches

Written by `make mutants`. Right graphs are broken mechanically, one small fault at a time, and put
before the gate as if they were new. What passes is asked ten times the gate's rows with another
seed: a mutant that answers as the right graph does on all of them is *the same* (a threshold moved
where no input can lie, a branch that no value reaches); one that does not was *missed*.
""".splitlines()

REAL = 600
"""So many held-out rows each: a proof with few rows is the harder one."""


@dataclass(frozen=True)
class Subject:
    """A right graph, what it must answer, and the rows to ask."""

    id: str
    pipeline: object
    signature: object
    exported: object
    rows: list


def subject(case_id):
    """Fit and export one case of the list."""
    case = next(case for case in CASES if case.id == case_id)
    data = table(case.data, case.target)
    pipeline = case.build().fit(data.fit, data.target)
    signature = observe(data.fit, pipeline, target="y", source="train")
    exported = SklearnExporter().export(pipeline, signature)
    return Subject(case_id, pipeline, signature, exported, real_rows(data.test.head(REAL)))


def session_of(subject, exported):
    """What serves a graph."""
    return Session(
        subject.signature, OnnxEngine(exported.model, exported.encoding, subject.signature)
    )


def fate(subject, mutant: Mutant):
    """What becomes of a mutant: ``caught``, ``does not run``, ``same`` or ``missed``."""
    exported = subject.exported
    # A lone row is answered by what the mutant unrolls to, as if it had been exported so.
    model = onnx.load_from_string(mutant.model)
    encoding = msgspec.structs.replace(
        exported.encoding, program=unrolled(model, exported.encoding)
    )
    exported = replace(exported, model=mutant.model, encoding=encoding, probes=())
    try:
        session = session_of(subject, exported)
        # The gate's own rows, kind by kind: a fault that one of them shows is caught.
        for batch in batches(subject.signature, subject.rows, exported):
            report, _ = prove(subject.pipeline, session, subject.signature, exported, [batch])
            if not report.equal:
                return "caught"
    except FAILURES:  # anything else is a fault of the proof, and ends the run
        return "does not run"
    right = session_of(subject, subject.exported)
    for batch in batches(subject.signature, subject.rows, subject.exported, seed=17, times=10):
        for ask in (serve, serve_in_pieces, partial(serve_singly, every=True)):
            if differ(ask(right, batch.rows), ask(session, batch.rows), exported.tolerance):
                return "missed"
    return "same"


def differ(one, other, tolerance):
    """Whether two sides answer differently anywhere, beyond the tolerance."""
    if (one.refused != other.refused).any():
        return True
    both = ~one.refused
    if one.labels is not None and (one.labels != other.labels)[both].any():
        return True
    if one.numbers is None:
        return False
    with np.errstate(invalid="ignore"):
        distance = np.abs(one.numbers - other.numbers) / np.maximum(1, np.abs(one.numbers))
    return bool((distance[both] > tolerance).any())


def document(found):
    """The page.

    Args:
        found: by case what became of its mutants: ``counts``, by fault and fate, and ``missed``.
    """
    counts = Counter()
    for each in found.values():
        for kind, what, count in each["counts"]:
            counts[kind, what] += count
    missed = [line for case_id in found for line in found[case_id]["missed"]]
    kinds = sorted({kind for kind, _ in counts})
    fates = ("caught", "does not run", "same", "missed")
    total = Counter(fate for (_, fate), count in counts.items() for _ in range(count))
    stopped = total["caught"] + total["does not run"]
    wrong = sum(total.values()) - total["same"]
    lines = [
        *PREAMBLE,
        "",
        (
            f"**{stopped} of {wrong} faulty graphs are stopped**; {total['same']} are no faults. "
            f"They were made of {len(found)} graphs: {', '.join(f'`{each}`' for each in found)}."
        ),
        "",
        "| fault | " + " | ".join(fates) + " |",
        "|---|" + "---:|" * len(fates),
    ]
    lines += [
        f"| {kind} | " + " | ".join(str(counts[kind, each]) for each in fates) + " |"
        for kind in kinds
    ]
    lines += ["", "## Missed", ""] if missed else []
    lines += [f"- {line}" for line in missed]
    return "\n".join(lines) + "\n"


def broken(case_id):
    """What became of one case's mutants."""
    warnings.simplefilter("ignore")
    start = time.monotonic()
    found = subject(case_id)
    counts = Counter()
    told, missed = [], []
    for mutant in mutants(found.exported.model):
        what = fate(found, mutant)
        counts[mutant.kind, what] += 1
        line = f"`{case_id}`: {mutant.kind}, {mutant.where}"
        if what in ("missed", "same"):
            told.append(f"    {what}: {line}")
        if what == "missed":
            missed.append(line)
    total = Counter()
    for (_, what), count in counts.items():
        total[what] += count
    figures = ", ".join(f"{count} {what}" for what, count in total.most_common())
    told.append(f"{case_id:28} {figures} ({time.monotonic() - start:.0f} s)")
    rows = [[kind, what, count] for (kind, what), count in sorted(counts.items())]
    return case_id, {"counts": rows, "missed": missed}, told


def main():
    """Break, prove, tell, write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", action="append", default=[], metavar="ID")
    parser.add_argument("--try", dest="tried", action="store_true", help="write nothing")
    parser.add_argument("--jobs", type=int, default=1, help="so many graphs at once")
    arguments = parser.parse_args()
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder))
        with ProcessPoolExecutor(arguments.jobs) as pool:
            for case_id, found, told in pool.map(broken, arguments.only or BROKEN):
                print("\n".join(told), flush=True)
                known[case_id] = found
                if not arguments.tried:
                    kept = {each: known[each] for each in BROKEN if each in known}
                    RESULTS.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
                    DOCUMENT.write_text(document(kept), encoding="utf-8")


if __name__ == "__main__":
    main()
