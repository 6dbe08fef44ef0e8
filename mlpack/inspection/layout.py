"""Where a project keeps its code."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mlpack import files
from mlpack.errors import InputError
from mlpack.inspection import source
from mlpack.inspection.names import package_of
from mlpack.project import Remark

_NOT_CODE = frozenset(
    [
        *("tests", "test", "docs", "doc", "notebooks", "examples", "scripts", "data", "models"),
        *("config", "configs", "sql", "reports", "references", "dist", "build", "venv", "env"),
        *("site", "artifacts", "output", "outputs", "mlruns"),
    ]
)
_FLAT = ("train.py", "main.py", "model.py")


@dataclass(frozen=True)
class Layout:
    """Where the code is.

    Attributes:
        package: the import package's name.
        package_dir: its folder; the file of a flat project; None where there is no code.
        data, pipeline: the modules that have ``load`` and ``build``.
        remarks: what was assumed.
        untrainable: what is missing for ``mlpack train``, which a project with a model can spare.
    """

    package: str
    package_dir: Path | None
    data: Path | None
    pipeline: Path | None
    remarks: tuple[Remark, ...] = ()
    untrainable: tuple[Remark, ...] = ()


def find(root: Path, name: str, package: str | None, declared: Iterable[str]) -> Layout:
    """The code of the distribution `name` in `root`.

    Args:
        root: the project's folder.
        name: the distribution's name.
        package: the import package as ``[tool.mlpack]`` has it; it must be there then.
        declared: packages that the build backend is told of.

    Raises:
        InputError: `package` is not there.
    """
    conventional = package_of(name)
    if package is not None:
        folder = _package_folder(root, package)
        if folder is None:
            raise InputError(
                f'package in [tool.mlpack], "{package}", is neither in src/ nor in the folder',
                where="pyproject.toml",
            )
        return _in_package(root, folder, ())
    folder = next(
        (root / one for one in declared if _inside(one) and _is_package(root / one)), None
    )
    folder = folder or _package_folder(root, conventional)
    if folder is not None:
        return _in_package(root, folder, ())
    folder = _only_package(root)
    if folder is not None:
        shown = folder.relative_to(root).as_posix()
        line = f'package = "{folder.name}"  # [tool.mlpack] in pyproject.toml'
        remark = Remark("assumed", f"the code of {name} is the package {shown}", line)
        return _in_package(root, folder, (remark,))
    return _flat(root, conventional)


def _package_folder(root: Path, package: str) -> Path | None:
    return next(
        (base / package for base in (root / "src", root) if _is_package(base / package)), None
    )


def _inside(name: str) -> bool:
    try:
        files.contained(name)
    except ValueError:
        return False
    return True


def _is_package(folder: Path) -> bool:
    """Whether a folder holds modules; an ``__init__.py`` is not asked for."""
    return folder.is_dir() and any(folder.glob("*.py"))


def _only_package(root: Path) -> Path | None:
    """The single package below ``src``, ``src`` itself, or the single one in the root."""
    src = root / "src"
    inner = _packages_in(src)
    if (src / "__init__.py").is_file():  # the first layout of cookiecutter-data-science
        return src
    if len(inner) == 1:
        return inner[0]
    outer = [folder for folder in _packages_in(root) if folder.name != "src"]
    if len(outer) == 1 and not inner:
        return outer[0]
    return src if not outer and not inner and _is_package(src) else None


def _packages_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(
        entry
        for entry in folder.iterdir()
        if entry.name.isidentifier() and entry.name not in _NOT_CODE and _is_package(entry)
    )


def _in_package(root: Path, folder: Path, remarks: tuple[Remark, ...]) -> Layout:
    data, of_data = _module(root, folder / "data.py", "load", "data.load(config) gives the rows")
    pipeline, of_pipeline = _module(
        root, folder / "pipeline.py", "build", "pipeline.build(config) gives the estimator"
    )
    return Layout(folder.name, folder, data, pipeline, remarks, (*of_data, *of_pipeline))


def _module(
    root: Path, path: Path, function: str, purpose: str
) -> tuple[Path | None, tuple[Remark, ...]]:
    shown = path.relative_to(root).as_posix()
    signature = f"def {function}(config): ..."
    try:
        tree = source.parse(path, shown)
    except InputError as error:
        return path, (Remark("missing", f"{error.where} is {error.what}"),)
    if tree is None:
        what = f"{shown} is not there; mlpack train needs it: {purpose}"
        return None, (Remark("missing", what, signature),)
    if function not in source.functions(tree):
        what = f"{shown} has no function {function}; mlpack train needs it: {purpose}"
        return path, (Remark("missing", what, signature),)
    return path, ()


def _flat(root: Path, package: str) -> Layout:
    """A folder without a package: the code is in ``train.py`` or the only Python file."""
    scripts = sorted(path for path in root.glob("*.py") if path.name != "setup.py")
    named = [root / one for one in _FLAT if (root / one).is_file()]
    script = named[0] if named else (scripts[0] if len(scripts) == 1 else None)
    package = package if package.isidentifier() else f"model_{package}"
    if script is None:
        what = f"there is no code: src/{package} is the place for it"
        missing = Remark("missing", what, f"mkdir -p src/{package}")
        return Layout(package, None, None, None, untrainable=(missing,))
    try:
        tree = source.parse(script, script.name)
        there = source.functions(tree) if tree else frozenset()
        what = (
            f"{script.name} has no functions load(config) and build(config), which mlpack train "
            "would call; a model that it saves is used as it is"
        )
    except InputError as error:
        there = frozenset()
        what = f"{error.where} is {error.what}"
    complete = {"load", "build"} <= there
    return Layout(
        package,
        script,
        script if "load" in there else None,
        script if "build" in there else None,
        (Remark("assumed", f"the code of the project is {script.name}"),),
        () if complete else (Remark("missing", what, f"python {script.name}"),),
    )
