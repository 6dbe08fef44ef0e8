"""numpy's functions that move columns about: their cells are moved by numpy itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mlpack.exporters.sklearn.tracing.arrays import Array, constant_array
from mlpack.exporters.sklearn.tracing.elementwise import Traced, mask_of, shape_of
from mlpack.exporters.sklearn.tracing.errors import TraceError

_ORDER = "it changes the order or the number of the rows"


def arrays(parts: Sequence[Any]) -> list[Array]:
    """All as traced arrays of one type, constants too."""
    traced = [part for part in parts if isinstance(part, Array)]
    if not traced:
        raise TraceError("nothing here is traced")
    mask_of(traced)
    made = [
        part
        if isinstance(part, Array)
        else constant_array(traced[0].tape, np.asarray(part), _same_axes(part, traced))
        for part in parts
    ]
    if any(part.dtype.kind not in "biuf" for part in made):
        raise TraceError("numbers meet text in one array")
    dtype = np.result_type(*(part.dtype for part in made))
    return [part.astype(dtype) for part in made]


def _same_axes(part: Any, traced: Sequence[Array]) -> Traced:
    return next((each for each in traced if each.ndim == np.ndim(part)), traced[0])


def _column_axis(array: Array, axis: int) -> int:
    """The axis of the cells that an axis of the array is.

    Raises:
        TraceError: it is the rows' axis.
    """
    place = axis % array.ndim
    if place == array.axis:
        raise TraceError(_ORDER)
    return place - (place > array.axis)


def concatenate(parts: Sequence[Any], axis: Any = 0, **options: Any) -> Array:
    """Columns after columns."""
    if any(value is not None for value in options.values()):
        raise TraceError(f"np.concatenate({', '.join(options)}) is not traced")
    made = arrays(list(parts))
    if len({(part.ndim, part.axis) for part in made}) > 1:
        shapes = " and ".join(str(shape_of(part)) for part in made)
        raise TraceError(f"arrays of shape {shapes} cannot stand side by side")
    if axis is None or int(axis) % made[0].ndim == made[0].axis:
        raise TraceError("rows are put below rows: one row's answer must be one row")
    place = _column_axis(made[0], int(axis))
    return made[0].made(np.concatenate([part.cells for part in made], axis=place))


def stack(parts: Sequence[Any], axis: int = 0, **_options: Any) -> Array:
    """Arrays along a new axis."""
    made = arrays(list(parts))
    place = int(axis) % (made[0].ndim + 1)
    row = made[0].axis
    if place <= row:
        return made[0].made(np.stack([part.cells for part in made], axis=place), row + 1)
    return made[0].made(np.stack([part.cells for part in made], axis=place - 1), row)


def _as_columns(part: Any) -> Any:
    if isinstance(part, Array):
        return part[:, None] if part.ndim == 1 else part
    value = np.asarray(part)
    return value[:, None] if value.ndim == 1 else value


def column_stack(parts: Sequence[Any]) -> Array:
    """One-dimensional arrays as the columns of a matrix."""
    return concatenate([_as_columns(part) for part in parts], axis=1)


def hstack(parts: Sequence[Any], **_options: Any) -> Array:
    """Side by side."""
    return concatenate(list(parts), axis=1)


def vstack(parts: Sequence[Any], **_options: Any) -> Array:
    """One below the other: good for one-dimensional arrays that are turned after."""
    return concatenate([part[None, :] if np.ndim(part) == 1 else part for part in parts], axis=0)


def reshape(array: Array, *shape: Any, order: Any = "C", copy: Any = None) -> Array:
    """Another shape of the columns."""
    del copy
    wanted = shape[0] if len(shape) == 1 and not isinstance(shape[0], int | np.integer) else shape
    size = [int(each) for each in wanted]
    rows = array.tape.rows
    if order not in ("C", "A", None) or array.axis != 0:
        raise TraceError("reshape of turned arrays is not traced")
    if -1 in size:
        known = int(np.prod([each for each in size if each != -1], dtype=np.int64))
        size[size.index(-1)] = array.size // known if known else 0
    if not size or size[0] != rows or int(np.prod(size, dtype=np.int64)) != array.size:
        raise TraceError(f"reshape{tuple(wanted)} of {shape_of(array)} mixes rows and columns")
    return array.made(array.cells.reshape(tuple(size[1:])))


def _flat(array: Array, _order: Any = "C") -> Array:
    return reshape(array, -1)


def _flatten(array: Array, _order: Any = "C") -> Array:
    return reshape(array, -1).copy()


def transpose(array: Array, *axes: Any) -> Array:
    """The axes in another order."""
    order = axes[0] if len(axes) == 1 else axes
    if not order:
        return array.T
    wanted = [int(each) % array.ndim for each in order]
    cells = [each - (each > array.axis) for each in wanted if each != array.axis]
    return array.made(array.cells.transpose(cells), wanted.index(array.axis))


def swapaxes(array: Array, first: int, second: int) -> Array:
    """Two axes in each other's place."""
    order = list(range(array.ndim))
    order[first], order[second] = order[second], order[first]
    return transpose(array, order)


def expand_dims(array: Array, axis: Any) -> Array:
    """A new axis."""
    place = int(axis) % (array.ndim + 1)
    key: list[Any] = [slice(None)] * array.ndim
    key.insert(place, None)
    return array[tuple(key)]


def squeeze(array: Array, axis: Any = None) -> Array:
    """Without the axes of one column."""
    places = range(array.ndim) if axis is None else [int(each) for each in np.atleast_1d(axis)]
    key: list[Any] = [slice(None)] * array.ndim
    for place in places:
        if place % array.ndim != array.axis and array.shape[place] == 1:
            key[place] = 0
    return array[tuple(key)]


def _by_axis(name: str, function: Callable[..., Any]) -> Callable[..., Array]:
    """A function that moves columns along an axis."""

    def moved(array: Any, *arguments: Any, axis: Any = None, **options: Any) -> Array:
        if axis is None and arguments and name in ("take", "delete", "repeat", "roll"):
            *rest, last = arguments
            if len(arguments) > 1:
                arguments, axis = tuple(rest), last
        if axis is None:
            raise TraceError(f"np.{name} without axis=1 is not traced: {_ORDER}")
        if not isinstance(array, Array):
            raise TraceError(f"np.{name}: columns are chosen by data")
        options.pop("mode", None)
        place = _column_axis(array, int(axis))
        return array.made(np.asarray(function(array.cells, *arguments, axis=place, **options)))

    return moved


def flip(array: Array, axis: Any = None) -> Array:
    """The columns backwards."""
    return _by_axis("flip", np.flip)(array, axis=axis)


def diff(array: Array, n: int = 1, axis: int = -1, **options: Any) -> Array:
    """The difference of neighbouring columns."""
    if options:
        raise TraceError("np.diff(prepend=, append=) is not traced")
    made: Any = array
    for _ in range(n):
        _column_axis(made, axis)
        later: list[Any] = [slice(None)] * made.ndim
        sooner = list(later)
        later[axis], sooner[axis] = slice(1, None), slice(None, -1)
        made = made[tuple(later)] - made[tuple(sooner)]
    result: Array = made
    return result


def split(array: Array, sections: Any, axis: int = 0) -> list[Array]:
    """Groups of columns."""
    place = _column_axis(array, axis)
    return [array.made(part) for part in np.array_split(array.cells, sections, axis=place)]


def _filled(value: Any) -> Callable[..., Array]:
    def function(array: Any, dtype: Any = None, *_order: Any, **_options: Any) -> Array:
        kind = array.dtype if dtype is None else np.dtype(dtype)
        constant = np.full(array.cells.shape, value, kind)
        return Array(array.tape, array.tape.filled(constant, kind), kind, array.axis, array.mask)

    return function


def full_like(array: Any, fill_value: Any, dtype: Any = None, **_options: Any) -> Any:
    """The same number everywhere; an array of numbers may be the number."""
    made = _filled(0)(array, dtype)
    made[...] = fill_value
    return made


def tile(array: Array, reps: Any) -> Array:
    """The columns again and again."""
    counts = [int(each) for each in np.atleast_1d(reps)]
    if array.axis != 0 or len(counts) != array.ndim or counts[0] != 1:
        raise TraceError(f"np.tile(x, {reps!r}): {_ORDER}")
    return array.made(np.tile(array.cells, counts[1:]))


def append(array: Any, values: Any, axis: Any = None) -> Array:
    """Columns after columns."""
    return concatenate([array, values], axis=axis)


def insert(array: Any, place: Any, values: Any, axis: Any = None) -> Array:
    """Columns between columns."""
    if axis is None or not isinstance(place, int):
        raise TraceError("np.insert is only traced with axis=1 and one place")
    before: list[Any] = [slice(None)] * array.ndim
    after = list(before)
    before[axis], after[axis] = slice(None, place), slice(place, None)
    between = values
    if isinstance(values, Array) and values.ndim < array.ndim:
        between = expand_dims(values, axis)
    elif np.ndim(values) == 0:
        between = np.full((array.tape.rows, 1), values)
    return concatenate([array[tuple(before)], between, array[tuple(after)]], axis=axis)


def _at_least_two(*given: Any) -> Any:
    made = [part[None, :] if np.ndim(part) == 1 else part for part in given]
    return made[0] if len(made) == 1 else made


def copyto(target: Array, source: Any, where: Any = True, **_options: Any) -> None:
    """An assignment by another name."""
    if where is True:
        target[...] = source
    else:
        putmask(target, where, source)


def putmask(target: Array, mask: Any, values: Any) -> None:
    """Some elements set."""
    target[...] = target.tape.functions["where"](mask, values, target)


def fill(target: Array, value: Any) -> None:
    """All elements set."""
    target[...] = value


def _shape(array: Any) -> tuple[int, ...]:
    made: tuple[int, ...] = array.shape
    return made


def _refused(why: str) -> Callable[..., Any]:
    def function(*_arguments: Any, **_options: Any) -> Any:
        raise TraceError(why)

    return function


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "concatenate": concatenate,
    "stack": stack,
    "column_stack": column_stack,
    "hstack": hstack,
    "vstack": vstack,
    "row_stack": vstack,
    "reshape": reshape,
    "ravel": _flat,
    "flatten": _flatten,
    "transpose": transpose,
    "permute_dims": transpose,
    "matrix_transpose": lambda array: array.T,
    "swapaxes": swapaxes,
    "expand_dims": expand_dims,
    "squeeze": squeeze,
    "copy": lambda array, *_, **__: array.copy(),
    "take": _by_axis("take", np.take),
    "delete": _by_axis("delete", np.delete),
    "repeat": _by_axis("repeat", np.repeat),
    "roll": _by_axis("roll", np.roll),
    "flip": flip,
    "fliplr": lambda array: flip(array, 1),
    "diff": diff,
    "split": split,
    "array_split": split,
    "hsplit": lambda array, sections: split(array, sections, 1),
    "zeros_like": _filled(0),
    "empty_like": _filled(0),
    "ones_like": _filled(1),
    "full_like": full_like,
    "tile": tile,
    "append": append,
    "insert": insert,
    "atleast_1d": lambda array: array,
    "atleast_2d": _at_least_two,
    "copyto": copyto,
    "putmask": putmask,
    "fill": fill,
    "shape": _shape,
    "ndim": lambda array: array.ndim,
    "size": lambda array, axis=None: array.size if axis is None else array.shape[axis],
    "result_type": lambda *types: np.result_type(
        *(each.dtype if isinstance(each, Traced) else each for each in types)
    ),
    "can_cast": lambda source, *rest: np.can_cast(
        source.dtype if isinstance(source, Traced) else source, *rest
    ),
    "iscomplexobj": lambda _array: False,
    "isrealobj": lambda _array: True,
    "real": lambda array: array,
    **dict.fromkeys(
        ("unique", "nonzero", "flatnonzero", "argwhere", "bincount", "histogram", "extract"),
        _refused("what it answers depends on all rows together"),
    ),
    **dict.fromkeys(
        ("tolist", "item", "tobytes", "save", "savetxt", "array2string", "array_str"),
        _refused("it takes the numbers out of the data"),
    ),
    **dict.fromkeys(
        ("array_equal", "array_equiv", "allclose"),
        _refused("it compares all rows at once: compare element by element instead"),
    ),
    "argsort": _refused("np.argsort is not traced"),
}
