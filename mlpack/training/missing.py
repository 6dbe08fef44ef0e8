"""What to do where the user's code imports a module that is not there."""

from __future__ import annotations

import sys
from importlib import metadata
from importlib.util import find_spec

from packaging.markers import Marker
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from mlpack import lock_files
from mlpack.errors import InputError
from mlpack.project import Project


def to_do(project: Project, error: BaseException) -> str | None:
    """What to type or to write; None where no package of others was missing.

    Args:
        project: whose code it is.
        error: what it raised.
    """
    module = _module(error)
    if module is None or module == project.package or _there(module):
        return None
    name = canonicalize_name(module)
    locked, absent = _locked(project)
    if name in absent:
        return f"{name} is in the lock, and not installed here: mlpack install"
    if name in _declared(project) - locked:
        return f"{name} is not locked yet: mlpack lock && mlpack install"
    if absent:  # modules are not always called as their packages
        return (
            f"Not all of the lock is installed here, and {module} may be of what is not: "
            "mlpack install"
        )
    return (
        f"If {module} is of a package, add that to the dependencies in "
        f"{project.dependencies_from or 'pyproject.toml'} and run: mlpack lock && mlpack install"
    )


def _module(error: BaseException) -> str | None:
    """The top-level module that was not found: libraries say it in words of their own, too."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ModuleNotFoundError) and seen.name:
            return seen.name.partition(".")[0]
        seen = seen.__cause__
    return None


def _there(module: str) -> bool:
    """Whether it is only something inside it that is not."""
    try:
        return module in sys.modules or find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _locked(project: Project) -> tuple[set[str], set[str]]:
    """The packages that the development lock has for this machine, and those not installed."""
    try:
        pins = lock_files.pins(project.dev_lock)
    except InputError:
        return set(), set()
    here = {each.name for each in pins if not each.marker or Marker(each.marker).evaluate()}
    installed = {
        canonicalize_name(each.metadata["Name"] or "") for each in metadata.distributions()
    }
    return here, here - installed


def _declared(project: Project) -> set[str]:
    found = set()
    for text in (*project.dependencies, *project.dev_dependencies):
        try:
            found.add(str(canonicalize_name(Requirement(text).name)))
        except InvalidRequirement:
            continue  # `mlpack lock` tells of it
    return found
