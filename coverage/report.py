"""Keeps the results of a run and writes the document from them."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

from cases import CASES, GROUPS
from judge import VERDICTS, Result

VERSIONED = (
    "scikit-learn", "numpy", "pandas", "onnx", "skl2onnx", "onnxruntime", "xgboost-cpu", "xgboost",
    "lightgbm", "catboost",
)  # fmt: skip

GOOD = ("exact", "float32")

HEAD = """\
# What exports, case by case

This table is written by `make coverage-full`. Each row is a whole pipeline on real data: from the
columns of a data frame, with its strings, integers, booleans and natural missing values, to the
prediction. It is fitted, exported and proved like the pipeline of any project, on rows that were
held out (with unknown categories in 2% of the strings and 5% of the cells missing besides), on
hostile rows and on rows around every threshold.

- **exact**: not one label and not one refusal differs, and no number by more than 1e-12.
- **exact within float32**: the same within 1e-6, where the original itself computes in float32.
- **within 1e-6**: exported and served, but the original computes in float64, so more is wanted.
- **hybrid**: the steps that the reason names stay Python, with what feeds them; the other steps
  and the model are a graph, and the whole is proved. Production has only what those steps import.
- **Python: not exportable**: the pipeline is served as Python, for the reason given.
- **Python: caught by the proof**: there is a graph, but it answers otherwise than the original
  somewhere. It never ships: the pipeline is served as Python.
- **not served**: mlpack refuses the model before any export, for the reason given.
- **not shipped**: as Python it answers otherwise too, by chance or by the other rows of a batch.

What ships as Python was put before the same proof as Python.

The difference is of probabilities, or of values relative to the original's. Rows that both sides
refuse, as the original raises for them, are in brackets.
"""


class Results(msgspec.Struct, kw_only=True):
    """``results.json``: the versions that were tried, and what became of each case."""

    versions: dict[str, str]
    cases: list[Result]


def versions() -> dict[str, str]:
    """The versions of what was tried."""
    found = {"python": platform.python_version()}
    for name in VERSIONED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def read(path: Path) -> Results:
    """The results so far; none where there is no file."""
    if not path.exists():
        return Results(versions=versions(), cases=[])
    return msgspec.json.decode(path.read_bytes(), type=Results)


def add(path: Path, result: Result) -> None:
    """Put one result in its place in the list: what was found stays if the run is broken off."""
    kept = {one.id: one for one in read(path).cases} | {result.id: result}
    ordered = [kept[case.id] for case in CASES if case.id in kept]
    found = msgspec.json.encode(Results(versions=versions(), cases=ordered))
    staged = path.with_suffix(".part")
    staged.write_bytes(msgspec.json.format(found, indent=1) + b"\n")
    staged.replace(path)


def line(result: Result) -> str:
    """One line of progress."""
    figures = "" if result.largest is None else f"{result.largest:8.1e} {result.rows:6} rows"
    told = f"{result.id:42} {VERDICTS[result.verdict]:28} {figures:20} {result.seconds:5.1f} s"
    return f"{told}  {result.reason}".rstrip()


def document(results: Results) -> str:
    """The whole document."""
    found = {result.id: result for result in results.cases}
    parts = [HEAD, summary(results.cases)]
    told = ", ".join(f"{name} {number}" for name, number in results.versions.items())
    parts.append(f"Tried with {told}.\n")
    for title, cases in GROUPS.values():
        rows = [found[case.id] for case in cases if case.id in found]
        if not rows:
            continue
        good = sum(row.verdict in GOOD for row in rows)
        parts.append(f"## {title}\n\n{good} of {len(rows)} are exact.\n")
        parts.append("\n".join([*_TABLE, *(_row(row) for row in rows)]) + "\n")
    return "\n".join(parts)


SHIPPED = (*GOOD, "near", "hybrid")

UNSEEN_HEAD = """\
# What ships, asked again

Written by `make unseen`. Every pipeline of [the list](coverage.md) is exported once more and asked
{times} times the rows of the gate, which are others than the gate's: other held-out rows where the
source has more, and with another seed the rows that lose a value, the shuffled ones, and those at
the comparisons of the graph.
"""


def unseen(gate: Results, again: Results, times: int) -> str:
    """The document of a run with more rows than the gate's, and others.

    Args:
        gate: what the gate found, which says what ships.
        again: what the run found.
        times: so many times the gate's rows.
    """
    found = {result.id: result for result in again.cases}
    asked = [found[one.id] for one in gate.cases if one.verdict in SHIPPED and one.id in found]
    differ = [result for result in asked if result.verdict not in SHIPPED]
    rows = sum(result.rows for result in asked)
    equal = f"{len(asked) - len(differ)} of {len(asked)}"
    lines = [
        UNSEEN_HEAD.format(times=times),
        f"**{equal} that ship answered every row like their originals**, {rows:,} rows.\n",
    ]
    if differ:
        table = ["| case | what became of it | why |", "|---|---|---|"]
        table += [
            f"| `{one.id}` | {VERDICTS[one.verdict]} | {one.reason.replace('|', ' ')} |"
            for one in differ
        ]
        lines.append("\n".join(table) + "\n")
    told = ", ".join(f"{name} {number}" for name, number in again.versions.items())
    return "\n".join([*lines, f"Tried with {told}.\n"])


def summary(cases: Sequence[Result]) -> str:
    """How many of how many are exact, and what became of the others."""
    counts = Counter(case.verdict for case in cases)
    good = sum(counts[verdict] for verdict in GOOD)
    share = f" ({good / len(cases):.0%})" if cases else ""
    told = [f"**{good} of {len(cases)} are exact{share}.**\n", "| what became of it | cases |"]
    told.append("|---|---:|")
    told += [f"| {words} | {counts[key]} |" for key, words in VERDICTS.items() if counts[key]]
    return "\n".join(told) + "\n"


_TABLE = ("| case | verdict | difference | rows | why |", "|---|---|---:|---:|---|")


def _row(result: Result) -> str:
    difference = "" if result.largest is None else f"{result.largest:.1g}"
    rows = "" if not result.rows else f"{result.rows} ({result.refused})"
    cells = (f"`{result.what}`" if "`" not in result.what else result.what,)
    cells += (VERDICTS[result.verdict], difference, rows, result.reason.replace("<", "&lt;"))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
