"""What the core asks of the outside. One file in the folder of the same name answers each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from mlpack.bundle import Artifact, Bundle
from mlpack.export import Exported, Step
from mlpack.lock import Pin
from mlpack.osv import Record
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

    def platform(self) -> str:
        """What it runs, such as ``linux/amd64``."""
        ...

    def layers(self, images: Sequence[str], label: str) -> Sequence[Sequence[str]]:
        """The layers of local images by the digests of their tars, each image's lowest first.

        Args:
            images: names and ids; those that are not there are left out.
            label: ``KEY=VALUE``: the images that have a name and this label are meant as well.
        """
        ...


@dataclass(frozen=True)
class SecretSource:
    """Where an engine's builder takes a secret from: it is mounted, and stays in no layer.

    Attributes:
        name: what the Dockerfile calls it.
        env: the variable that holds it, or None.
        file: the file that holds it, or None.
        value: itself, where it stands nowhere else. It is not shown.
    """

    name: str
    env: str | None = None
    file: Path | None = None
    value: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class ImageBuild:
    """What an engine's builder is asked for.

    Attributes:
        context: the folder that holds ``Dockerfile`` and all that it copies.
        platform: such as ``linux/amd64``.
        tag: what the image is called in the engine; None for no name.
        labels: what the image tells about itself.
        arguments: arguments of the build, which are no secrets.
        inherited: names of variables of this process that the build's steps have too: proxies.
        secrets: what its steps may read.
        network: of its steps: ``default``, ``none`` or ``host``.
    """

    context: Path
    platform: str
    tag: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    arguments: Mapping[str, str] = field(default_factory=dict)
    inherited: Sequence[str] = ()
    secrets: Sequence[SecretSource] = ()
    network: str = "default"


class ImageBuilder(Protocol):
    """Builds an image from a Dockerfile in an engine."""

    def build(self, asked: ImageBuild) -> str:
        """The id of the image, which the engine has now.

        Raises:
            InputError: a package of the system is not there, or the base cannot do what is asked.
            OutsideError: there is no engine or no BuildKit, or a step failed.
        """
        ...


class Advisories(Protocol):
    """Knows of vulnerabilities."""

    name: str

    def about(self, pins: Sequence[Pin]) -> Sequence[tuple[Pin, Record]]:
        """The pins that have some, each with a record; a pin comes as often as it has records.

        Raises:
            InputError: the database is not there or damaged.
            OutsideError: the service does not answer.
        """
        ...


class Checker(Protocol):
    """Checks signatures by one key."""

    def valid(self, digest: bytes, signature: bytes) -> bool:
        """Whether `signature` is the key's, of what has the SHA-256 `digest`."""
        ...


class Signer(Checker, Protocol):
    """Signs with a private key."""

    def sign(self, digest: bytes) -> bytes:
        """The signature of what has the SHA-256 `digest`."""
        ...


class IdentityChecker(Protocol):
    """Checks signatures by one identity, which are in bundles of Sigstore's."""

    def file(self, digest: bytes, bundle: bytes) -> bool:
        """Whether a bundle holds the identity's signature of what has the SHA-256 `digest`."""
        ...

    def statement(self, bundle: bytes) -> bytes | None:
        """The in-toto statement that the identity signed; None if it signed none there."""
        ...


class IdentitySigner(Protocol):
    """Signs as an identity."""

    who: str

    def file(self, digest: bytes) -> bytes:
        """A bundle with the signature of what has the SHA-256 `digest`."""
        ...

    def statement(self, statement: bytes) -> bytes:
        """A bundle with a signed in-toto statement."""
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
        reference: the digest of the reference rows of the model's training; empty for none.
    """

    name: str
    version: str
    form: str
    lock: str
    bundle: str
    artifacts: Mapping[str, Artifact]
    dist: Path
    reference: str = ""


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
        left: the command with which somebody else has still to bring it there; empty where it is
            there.
    """

    target: str
    reference: str
    digest: str
    actions: tuple[Action, ...]
    left: tuple[str, ...] = ()


class Target(Protocol):
    """A place to deploy to. Verbs that it cannot answer are not in `verbs`."""

    kind: str
    verbs: frozenset[str]

    def plan(self, built: Built) -> Sequence[Action]:
        """What `apply` would do. Changes nothing."""
        ...

    def apply(self, built: Built, reporter: Reporter, *, why: str = "") -> Deployment:
        """Deploy; a version that is there with other content is refused.

        Args:
            built: what to deploy.
            reporter: is told what happens.
            why: why the gate was overruled; the target remembers it where it has a history.
        """
        ...


TargetFactory = Callable[[Mapping[str, Any], Mapping[str, str]], Target]
"""Makes a target from ``[deploy]`` of the configuration and the process's environment."""
