"""Which names a project may have: its distribution's and its import package's.

A distribution's name follows PEP 508, as PyPI has it; an import package's is a Python identifier.
"""

from __future__ import annotations

import keyword
import re
import sys
import unicodedata

from packaging.requirements import Requirement

from mlpack import serving

_DISTRIBUTION = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_FORMS = ("onnx", "hybrid", "python")
_IMPORTED_AS = {"scikit_learn": "sklearn"}
# What the packages of the serving set import, and names that mean something in a project.
_TAKEN = frozenset(
    [
        *("annotated_types", "anyio", "click", "flatbuffers", "google", "h11", "idna", "pydantic"),
        *("pydantic_core", "scipy", "sklearn", "starlette", "threadpoolctl", "typing_extensions"),
        *("conftest", "setup", "site", "src", "test", "tests"),
    ]
)


def is_distribution(name: str) -> bool:
    """Whether `name` is a distribution's name."""
    return _DISTRIBUTION.fullmatch(name) is not None


def package_of(name: str) -> str:
    """The import package that a distribution called `name` has by convention."""
    return re.sub(r"[-_.]+", "_", name).lower()


def refusal(name: str) -> str | None:
    """Why a new project cannot be called `name`; None if it can.

    Both names must work: the distribution's, and the import package's that follows from it.
    """
    package = package_of(name)
    if not is_distribution(name):
        return "a name has letters, digits, -, _ and . and begins and ends with a letter or digit"
    if name != name.lower():
        return "a name is written in lower case"
    if not package.isidentifier():
        return f"{package} could not be imported: an import name does not begin with a digit"
    return _taken(package)


def valid(name: str) -> str:
    """The nearest name to `name` that a new project can have."""
    plain = unicodedata.normalize("NFKD", name.lower()).encode("ascii", "ignore").decode()
    near = re.sub(r"[^a-z0-9._-]+", "-", plain)
    near = re.sub(r"^[^a-z]+|[^a-z0-9]+$", "", near) or "model"
    return near if refusal(near) is None else f"{near}-model"


def _taken(package: str) -> str | None:
    if keyword.iskeyword(package) or keyword.issoftkeyword(package):
        return f"{package} is a keyword of Python"
    if package in sys.stdlib_module_names or package == "antigravity":
        return f"{package} is a module of Python's standard library"
    if package in ("mlpack", "mlpack_builder"):
        return f"{package} is mlpack itself"
    required = {
        package_of(Requirement(line).name) for form in _FORMS for line in serving.requirements(form)
    }
    if package in _TAKEN or package in {_IMPORTED_AS.get(name, name) for name in required}:
        return f"{package} is a package that artifacts or tools need themselves"
    return None
