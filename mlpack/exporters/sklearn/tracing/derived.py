"""Columns of text that a function computes: chosen by a condition, cut into bins, or out of text.

Each becomes a column of categories like a raw one, whose codes the graph computes. What is read out
of a text is found before the graph, by Python's own regular expressions, as a vectorizer's terms
are (`mlpack.runtime.contract.Text`); the graph knows the terms that some later step tells apart.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from mlpack.exporters.sklearn.features import NAN, UNKNOWN
from mlpack.exporters.sklearn.graph import BOOL, INT64
from mlpack.exporters.sklearn.tracing.arrays import Array
from mlpack.exporters.sklearn.tracing.coded import Coded, missing
from mlpack.exporters.sklearn.tracing.errors import TraceError
from mlpack.exporters.sklearn.tracing.tape import TRUTH, WHOLE, Tape, lib
from mlpack.runtime.contract import Category, Text


def _coded(tape: Tape, name: str, dtype: str = "object") -> Coded:
    known = tuple(tape.context.vocabulary.get(name, {}))
    return Coded(tape, name, (*known, UNKNOWN, NAN), dtype)


def part_of_date(tape: Tape, part: str, key: Any) -> Coded:
    """A part of a date, float64 [rows, 1], as categories that are numbers: encoders take those."""

    def codes(known: tuple[Category, ...]) -> str:
        graph = tape.context.graph
        count, absent = (graph.constant(np.int64(len(known) + more)) for more in (0, 1))
        gone = graph.reshape(graph.node("IsNaN", [part]), [-1])
        found = graph.where(gone, absent, count)
        if not known:
            return found
        row = graph.constant(np.array([known], np.float64))
        hot = graph.node("Cast", [graph.node("Equal", [part, row])], to=int(INT64))
        hit = graph.node("ReduceMax", [hot, graph.constant(np.array([1], np.int64))], keepdims=0)
        return graph.where(graph.node("Cast", [hit], to=int(BOOL)), graph.argmax(hot), found)

    if key not in tape.dated:
        name = tape.named(("part of date", key))
        tape.context.derive(name, codes, "number")
        tape.dated[key] = _coded(tape, name)
    made: Coded = tape.dated[key]
    return made


def chosen(tape: Tape, place: Array, choices: Sequence[Any]) -> Coded:
    """A column that holds one of some texts, by its place; missing ones may be among them."""
    cell: Any = place.astype(WHOLE).cells[()]
    tensor = tape.matrix([cell])
    texts = tuple(NAN if missing(each) else each for each in choices)
    if not all(isinstance(each, str) or missing(each) for each in texts):
        raise TraceError("text and numbers in one column are not traced")

    def codes(known: tuple[Category, ...]) -> str:
        graph = tape.context.graph
        table = [len(known) + 1 if missing(each) else known.index(each) for each in texts]
        found = graph.node("Gather", [graph.constant(np.array(table, np.int64)), tensor])
        return graph.reshape(found, [-1])

    name = tape.named(("chosen", tensor, tuple(map(repr, texts))))
    tape.context.derive(name, codes)
    coded = _coded(tape, name)
    coded.learn([each for each in texts if not missing(each)])
    return _coded(tape, name)


def places(coded: Coded) -> tuple[Array, list[Any]]:
    """A column of categories as places among its values.

    Raises:
        TraceError: its values are not all known.
    """
    if any(value is UNKNOWN for value in coded.values) and coded.raw not in coded.tape.closed:
        raise TraceError("text of a column is chosen by a condition: map it to known texts before")
    values = [NAN if value is UNKNOWN else value for value in coded.values]
    cells = np.empty((), dtype=object)
    cells[()] = coded.tape.cells(coded.tape.code(coded.raw), (1,))[0]
    return Array(coded.tape, cells, WHOLE), values


def where(tape: Tape, condition: Array, yes: Any, no: Any) -> Coded:
    """``np.where`` of texts: constants, or columns whose values are all known."""
    first, texts = _places_of(yes)
    second, more = _places_of(no)
    place: Any = lib.where(condition, first, second + len(texts))
    made = chosen(tape, place, [*texts, *more])
    tape.closed.add(made.raw)
    return made


def _places_of(value: Any) -> tuple[Any, list[Any]]:
    if isinstance(value, Coded):
        return places(value)
    if np.ndim(value) == 0:
        return np.int64(0), [value if isinstance(value, str) else NAN]
    raise TraceError("texts that differ from row to row are chosen")


# Out of a text


@dataclass(frozen=True)
class Reading:
    """What is read out of a raw column of text.

    Attributes:
        column: its name.
        dtype: its pandas type.
        lowercase: whether it is lowered first.
        pattern: what is read: the group of a regular expression, once at most; None for all.
        stripped: whether white space is cut off first.
        fill: the text that stands for a missing one; None if it is missing.
    """

    column: str
    dtype: str
    lowercase: bool = False
    stripped: bool = False
    pattern: str | None = None
    fill: str | None = None

    def of_fill(self) -> str | None:
        """What is read out of the text that stands for a missing one."""
        if self.fill is None:
            return None
        text = self.text()
        found = re.findall(text.pattern, self.fill.lower() if self.lowercase else self.fill)
        return found[0] if found else None

    def text(self, **options: Any) -> Text:
        """How it is found before the graph."""
        pattern = self.pattern
        if pattern is None:
            pattern = r"(?s)\A\s*(.*?)\s*\Z" if self.stripped else r"(?s)\A(.*)\Z"
        return Text(
            name="", column=self.column, lowercase=self.lowercase, pattern=pattern, **options
        )


def read(coded: Coded, method: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """A method of ``.str`` of a raw column of text.

    Returns:
        A column of categories, an array of truths, or None if the method is not known.
    """
    reading = coded.tape.readings.get(coded.raw)
    if reading is None:
        if coded.text is None:
            return None
        reading = Reading(coded.text, coded.dtype, fill=coded.fill)
    if reading.pattern is None and not (reading.stripped or reading.lowercase):
        truth = _searched(coded, reading, method, arguments, options)
        if truth is not None:
            return truth
    further = _further(reading, method, arguments, options)
    return None if further is None else _column(coded, further)


def _further(
    reading: Reading, method: str, arguments: tuple[Any, ...], options: dict[str, Any]
) -> Reading | None:
    """A reading after one more method; None where that is not exact."""
    if reading.pattern is not None or options.keys() - {"expand", "pat", "stop"}:
        return None
    if method == "lower" and not arguments:
        return replace(reading, lowercase=True)
    if method == "strip" and not arguments:
        return replace(reading, stripped=True)
    if reading.stripped:
        return None
    if method == "__getitem__" and arguments == (0,):
        return replace(reading, pattern=r"(?s)\A(.)")
    stop = _stop(method, arguments, options)
    if stop is not None:
        return replace(reading, pattern=rf"(?s)\A(.{{0,{stop}}})")
    if method == "extract" and options.get("expand", True) is False:
        pattern = str(arguments[0] if arguments else options["pat"])
        if re.compile(pattern).groups == 1 and "(?" not in pattern:
            return replace(reading, pattern=rf"\A(?s:.*?){pattern}")
    if method == "first of split" and len(arguments) == 1 and len(arguments[0]) == 1:
        return replace(reading, pattern=rf"(?s)\A(.*?)(?:{re.escape(arguments[0])}|\Z)")
    return None


def _stop(method: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> int | None:
    given: Any = None
    if method == "__getitem__" and arguments and isinstance(arguments[0], slice):
        part = arguments[0]
        given = part.stop if part.start in (None, 0) and part.step in (None, 1) else None
    if method == "slice" and (not arguments or arguments[0] in (None, 0)):
        given = options.get("stop", arguments[1] if len(arguments) == 2 else None)
    return given if isinstance(given, int) and given > 0 else None


def _column(coded: Coded, reading: Reading) -> Coded:
    """What was read, as a column of categories."""
    tape, raw = coded.tape, reading.column
    filled = reading.of_fill()
    name = tape.named(("read", repr(reading)))

    def codes(known: tuple[Category, ...]) -> str:
        graph = tape.context.graph
        # A term more than there is, so that there is always one.
        terms = (*(str(each) for each in known), "\0nothing is called so\0")
        hot = graph.full(
            tape.context.text(reading.text(terms=terms), path=tape.path, what="the function")
        )
        any_of = _counted(tape, reading)
        place = graph.argmax(hot)
        count = graph.constant(np.int64(len(known)))
        axis = graph.constant(np.array([1], np.int64))
        hit = graph.node("Cast", [graph.node("ReduceMax", [hot, axis], keepdims=0)], to=9)
        found = graph.where(hit, place, count)
        absent = graph.constant(np.int64(len(known) + 1))
        # What does not match is missing, as in pandas; a missing text is empty before the graph.
        found = graph.where(graph.reshape(any_of, [-1]), found, absent)
        gone = graph.node("Equal", [tape.context.code(raw), _last(tape, raw)])
        other = absent if filled is None else graph.constant(np.int64(known.index(filled)))
        return graph.where(gone, other, found)

    tape.context.derive(name, codes)
    tape.readings[name] = reading
    if filled is not None:
        _coded(tape, name).learn([filled])
    return _coded(tape, name, reading.dtype)


def _last(tape: Tape, raw: str) -> str:
    """The code of a missing value."""
    return tape.context.graph.constant(np.int64(len(tape.context.vocabulary.get(raw, {})) + 1))


def _counted(tape: Tape, reading: Reading) -> str:
    """Whether the pattern is found at all: bool [rows, 1]."""
    counts = tape.context.graph.full(
        tape.context.text(reading.text(hashed=1), path=tape.path, what="the function")
    )
    return tape.context.graph.node("Cast", [counts], to=9)


def _searched(
    coded: Coded, reading: Reading, method: str, arguments: tuple[Any, ...], options: dict[str, Any]
) -> Array | None:
    """Methods that answer yes or no, and those that count."""
    patterns = _patterns(method, arguments, options)
    if patterns is None:
        return None
    tape = coded.tape
    key = ("searched", reading.column, method, patterns)
    tensor = tape.kept(
        key,
        lambda: tape.context.graph.full(
            tape.context.text(
                replace(reading, pattern=patterns).text(hashed=1),
                path=tape.path,
                what="the function",
            )
        ),
    )
    cells = np.empty((), dtype=object)
    cells[()] = tape.cells(tensor, (1,))[0]
    counts = Array(tape, cells, np.dtype(np.float64))
    dtype: Any = "str" if reading.dtype == "str" else object
    given = pd.Series([reading.fill], dtype=dtype)
    nothing = getattr(given.str, method)(*arguments, **options).tolist()[0]
    gone = Coded(tape, coded.raw, tuple(_gone(coded)), reading.dtype).missing()
    if method in ("count", "len"):
        return lib.where(gone, np.nan if missing(nothing) else float(nothing), counts)
    found: Any = counts > 0
    if missing(nothing):
        return lib.where(gone, np.nan, found.astype(float))
    return lib.where(gone, bool(nothing), found).astype(TRUTH)


def _gone(coded: Coded) -> list[Any]:
    """The column's values with nothing but the missing one missing."""
    return [*("" for _ in coded.values[:-1]), NAN]


def _patterns(method: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> str | None:
    if method == "len" and not arguments:
        return r"(?s)."
    if method in ("startswith", "endswith") and len(arguments) == 1:
        given = arguments[0] if isinstance(arguments[0], tuple) else (arguments[0],)
        either = "|".join(re.escape(each) for each in given)
        return rf"\A(?:{either})" if method == "startswith" else rf"(?:{either})\Z"
    if method not in ("contains", "count") or options.keys() - {"na", "case", "regex", "pat"}:
        return None
    pattern = str(arguments[0] if arguments else options.get("pat", ""))
    if len(arguments) > 1 or not pattern:
        return None
    if options.get("regex", True) is False:
        pattern = re.escape(pattern)
    if re.compile(pattern).groups:
        return None
    return pattern if options.get("case", True) else f"(?i:{pattern})"
