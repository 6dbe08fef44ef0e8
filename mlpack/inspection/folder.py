"""A folder, read into a `Project`: every source asked, the first that knows wins."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from mlpack.config import environments
from mlpack.errors import InputError
from mlpack.inspection import (
    environment_yml,
    layout,
    metadata,
    models,
    names,
    poetry,
    pyproject,
    requirements,
    setup_cfg,
    source,
)
from mlpack.inspection.metadata import Metadata
from mlpack.project import Project, Remark, Settings

_PROJECT = "  # [project] in pyproject.toml"
_MARKS = "pyproject.toml, setup.cfg, setup.py, requirements.txt, environment.yml, code or a model"


def read(root: Path) -> Project:
    """The project in the folder `root`. Nothing of it is imported, unpickled or run.

    What is written in pyproject.toml comes first, then setup.cfg, setup.py, requirements files
    and the conda environment; where nothing is written, the convention is assumed and a remark
    says so.

    Raises:
        InputError: there is no project, or one of its files is wrong; the error names the file
            and, where it can, the line.
    """
    root = root.resolve()
    if not root.is_dir():
        raise InputError(
            "there is no such folder",
            where=str(root),
            hint="Name the project's folder: --project FOLDER",
        )
    described = pyproject.read(root)
    sources = _sources(root, described)
    settings = described.settings if described else Settings()
    name, of_name = _name(root, sources)
    where = layout.find(
        root, name, settings.package, [one for each in sources for one in each.packages]
    )
    model = models.find(
        root, settings.model, trainable=where.data is not None and where.pipeline is not None
    )
    _check_something_found(root, sources, where, model)
    version, of_version = _version(sources)
    python, of_python = _requires_python(sources)
    dependencies, dependencies_from, of_dependencies = _dependencies(sources)
    config_dir = root / "config" if (root / "config").is_dir() else None
    remarks = [*of_name, *of_version, *of_python, *of_dependencies]
    remarks += [*where.remarks, *(() if model.path else where.untrainable), *model.remarks]
    return Project(
        root=root,
        name=name,
        version=version,
        requires_python=python,
        package=where.package,
        package_dir=where.package_dir,
        dependencies=dependencies,
        dev_dependencies=_dev_dependencies(sources, dependencies),
        dependencies_from=dependencies_from,
        pyproject=root / pyproject.SOURCE if described else None,
        data_module=where.data,
        pipeline_module=where.pipeline,
        config_dir=config_dir,
        environments=environments(config_dir),
        model=model.path,
        signature=_file(root, "models/signature.json", "signature.json"),
        schema=_file(root, "schema.toml"),
        sample=_file(root, "data/sample.csv", "sample.csv"),
        metrics=_file(root, "models/metrics.json", "metrics.json"),
        reference=_file(root, "models/reference.parquet"),
        settings=settings,
        remarks=tuple(remarks),
        license=next((one.license for one in sources if one.license), None),
        source=next((one.source_url for one in sources if one.source_url), None),
    )


def _sources(root: Path, described: pyproject.PyProject | None) -> list[Metadata]:
    found = [
        described.metadata if described else None,
        poetry.read(root) if described and not described.described else None,
        setup_cfg.read(root),
        source.setup_py(root),
        requirements.find(root),
        environment_yml.read(root),
    ]
    return [one for one in found if one is not None]


def _name(root: Path, sources: Sequence[Metadata]) -> tuple[str, tuple[Remark, ...]]:
    for one in sources:
        # A conda environment is named for the machine that it is on, not for the project.
        if one.name is not None and one.source not in environment_yml.SOURCES:
            return metadata.check_name(one.name, one.source), ()
    folder = root.name
    name = folder if names.refusal(folder) is None else names.valid(folder)
    return name, (
        Remark("assumed", f"the name is the folder's, {name}", f'name = "{name}"{_PROJECT}'),
    )


def _version(sources: Sequence[Metadata]) -> tuple[str | None, tuple[Remark, ...]]:
    for one in sources:
        if one.version is not None:
            return metadata.check_version(one.version, one.source), ()
    computed = next((one.source for one in sources if "version" in one.unresolved), None)
    what = "there is no version"
    if computed:
        what = f"the version is computed in {computed}; mlpack reads it only where it is written"
    return None, (Remark("missing", what, f'version = "0.1.0"{_PROJECT}'),)


def _requires_python(sources: Sequence[Metadata]) -> tuple[str | None, tuple[Remark, ...]]:
    for one in sources:
        if one.requires_python:
            return metadata.check_requires_python(one.requires_python, one.source), ()
    minor = f"{sys.version_info.major}.{sys.version_info.minor}"
    what = f"the project runs on this Python, {minor}: there is no requires-python"
    return None, (Remark("assumed", what, f'requires-python = ">={minor}"{_PROJECT}'),)


def _dependencies(
    sources: Sequence[Metadata],
) -> tuple[tuple[str, ...], str | None, tuple[Remark, ...]]:
    for one in sources:
        if one.dependencies is not None:
            remarks: tuple[Remark, ...] = ()
            if one.source != pyproject.SOURCE:
                listed = ", ".join(f'"{line}"' for line in one.dependencies)
                remarks = (
                    Remark(
                        "assumed",
                        f"the dependencies in production are those of {one.source}",
                        f"dependencies = [{listed}]{_PROJECT}",
                    ),
                )
            return one.dependencies, one.source, remarks
    what = "there is no list of dependencies"
    line = f'dependencies = ["pandas", "scikit-learn"]{_PROJECT}'
    return (), None, (Remark("missing", what, line),)


def _dev_dependencies(sources: Sequence[Metadata], dependencies: Iterable[str]) -> tuple[str, ...]:
    listed = next((one.dev_dependencies for one in sources if one.dev_dependencies is not None), ())
    present = set(dependencies)
    return tuple(line for line in listed if line not in present)


def _check_something_found(
    root: Path, sources: Sequence[Metadata], where: layout.Layout, model: models.Model
) -> None:
    if sources or where.package_dir or model.path or model.several:
        return
    parent = next((one for one in root.parents if (one / pyproject.SOURCE).is_file()), None)
    hint = f"cd {parent}" if parent else "mlpack new NAME makes a project that already works."
    raise InputError(
        f"this folder is not a project: it has no {_MARKS}", where=str(root), hint=hint
    )


def _file(root: Path, *candidates: str) -> Path | None:
    return next((root / one for one in candidates if (root / one).is_file()), None)
