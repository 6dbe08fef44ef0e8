"""A project as it stands in its folder: found, never imported."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Remark:
    """Something that was assumed or is missing, with the one line that fixes it.

    Attributes:
        kind: ``assumed`` (mlpack goes on with this) or ``missing`` (some command will need it).
        what: one sentence.
        fix: a command to type or a line to write; None where nothing needs to be done.
    """

    kind: str
    what: str
    fix: str | None = None


@dataclass(frozen=True)
class PipSettings:
    """``[tool.mlpack.image.pip]``: how pip installs in the build stage of a Dockerfile.

    Attributes:
        index_url: the package index; None for pip's own configuration on this machine.
        extra_index_urls: further ones.
        no_binary: packages that are compiled though they have wheels; ``:all:`` for all.
        only_binary: packages that must come as wheels; ``:all:`` for all.
        timeout: seconds for a connection; None for pip's own.
        retries: how often a connection is tried again; None for pip's own.
    """

    index_url: str | None = None
    extra_index_urls: tuple[str, ...] = ()
    no_binary: tuple[str, ...] = ()
    only_binary: tuple[str, ...] = ()
    timeout: int | None = None
    retries: int | None = None


@dataclass(frozen=True)
class BuildSecret:
    """A secret of ``[tool.mlpack.image.secrets]``: only pip's step sees it, in a file of its own.

    Attributes:
        name: the file's name in ``/run/secrets``.
        kind: ``env`` or ``file``.
        source: the environment variable, or the path from the project's folder.
    """

    name: str
    kind: str
    source: str


@dataclass(frozen=True)
class ImageSettings:
    """``[tool.mlpack.image]``: what the image is built on, and how.

    Attributes:
        base: ``docker.io/library/python:3.11-slim`` (a registry), ``oci:PATH[:TAG]`` (a layout),
            ``archive:PATH`` (a tar archive) or ``docker:NAME`` (a local engine's image);
            None for the default, the official slim Python image.
        builder: ``mlpack`` or ``docker``.
        prune: leave out the tests, tools and sources of well-known packages (`mlpack.oci.pruning`).
        compression: of the layers over the base, ``gzip`` or ``zstd``.
        system_packages: Debian packages that the image has; with the builder ``docker`` alone,
            as all that follows.
        build_packages: Debian packages of the build stage, which the image does not have.
        pip: how pip installs there.
        secrets: what pip's step may read and no layer holds.
    """

    base: str | None = None
    builder: str = "mlpack"
    prune: bool = True
    compression: str = "gzip"
    system_packages: tuple[str, ...] = ()
    build_packages: tuple[str, ...] = ()
    pip: PipSettings = field(default_factory=PipSettings)
    secrets: tuple[BuildSecret, ...] = ()


@dataclass(frozen=True)
class Settings:
    """``[tool.mlpack]`` of pyproject.toml: every key optional.

    Attributes:
        package: the import package, where it is not the distribution's name.
        target: the column to predict, where the configuration does not say.
        resolver: ``uv`` or ``pip-tools``.
        format: ``auto``, ``onnx`` or ``hybrid`` (a form that is worse is an error), or ``python``.
        model: the model file, where it is not in ``models/``.
        serving: requirements that production's lock has besides what the server needs.
        platforms: what production runs on, such as ``linux/amd64``; empty for what the lock says.
        image: see `ImageSettings`.
    """

    package: str | None = None
    target: str | None = None
    resolver: str = "uv"
    format: str = "auto"
    model: str | None = None
    serving: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    image: ImageSettings = field(default_factory=ImageSettings)


@dataclass(frozen=True)
class Project:
    """What inspection found. Paths are absolute; None or empty means: not there.

    Attributes:
        root: the project's folder.
        name: the distribution's name as written; the folder's name where none is.
        version: a PEP 440 version, or None.
        requires_python: such as ``>=3.10``, or None.
        package: the import package's name.
        package_dir: the folder (or the single file) that holds the user's code.
        dependencies: requirements for production, as written.
        dev_dependencies: further requirements for development.
        dependencies_from: the file that they came from, relative to the root.
        pyproject: the path of pyproject.toml.
        data_module, pipeline_module: ``data.py`` and ``pipeline.py``, or a flat ``train.py``.
        config_dir: the folder of TOML configuration.
        environments: names found there, ``default`` excepted.
        model: the model file.
        signature, schema, sample, metrics, reference: the other files of the convention.
        settings: ``[tool.mlpack]``.
        remarks: what was assumed and what is missing.
        license: the SPDX expression of its licence, if it says one.
        source: the URL of its repository, if it says one.
    """

    root: Path
    name: str
    version: str | None
    requires_python: str | None
    package: str
    package_dir: Path | None
    dependencies: tuple[str, ...]
    dev_dependencies: tuple[str, ...]
    dependencies_from: str | None
    pyproject: Path | None
    data_module: Path | None
    pipeline_module: Path | None
    config_dir: Path | None
    environments: tuple[str, ...]
    model: Path | None
    signature: Path | None
    schema: Path | None
    sample: Path | None
    metrics: Path | None
    reference: Path | None
    settings: Settings
    remarks: tuple[Remark, ...]
    license: str | None = None
    source: str | None = None

    @property
    def lock_file(self) -> Path:
        """``mlpack.lock``, there or not."""
        return self.root / "mlpack.lock"

    @property
    def prod_lock(self) -> Path:
        """``requirements.lock.txt``, there or not."""
        return self.root / "requirements.lock.txt"

    @property
    def dev_lock(self) -> Path:
        """``requirements-dev.lock.txt``, there or not."""
        return self.root / "requirements-dev.lock.txt"

    @property
    def models_dir(self) -> Path:
        """The folder that training writes to."""
        return self.root / "models"

    @property
    def dist_dir(self) -> Path:
        """The folder that artifacts are written to."""
        return self.root / "dist"

    @property
    def cache_dir(self) -> Path:
        """``.mlpack``: what can be made again; safe to delete."""
        return self.root / ".mlpack"
