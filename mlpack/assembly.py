"""From a proved export to the bundle: the file tree of a package that predicts."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from mlpack import needs, requirements_file
from mlpack.bundle import Bundle, UserPackage
from mlpack.errors import InputError
from mlpack.files import disk_errors, sha256, sha256_of
from mlpack.lock import Pin
from mlpack.project import Project
from mlpack.runtime.contract import (
    ENCODING_FILE,
    MANIFEST_FILE,
    ONNX_FILE,
    OPENAPI_FILE,
    PARITY_FILE,
    PARTS_FILE,
    PICKLE_FILE,
    SCHEMA_FILE,
    SIGNATURE_FILE,
    Blob,
    Encoding,
    Form,
    Manifest,
    Signature,
    encode,
)
from mlpack.runtime.schema import Schema
from mlpack.user_code import RUNTIME, user_files

_MAIN = '''"""The command line of the model: ``python -m {package} serve`` or ``predict``."""

from ._mlpack.cli import main

raise SystemExit(main())
'''

_MODELS = {
    "classification": "a classification model",
    "regression": "a regression model",
    "outliers": "a model that finds outliers",
    "clusters": "a clustering model",
}

_INIT = '''"""{name} {version}: {task}, packaged by mlpack.

    from {package} import Model

    model = Model()
    model.predict([{{...}}])
"""

from ._mlpack.model import Model

__all__ = ["Model", "__version__"]
__version__ = "{version}"
'''


def assemble(
    *,
    project: Project,
    form: Form,
    model: bytes,
    signature: Signature,
    schema: Schema,
    encoding: Encoding | None,
    parity: bytes,
    openapi: bytes,
    lock_text: str,
    python: str,
    versions: Mapping[str, str],
    metrics: Mapping[str, float],
    reason: str | None,
    runtime_dir: Path,
    user_tree: UserPackage | None,
    license: str | None = None,  # noqa: A002 - what the metadata field is called
    parts: bytes | None = None,
    imports: tuple[str, ...] = (),
) -> Bundle:
    """The bundle, from which every artifact is made. The same arguments give the same bytes.

    Args:
        project: gives name, version and package.
        form: what `model` is.
        model: the graph or the pickle.
        signature: what the pipeline learned.
        schema: what the author demands.
        encoding: how rows become the graph's inputs; None for a pickle.
        parity: the proof's report, as JSON.
        openapi: the API's document, as JSON.
        lock_text: the content of ``requirements.lock.txt``.
        python: the minor version that the lock was made for, such as ``3.11``.
        versions: the versions that trained, exported and proved it.
        metrics: training's metrics.
        reason: why it is not a graph, naming the step; None for a graph.
        runtime_dir: the folder of the runtime's sources.
        user_tree: the user's own package, where the pickle needs its code.
        license: the SPDX expression of the project's licence, if it is known.
        parts: the pickle of a hybrid's steps that stay Python.
        imports: the distributions that those import.

    Raises:
        InputError: a name or version is not one, names collide, a file looks like a secret, or
            the lock does not hold what is needed.
    """
    version = _checked_names(project)
    pins = needs.read_pins(lock_text)
    _refuse_clash(project, pins)
    package = project.package
    tree = user_files(package, user_tree) if user_tree else {}
    if f"{package}/__init__.py" not in tree:
        tree[f"{package}/__init__.py"] = _INIT.format(
            name=project.name, version=version, task=_MODELS[signature.task], package=package
        ).encode()
        tree[f"{package}/py.typed"] = b""
    tree[f"{package}/__main__.py"] = _MAIN.format(package=package).encode()
    runtime = _runtime_files(runtime_dir)
    tree |= {f"{package}/{RUNTIME}/{name}": data for name, data in runtime.items()}

    model_file = PICKLE_FILE if form == "python" else ONNX_FILE
    data = {
        SIGNATURE_FILE: encode(signature),
        SCHEMA_FILE: encode(schema),
        PARITY_FILE: parity,
        OPENAPI_FILE: openapi,
    }
    if encoding is not None:
        data[ENCODING_FILE] = encode(encoding)
    manifest = Manifest(
        name=project.name,
        version=version,
        package=package,
        form=form,
        python=python,
        model=_blob(model_file, model),
        files=tuple(_blob(name, data[name]) for name in sorted(data)),
        runtime=sha256_of(sorted(runtime.items())),
        lock=requirements_file.digest(lock_text),
        reason=reason,
        versions=dict(sorted(versions.items())),
        metrics=dict(sorted(metrics.items())),
        parts=None if parts is None else _blob(PARTS_FILE, parts),
    )
    if parts is not None:
        data[PARTS_FILE] = parts
    data |= {model_file: model, MANIFEST_FILE: encode(manifest)}
    tree |= {f"{package}/{RUNTIME}/data/{name}": content for name, content in data.items()}

    own = project.dependencies + (user_tree.requires if user_tree else ())
    if form == "hybrid":
        own = imports  # what else the project requires, the parts do without
    summary = user_tree.summary if user_tree else ""
    return Bundle(
        manifest=manifest,
        tree=dict(sorted(tree.items())),
        lock=lock_text.replace("\r\n", "\n"),
        requires=needs.declared(form, pins, python, _others(own, project)),
        summary=" ".join(summary.split()) or _summary(signature),
        extra=dict(sorted(user_tree.extra.items())) if user_tree else {},
        license=license or (user_tree.license if user_tree else None),
    )


def _summary(signature: Signature) -> str:
    what = _MODELS[signature.task]
    return f"{what[0].upper()}{what[1:]}, packaged by mlpack"


def _checked_names(project: Project) -> str:
    """The version in its normal form, if it, the name and the package are what they should be."""
    # https://packaging.python.org/en/latest/specifications/name-normalization/
    if not re.fullmatch(r"[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9._-]*[A-Za-z0-9]", project.name):
        raise InputError(
            f"{project.name!r} is not a distribution's name: letters, digits and . _ - between",
            where="pyproject.toml",
        )
    if not project.package.isidentifier() or keyword.iskeyword(project.package):
        raise InputError(
            f"{project.package!r} is not a package's name that Python can import",
            where="pyproject.toml",
            hint='[tool.mlpack]\npackage = "NAME"',
        )
    if project.version is None:
        raise InputError(
            "the project has no version",
            where="pyproject.toml",
            hint='[project]\nversion = "0.1.0"',
        )
    try:
        return str(Version(project.version))
    except InvalidVersion as error:
        raise InputError(
            f"{project.version!r} is not a version (PEP 440)",
            where="pyproject.toml",
            hint='[project]\nversion = "0.1.0"',
        ) from error


def _refuse_clash(project: Project, pins: tuple[Pin, ...]) -> None:
    """Refuse a project that is called as something that its own artifact installs."""
    name = canonicalize_name(project.name)
    taken = {pin.name for pin in pins} | {"mlpack"}
    if name in taken:
        raise InputError(
            f"the project's name, {project.name!r}, is that of another package in its artifact",
            where="pyproject.toml",
            hint="Give it another name, in [project] name.",
        )
    folders = {other.replace("-", "_").lower() for other in taken}
    if project.package.lower() in folders:
        raise InputError(
            f"the package {project.package!r} would overwrite a package that it depends on",
            where="pyproject.toml",
            hint='[tool.mlpack]\npackage = "NAME"',
        )


def _runtime_files(folder: Path) -> dict[str, bytes]:
    """The runtime's files as they stand, compiled ones and the system's own left out."""
    files = {}
    with disk_errors(folder):
        for path in sorted(folder.rglob("*")):
            parts = path.relative_to(folder).parts
            if path.is_file() and not any(
                part == "__pycache__" or part.startswith(".") or part.endswith(".pyc")
                for part in parts
            ):
                files["/".join(parts)] = path.read_bytes()
    if "__init__.py" not in files:
        raise InputError(f"the runtime is not in {folder.name}", where=str(folder))
    return files


def _blob(name: str, data: bytes) -> Blob:
    return Blob(file=name, sha256=sha256(data), size=len(data))


def _others(requirements: tuple[str, ...], project: Project) -> tuple[str, ...]:
    """Requirements but for the project itself, which some name to get their own extras."""
    own = canonicalize_name(project.name)
    kept = []
    for text in requirements:
        try:
            if canonicalize_name(Requirement(text).name) == own:
                continue
        except InvalidRequirement:
            pass  # `needs` refuses it with its text
        kept.append(text)
    return tuple(kept)
