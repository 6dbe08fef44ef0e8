"""Places that are a file and a vendor's command: the image is pushed, the file written, and the
command run where it is on this machine.

What runs there afterwards only the vendor knows. So nothing is claimed beyond the command's own
exit code, and where the command is missing, nothing is called deployed.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import yaml

from mlpack import files
from mlpack.config import refuse_unknown
from mlpack.delivery.pushing import KEYS as PUSHING
from mlpack.delivery.pushing import Pusher
from mlpack.delivery.settings import VARIABLE, Reader
from mlpack.errors import InputError, OutsideError
from mlpack.oci.cache import Cache, default_root
from mlpack.oci.reference import parse
from mlpack.operating import Fetched
from mlpack.ports import Action, Built, Deployment, Reporter
from mlpack.process import Completed, Runner, run

KEYS = ("apply", "env", "secret_env", "service", "target", *PUSHING)
"""Keys of ``[deploy]`` that all these targets have."""

PORT = 8080
"""The port that the image answers at; see `mlpack.container`."""

READY, ALIVE = "/readyz", "/livez"

_OURS = (
    *("AIP_HTTP_PORT", "MLPACK_HOST", "MLPACK_PORT", "MLPACK_TLS_CERT", "MLPACK_TLS_KEY", "PORT"),
    "SAGEMAKER_BIND_TO_PORT",
)
_PLATFORM = "linux/amd64"
_SECONDS = 1800.0
_LAST = 3
_COLOR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./@-]*")
_WORDS = ("true", "false", "yes", "no", "on", "off", "y", "n", "null")


class Recipe(Protocol):
    """What one vendor is told, and how."""

    @property
    def kind(self) -> str:
        """The target's name."""
        ...

    @property
    def service(self) -> str:
        """What runs there is called so."""
        ...

    @property
    def file(self) -> str:
        """The name of the file."""
        ...

    @property
    def programs(self) -> tuple[str, ...]:
        """The names of the vendor's command line, the usual one first."""
        ...

    def content(self, built: Built, image: str, why: str) -> bytes:
        """The file for an image, which is named by its digest."""
        ...

    def command(self, program: str, file: str) -> tuple[str, ...]:
        """What brings the file to the vendor, and ends with 0 where that was done."""
        ...

    def logs(self, program: str, lines: int) -> tuple[str, ...]:
        """What prints the last lines of the log."""
        ...


Ask = Callable[[Sequence[str]], str]
"""Runs the vendor's command line; what it wrote to standard output."""

Serving = Callable[[str, Ask], str | None]
"""Which image answers, as ``REPOSITORY@DIGEST``; None where nothing is deployed. It is given the
program's name."""


@dataclass(frozen=True)
class Outside:
    """What is outside.

    Attributes:
        runner: runs the vendor's command line.
        which: finds a program on the path, or None.
        cache: keeps what is pulled.
    """

    runner: Runner = run
    which: Callable[[str], str | None] = shutil.which
    cache: Callable[[], Cache] = lambda: Cache(default_root(os.environ, Path.home()))


class RenderedTarget:
    """A place that is told by a file and a command."""

    def __init__(
        self,
        recipe: Recipe,
        pusher: Pusher,
        *,
        apply: bool = True,
        serving: Serving | None = None,
        outside: Outside | None = None,
    ) -> None:
        """One service of a vendor.

        Args:
            recipe: what the vendor is told.
            pusher: brings the image into a registry that the vendor can read.
            apply: run the vendor's command; else it is left to somebody else.
            serving: asks the vendor which image answers, where that can be asked.
            outside: what runs and finds programs, and keeps what is pulled.
        """
        self.recipe = recipe
        self.kind = recipe.kind
        self._pusher = pusher
        self._apply = apply
        self._serving = serving
        self._outside = outside or Outside()
        asked = serving is not None and apply and self._program() is not None
        self.verbs = frozenset({"plan", "apply", "render", "logs", *(["fetch"] if asked else [])})

    def plan(self, built: Built) -> Sequence[Action]:
        """What `apply` would do. The registry is asked, the vendor is not.

        Raises:
            InputError: there is no image, or the version is there with other content.
            OutsideError: the registry does not answer, or refuses.
        """
        self._image(built)
        return [*self._pusher.plan(built), *self._steps(built)]

    def apply(self, built: Built, reporter: Reporter, *, why: str = "") -> Deployment:
        """Push the image, write the file into ``dist/`` and run the vendor's command.

        Raises:
            InputError: there is no image, or the version is there with other content.
            OutsideError: the registry or the vendor refuses, or the vendor's command line is not
                there; the image is pushed and the file written then.
        """
        image = self._image(built)
        registry = self._pusher.connect()
        found = self._pusher.look(built, registry)
        actions = (*self._pusher.actions(found), *self._steps(built))
        self._pusher.bring(found, registry, reporter)
        digest = found.image.digest
        file = self._folder(built) / self.recipe.file
        files.write(file, self.recipe.content(built, image, why))
        told = self.recipe.command(self._program() or self.recipe.programs[0], str(file))
        if not self._apply:
            reporter.note(f"wrote {file}")
            return Deployment(self.kind, image, digest, actions, left=told)
        if self._program() is None:
            raise OutsideError(
                f"nothing was deployed: {self.recipe.programs[0]} is not on this machine. "
                f"The image is in its registry, and {file} is written",
                hint=f"{shlex.join(told)}\nWhere somebody else runs it: apply = false in [deploy]",
            )
        with reporter.stage(
            f"Asking {Path(told[0]).name} to deploy {self.recipe.service}"
        ) as stage:
            done = self._run(told, reporter)
            stage.result(_last(done.stdout, 1) or "done")
        return Deployment(self.kind, self.recipe.service, digest, actions)

    def render(self, built: Built, into: Path) -> Sequence[Path]:
        """Write the file into a folder. Nothing outside is asked, the image is not pushed.

        Raises:
            InputError: there is no image.
        """
        file = into / self.recipe.file
        files.write(file, self.recipe.content(built, self._image(built), ""))
        return (file,)

    def logs(self, lines: int, *, follow: bool) -> Iterator[str]:
        """The last lines of the log, as the vendor's command line prints them.

        Raises:
            InputError: they shall be followed.
            OutsideError: the vendor's command line is not there, or refuses.
        """
        program = self._program()
        told = self.recipe.logs(program or self.recipe.programs[0], lines)
        if follow:
            raise InputError(
                f"the target {self.kind} prints what was logged, and does not follow it",
                hint=shlex.join(told),
            )
        if program is None:
            raise OutsideError(
                f"{self.recipe.programs[0]} is not on this machine", hint=shlex.join(told)
            )
        return iter(self._run(told, None).stdout.splitlines())

    def fetch(self, release: int | None, into: Path, reporter: Reporter) -> Fetched | None:
        """Bring the model's files of the image that answers, from its registry.

        Raises:
            InputError: a release is asked for by number, or the image is of another repository.
            OutsideError: the vendor or the registry does not answer, or refuses.
        """
        program = self._program()
        if release is not None or self._serving is None or program is None:
            raise InputError(
                f"the target {self.kind} tells what answers, and no release by number",
                hint="mlpack pull ENVIRONMENT",
            )
        image = self._serving(program, lambda told: self._run(told, None).stdout)
        if image is None:
            return None
        there = parse(image, self.kind)
        if there.name != self._pusher.repository.name or there.digest is None:
            raise InputError(
                f"what answers, {image}, is no image of {self._pusher.repository.name} by digest",
                where="[deploy] repository",
                hint='Where it shall be replaced unseen: --force "why"',
            )
        with reporter.stage(f"Fetching {there.name}@{there.digest[:19]}") as stage:
            model = self._pusher.pull(there.digest, self._outside.cache(), into)
            version = model.manifest.version
            stage.result(version)
        return Fetched(into, version, digest=there.digest)

    def _image(self, built: Built) -> str:
        """``REPOSITORY@DIGEST`` of the built image, if such a place can run it.

        Raises:
            InputError: there is none, or none for the platform.
        """
        named, image = self._pusher.named(built)
        platforms = [each.config.platform for each in image.images]
        if _PLATFORM not in platforms:
            raise InputError(
                f"the image is for {', '.join(platforms)}, and {self.kind} runs {_PLATFORM}",
                where=built.dist.name,
                hint=f"Run: mlpack build --platform {_PLATFORM}",
            )
        return named

    def _steps(self, built: Built) -> list[Action]:
        file = str(self._folder(built) / self.recipe.file)
        told = self.recipe.command(self._program() or self.recipe.programs[0], file)
        if not self._apply:
            detail = "left to somebody else: apply = false"
        elif self._program() is None:
            detail = f"{self.recipe.programs[0]} is not on this machine"
        else:
            detail = "what runs there now is not asked"
        return [
            Action("write", file),
            Action("run", shlex.join(told), detail, needed=self._apply),
        ]

    def _folder(self, built: Built) -> Path:
        return built.dist / f"{self.kind}-{self.recipe.service}"

    def _program(self) -> str | None:
        return next((name for name in self.recipe.programs if self._outside.which(name)), None)

    def _run(self, told: Sequence[str], reporter: Reporter | None) -> Completed:
        def on_line(line: str) -> None:
            if reporter is not None and line.strip():
                reporter.note(_COLOR.sub("", line))

        done = self._outside.runner(told, timeout=_SECONDS, on_line=on_line)
        if done.code:
            said = _reason(done.stderr or done.stdout)
            raise OutsideError(
                f"{Path(told[0]).name} ended with {done.code}" + (f": {said}" if said else ""),
                hint=f"It was asked: {shlex.join(told)}",
            )
        return done


def given(config: Mapping[str, Any], kind: str, keys: Sequence[str], example: str) -> Reader:
    """What reads ``[deploy]`` for one of these targets.

    Args:
        config: the table.
        kind: the target's name.
        keys: those that the target has beside `KEYS`.
        example: what the table may look like.

    Raises:
        InputError: there is a key that is not known.
    """
    refuse_unknown(config, sorted((*KEYS, *keys)), kind)
    return Reader(config, example=example)


def variables(reader: Reader, key: str = "env") -> dict[str, str]:
    """A table of variables of the containers.

    Raises:
        InputError: it is none, or one decides how the container is reached.
    """
    found = reader.table(key, VARIABLE)
    for name in found:
        if name in _OURS:
            raise InputError(
                f"the containers are reached at port {PORT}, without TLS of their own",
                where=f"[deploy.{key}] {name}",
            )
    return found


def distinct(env: Mapping[str, str], secret: Mapping[str, object]) -> None:
    """See to it that no variable is given twice.

    Raises:
        InputError: one is.
    """
    for name in sorted(env.keys() & secret.keys()):
        raise InputError(
            f"{name} is in [deploy.env] and in [deploy.secret_env]", where="[deploy.secret_env]"
        )


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]
    """Writes a text so that no reader of YAML 1.1 or 1.2 takes it for anything else."""

    def ignore_aliases(self, _: object) -> bool:
        return True

    def text(self, data: str) -> yaml.Node:
        plain = _PLAIN.fullmatch(data) and data.lower() not in _WORDS
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=None if plain else '"')


_Dumper.add_representer(str, _Dumper.text)


def as_yaml(document: Mapping[str, Any]) -> bytes:
    """A document as YAML, its keys in the order that they were given in."""
    text: str = yaml.dump(
        dict(document), Dumper=_Dumper, sort_keys=False, width=1000, allow_unicode=False
    )
    return text.encode()


def _last(text: str, lines: int) -> str:
    return " ".join(_lines(text)[-lines:])


def _reason(text: str) -> str:
    """Why a command failed: its word for it, before any advice; else its last lines."""
    lines = _lines(text)
    marked = [at for at, line in enumerate(lines) if line.casefold().startswith("error")]
    start = marked[-1] if marked else max(0, len(lines) - _LAST)
    return " ".join(lines[start : start + _LAST])


def _lines(text: str) -> list[str]:
    found = (line.strip() for line in _COLOR.sub("", text).splitlines())
    return [line for line in found if line]
