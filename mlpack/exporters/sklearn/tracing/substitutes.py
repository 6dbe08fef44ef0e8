"""What stands in the place of functions that numpy's protocols do not hand over.

``np.asarray``, ``np.c_``, ``pd.DataFrame`` or scikit-learn's ``check_array`` are called by name and
read what they are given at once. While a function is traced, these names mean functions that know
the stand-ins; for everything else they do what they always do.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import validation

from mlpack.exporters.sklearn.tracing import pandas_functions, structure
from mlpack.exporters.sklearn.tracing.arrays import Array
from mlpack.exporters.sklearn.tracing.elementwise import Traced
from mlpack.exporters.sklearn.tracing.errors import TraceError
from mlpack.exporters.sklearn.tracing.frames import Frame
from mlpack.exporters.sklearn.tracing.series import Series
from mlpack.exporters.sklearn.tracing.tape import Tape, lib


def is_traced(value: Any) -> bool:
    """Whether a stand-in is in it."""
    if isinstance(value, list | tuple):
        return any(is_traced(each) for each in value)
    if type(value) is dict:
        return any(is_traced(each) for each in value.values())
    return isinstance(value, Traced | Frame | Series)


def as_array(value: Any, dtype: Any = None, *_rest: Any, **_options: Any) -> Array:
    """``np.array`` of stand-ins: of a list, on a new first axis."""
    plain = pandas_functions.unwrapped(value)
    if isinstance(plain, list | tuple):
        plain = structure.stack([pandas_functions.unwrapped(each) for each in plain])
    made: Array = plain if dtype is None else plain.astype(dtype)
    return made


def _copied(value: Any, dtype: Any = None, *rest: Any, **options: Any) -> Array:
    made = as_array(value, dtype, *rest)
    two = int(options.get("ndmin", 0) or 0)
    if made.ndim < two:
        raise TraceError(f"np.array(ndmin={two}) turns rows into columns")
    return made.copy()


class _Side:
    """``np.c_``."""

    def __getitem__(self, key: Any) -> Any:
        if not is_traced(key):
            return np.c_.__class__()[key]
        parts = (
            [pandas_functions.unwrapped(each) for each in key] if isinstance(key, tuple) else [key]
        )
        return structure.column_stack([pandas_functions.unwrapped(each) for each in parts])


def checked(tape: Tape) -> Callable[..., Any]:
    """``check_array``: an array of numbers; rows that it refuses are refused."""

    def check(array: Any, *_rest: Any, **options: Any) -> Any:
        made = as_array(array)
        wanted = options.get("dtype", "numeric")
        listed = list(wanted) if isinstance(wanted, list | tuple) else [wanted]
        kinds = [np.dtype(each) for each in listed if each is not None and each != "numeric"]
        if kinds and made.dtype not in kinds:
            made = made.astype(kinds[0])
        finite = options.get("ensure_all_finite", options.get("force_all_finite", True))
        if finite is True or finite == "allow-nan":
            odd: Any = ~lib.isfinite(made) if finite is True else lib.isinf(made)
            if odd.ndim > 1:
                odd = odd.any(axis=1)
            tape.refuse(tape.matrix([odd.cells[()]]))
        return made.copy() if options.get("copy") else made

    return check


def _either(original: Callable[..., Any], own: Callable[..., Any]) -> Callable[..., Any]:
    def function(*arguments: Any, **options: Any) -> Any:
        given = is_traced(list(arguments)) or is_traced(dict(options))
        return (own if given else original)(*arguments, **options)

    return function


def _class(original: type, own: Callable[..., Any]) -> type:
    """A class that makes stand-ins of what is traced, and passes for the original."""

    class Meta(type):
        def __call__(cls, *arguments: Any, **options: Any) -> Any:
            given = is_traced(list(arguments)) or is_traced(dict(options))
            return (own if given else original)(*arguments, **options)

        def __instancecheck__(cls, instance: Any) -> bool:
            return isinstance(instance, original)

        def __subclasscheck__(cls, subclass: Any) -> bool:
            return issubclass(subclass, original)

        def __getattr__(cls, name: str) -> Any:
            return getattr(original, name)

    return Meta(original.__name__, (), {})


def _substitutes(tape: Tape) -> dict[int, Any]:
    """What stands for what, by the original's identity."""
    check = checked(tape)

    def validated(_estimator: Any, X: Any = None, *_rest: Any, **options: Any) -> Any:  # noqa: N803
        return X if options.get("skip_check_array") else check(X, **options)

    made: dict[int, Any] = {}
    for name in ("asarray", "asanyarray", "ascontiguousarray", "asfortranarray"):
        made[id(getattr(np, name))] = _either(getattr(np, name), as_array)
    made[id(np.array)] = _either(np.array, _copied)
    made[id(np.c_)] = _Side()
    for name, function in pandas_functions.MODULE.items():
        made[id(getattr(pd, name))] = _either(getattr(pd, name), function)
    made[id(pd.DataFrame)] = _class(
        pd.DataFrame,
        lambda data=None, *rest, **options: pandas_functions.frame(tape, data, *rest, **options),
    )
    made[id(pd.Series)] = _class(
        pd.Series,
        lambda data=None, *rest, **options: pandas_functions.series(tape, data, *rest, **options),
    )
    made[id(validation.check_array)] = _either(validation.check_array, check)
    made[id(validation.as_float_array)] = _either(validation.as_float_array, check)
    if hasattr(validation, "validate_data"):  # scikit-learn 1.6 and later
        made[id(validation.validate_data)] = _either(validation.validate_data, validated)
    return made


def _namespaces(own: set[str]) -> Iterator[dict[str, Any]]:
    """numpy's, pandas' and scikit-learn's names, and those of the user's own modules."""
    for name, module in list(sys.modules.items()):
        names = getattr(module, "__dict__", None)  # some are None, or an object of another kind
        if not isinstance(names, dict):
            continue
        package = name.split(".")[0]
        if name in ("numpy", "pandas") or package == "sklearn" or package in own:
            yield names


@contextmanager
def substituted(tape: Tape, packages: set[str], more: list[dict[str, Any]]) -> Iterator[None]:
    """The substitutes in every place that has the original's name.

    Args:
        tape: what the trace writes on.
        packages: the user's own, by their first name.
        more: names of functions that belong to no module any more.
    """
    made = _substitutes(tape)
    changed: list[tuple[dict[str, Any], str, Any]] = []
    seen: set[int] = set()
    try:
        for names in [*_namespaces(packages), *more]:
            if id(names) in seen:
                continue
            seen.add(id(names))
            for name, value in list(names.items()):
                if id(value) in made:
                    changed.append((names, name, value))
                    names[name] = made[id(value)]
        yield
    finally:
        for names, name, value in reversed(changed):
            names[name] = value
