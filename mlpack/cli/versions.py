"""Models to compare: what an argument names, what runs somewhere, what was built."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from mlpack import config, records
from mlpack.cli.console import Console
from mlpack.cli.targets import target as target_of
from mlpack.delivery.environment import FOLDER, Environments
from mlpack.delivery.unpacked import found, unpack
from mlpack.errors import InputError
from mlpack.files import check_place, expanded, sha256_file
from mlpack.gate import rows as gate_rows
from mlpack.gate.values import Report
from mlpack.oci.cache import default_root
from mlpack.operating import Fetched
from mlpack.ports import Built, Target
from mlpack.process import run
from mlpack.project import Project
from mlpack.records import BUILD_FILE
from mlpack.usecases import compare as compare_use_case
from mlpack.usecases import operate
from mlpack.usecases.compare import Outside, Version

_BEST = ("image", "zip", "wheel")
"""Of several artifacts of one bundle the one that says most about what it needs."""


def named(project: Project, text: str, folder: Path, console: Console) -> Version:
    """What an argument names: an artifact, a folder with what was built, an environment.

    Raises:
        InputError: it names none of them.
    """
    path = Path(text)
    if expanded(text) is not None:
        return compare_use_case.version(unpack(path.expanduser(), folder), path.name)
    if expanded(str(path / BUILD_FILE)) is not None:
        return of_build(records.read_build(path.expanduser()), folder)
    if text in config.environments(project.config_dir):
        target = target_of(project, text, looking=True)
        return running(target, text, folder, console)
    raise InputError(
        f"{text!r} is no artifact, no folder with {BUILD_FILE} and no environment",
        hint="mlpack compare production, or: mlpack compare old.zip dist",
    )


def running(target: Target, environment: str, folder: Path, console: Console) -> Version:
    """What runs in an environment.

    Raises:
        InputError: nothing does.
        OutsideError: its target does not answer.
    """
    there = operate.fetch(target, None, folder, console)
    if there is None:
        raise InputError(
            f"nothing is deployed in {environment}", hint=f"mlpack deploy {environment}"
        )
    return compare_use_case.version(found(there.folder), f"{environment}, {told(target, there)}")


def of_build(built: Built, folder: Path) -> Version:
    """What was built, unpacked.

    Raises:
        InputError: nothing was.
    """
    kind = next((kind for kind in _BEST if kind in built.artifacts), None)
    if kind is None:
        raise InputError("nothing is built", where=built.dist.name, hint="Run: mlpack build")
    artifact = built.artifacts[kind]
    made = compare_use_case.version(unpack(built.dist / artifact.file, folder), artifact.file)
    return replace(made, reference=built.reference)


def told(target: Target, there: Fetched) -> str:
    """Where what was fetched runs, and which release it is."""
    number = f", release {there.release}" if there.release else ""
    return f"{target.kind}{number}"


def reference(project: Project, of: Version) -> gate_rows.Rows | None:
    """The reference rows that training has written; None where it has written none.

    Raises:
        InputError: they are of another training than the version.
    """
    path = project.reference
    if path is None:
        return None
    if of.reference and of.reference != sha256_file(path):
        raise InputError(
            f"the reference rows are of another training than {of.source}",
            where=f"models/{path.name}",
            hint="Build what was trained: mlpack build",
        )
    return gate_rows.read(path, of.signature)


def check_page(html: Path | None) -> None:
    """See whether a page can be written there, before a comparison that takes its time.

    Raises:
        InputError: it is a folder, or no place for a file.
        OutsideError: nothing may be written there.
    """
    if html is None:
        return
    check_place(html)
    if html.is_dir():
        raise InputError(
            "--html names a folder, and no page in it",
            where=str(html),
            hint=f"--html {html / 'compared.html'}",
        )


def written(project: Project, report: Report, name: str, html: Path | None) -> Path:
    """Write the page where it was asked for, else page and JSON to ``dist/``; the page's path."""
    if html is not None:
        return compare_use_case.write_page(report, html)
    return compare_use_case.write(report, project.dist_dir, name)


def outside(*, measure: bool = True) -> Outside:
    """The effects of a comparison, with or without a measurement of both servers."""
    return Outside(environments(), run, measure)


def environments() -> Environments:
    """Environments for models of others, in the user's cache."""
    root = default_root(os.environ, Path.home()) / FOLDER
    return Environments(root, run, os.environ)
