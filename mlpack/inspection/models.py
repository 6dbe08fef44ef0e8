"""Where a project keeps its model and what belongs to it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mlpack.project import Remark

SUFFIXES = (".joblib", ".pkl", ".pickle", ".skops", ".onnx")

_SETTING = "  # [tool.mlpack] in pyproject.toml"
_FOLDERS = ("models", ".", "model", "artifacts")


@dataclass(frozen=True)
class Model:
    """The model file.

    Attributes:
        path: the file; None where there is none, or it cannot be told which of several it is.
        remarks: what was assumed about it or is missing.
        several: whether it cannot be told which it is.
    """

    path: Path | None
    remarks: tuple[Remark, ...]
    several: bool = False


def find(root: Path, configured: str | None, *, trainable: bool) -> Model:
    """The model of the project in `root`.

    Args:
        root: the project's folder.
        configured: the path in ``[tool.mlpack]``.
        trainable: whether ``mlpack train`` could make one.
    """
    if configured is not None:
        path = root / configured
        if path.is_file():
            return Model(path, ())
        what = f"the model {configured}, which [tool.mlpack] names, is not there"
        return Model(None, (Remark("missing", what, "mlpack train" if trainable else None),))
    conventional = [
        path for suffix in SUFFIXES if (path := root / "models" / f"model{suffix}").is_file()
    ]
    if conventional:
        first, *others = conventional
        return Model(first, _choice(root, first, others))
    for folder in _FOLDERS:
        found = _models_in(root / folder)
        if len(found) == 1:
            shown = found[0].relative_to(root).as_posix()
            remark = Remark("assumed", f"the model is {shown}", f'model = "{shown}"{_SETTING}')
            return Model(found[0], (remark,))
        if found:
            shown = ", ".join(path.relative_to(root).as_posix() for path in found)
            line = f'model = "{found[0].relative_to(root).as_posix()}"{_SETTING}'
            what = f"several files could be the model: {shown}"
            return Model(None, (Remark("missing", what, line),), several=True)
    what = "there is no model"
    fix = "mlpack train" if trainable else 'joblib.dump(pipeline, "models/model.joblib")'
    return Model(None, (Remark("missing", what, fix),))


def _choice(root: Path, first: Path, others: list[Path]) -> tuple[Remark, ...]:
    if not others:
        return ()
    shown = first.relative_to(root).as_posix()
    rest = ", ".join(path.relative_to(root).as_posix() for path in others)
    what = f"the model is {shown}, and not {rest}"
    return (Remark("assumed", what, f'model = "{shown}"{_SETTING}'),)


def _models_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES and path.is_file())
