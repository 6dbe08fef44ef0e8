"""``mlpack new``: a conventional project that already works."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mlpack import files, render
from mlpack.config import did_you_mean
from mlpack.errors import InputError
from mlpack.inspection import names
from mlpack.ports import Reporter

TEMPLATES = {
    "classification": ("palmerpenguins",),
    "regression": ("bokeh-sampledata",),
    "text": ("bokeh-sampledata",),
}
"""The kinds of projects there are, the default first, and the packages that their data come in."""

_IMPORT_NAMES = {"bokeh-sampledata": "bokeh_sampledata"}


@dataclass(frozen=True)
class Created:
    """A new project.

    Attributes:
        root: its folder.
        name: its distribution's name.
        package: its import package.
        template: what it was made from.
        files: what is in it, relative to the root, sorted.
    """

    root: Path
    name: str
    package: str
    template: str
    files: tuple[str, ...]


def new(name: str, folder: Path, template: str, reporter: Reporter) -> Created:
    """Create the project `name` in `folder`, which is not there yet, or empty.

    The folder appears whole or not at all. Nothing is downloaded.

    Raises:
        InputError: the name is not valid (the error says which would be), the folder is not
            empty, or there is no such template.
        OutsideError: the folder cannot be written.
    """
    if template not in TEMPLATES:
        raise InputError(
            f'there is no template "{template}"; there are {", ".join(TEMPLATES)}',
            hint=did_you_mean(template, TEMPLATES) or f"Try: mlpack new {name}",
        )
    package = _checked(name, template)
    _check_empty(folder)
    with reporter.stage(f"Creating {name}") as stage:
        tree = render.tree("common", name=name, package=package)
        tree += render.tree(template, name=name, package=package)
        with files.staged(folder, folder=True) as root:
            files.write_tree(root, {path: text.encode() for path, text in tree})
        stage.result(f"{len(tree)} files")
    return Created(folder, name, package, template, tuple(sorted(path for path, _ in tree)))


def _checked(name: str, template: str) -> str:
    package = names.package_of(name)
    reason = names.refusal(name)
    data = {_IMPORT_NAMES.get(one, one) for one in TEMPLATES[template]}
    if reason is None and package in data:
        reason = f"{package} is the package that the template's data come in"
    if reason is not None:
        near = names.valid(name)
        near = f"{near}-model" if names.package_of(near) in data else near
        raise InputError(
            f'a project cannot be called "{name}": {reason}', hint=f"Try: mlpack new {near}"
        )
    return package


def _check_empty(folder: Path) -> None:
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise InputError(
            "there is something of that name already, and it is no folder",
            where=str(folder),
            hint="Choose another name, or move what is there away.",
        )
    if folder.is_dir() and any(folder.iterdir()):
        raise InputError(
            "the folder is not empty, and nothing in it is overwritten",
            where=str(folder),
            hint="Choose another name, or move what is there away.",
        )
