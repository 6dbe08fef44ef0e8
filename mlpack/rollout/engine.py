"""Containers, files in them and commands in them, through Docker's SDK: no word of releases."""

from __future__ import annotations

import io
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, BinaryIO

import docker
import requests
from docker.errors import APIError, DockerException, ImageNotFound, NotFound

from mlpack.engines.docker import refused
from mlpack.errors import InputError, OutsideError

CONFLICT = 409
"""What an engine answers where a name is taken, or something is in use."""

NOT_FOUND = 404

RESTART: Any = {"Name": "unless-stopped"}
LOGS = {"max-size": "10m", "max-file": "3"}

_TAKEN = ("port is already allocated", "address already in use")


class Connection:
    """A connection to an engine, made when it is needed.

    Args:
        where: what errors name.
        connect: makes it.
        address: of the engine, as ``DOCKER_HOST`` has it; may be empty.
    """

    def __init__(
        self, where: str, connect: Callable[[], docker.DockerClient], address: str = ""
    ) -> None:
        self._where = where
        self._address = address
        self._connect = connect
        self._open: docker.DockerClient | None = None

    def close(self) -> None:
        """Hang up."""
        if self._open is not None:
            self._open.close()
            self._open = None

    @contextmanager
    def client(self) -> Iterator[docker.DockerClient]:
        """The client; what it raises is told as mlpack does.

        Raises:
            InputError: a port is taken.
            OutsideError: the engine does not answer, or refuses.
        """
        try:
            if self._open is None:
                self._open = self._connect()
            yield self._open
        except (DockerException, requests.RequestException) as error:
            if isinstance(error, requests.ConnectionError):
                with suppress(OSError):  # what it went through may have ended: make another one
                    self.close()
            if any(sign in str(error) for sign in _TAKEN):
                raise InputError(
                    "the port is taken at the host",
                    where="[deploy] port",
                    hint="Choose another, or stop what listens there.",
                ) from error
            raise replace(refused(error, self._address), where=self._where) from error


def listed(client: docker.DockerClient, labels: Mapping[str, str]) -> list[dict[str, Any]]:
    """All containers with some labels, running or not."""
    wanted = [f"{key}={value}" for key, value in labels.items()]
    found: list[dict[str, Any]] = client.api.containers(all=True, filters={"label": wanted})
    return found


def has_image(client: docker.DockerClient, name: str) -> bool:
    """Whether an engine has an image, known by its name or its id."""
    try:
        client.images.get(name)
    except ImageNotFound:
        return False
    return True


def has_volume(client: docker.DockerClient, name: str) -> bool:
    """Whether an engine has a volume."""
    try:
        client.api.inspect_volume(name)
    except NotFound:
        return False
    return True


def printable(text: str) -> str:
    """What a container wrote, without what would move a terminal's cursor or colours."""
    return "".join(each for each in text if each in "\n\t" or each.isprintable())


def discard_image(client: docker.DockerClient, name: str) -> None:
    """Remove an image, unless something uses it."""
    try:
        client.api.remove_image(name)
    except NotFound:
        pass
    except APIError as error:
        if error.status_code != CONFLICT:
            raise


def gone(remove: Callable[[], object]) -> None:
    """Remove something; what is not there needs not be removed."""
    with suppress(NotFound):
        remove()


def run(
    client: docker.DockerClient, name: str, command: Sequence[str], user: str = ""
) -> tuple[int, str]:
    """A command's exit code and what it said, in a container that runs."""
    made = client.api.exec_create(name, list(command), user=user)["Id"]
    said: bytes = client.api.exec_start(made)
    code = client.api.exec_inspect(made)["ExitCode"]
    return 1 if code is None else int(code), said.decode(errors="replace")


def read(client: docker.DockerClient, container: str, path: str) -> dict[str, bytes]:
    """A file or a folder's files in a container, by their bare names; none where there are none."""
    try:
        stream, _ = client.api.get_archive(container, path)
        packed = b"".join(stream)
    except NotFound:
        return {}
    found = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(packed), mode="r:") as tar:
            for member in tar.getmembers():
                opened = tar.extractfile(member) if member.isfile() else None
                if opened is not None:
                    found[member.name.rpartition("/")[2]] = opened.read()
    except tarfile.TarError as error:
        raise OutsideError(f"the engine sent a damaged archive of {path}") from error
    return found


def stream(client: docker.DockerClient, container: str, path: str) -> BinaryIO | None:
    """A tar of a file or a folder of a container, on this machine's disk; None: nothing is there.

    A container need not run for it.
    """
    held = tempfile.TemporaryFile()  # noqa: SIM115 - whoever asked closes it
    try:
        chunks, _ = client.api.get_archive(container, path)
        for chunk in chunks:
            held.write(chunk)
    except NotFound:
        held.close()
        return None
    held.seek(0)
    return held


def put(
    client: docker.DockerClient,
    container: str,
    folder: str,
    files: Mapping[str, bytes],
    *,
    mode: int = 0o644,
    owner: int = 0,
) -> None:
    """Write files into a folder of a container, whether it runs or not."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), mode
            member.uid = member.gid = owner
            tar.addfile(member, io.BytesIO(content))
    client.api.put_archive(container, folder, packed.getvalue())
