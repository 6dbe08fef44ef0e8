"""The core graph unrolled for one row: plain arithmetic instead of operators.

ONNX Runtime takes about ten microseconds for a run and one more for each operator, which is a
hundred times what a linear model's sums take. So where a graph is small, the exporter writes down
what it does with each number of a row, and here that becomes a Python function. Python's floats are
the doubles of the graph. What the function does not know, such as a row that is refused, the graph
answers.

The function's text is made of numbers and of the words in this module alone.
"""

from __future__ import annotations

import math
import struct
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

Number = int | float
Step = tuple[str, tuple[Number, ...]]
"""What is done, and with what: a whole number is the place of an earlier result, a fraction itself.

Whole numbers that are no such places stand in the steps that say so.
"""

Row = Callable[[Sequence[Any]], "tuple[Any, ...] | None"]

_TEXTS = {
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "div": "{0} / {1}",
    "neg": "-{0}",
    "abs": "abs({0})",
    "exp": "exp({0})",
    "isnan": "{0} != {0}",
    "isinf": "abs({0}) == INFINITY",
    "greater": "{0} > {1}",
    "less": "{0} < {1}",
    "equal": "{0} == {1}",
    "and": "{0} and {1}",
    "or": "{0} or {1}",
    "not": "not {0}",
    "int": "1 if {0} else 0",
    "where": "{1} if {0} else {2}",
}
"""What each step becomes; one result each."""

MANY = (
    *(
        "sum",
        "dot",
        "softmax",
        "argmax",
        "number",
        "code",
        "place",
        "row",
        "single",
        "leaf",
        "pick",
    ),
)
"""Further steps:

- ``sum``: of all arguments;
- ``dot``: places and as many fractions: the sum of the products;
- ``softmax``: as many results as arguments;
- ``argmax``: the index of the first largest, a whole number;
- ``number``, ``code``: the input of the graph with that index;
- ``place``: a whole number and one to be added to it;
- ``row``: a table's number and a result that is a whole number: as many results as its columns;
- ``single``: as many results as arguments, each rounded to float32;
- ``leaf``: a tree's number and what it compares: the number of the leaf that is reached;
- ``pick``: a list's number and a result that is a whole number: what stands there.
"""

OPERATIONS = frozenset((*_TEXTS, *MANY))


class Branch(msgspec.Struct, frozen=True, array_like=True):
    """A comparison in a tree.

    Attributes:
        asked: which of the values that the tree is given.
        threshold: what it is compared with; None where every number is at most it, which leaves
            NaN alone on the other side.
        strict: whether the value must be below it; it may be equal otherwise.
        missing: whether the answer is yes for NaN.
        yes, no: the next comparison's place, or below 0 a leaf: -1 for number 0, -2 for number 1.
    """

    asked: int
    threshold: float | None
    strict: bool
    missing: bool
    yes: int
    no: int


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """A graph for one row.

    Attributes:
        steps: in order; the results of all of them are numbered from 0.
        tables: of ``row``: float64 [codes, columns].
        trees: of ``leaf``; the first comparison is the root.
        lists: of ``pick``.
        refused: the result that is true where the original raises for the row; None for never.
        label, probabilities, values: the results that are the graph's outputs of these names.
    """

    steps: tuple[Step, ...]
    tables: tuple[tuple[tuple[float, ...], ...], ...] = ()
    trees: tuple[tuple[Branch, ...], ...] = ()
    lists: tuple[tuple[float, ...], ...] = ()
    refused: int | None = None
    label: int | None = None
    probabilities: tuple[int, ...] = ()
    values: tuple[int, ...] = ()


DEEPEST = 20
"""Brackets within each other: Python's parser has a limit too."""

DEEPEST_TREE = 60
"""Comparisons one after the other, for the same reason."""


class ProgramError(Exception):
    """A program is none: a step is unknown, or asks for what is not there."""


def compiled(
    program: Program,
    numbers: Sequence[tuple[int, bool]],
    codes: Sequence[tuple[int, Mapping[Any, int], int | None]],
) -> Row:
    """The function for one row of clean values, in the signature's order.

    Args:
        program: what it does.
        numbers: for each of the graph's numbers the place of its value, and whether the value is
            a float already.
        codes: for each of the graph's codes the place of its value, the code of each value, and
            the code that is refused if one is.

    Returns:
        A function that answers the label, the probabilities and the values, each None or a list;
        or None for all of it, where the graph must be asked.

    Raises:
        ProgramError: the program is damaged.
    """
    writer = _Writer(program, numbers, codes)
    known: dict[str, Any] = {
        "exp": _exp,
        "NAN": math.nan,
        "INFINITY": math.inf,
        **{f"T{index}": table for index, table in enumerate(program.tables)},
        **{f"P{index}": values for index, values in enumerate(program.lists)},
        "single": _single,
        **{f"L{index}": lookup.__getitem__ for index, (_, lookup, _) in enumerate(codes)},
    }
    try:
        code = compile(writer.text(), "<row>", "exec")
    except RecursionError as error:
        raise ProgramError("a sum is too long") from error
    exec(code, known)  # noqa: S102 - of numbers and own words
    made: Row = known["row"]
    return made


def _exp(number: float) -> float:
    try:
        return math.exp(number)
    except OverflowError:
        return math.inf


def _single(*numbers: float) -> tuple[float, ...]:
    """Numbers as float32 has them; what is larger than all that it has is an infinity there."""
    kind = f"{len(numbers)}f"
    return struct.unpack(kind, struct.pack(kind, *numbers))


class _Writer:
    """Writes the function down."""

    def __init__(
        self,
        program: Program,
        numbers: Sequence[tuple[int, bool]],
        codes: Sequence[tuple[int, Mapping[Any, int], int | None]],
    ) -> None:
        self._program = program
        self._numbers = numbers
        self._codes = codes
        self._count = 0
        self._lines: list[str] = []
        self._uses = _uses(program)
        # What is asked for once stands where it is asked for, in so many brackets.
        self._inside: dict[int, tuple[str, int]] = {}
        self._brackets = 0

    def text(self) -> str:
        """The whole function."""
        for operation, arguments in self._program.steps:
            self._step(operation, arguments)
        program = self._program
        if program.refused is not None:
            self._lines.append(f"if {self._result(program.refused)}: return None")
        label = "None" if program.label is None else self._result(program.label)
        some = ", ".join(
            f"[{', '.join(map(self._result, each))}]" if each else "None"
            for each in (program.probabilities, program.values)
        )
        body = [*self._lines, f"return {label}, {some}"]
        return "\n    ".join(["def row(values):", *body]) + "\n"

    def _step(self, operation: str, arguments: tuple[Number, ...]) -> None:
        if operation in _TEXTS:
            read = self._named if operation == "isnan" else self._result
            try:
                text = _TEXTS[operation].format(*map(read, arguments))
            except IndexError as error:
                raise ProgramError(f"{operation} has too few arguments") from error
            self._set(text)
        elif operation in MANY:
            if not arguments or (operation == "dot" and len(arguments) % 2):
                raise ProgramError(f"{operation} has too few arguments")
            getattr(self, f"_{operation}")(arguments)
        else:
            raise ProgramError(f"there is no step {operation!r}")

    def _result(self, argument: Number) -> str:
        """An argument in the function: an earlier result, or the number itself."""
        if isinstance(argument, float):
            if not math.isfinite(argument):
                raise ProgramError("a number of a step is not finite")
            return f"({argument!r})"
        place = _within(argument, self._count)
        text, brackets = self._inside.get(place, (f"r{place}", 0))
        self._brackets = max(self._brackets, brackets)
        return text

    def _named(self, argument: Number) -> str:
        """The same for what is written more than once: a name, not what it stands for."""
        text = self._result(argument)
        if isinstance(argument, int) and argument in self._inside:
            del self._inside[argument]
            self._lines.append(f"r{argument} = {text}")
            text = f"r{argument}"
        return text

    def _set(self, text: str) -> None:
        """The next result; `text` was made of arguments that were just asked for."""
        brackets, self._brackets = self._brackets + 1, 0
        if self._uses[self._count] == 1 and brackets < DEEPEST:
            self._inside[self._count] = (f"({text})", brackets)
        else:
            self._lines.append(f"r{self._count} = {text}")
        self._count += 1

    def _keep(self, text: str) -> None:
        """The next result, which must be had at once: later steps use the same names."""
        self._lines.append(f"r{self._count} = {text}")
        self._count += 1

    def _sum(self, arguments: tuple[Number, ...]) -> None:
        self._set(" + ".join(map(self._result, arguments)))

    def _dot(self, arguments: tuple[Number, ...]) -> None:
        half = len(arguments) // 2
        if not any(arguments[half:]):
            # Whether all are finite. A sum that is too large is taken for one that is not, and
            # the graph is asked.
            self._set(f"({' + '.join(map(self._result, arguments[:half]))}) * 0.0")
            return
        pairs = zip(arguments[:half], arguments[half:], strict=True)
        self._set(" + ".join(f"{self._result(a)} * {self._result(b)}" for a, b in pairs))

    def _softmax(self, arguments: tuple[Number, ...]) -> None:
        names = [self._named(each) for each in arguments]
        self._lines.append(f"m = max({', '.join(names)})" if len(names) > 1 else f"m = {names[0]}")
        powers = [f"e{index}" for index in range(len(names))]
        for power, name in zip(powers, names, strict=True):
            self._lines.append(f"{power} = exp({name} - m)")
        self._lines.append(f"m = {' + '.join(powers)}")
        for power in powers:
            self._keep(f"{power} / m")

    def _argmax(self, arguments: tuple[Number, ...]) -> None:
        names = [self._named(each) for each in arguments]
        self._lines += ["k = 0", f"m = {names[0]}"]
        for index, name in enumerate(names[1:], 1):
            self._lines.append(f"if {name} > m: k = {index}; m = {name}")
        self._keep("k")

    def _number(self, arguments: tuple[Number, ...]) -> None:
        place, ready = self._numbers[_index(arguments, 0, len(self._numbers))]
        value = f"values[{int(place)}]"
        read = "v" if ready else "float(v)"
        self._set(f"NAN if (v := {value}) is None else {read}")

    def _code(self, arguments: tuple[Number, ...]) -> None:
        index = _index(arguments, 0, len(self._codes))
        place, _, refused = self._codes[index]
        self._set(f"L{index}(values[{int(place)}])")
        if refused is not None:
            code = self._named(self._count - 1)
            self._lines.append(f"if {code} == {int(refused)}: return None")

    def _place(self, arguments: tuple[Number, ...]) -> None:
        more = _index(arguments, 1, 1 << 62)
        self._set(f"{self._result(arguments[0])} + {more}")

    def _row(self, arguments: tuple[Number, ...]) -> None:
        tables = self._program.tables
        table = _index(arguments, 0, len(tables))
        if not tables[table] or len(arguments) < len(("table", "place")):
            raise ProgramError("a table is empty")
        width = len(tables[table][0])
        place = self._result(arguments[1])
        names = "".join(f"r{self._count + index}, " for index in range(width))
        self._lines.append(f"{names}= T{table}[{place}]")
        self._count += width

    def _single(self, arguments: tuple[Number, ...]) -> None:
        given = ", ".join(map(self._result, arguments))
        names = "".join(f"r{self._count + index}, " for index in range(len(arguments)))
        self._lines.append(f"{names}= single({given})")
        self._brackets = 0
        self._count += len(arguments)

    def _leaf(self, arguments: tuple[Number, ...]) -> None:
        trees = self._program.trees
        tree = trees[_index(arguments, 0, len(trees))]
        names = [self._named(each) for each in arguments[1:]]
        self._brackets = 0
        self._keep(_compared(tree, 0, names, DEEPEST_TREE, set()))

    def _pick(self, arguments: tuple[Number, ...]) -> None:
        lists = self._program.lists
        index = _index(arguments, 0, len(lists))
        if len(arguments) < len(("list", "place")):
            raise ProgramError("a step has too few arguments")
        self._set(f"P{index}[{self._result(arguments[1])}]")


def _compared(
    tree: Sequence[Branch], place: int, names: Sequence[str], depth: int, seen: set[int]
) -> str:
    """The comparison at a place of a tree, with all that are below it."""
    if place < 0:
        return str(-1 - place)
    if not depth or place >= len(tree) or place in seen:
        raise ProgramError("a tree does not end, or grows together")
    seen.add(place)
    branch = tree[place]
    name = names[_within(branch.asked, len(names))]
    if branch.threshold is None:
        test = f"{name} == {name}"
    elif math.isfinite(branch.threshold):
        test = f"{name} {'<' if branch.strict else '<='} {branch.threshold!r}"
    else:
        raise ProgramError("a tree compares with what is no number")
    if branch.missing:
        test = f"{test} or {name} != {name}"
    yes, no = (_compared(tree, each, names, depth - 1, seen) for each in (branch.yes, branch.no))
    return f"({yes} if {test} else {no})"


def _uses(program: Program) -> Counter[Number]:
    """How often each result is asked for."""
    asked: Counter[Number] = Counter(
        each for _, given in program.steps for each in given if isinstance(each, int)
    )
    asked.update(each for each in (program.refused, program.label) if each is not None)
    asked.update((*program.probabilities, *program.values))
    return asked


def _index(arguments: tuple[Number, ...], which: int, size: int) -> int:
    if len(arguments) <= which:
        raise ProgramError("a step has too few arguments")
    return _within(arguments[which], size)


def _within(argument: Number, size: int) -> int:
    if isinstance(argument, float) or not 0 <= argument < size:
        raise ProgramError(f"a step asks for {argument!r}, which is not there")
    return int(argument)
