"""``pyproject.toml``.

Formats: https://packaging.python.org/en/latest/specifications/pyproject-toml/ and
https://packaging.python.org/en/latest/specifications/dependency-groups/
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlpack.config import did_you_mean, parse_toml
from mlpack.errors import InputError
from mlpack.inspection import metadata, published, requirements, settings, versions
from mlpack.inspection.metadata import Metadata, at, line_of
from mlpack.project import Settings

SOURCE = "pyproject.toml"

Table = Mapping[str, Any]


@dataclass(frozen=True)
class PyProject:
    """What pyproject.toml says.

    Attributes:
        metadata: the distribution's; all of it None where there is no ``[project]``.
        settings: ``[tool.mlpack]``.
        described: whether there is a ``[project]``.
    """

    metadata: Metadata
    settings: Settings
    described: bool


def read(root: Path) -> PyProject | None:
    """What the project's pyproject.toml says; None where there is none.

    Raises:
        InputError: it is no TOML, or a value in it is not what the standards or mlpack allow.
    """
    text = metadata.read_source(root / SOURCE, SOURCE)
    if text is None:
        return None
    document = parse_toml(text, SOURCE)
    tool = _table(document, "tool")
    found = settings.read(tool.get("mlpack"), text)
    groups = _table(document, "dependency-groups")
    project = _table(document, "project")
    described = "project" in document
    values: dict[str, Any] = {"dev_dependencies": _dev(groups, project)}
    if described:
        values |= _project(root, project, tool, text)
    values["packages"] = _packages(tool)
    return PyProject(Metadata(source=SOURCE, **values), found, described)


def _project(root: Path, project: Table, tool: Table, text: str) -> dict[str, Any]:
    dynamic = frozenset(_strings(project.get("dynamic", []), "dynamic in [project]"))

    def line(key: str) -> str:
        return at(SOURCE, line_of(text, key, "project"))

    name = _string(project, "name", line("name"))
    if name is not None:
        metadata.check_name(name, line("name"))
    version = _string(project, "version", line("version"))
    if version is None and "version" in dynamic:
        version = _dynamic_version(root, tool, name)
    if version is not None:
        version = metadata.check_version(version, line("version"))
    python = _string(project, "requires-python", line("requires-python"))
    if python is not None:
        metadata.check_requires_python(python, line("requires-python"))
    dependencies: tuple[str, ...] | None = None
    if "dependencies" in project:
        listed = _strings(project["dependencies"], "dependencies in [project]")
        dependencies = metadata.check_requirements(listed, line("dependencies"))
    elif "dependencies" in dynamic:
        dependencies = _dynamic_dependencies(root, tool)
    return {
        "license": published.license_of(project.get("license")),
        "source_url": published.source_of(_table(project, "urls")),
        "name": name,
        "version": version,
        "requires_python": python,
        "dependencies": dependencies,
        "unresolved": dynamic
        - {key for key, value in (("version", version), ("dependencies", dependencies)) if value},
    }


def _dynamic_version(root: Path, tool: Table, name: str | None) -> str | None:
    hatch = _table(_table(tool, "hatch"), "version")
    if isinstance(path := hatch.get("path"), str):
        return versions.resolve_assignment(root, path)
    setuptools = _table(_table(_table(tool, "setuptools"), "dynamic"), "version")
    if isinstance(attr := setuptools.get("attr"), str):
        return versions.resolve_attr(root, attr)
    if isinstance(file := setuptools.get("file"), str):
        return versions.resolve_file(root, file)
    # Flit, and Hatch's and PDM's other conventions: the package says it itself.
    package = _table(_table(tool, "flit"), "module").get("name", (name or "").replace("-", "_"))
    return versions.resolve_attr(root, f"{package}.__version__") if package else None


def _dynamic_dependencies(root: Path, tool: Table) -> tuple[str, ...] | None:
    dynamic = _table(_table(_table(tool, "setuptools"), "dynamic"), "dependencies")
    named = dynamic.get("file")
    listed = [named] if isinstance(named, str) else named
    if not isinstance(listed, list) or not all((root / str(one)).is_file() for one in listed):
        return None
    return tuple(line for one in listed for line in requirements.read(root, str(one)))


def _dev(groups: Table, project: Table) -> tuple[str, ...] | None:
    if "dev" in groups:
        return tuple(dict.fromkeys(_group(groups, "dev", ())))
    extra = _table(project, "optional-dependencies").get("dev")
    if extra is None:
        return None
    where = f"{SOURCE}, dev in [project.optional-dependencies]"
    return metadata.check_requirements(_strings(extra, "dev"), where)


def _group(groups: Table, name: str, parents: tuple[str, ...]) -> list[str]:
    """The requirements of a dependency group, included groups among them (PEP 735)."""
    where = f"{SOURCE}, {name} in [dependency-groups]"
    entries = groups[name]
    if not isinstance(entries, list):
        raise InputError("is not a list", where=where)
    found: list[str] = []
    for entry in entries:
        if isinstance(entry, str):
            found += metadata.check_requirements([entry], where)
            continue
        included = entry.get("include-group") if isinstance(entry, Mapping) else None
        if not isinstance(included, str) or len(entry) != 1:
            raise InputError(
                f"{entry!r} is neither a requirement nor {{include-group = ...}}", where=where
            )
        known = {_normal(one): one for one in groups}
        if _normal(included) not in known:
            raise InputError(
                f'there is no group "{included}" to include',
                where=where,
                hint=did_you_mean(included, groups),
            )
        target = known[_normal(included)]
        if target in (*parents, name):
            raise InputError(f'the group "{target}" includes itself', where=where)
        found += _group(groups, target, (*parents, name))
    return found


def _packages(tool: Table) -> tuple[str, ...]:
    """The import packages that the build backend is told of, such as ``src/churn``."""
    wheel = _table(_table(_table(_table(tool, "hatch"), "build"), "targets"), "wheel")
    listed = wheel.get("packages", _table(tool, "setuptools").get("packages"))
    if not isinstance(listed, list):
        return ()
    return tuple(one for one in listed if isinstance(one, str))


def _table(table: Table, key: str) -> Table:
    value = table.get(key, {})
    return value if isinstance(value, Mapping) else {}


def _string(table: Table, key: str, where: str) -> str | None:
    value = table.get(key)
    if value is not None and not isinstance(value, str):
        raise InputError(f"{key} in [project] is a string, not {value!r}", where=where)
    return value


def _strings(value: object, what: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise InputError(f"{what} is a list of strings", where=SOURCE)
    return value


def _normal(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")
