"""What the Python parts of a hybrid need: whose packages, in which versions, and the user's code.

The pickle is read, and what it names is followed through the sources of the user's own package:
nothing is asked of the project's list of dependencies, which names what training needs too.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from packaging.utils import canonicalize_name

from mlpack.inspection import pickles
from mlpack.inspection.imports import reached
from mlpack.ports import NotExportableError
from mlpack.project import Project
from mlpack.runtime.contract import PARTS_FILE


@dataclass(frozen=True)
class Needed:
    """What has to be installed beside the runtime.

    Attributes:
        own_code: whether the user's own package is among it.
        distributions: the installed version of each package of others, by its normalised name.
    """

    own_code: bool = False
    distributions: Mapping[str, str] = field(default_factory=dict)


NOTHING = Needed()


def needed(parts: bytes, project: Project, also: frozenset[str] = frozenset()) -> Needed:
    """What loading the pickle of a hybrid's parts imports.

    Args:
        parts: the pickle.
        project: whose code the parts may be of.
        also: modules that are needed besides, for the frames that the parts are given.

    Raises:
        NotExportableError: it cannot be told, or something is of no package that could be locked.
    """
    with tempfile.TemporaryDirectory(prefix="mlpack-") as folder:
        path = Path(folder) / PARTS_FILE
        path.write_bytes(parts)
        contents = pickles.read(path)
    if not contents.complete:
        raise NotExportableError(
            PARTS_FILE, f"what its Python part needs cannot be told: {contents.problem}"
        )
    found = reached(contents.classes, project.package_dir)
    owners = _owners(found.named | found.imported | also)
    strangers = sorted(found.named - owners.keys())
    if strangers:
        raise NotExportableError(
            PARTS_FILE,
            f"its Python part needs {', '.join(strangers)}, which is neither in an installed "
            f"package nor in {project.package}",
        )
    return Needed(
        found.own, {name: version for all_ in owners.values() for name, version in all_.items()}
    )


def _owners(modules: Iterable[str]) -> dict[str, dict[str, str]]:
    """The installed distributions, with their versions, that have each of some modules.

    A module of none is not in it: nothing can be missed that was not there in training, such as
    what an ``except ImportError`` provides for.
    """
    wanted = set(modules)
    owners: dict[str, dict[str, str]] = {}
    for each in metadata.distributions():
        tops = set((each.read_text("top_level.txt") or "").split())
        for line in (each.read_text("RECORD") or "").splitlines():
            tops.add(line.split(",")[0].split("/")[0].split(".")[0])
        for module in wanted & tops:
            name = canonicalize_name(each.metadata["Name"])
            owners.setdefault(module, {})[name] = each.version
    return owners
