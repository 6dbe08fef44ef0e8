"""BuildKit through the ``docker`` command line: the SDK has neither its secrets nor its caches.

``DOCKER_BUILDKIT=1 docker build`` means BuildKit in every release since 20.10, with the engine's
own builder and its own Dockerfile frontend: nothing is pulled to read a Dockerfile.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence

from mlpack.errors import InputError, MlpackError, OutsideError
from mlpack.files import read_text, scratch
from mlpack.indexes import redact
from mlpack.ports import ImageBuild, SecretSource
from mlpack.process import Runner

PROGRAM = "docker"
HOUR = 3600.0
SHOWN, WIDTH = 15, 200
"""How many of the last lines of a failed build an error shows, and how much of each."""

_NO_ENGINE = (
    "Cannot connect to the Docker daemon",
    "error during connect",
    "permission denied while trying to connect",
)
_NO_BUILDKIT = (
    "buildkit not supported by daemon",
    "BuildKit is enabled but the buildx component is missing",
    "requires BuildKit",
    "Unknown flag: mount",
    "unknown flag: --secret",
)
_NO_PACKAGE = re.compile(
    r"E: Unable to locate package (?P<a>[^\s\"]+)"
    r"|E: Version '[^']*' for '(?P<b>[^']+)' was not found"
    r"|E: Package '(?P<c>[^']+)' has no installation candidate"
)
# What BuildKit puts before a line of a step's output: its number, and the seconds since it began.
_PREFIX = re.compile(r"^#\d+ (?:\d+\.\d+ )?")
_NOISE = re.compile(r"(?:sha256:[0-9a-f]{64}.*|transferring .*|DONE .*|CACHED|\s*)")
_RULE = re.compile(r"^-{6,}$", re.MULTILINE)
_OTHER_BYTES = "DO NOT MATCH THE HASHES"


class DockerBuildKit:
    """Builds with the engine that the ``docker`` program talks to."""

    def __init__(self, runner: Runner, env: Mapping[str, str]) -> None:
        """The program is run by `runner` in the environment `env`."""
        self._run = runner
        self._env = env

    def build(self, asked: ImageBuild) -> str:
        """Build; see `mlpack.ports.ImageBuilder`."""
        with scratch(asked.context.parent, "image-id") as folder:
            answer = folder / "id"
            argv = [*command(asked), "--iidfile", str(answer), str(asked.context)]
            env = {
                **self._env,
                **{_variable(secret): secret.value for secret in asked.secrets if secret.value},
                "DOCKER_BUILDKIT": "1",
                # Else a newer engine answers with an index of the image and of notes on it.
                "BUILDX_NO_DEFAULT_ATTESTATIONS": "1",
            }
            try:
                done = self._run(argv, env=env, timeout=HOUR)
            except OutsideError as error:
                if "is not there" not in error.what:
                    raise
                raise _no_engine("there is no docker program") from error
            if done.code:
                raise failure(done.stderr + done.stdout)
            found = (read_text(answer) or "").strip()
        if not re.fullmatch(r"sha256:[0-9a-f]{64}", found):
            raise OutsideError("docker build ended well and named no image")
        return found


def command(asked: ImageBuild) -> list[str]:
    """The words of ``docker build``, but for where the answer and the context are."""
    argv = [PROGRAM, "build", "--progress", "plain", "--platform", asked.platform]
    argv += ["--network", asked.network]
    if asked.tag is not None:
        argv += ["--tag", asked.tag]
    for name, value in sorted(asked.labels.items()):
        argv += ["--label", f"{name}={value}"]
    for name, value in sorted(asked.arguments.items()):
        argv += ["--build-arg", f"{name}={value}"]
    for name in asked.inherited:
        # Without a value docker takes it from the environment: a proxy's password stays there.
        argv += ["--build-arg", name]
    for secret in asked.secrets:
        argv += ["--secret", _secret(secret)]
    return argv


def _secret(secret: SecretSource) -> str:
    """docker reads a line of CSV, so that a path may have a comma in it."""
    variable = _variable(secret) if secret.value else secret.env
    where = f"src={secret.file}" if variable is None else f"env={variable}"
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow([f"id={secret.name}", where])
    return line.getvalue()


def _variable(secret: SecretSource) -> str:
    """What docker's process calls a value that has no place of its own: no disk ever has it."""
    return "MLPACK_SECRET_" + re.sub(r"[^A-Z0-9]", "_", secret.name.upper())


def failure(output: str) -> MlpackError:
    """What the output of a failed build means."""
    text = redact(output)
    if any(sign in text for sign in _NO_ENGINE):
        return _no_engine("no Docker engine answers")
    if any(sign in text for sign in _NO_BUILDKIT):
        return OutsideError(
            "the docker that stands first on PATH has no BuildKit",
            hint="It comes with Docker 20.10, and later as the package docker-buildx-plugin "
            "(Debian's is docker-buildx). which -a docker names others.",
        )
    lines = _lines(text)
    said = "\n".join(["The last lines of the build:", *lines])
    if (package := _NO_PACKAGE.search(text)) is not None:
        return InputError(
            "the base image's distribution has no package "
            f"{package['a'] or package['b'] or package['c']} as it is asked for",
            where="[tool.mlpack.image]",
            hint=said,
        )
    if "No module named pip" in text:
        return InputError(
            "the base image has no pip for the build stage",
            where="[tool.mlpack.image]",
            hint='Take a base with pip, or on Debian: build-packages = ["python3-pip"]',
        )
    if '"/bin/sh": stat /bin/sh: no such file' in text or "apt-get: not found" in text:
        return InputError(
            "the base image has no apt-get, and packages of the system need it",
            where="[tool.mlpack.image]",
            hint="Take a Debian-like base, such as docker.io/library/python:3.11-slim.",
        )
    if _OTHER_BYTES in text:
        return OutsideError(
            "the package index gives other bytes than the lock names",
            where="requirements.lock.txt",
            hint=said,
        )
    return OutsideError("the image could not be built", where="docker build", hint=said)


def _lines(text: str) -> Sequence[str]:
    """The last lines that say something; BuildKit tells the end once more below a rule."""
    told = _RULE.split(text)[0]
    stripped = (_PREFIX.sub("", line.rstrip()) for line in told.splitlines())
    return [line[:WIDTH] for line in stripped if not _NOISE.fullmatch(line)][-SHOWN:]


def _no_engine(what: str) -> OutsideError:
    return OutsideError(
        f'builder = "docker" needs a Docker engine: {what}',
        hint="Look at what docker version says, and at DOCKER_HOST. Without system packages and "
        'source builds, builder = "mlpack" needs none.',
    )
