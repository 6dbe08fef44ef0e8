"""Where a project keeps its model and what belongs to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mlpack.project import Remark

SUFFIXES = (".joblib", ".pkl", ".pickle", ".skops", ".onnx")

FOREIGN = (".pt", ".pt2", ".pth")
"""Files of PyTorch: weights, or a module that says nothing of columns and classes."""

_SETTING = "  # [tool.mlpack] in pyproject.toml"
AS_ONNX = (
    'torch.onnx.export(module, (x,), "models/model.onnx", dynamo=True, external_data=False, '
    'dynamic_shapes=({0: "rows"},))  # or a fitted pipeline as models/model.joblib'
)
"""What to do with a module of PyTorch."""

_FOLDERS = ("models", ".", "model", "artifacts")


@dataclass(frozen=True)
class Model:
    """The model file.

    Attributes:
        path: the file; None where there is none, or it cannot be told which of several it is.
        remarks: what was assumed about it or is missing.
        several: whether there are files, of which it cannot be told which it is or what it means.
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
    foreign = [path for folder in _FOLDERS for path in _models_in(root / folder, FOREIGN)]
    if foreign and not trainable:  # else it may be what training keeps on its way
        what = (
            f"{foreign[0].relative_to(root).as_posix()} is a file of PyTorch, which does not say "
            "what its columns and classes are"
        )
        return Model(None, (Remark("missing", what, AS_ONNX),), several=True)
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


def _models_in(folder: Path, suffixes: Sequence[str] = SUFFIXES) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix in suffixes and path.is_file())
