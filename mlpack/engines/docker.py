"""A Docker engine, through Docker's SDK: loads, saves and names images.

The engine is the one that ``DOCKER_HOST`` and its companions name; `mlpack.docker_host` sets them
for who uses contexts of the program ``docker``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import docker
import requests
from docker.errors import DockerException, ImageNotFound

from mlpack.engines.ssh import ADDRESS, Tunnel, to_try
from mlpack.errors import InputError, OutsideError
from mlpack.files import disk_errors

_ASK_SECONDS = 3
_WORK_SECONDS = 600
_ALIKE = 32

Connect = Callable[[Mapping[str, str], int], docker.DockerClient]
"""Makes a client for an environment, with a timeout in seconds."""


def connect(env: Mapping[str, str], timeout: int) -> docker.DockerClient:
    """A client for the engine that `env` names.

    Raises:
        DockerException: none answers.
        InputError, OutsideError: it is behind ssh, which does not get through.
    """
    host = env.get("DOCKER_HOST", "")
    try:
        if host.startswith("ssh://"):
            return _Tunnelled(Tunnel(host, env), timeout)
        return docker.from_env(timeout=timeout, environment=dict(env))
    except ValueError as error:  # what the SDK raises for a DOCKER_HOST that is no address
        raise DockerException(f"DOCKER_HOST is no address: {error}") from error


def refused(error: Exception, host: str) -> OutsideError:
    """What an engine's error is for people: it does not answer, or it did not do what was asked.

    Args:
        error: what the SDK has raised.
        host: what ``DOCKER_HOST`` was; may be empty.
    """
    causes = list(_causes(error))
    named = f"the Docker engine at {host}" if host else "the Docker engine"
    found = ADDRESS.fullmatch(host)
    program = f"docker -H {host} version" if host else "docker version"
    hint = f"See how it is: {to_try(found) if found else program}"
    if any(isinstance(each, requests.Timeout) for each in causes):
        return OutsideError(f"{named} does not answer in time", hint=hint)
    if any(isinstance(each, requests.ConnectionError) for each in causes):
        # The first cause of all is the system's own word; the libraries' tell of their objects.
        last = next((each for each in reversed(causes) if _of_the_system(each)), None)
        why = "" if last is None else f": {getattr(last, 'strerror', None) or last}"
        return OutsideError(f"{named} does not answer{why}", hint=hint)
    return OutsideError(f"the Docker engine did not do it: {error}", hint=hint)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and those that it comes from, the first of all last."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def _of_the_system(error: BaseException) -> bool:
    return isinstance(error, OSError) and not isinstance(error, requests.RequestException)


class _Tunnelled(docker.DockerClient):
    """A client at the end of a tunnel."""

    def __init__(self, tunnel: Tunnel, timeout: int) -> None:
        self._tunnel = tunnel
        super().__init__(base_url=f"unix://{tunnel.path}", timeout=timeout)

    def close(self) -> None:
        """Hang up."""
        super().close()
        self._tunnel.close()


class DockerEngine:
    """A container engine that speaks Docker's API."""

    name = "docker"

    def __init__(self, env: Mapping[str, str], client: Connect = connect) -> None:
        """The engine that ``DOCKER_HOST`` in `env` names, asked through `client`."""
        self._env = env
        self._connect = client

    def available(self) -> bool:
        """Whether it answers, within three seconds."""
        try:
            with self._client(_ASK_SECONDS) as client:
                return bool(client.ping())
        except OutsideError:
            return False

    def load(self, archive: Path) -> str:
        """Load an image archive; the image's id, which is its configuration's digest.

        Raises:
            OutsideError: the engine does not answer, or refuses the archive.
        """
        with self._client(_WORK_SECONDS) as client, archive.open("rb") as stream:
            images = client.images.load(stream)
        if not images:
            raise OutsideError(f"the engine found no image in {archive.name}")
        return str(images[0].id)

    def platform(self) -> str:
        """What it runs, such as ``linux/amd64``.

        Raises:
            OutsideError: the engine does not answer.
        """
        with self._client(_ASK_SECONDS) as client:
            found = client.version()
        return f"{found.get('Os', '')}/{found.get('Arch', '')}"

    def layers(self, images: Sequence[str], label: str) -> tuple[tuple[str, ...], ...]:
        """The layers of local images by the digests of their tars, each image's lowest first.

        Of the images with the label (``KEY=VALUE``), 32 at most.

        Raises:
            OutsideError: the engine does not answer.
        """
        with self._client(_ASK_SECONDS) as client:
            alike = client.api.images(filters={"label": label, "dangling": False})
            names = dict.fromkeys([*images, *(each["Id"] for each in alike[:_ALIKE])])
            found = []
            for name in names:
                try:
                    told = client.images.get(name).attrs
                except ImageNotFound:
                    continue
                found.append(tuple(told.get("RootFS", {}).get("Layers") or ()))
        return tuple(found)

    def image_id(self, name: str) -> str:
        """The id of a local image.

        Raises:
            InputError: there is none called `name`.
            OutsideError: the engine does not answer.
        """
        with self._client(_ASK_SECONDS) as client:
            try:
                return str(client.images.get(name).id)
            except ImageNotFound:
                raise InputError(
                    f"the engine has no image called {name}", hint=f"Run: docker pull {name}"
                ) from None

    def tag(self, identity: str, name: str, tag: str) -> bool:
        """Call an image, known by its id, ``name:tag`` too; False where there is no such image.

        Raises:
            OutsideError: the engine does not answer.
        """
        with self._client(_ASK_SECONDS) as client:
            try:
                return bool(client.images.get(identity).tag(name, tag))
            except ImageNotFound:
                return False

    def save(self, name: str, into: Path) -> None:
        """Write a local image as an archive.

        Raises:
            InputError: there is none called `name`.
            OutsideError: the engine does not answer.
        """
        with self._client(_WORK_SECONDS) as client, disk_errors(into), into.open("wb") as out:
            try:
                image = client.images.get(name)
            except ImageNotFound:
                raise InputError(
                    f"the engine has no image called {name}", hint=f"Run: docker pull {name}"
                ) from None
            for chunk in image.save():
                out.write(chunk)

    @contextmanager
    def _client(self, timeout: int) -> Iterator[docker.DockerClient]:
        try:
            client = self._connect(self._env, timeout)
            try:
                yield client
            finally:
                client.close()
        except (DockerException, requests.RequestException) as error:
            raise refused(error, self._env.get("DOCKER_HOST", "")) from error
