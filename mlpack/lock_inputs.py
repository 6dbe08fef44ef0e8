"""What a lock is made from: the project's requirements, mlpack's own, and who asks for each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from mlpack import files, serving
from mlpack.errors import InputError
from mlpack.lock import FORMAT, Lock, Pin
from mlpack.project import Project
from mlpack.runtime.contract import Form

OWN_DISTRIBUTIONS = ("mlpack-builder",)
"""What never stands in a lock: mlpack itself."""
_ALWAYS = 'python_version >= "3"'


@dataclass(frozen=True)
class Inputs:
    """All that a resolution depends on, with who asks for it."""

    prod: tuple[tuple[str, str], ...]
    dev: tuple[tuple[str, str], ...]
    python: str
    platforms: tuple[str, ...]
    resolver: str
    form: Form
    imports: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Neither order nor spelling counts, and nor does who asks."""
        return files.sha256_of(
            [
                ("format", str(FORMAT).encode()),
                ("prod", _normal(self.prod)),
                ("dev", _normal(self.dev)),
                ("python", self.python.encode()),
                ("platforms", "\n".join(sorted(self.platforms)).encode()),
                ("resolver", self.resolver.encode()),
                ("form", self.form.encode()),
            ]
        )


def inputs_of(
    project: Project,
    mlpack_requirements: tuple[str, ...],
    python: str,
    platforms: tuple[str, ...],
    resolver: str,
    form: Form,
    imports: tuple[str, ...] = (),
) -> Inputs:
    """What a project's lock is made from.

    Production has the project's own dependencies only where the whole pipeline ships as Python.
    The Python parts of a hybrid say which packages they import.

    Raises:
        InputError: a requirement cannot be locked; the error names it and where it stands.
    """
    source = project.dependencies_from or "pyproject.toml"
    where = f"[project] dependencies in {source}" if source == "pyproject.toml" else source
    group = f"{project.name}'{'' if project.name.endswith('s') else 's'} dev group"
    own = [(text, where) for text in project.dependencies]
    served = [(text, "mlpack's server") for text in serving.requirements(form)]
    served += [(text, "serving in [tool.mlpack]") for text in project.settings.serving]
    parts = [(name, "the model's steps that stay Python") for name in imports]
    prod = [*served, *(own if form == "python" else ()), *parts]
    asked = [*own, *((text, group) for text in project.dev_dependencies)]
    dev = [
        *asked,
        *((text, "mlpack") for text in _with_extras(mlpack_requirements, asked)),
        *served,
    ]
    return Inputs(
        tuple(_checked(prod)),
        tuple(_checked(dev)),
        python,
        tuple(sorted(set(platforms))),
        resolver,
        form,
        imports,
    )


def form_of(project: Project, present: Lock | None) -> tuple[Form, tuple[str, ...]]:
    """The verdict that a lock is made for, as long as nobody knows better, and its imports."""
    if present:
        return present.form, present.imports
    return ("python" if project.settings.format == "python" else "onnx"), ()


def fits_python(project: Project, python: str) -> None:
    """See that the project's ``requires-python`` allows a minor version.

    Raises:
        InputError: it does not, or it is no version range.
    """
    if not project.requires_python:
        return
    where = project.dependencies_from or "pyproject.toml"
    try:
        allowed = SpecifierSet(project.requires_python)
    except InvalidSpecifier as error:
        raise InputError(
            f"requires-python = {project.requires_python!r} is not a version range",
            where=where,
            hint='Write it like: requires-python = ">=3.10"',
        ) from error
    # A minor version fits if any of its patch releases may.
    if not any(allowed.contains(f"{python}.{patch}") for patch in range(100)):
        raise InputError(
            f"the project asks for Python {project.requires_python}, and the lock is for {python}",
            where=where,
            hint="Run mlpack with a Python that fits, or change requires-python.",
        )


def difference(inputs: Inputs, dev: Sequence[Pin]) -> str:
    """Which requirement the lock does not meet, or that they are others than they were."""
    versions = {pin.name: pin.version for pin in dev}
    for text, who in inputs.dev:
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        version = versions.get(canonicalize_name(requirement.name))
        if version is None:
            return f"it lacks {requirement.name}, which is asked for by {who}"
        if not requirement.specifier.contains(version, prereleases=True):
            return f"it has {requirement.name} {version}, and {who} asks for {text}"
    return "the dependencies are not those that it was made from"


def _checked(requirements: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """The requirements that can be locked, mlpack's own distribution left out."""
    for text, who in requirements:
        requirement = _parsed(text, who)
        if canonicalize_name(requirement.name) not in OWN_DISTRIBUTIONS:
            yield text, who


def _with_extras(requirements: Sequence[str], asked: Sequence[tuple[str, str]]) -> Iterator[str]:
    """What mlpack requires, with the extras of it that are asked for."""
    extras = [
        f'extra == "{canonicalize_name(extra)}"'
        for each in (_parsed(text, who) for text, who in asked)
        if canonicalize_name(each.name) in OWN_DISTRIBUTIONS
        for extra in each.extras
    ]
    for text in requirements:
        found = text.replace("'", '"')
        # mlpack itself stands in no lock, so nobody who reads it knows of its extras.
        for extra in extras:
            found = found.replace(extra, _ALWAYS)
        yield found if extras else text


def _parsed(text: str, who: str) -> Requirement:
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        raise InputError(
            f"{text!r} cannot be locked: it is not a package's name with versions",
            where=who,
            hint="Write it like: scikit-learn>=1.5",
        ) from error
    if requirement.url:
        raise InputError(
            f"{text!r} cannot be locked: it points at a file, a folder or a repository",
            where=who,
            hint=f"Take it from an index instead, like: {requirement.name}>=1.0",
        )
    return requirement


def _normal(requirements: Sequence[tuple[str, str]]) -> bytes:
    lines = set()
    for text, _ in requirements:
        requirement = Requirement(text)
        requirement.name = canonicalize_name(requirement.name)
        lines.add(str(requirement))
    return "\n".join(sorted(lines)).encode()
