"""What the core asks of the outside. One file in the folder of the same name answers each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mlpack.bundle import Artifact, Bundle
from mlpack.export import Exported, Step
from mlpack.lock import Pin
from mlpack.runtime.contract import Signature


class Stage(Protocol):
    """A piece of work that somebody may be watching."""

    def advance(self, done: int, total: int | None = None) -> None:
        """So much is done, of so much if it is known, in any unit."""
        ...

    def result(self, text: str) -> None:
        """What came out, in a few words; shown with the time that it took."""
        ...


class Reporter(Protocol):
    """Tells the person at the terminal what happens. Nothing else prints."""

    def stage(self, title: str) -> AbstractContextManager[Stage]:
        """A piece of work, such as ``Exporting``; it is timed and its end is told."""
        ...

    def note(self, text: str) -> None:
        """Something worth knowing."""
        ...

    def warn(self, text: str) -> None:
        """Something that the user should look at."""
        ...


@dataclass(frozen=True)
class ResolveRequest:
    """What to resolve.

    Attributes:
        requirements: PEP 508 requirements, each with who asks for it (for the conflict message).
        constraints: versions that must be taken where the package appears.
        preferences: the present lock's text, whose versions are kept where they still fit.
        python: the minor version, such as ``3.11``.
        platform: ``linux/amd64`` and the like to resolve for another machine; None for this one.
        exclude: distributions that must not appear in the result (mlpack's own).
        upgrade: take the newest of everything.
        upgrade_packages: take the newest of these.
    """

    requirements: tuple[tuple[str, str], ...]
    constraints: tuple[Pin, ...]
    preferences: tuple[Pin, ...]
    python: str
    platform: str | None = None
    exclude: tuple[str, ...] = ()
    upgrade: bool = False
    upgrade_packages: tuple[str, ...] = ()


class Resolver(Protocol):
    """Finds exact versions with the digests of their files."""

    name: str

    def resolve(self, request: ResolveRequest) -> tuple[Pin, ...]:
        """The pins, sorted by name.

        Raises:
            InputError: requirements contradict each other, or a package does not exist.
            OutsideError: the index does not answer.
        """
        ...


class Exporter(Protocol):
    """Turns a fitted pipeline of one framework into the form that serves."""

    name: str

    def accepts(self, pipeline: Any) -> bool:  # noqa: ANN401 - any object that a pickle may hold
        """Whether this exporter knows the framework that `pipeline` comes from."""
        ...

    def export(
        self,
        pipeline: Any,  # noqa: ANN401
        signature: Signature,
        *,
        hybrid: bool = False,
    ) -> Exported:
        """The pipeline as a graph.

        Args:
            pipeline: fitted.
            signature: the columns that it takes, and what it answers.
            hybrid: steps before the model that have no exact graph may stay Python.

        Raises:
            NotExportableError: a step has no exact graph; the error names it.
        """
        ...


class NotExportableError(Exception):
    """A step cannot be in the graph.

    Attributes:
        path: the step, such as ``columns → text → TfidfVectorizer(analyzer="char_wb")``.
        reason: why, and what would make it exportable.
        steps: what became of the steps before it.
    """

    steps: tuple[Step, ...] = ()

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}" if path else reason)
        self.path = path
        self.reason = reason


class Packager(Protocol):
    """Makes one kind of artifact from a bundle."""

    kind: str

    def package(self, bundle: Bundle, into: Path, reporter: Reporter) -> Artifact:
        """Write the artifact into the folder `into`, whole or not at all."""
        ...


class Engine(Protocol):
    """A container engine on this machine."""

    name: str

    def available(self) -> bool:
        """Whether it answers."""
        ...

    def load(self, archive: Path) -> str:
        """Load an image archive; the image's id."""
        ...


@dataclass(frozen=True)
class Built:
    """What ``dist/build.json`` says was built.

    Attributes:
        name, version: the project's.
        form: ``onnx``, ``hybrid`` or ``python``.
        lock: the digest of the production lock.
        bundle: the digest of the bundle.
        artifacts: by kind.
        dist: the folder that holds them.
    """

    name: str
    version: str
    form: str
    lock: str
    bundle: str
    artifacts: Mapping[str, Artifact]
    dist: Path


@dataclass(frozen=True)
class Action:
    """One thing that a deployment does, or finds done already.

    Attributes:
        verb: ``push``, ``upload``, ``tag``, ``keep`` ...
        what: the thing, such as ``registry.example/churn:1.2.0``.
        detail: its size, digest, or why nothing needs to be done.
        needed: False where it is there already.
    """

    verb: str
    what: str
    detail: str = ""
    needed: bool = True


@dataclass(frozen=True)
class Deployment:
    """An artifact at a target.

    Attributes:
        target: the target's kind.
        reference: what to pull, open or call.
        digest: the artifact's identity.
        actions: what was done.
    """

    target: str
    reference: str
    digest: str
    actions: tuple[Action, ...]


class Target(Protocol):
    """A place to deploy to. Verbs that it cannot answer are not in `verbs`."""

    kind: str
    verbs: frozenset[str]

    def plan(self, built: Built) -> Sequence[Action]:
        """What `apply` would do. Changes nothing."""
        ...

    def apply(self, built: Built, reporter: Reporter) -> Deployment:
        """Deploy; a version that is there with other content is refused."""
        ...


TargetFactory = Callable[[Mapping[str, Any], Mapping[str, str]], Target]
"""Makes a target from ``[deploy]`` of the configuration and the process's environment."""
