"""Model files, loaded. Only workers do this: a pickle runs whatever its author put into it.

An ONNX file runs nothing but operators; what is loaded of it stands in for a fitted estimator.
"""

from __future__ import annotations

import pickle
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import joblib
from sklearn.exceptions import InconsistentVersionWarning, NotFittedError
from sklearn.utils.validation import check_is_fitted

from mlpack.errors import InputError
from mlpack.exporters.onnx_model import OnnxModel
from mlpack.inspection import pickles, tables
from mlpack.inspection.models import AS_ONNX, FOREIGN
from mlpack.project import Project
from mlpack.training.described import recorded_signature
from mlpack.training.missing import to_do
from mlpack.training.usercode import importable, told

DAMAGED = (
    *(EOFError, ValueError, IndexError, KeyError, OSError),
    *(pickle.UnpicklingError, struct.error, zlib.error),
)
"""What pickle raises for bytes that are not what was written."""


def load_model(project: Project) -> Any:
    """The fitted estimator in the project's model file.

    Raises:
        InputError: there is none, it is damaged, was pickled by another scikit-learn, refers to
            code that is not there, or holds something that cannot predict; for an ONNX file, its
            inputs or outputs are not understood.
    """
    path = project.model
    if path is None:
        raise InputError(
            "there is no model yet",
            where="models/",
            hint="Train one with `mlpack train`, or save a fitted pipeline as models/model.joblib.",
        )
    where = path.relative_to(project.root).as_posix()
    if path.suffix == ".onnx":
        return OnnxModel(path.read_bytes(), _columns(project), where)
    model = _unpickled(project, path, where)
    if not hasattr(model, "predict"):
        raise InputError(
            f"it holds a {type(model).__name__}, which is no estimator",
            where=where,
            hint="Save the whole fitted pipeline: joblib.dump(pipeline, 'models/model.joblib').",
        )
    try:
        check_is_fitted(model)
    except NotFittedError as error:
        raise InputError(
            f"its {type(model).__name__} is not fitted",
            where=where,
            hint="Call fit before you save it, or run: mlpack train",
        ) from error
    except TypeError:
        pass  # no estimator of scikit-learn's kind: whether it is fitted shows when it predicts
    return model


def _columns(project: Project) -> tuple[str, ...]:
    """The columns that the signature or else the sample names; a matrix has no names of its own."""
    signature = recorded_signature(project)
    if signature is not None:
        return tuple(column.name for column in signature.columns)
    if project.sample is None:
        return ()
    where = project.sample.relative_to(project.root).as_posix()
    header = tables.read(project.sample, where).columns
    return tuple(name for name in header if name != project.settings.target)


def _unpickled(project: Project, path: Path, where: str) -> Any:
    if path.suffix not in (".joblib", ".pkl", ".pickle"):
        raise InputError(
            f"a model in the format {path.suffix or 'without a suffix'} cannot be read yet",
            where=where,
            hint=f"Save it as ONNX: {AS_ONNX}"
            if path.suffix in FOREIGN
            else "Save it with joblib.dump(pipeline, 'models/model.joblib').",
        )
    try:
        with importable(project), warnings.catch_warnings():
            warnings.simplefilter("error", InconsistentVersionWarning)
            return joblib.load(path)
    except InconsistentVersionWarning as error:
        raise InputError(
            f"it was saved by scikit-learn {error.original_sklearn_version}, "
            f"here is {error.current_sklearn_version}",
            where=where,
            hint="Train it again with `mlpack train`, or put the project on "
            f"scikit-learn=={error.original_sklearn_version}: mlpack lock && mlpack install",
        ) from error
    except (ModuleNotFoundError, AttributeError) as error:
        # Whatever runs is __main__, this worker too: only the file itself tells whose name it is.
        own = [name for name in pickles.read(path).classes if name.startswith("__main__.")]
        if own and isinstance(error, AttributeError):
            name = own[0].removeprefix("__main__.")
            raise InputError(
                f"it refers to {name}, which a notebook or script defined itself",
                where=where,
                hint=f"Move {name} into the project's package, import it from there, and save the "
                "pipeline again.",
            ) from error
        raise InputError(
            f"it refers to code that is not there: {error}",
            where=where,
            hint=to_do(project, error)
            or "Add the package to [project] dependencies, or run: mlpack install",
        ) from error
    except DAMAGED as error:
        raise InputError(
            f"it is damaged, or no pickle at all ({type(error).__name__}: {error})",
            where=where,
            hint="Train it again with: mlpack train",
        ) from error
    except Exception:
        # A pickle may run any code when it is loaded, and that code may raise anything.
        with told(project, "loading the model"):
            raise
