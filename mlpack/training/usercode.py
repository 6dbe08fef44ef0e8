"""Runs the project's ``data.load`` and ``pipeline.build``; errors are told with their line."""

from __future__ import annotations

import contextlib
import importlib
import sys
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from mlpack.errors import InputError, MlpackError
from mlpack.files import write
from mlpack.project import Project
from mlpack.runtime.validate import check_columns
from mlpack.training.missing import to_do

TRACEBACK = "last-traceback.txt"


@contextlib.contextmanager
def importable(project: Project) -> Iterator[None]:
    """The project's code can be imported inside the block."""
    places = [str(project.root)]
    if project.package_dir is not None:
        places.insert(0, str(project.package_dir.parent))
    sys.path[:0] = places
    try:
        yield
    finally:
        for place in places:
            sys.path.remove(place)


@contextlib.contextmanager
def told(project: Project, what: str, hint: str | None = None) -> Iterator[None]:
    """An exception of the user's own code becomes an error that names the file and the line.

    Args:
        project: whose code it is.
        what: what it does.
        hint: what may be the cause.
    """
    try:
        yield
    except MlpackError:
        raise
    except (Exception, SystemExit) as error:
        note = project.cache_dir / TRACEBACK
        write(note, "".join(traceback.format_exception(error)))
        kept = f"The whole traceback is in {note.relative_to(project.root).as_posix()}."
        raise InputError(
            f"{what} raised {type(error).__name__}: {error}",
            where=_place(error, project.root),
            hint="\n".join(filter(None, (to_do(project, error) or hint, kept))),
        ) from error


def _place(error: BaseException, root: Path) -> str | None:
    """The innermost line of the project's own files that the error came through."""
    if isinstance(error, SyntaxError) and error.filename:
        path = Path(error.filename)  # it never ran, so no frame is its own
        if path.is_relative_to(root):
            return f"{path.relative_to(root).as_posix()}:{error.lineno}"
    place = None
    for frame in traceback.extract_tb(error.__traceback__):
        path = Path(frame.filename)
        if path.is_relative_to(root) and ".venv" not in path.parts:
            place = f"{path.relative_to(root).as_posix()}:{frame.lineno}"
    return place


def load_data(
    project: Project, config: Mapping[str, Any], *, targeted: bool = True
) -> tuple[pd.DataFrame, pd.Series[Any] | pd.DataFrame | None, str | None]:
    """What the project's ``data.load(config)`` gives: columns, target, and the target's name.

    It returns a DataFrame whose target column the configuration names (``target = "..."``, or a
    list of several), or a pair of columns and target. Unless there must be one (`targeted`), the
    target may be None.
    """
    loaded = _call(project, project.data_module, "data", "load", config)
    if isinstance(loaded, tuple) and len(loaded) == 2:
        columns, target = loaded
        several = target.columns if isinstance(target, pd.DataFrame) else ()
        name = ", ".join(map(str, several)) or getattr(target, "name", None)
        return _frame(columns, project), target, name
    frame = _frame(loaded, project)
    name = config.get("target", project.settings.target)
    if name is None and not targeted:
        return frame, None, None
    if name is None:
        raise InputError(
            "which column is to be predicted is not said",
            where="config/default.toml",
            hint=f'Add a line such as: target = "{frame.columns[-1]}"',
        )
    names = _targets(name, frame)
    target = frame[names] if len(names) > 1 else frame[names[0]]
    return frame.drop(columns=names), target, ", ".join(names)


def _targets(given: object, frame: pd.DataFrame) -> list[str]:
    """The columns that the configuration names as the target."""
    where = "config/default.toml"
    some = given if isinstance(given, list) else [given]
    names = [name for name in some if isinstance(name, str)]
    if not names or len(names) < len(some):
        raise InputError(
            f"the target is the name of a column, or a list of several, not {given!r}",
            where=where,
            hint=f'Write it like: target = "{frame.columns[-1]}"',
        )
    for name in names:
        if name not in frame.columns:
            raise InputError(
                f"there is no column {name!r} to predict; data.load gives "
                f"{', '.join(frame.columns)}",
                where=where,
                hint='Correct the line: target = "..."',
            )
    if len(set(names)) < len(names):
        raise InputError("the target names a column twice", where=where, hint="Take one away.")
    if len(names) == len(frame.columns):
        raise InputError(
            "every column is a target, and none is left to learn from",
            where=where,
            hint="Let data.load give more columns.",
        )
    return names


def _frame(loaded: Any, project: Project) -> pd.DataFrame:
    where = _relative(project, project.data_module)
    if not isinstance(loaded, pd.DataFrame):
        raise InputError(
            f"data.load returned a {type(loaded).__name__}, not a DataFrame",
            where=where,
            hint="Return a pandas DataFrame, or a pair of a DataFrame and the target.",
        )
    if loaded.empty:
        raise InputError(
            "data.load returned no rows",
            where=where,
            hint="Does its source hold any for this environment's configuration?",
        )
    if not all(isinstance(name, str) for name in loaded.columns):
        odd = next(name for name in loaded.columns if not isinstance(name, str))
        raise InputError(
            f"the columns' names are not all strings: {odd!r} is none",
            where=where,
            hint="Name them in data.load: frame.columns = [str(name) for name in frame.columns]",
        )
    if loaded.columns.duplicated().any():
        twice = loaded.columns[loaded.columns.duplicated()][0]
        raise InputError(
            f"there are two columns called {twice!r}",
            where=where,
            hint="Rename or drop one of them in data.load.",
        )
    try:
        check_columns(list(loaded.columns))
    except ValueError as error:
        raise InputError(str(error), where=where, hint="Rename the column in data.load.") from error
    return loaded.reset_index(drop=True)


def build_pipeline(project: Project, config: Mapping[str, Any]) -> Any:
    """What the project's ``pipeline.build(config)`` gives: an estimator, not yet fitted."""
    pipeline = _call(project, project.pipeline_module, "pipeline", "build", config)
    if not (hasattr(pipeline, "fit") and hasattr(pipeline, "predict")):
        raise InputError(
            f"pipeline.build returned a {type(pipeline).__name__}, which has no fit and predict",
            where=_relative(project, project.pipeline_module),
            hint="Return an estimator that is not yet fitted, such as a scikit-learn Pipeline.",
        )
    return pipeline


def _call(
    project: Project, path: Path | None, module: str, function: str, config: Mapping[str, Any]
) -> Any:
    if path is None:
        raise InputError(
            f"there is no {module}.py with a function {function}(config)",
            where=f"src/{project.package}/",
            hint=f"Write src/{project.package}/{module}.py; `mlpack new` shows how it may look.",
        )
    where = _relative(project, path)
    name = module_name(project, path)
    with importable(project):
        with told(project, f"importing {name}"):
            loaded = importlib.import_module(name)
        call = getattr(loaded, function, None)
        if not callable(call):
            raise InputError(
                f"{module}.py has no function {function}",
                where=where,
                hint=f"Add: def {function}(config): ...",
            )
        with told(project, f"{module}.{function}"):
            return call(dict(config))


def module_name(project: Project, path: Path) -> str:
    """The dotted name under which a file of the project is imported."""
    package = project.package_dir
    if package is not None and package.is_dir() and path.is_relative_to(package):
        inside = path.relative_to(package.parent).with_suffix("")
        return ".".join(inside.parts)
    return path.stem


def _relative(project: Project, path: Path | None) -> str | None:
    return None if path is None else path.relative_to(project.root).as_posix()
