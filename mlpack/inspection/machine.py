"""Pickle's stack machine with values that stand for objects: nothing is imported or called.

Its opcodes are described in the standard library's ``pickletools``; this follows
``pickle._Unpickler`` operation by operation.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Value: TypeAlias = Any
"""What stands for an object: plain data as itself, `Name` and `Object` for the rest."""

_ARRAY = "joblib.numpy_pickle.NumpyArrayWrapper"
_HELPERS = ("copyreg._reconstructor", "copy_reg._reconstructor", "copyreg.__newobj__")
_ITEM = re.compile(r"[A-Za-z?](\d+)")
_SKLEARN_VERSION = "_sklearn_version"
_MARK = object()
# Places in the state of a numpy.dtype: (3, '<', None, names, fields, size, alignment, flags).
_SIZE, _FLAGS = 5, 7
_HAS_OBJECTS = 1


class StrangeError(Exception):
    """The opcodes do what no pickler writes."""


@dataclass(frozen=True)
class Name:
    """A class or function that the pickle refers to."""

    text: str


@dataclass(eq=False)
class Object:
    """What calling `made_by` would give, and the state that it would be given."""

    made_by: Value
    arguments: Value = None
    state: Value = None


@dataclass(frozen=True)
class Array:
    """An array whose bytes follow in the file, behind the opcode that was just read.

    Attributes:
        size: how many bytes they are.
        has_objects: a pickle follows instead.
        aligned: a length byte and so many bytes of padding come first.
    """

    size: int
    has_objects: bool
    aligned: bool


@dataclass
class Found:
    """What was come across: the names, and the scikit-learn version that estimators record."""

    names: set[str] = field(default_factory=set)
    sklearn: str | None = None


def class_of(value: Value) -> str | None:
    """The name of the class of the object that `value` stands for, if it is one."""
    # A pickle can be made to refer to itself; a real one is never nested like this.
    for _ in range(8):
        if not isinstance(value, Object):
            break
        # copyreg's helpers are given the class; anything else is called itself.
        helper = isinstance(value.made_by, Name) and value.made_by.text in _HELPERS
        given = value.arguments if isinstance(value.arguments, tuple) else ()
        value = given[0] if helper and given else value.made_by
    return value.text if isinstance(value, Name) else None


class Machine:
    """Follows one pickle: `step` takes its opcodes one after the other.

    Attributes:
        result: what the whole pickle stands for, after STOP.
    """

    def __init__(self, found: Found) -> None:
        self._found = found
        self._stack: list[Value] = []
        self._memo: dict[int, Value] = {}
        self._operations = self._table()
        self.result: Value = None

    def step(self, name: str, argument: Value) -> Array | None:
        """Follow one opcode; the array whose bytes follow it, if there is one.

        Args:
            name: the opcode's, as pickletools has it.
            argument: what pickletools decoded behind it.

        Raises:
            StrangeError: it is not known, or takes what is not on the stack.
        """
        operation = self._operations.get(name)
        try:
            if operation is not None:
                operation(argument)
            else:
                self._push(_literal(name, argument))
        except (IndexError, KeyError, TypeError, ValueError) as error:
            raise StrangeError(f"the opcode {name} finds nothing to work on") from error
        return self._array() if name == "BUILD" else None

    def _table(self) -> dict[str, Callable[[Value], None]]:
        push, take, items = self._push, self._take, self._items
        return {
            "PROTO": lambda _: None,
            "FRAME": lambda _: None,
            "READONLY_BUFFER": lambda _: None,
            "STOP": lambda _: self._stop(),
            "MARK": lambda _: push(_MARK),
            "POP": lambda _: self._drop(),
            "POP_MARK": lambda _: self._discard(items()),
            "DUP": lambda _: push(self._stack[-1]),
            "GET": self._get,
            "BINGET": self._get,
            "LONG_BINGET": self._get,
            "PUT": self._put,
            "BINPUT": self._put,
            "LONG_BINPUT": self._put,
            "MEMOIZE": lambda _: self._put(len(self._memo)),
            "EMPTY_LIST": lambda _: push([]),
            "EMPTY_DICT": lambda _: push({}),
            "EMPTY_TUPLE": lambda _: push(()),
            "EMPTY_SET": lambda _: push([]),
            "LIST": lambda _: push(items()),
            "FROZENSET": lambda _: push(items()),
            "TUPLE": lambda _: push(tuple(items())),
            "TUPLE1": lambda _: push(take(1)),
            "TUPLE2": lambda _: push(take(2)),
            "TUPLE3": lambda _: push(take(3)),
            "DICT": lambda _: self._dict(items()),
            "SETITEM": lambda _: self._set(list(take(2))),
            "SETITEMS": lambda _: self._set(items()),
            "APPEND": lambda _: self._extend(list(take(1))),
            "APPENDS": lambda _: self._extend(items()),
            "ADDITEMS": lambda _: self._extend(items()),
            "GLOBAL": lambda argument: push(self._name(*argument.split(" ", 1))),
            "STACK_GLOBAL": lambda _: push(self._name(*take(2))),
            "INST": lambda argument: self._instance(argument, items()),
            "OBJ": lambda _: self._made(*_first(items())),
            "REDUCE": lambda _: self._made(*take(2)),
            "NEWOBJ": lambda _: self._made(*take(2)),
            "NEWOBJ_EX": lambda _: self._made(*take(3)[:2]),
            "BUILD": lambda _: self._build(),
        }

    def _push(self, value: Value) -> None:
        self._stack.append(value)

    def _take(self, count: int) -> tuple[Value, ...]:
        values = tuple(self._stack[-count:])
        if len(values) < count or any(value is _MARK for value in values):
            raise IndexError
        del self._stack[-count:]
        return values

    def _items(self) -> list[Value]:
        """All that lies above the last mark; the mark goes too."""
        for place in range(len(self._stack) - 1, -1, -1):
            if self._stack[place] is _MARK:
                values = self._stack[place + 1 :]
                del self._stack[place:]
                return values
        raise IndexError

    def _drop(self) -> None:
        self._stack.pop()

    def _discard(self, _: list[Value]) -> None:
        """The items above the mark are gone already."""

    def _get(self, place: Value) -> None:
        self._push(self._memo[int(place)])

    def _put(self, place: Value) -> None:
        self._memo[int(place)] = self._stack[-1]

    def _name(self, module: Value, name: Value) -> Name:
        if not isinstance(module, str) or not isinstance(name, str):
            raise StrangeError("a name that is no string")
        text = f"{module}.{name}"
        self._found.names.add(text)
        return Name(text)

    def _instance(self, argument: str, given: list[Value]) -> None:
        self._made(self._name(*argument.split(" ", 1)), tuple(given))

    def _made(self, made_by: Value, arguments: Value) -> None:
        self._push(Object(made_by, arguments))

    def _dict(self, pairs: list[Value]) -> None:
        self._push({})
        self._set(pairs)

    def _set(self, pairs: list[Value]) -> None:
        target = self._stack[-1]
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            if not isinstance(key, str):
                continue
            if isinstance(target, dict):
                target[key] = value
            if key == _SKLEARN_VERSION and isinstance(value, str) and not self._found.sklearn:
                self._found.sklearn = value

    def _extend(self, values: list[Value]) -> None:
        target = self._stack[-1]
        if isinstance(target, list):
            target += values

    def _build(self) -> None:
        (state,) = self._take(1)
        target = self._stack[-1]
        if isinstance(target, Object):
            target.state = state

    def _stop(self) -> None:
        (self.result,) = self._take(1)

    def _array(self) -> Array | None:
        value = self._stack[-1]
        if not isinstance(value, Object) or class_of(value) != _ARRAY:
            return None
        if not isinstance(value.state, dict):
            raise StrangeError("an array without a description")
        shape = value.state.get("shape")
        if not isinstance(shape, tuple) or not all(
            isinstance(one, int) and one >= 0 for one in shape
        ):
            raise StrangeError("an array without a shape")
        item, has_objects = _item(value.state.get("dtype"))
        aligned = value.state.get("numpy_array_alignment_bytes") is not None
        return Array(math.prod(shape) * item, has_objects, aligned)


def _first(values: list[Value]) -> tuple[Value, tuple[Value, ...]]:
    return values[0], tuple(values[1:])


def _literal(name: str, argument: Value) -> Value:
    """The value of an opcode that pushes one."""
    if name in ("NEWTRUE", "NEWFALSE"):
        return name == "NEWTRUE"
    if name == "NEXT_BUFFER" or name.startswith(("EXT", "PERSID", "BINPERSID")):
        raise StrangeError(f"the opcode {name}, which takes something from elsewhere")
    return argument


def _item(kind: Value) -> tuple[int, bool]:
    """The size in bytes of an element of a numpy.dtype, and whether it holds objects."""
    given = kind.arguments if isinstance(kind, Object) else None
    code = given[0] if isinstance(given, tuple) and given else None
    match = _ITEM.match(code) if isinstance(code, str) else None
    if match is None:
        raise StrangeError("an array of an unknown type")
    size, flags = int(match[1]), 0
    state = kind.state
    if isinstance(state, tuple) and len(state) > _FLAGS:
        recorded, flagged = state[_SIZE], state[_FLAGS]
        # A type of no fixed size of its own, text or a record, tells it here.
        size = recorded if isinstance(recorded, int) and recorded >= 0 else size
        flags = flagged if isinstance(flagged, int) else 0
    return size, match[0].startswith("O") or bool(flags & _HAS_OBJECTS)
