"""Projects, a resolver and a reporter for the tests of locks."""

from __future__ import annotations

import contextlib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mlpack.errors import InputError
from mlpack.files import sha256
from mlpack.lock import Pin
from mlpack.project import Project, Settings

OWN = ("skl2onnx>=1.18", "onnx>=1.17", "numpy>=1.26")
INDEX = {
    "numpy": ("1.26.0", "2.3.0", "2.4.0"),
    "pandas": ("2.1.0", "2.3.0"),
    "scikit-learn": ("1.5.0", "1.6.0"),
    "scipy": ("1.14.0",),
    "joblib": ("1.4.0",),
    "onnx": ("1.17.0",),
    "skl2onnx": ("1.18.0",),
    "onnxruntime": ("1.20.0", "1.21.0"),
    "msgspec": ("0.19.0",),
    "fastapi": ("0.115.0",),
    "uvicorn": ("0.30.0",),
    "uvloop": ("0.19.0",),
    "httptools": ("0.6.0",),
    "prometheus-client": ("0.20.0",),
    "pytest": ("8.3.0",),
    "mlpack-builder": ("0.1.0",),
    "linux-only": ("1.0",),
}
NEEDS = {
    "scikit-learn": ("numpy", "scipy", "joblib"),
    "pandas": ("numpy",),
    "skl2onnx": ("onnx", "scikit-learn"),
    "pytest": ("mlpack-builder",),
}
ON = {"linux/arm64": {"onnxruntime": ("linux-only",)}}


class FakeResolver:
    """Takes the newest of a small index, in the rules of the port; remembers its requests."""

    name = "uv"

    def __init__(self, on=None):
        self.requests = []
        self.on = on or {}

    def resolve(self, request):
        self.requests.append(request)
        kept = {} if request.upgrade else {pin.name: pin for pin in request.preferences}
        for name in request.upgrade_packages:
            kept.pop(name, None)
        fixed = {pin.name: pin.version for pin in request.constraints}
        found, todo = {}, [text for text, _ in request.requirements]
        ranges = {}
        while todo:
            requirement = Requirement(todo.pop(0))
            name = canonicalize_name(requirement.name)
            if name not in INDEX:
                raise InputError(f"there is no package {name!r}")
            ranges.setdefault(name, []).append(requirement.specifier)
            choice = [v for v in INDEX[name] if all(v in spec for spec in ranges[name])]
            if name in fixed:
                choice = [v for v in choice if v == fixed[name]]
            if not choice:
                raise InputError(f"{name}: conflict")
            version = kept[name].version if name in kept else choice[-1]
            found[name] = version if version in choice else choice[-1]
            todo += NEEDS.get(name, ())
            todo += self.on.get(request.platform, {}).get(name, ())
        pins = [pin(name, version) for name, version in sorted(found.items())]
        return tuple(p for p in pins if p.name not in request.exclude)


class FakeReporter:
    def __init__(self):
        self.stages, self.results, self.warnings = [], [], []

    @contextlib.contextmanager
    def stage(self, title):
        self.stages.append(title)
        yield self

    def advance(self, done, total=None): ...

    def result(self, text):
        self.results.append(text)

    def note(self, text): ...

    def warn(self, text):
        self.warnings.append(text)


def pin(name, version):
    # A digest that is the version's own, so that a mix of two versions would be seen.
    return Pin(name, version, ("sha256:" + sha256(f"{name} {version}".encode()),))


def make_project(root: Path, dependencies=("scikit-learn>=1.5", "pandas"), **fields) -> Project:
    defaults = {
        "name": "penguins",
        "version": "1.0.0",
        "requires_python": ">=3.10",
        "package": "penguins",
        "package_dir": None,
        "dev_dependencies": ("pytest>=8",),
        "dependencies_from": "pyproject.toml",
        "pyproject": root / "pyproject.toml",
        "data_module": None,
        "pipeline_module": None,
        "config_dir": None,
        "environments": (),
        "model": None,
        "signature": None,
        "schema": None,
        "sample": None,
        "metrics": None,
        "reference": None,
        "settings": Settings(),
        "remarks": (),
    }
    return Project(root=root, dependencies=tuple(dependencies), **{**defaults, **fields})
