"""What a model file names, read without loading it.

A pickle is a program for a stack machine that may call anything. Here its opcodes are followed
with values that stand for the objects, and nothing is imported or called. joblib writes numpy
arrays as raw bytes between the opcodes, behind an object that tells their shape and type, which
is why following the stack is what finds where the opcodes go on. A skops file is a zip with a
JSON description.

Formats: https://docs.python.org/3/library/pickletools.html, joblib's ``numpy_pickle.py``,
https://skops.readthedocs.io/en/stable/persistence.html
"""

from __future__ import annotations

import json
import pickletools
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlpack.inspection import machine
from mlpack.inspection.streams import Stream, UnreadableError, opened
from mlpack.untrusted import DAMAGE

_SKOPS_SCHEMA = "schema.json"
_LARGEST_SCHEMA = 256 << 20


@dataclass(frozen=True)
class Contents:
    """What a model file names.

    Attributes:
        kind: ``pickle``, ``skops`` or ``onnx``.
        root: the class of the object itself, such as ``sklearn.pipeline.Pipeline``.
        classes: every class and function that loading would import, sorted.
        sklearn: the scikit-learn version that the estimators record; the first if they differ.
        complete: whether the whole file was followed. If not, there may be further names.
        problem: why it is not complete; None if it is.
    """

    kind: str
    root: str | None = None
    classes: tuple[str, ...] = ()
    sklearn: str | None = None
    complete: bool = True
    problem: str | None = None


def read(path: Path) -> Contents:
    """What the model file `path` names. Nothing is imported, unpickled or run.

    A file that is damaged or of no known kind gives what was found until there, and the problem.
    An ONNX file names no classes.
    """
    suffix = path.suffix.lower()
    if suffix == ".onnx":
        return Contents("onnx")
    if suffix == ".skops":
        return _read_skops(path)
    return _read_pickle(path)


def _read_pickle(path: Path) -> Contents:
    found = machine.Found()
    root: machine.Value = None
    problem: str | None = None
    try:
        with opened(path) as stream:
            root = _follow(stream, found)
            if stream.read(1):
                problem = "something follows the end of the pickle"
    except EOFError:
        problem = "the file ends in the middle: it is truncated"
    except UnreadableError as error:
        problem = str(error)
    except (machine.StrangeError, ValueError, OSError) as error:
        problem = f"it is not a pickle that can be followed: {error}"
    return Contents(
        "pickle",
        root=machine.class_of(root),
        classes=tuple(sorted(found.names)),
        sklearn=found.sklearn,
        complete=problem is None,
        problem=problem,
    )


def _follow(stream: Stream, found: machine.Found) -> machine.Value:
    """The value that the pickle at the stream's position stands for."""
    state = machine.Machine(found)
    for opcode, argument, _ in _opcodes(stream):
        array = state.step(opcode.name, argument)
        if array is not None:
            _skip(stream, array, found)
    return state.result


def _opcodes(stream: Stream) -> Iterator[tuple[Any, Any, Any]]:
    """The opcodes until STOP. Where the file ends before, EOFError instead of what it looks like.

    `stream` remembers that it was asked for more than there is.
    """
    try:
        yield from pickletools.genops(stream)  # type: ignore[arg-type]
    except ValueError as error:
        if stream.exhausted:
            raise EOFError from error
        raise


def _skip(stream: Stream, array: machine.Array, found: machine.Found) -> None:
    """Go past an array that joblib wrote behind the object that describes it."""
    if array.has_objects:
        _follow(stream, found)
        return
    if array.aligned:
        padding = stream.read(1)
        if not padding:
            raise EOFError
        stream.skip(padding[0])
    stream.skip(array.size)


def _read_skops(path: Path) -> Contents:
    names: set[str] = set()
    versions: list[str] = []
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(_SKOPS_SCHEMA).file_size > _LARGEST_SCHEMA:
                return Contents("skops", complete=False, problem="its description is too large")
            schema = json.loads(archive.read(_SKOPS_SCHEMA))
    except KeyError:
        return Contents("skops", complete=False, problem="it is a zip without a schema.json")
    except (*DAMAGE, ValueError, RuntimeError, OSError) as error:  # encrypted, too deep a nest
        return Contents("skops", complete=False, problem=f"it is not a skops file: {error}")
    # An explicit stack: a schema may be nested deeper than calls can be.
    todo: list[Any] = [schema]
    while todo:
        node = todo.pop()
        if isinstance(node, dict):
            if name := _skops_name(node):
                names.add(name)
            version = node.get("_sklearn_version")
            if isinstance(version, dict) and isinstance(version.get("content"), str):
                versions.append(version["content"].strip("\"'"))
            todo += node.values()
        elif isinstance(node, list):
            todo += node
    return Contents(
        "skops",
        root=_skops_name(schema) if isinstance(schema, dict) else None,
        classes=tuple(sorted(names)),
        sklearn=min(versions, default=None),
    )


def _skops_name(node: dict[str, Any]) -> str | None:
    module, name = node.get("__module__"), node.get("__class__")
    if not isinstance(module, str) or not isinstance(name, str) or module == "builtins":
        return None
    return f"{module}.{name}"
