"""A model out of an engine: its files are copied from a container, which need not run."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import docker
from docker.errors import APIError, ImageNotFound

from mlpack.delivery.sampled import FILE, reading, whole
from mlpack.delivery.unpacked import LIB, unpack_tar
from mlpack.errors import InputError, OutsideError
from mlpack.oci.install import HOME, LIBRARY
from mlpack.oci.members import DAMAGE
from mlpack.rollout.engine import CONFLICT, gone, stream
from mlpack.sbom import SBOM_FILE

_ASK = """\
import http.client, os, pathlib, sys
keys = os.environ.get("MLPACK_API_KEYS", "").split(",")
if os.environ.get("MLPACK_API_KEYS_FILE"):
    keys += pathlib.Path(os.environ["MLPACK_API_KEYS_FILE"]).read_text().splitlines()
key = next((each.strip() for each in keys if each.strip()), "")
asked = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=5)
asked.request("GET", "/metrics", headers={"Authorization": f"Bearer {key}"} if key else {})
answer = asked.getresponse()
sys.stdout.buffer.write(answer.read() if answer.status == 200 else b"")
"""
"""Asks for the metrics, with the key that the container itself has: it goes nowhere else."""


def bring(client: docker.DockerClient, image: str, container: str, into: Path) -> None:
    """Copy the model of a container, or of a new one of the same image, which is never started.

    Args:
        client: of the engine.
        image: what the container was made of.
        container: its name, whether it is there or not.
        into: a folder; the package comes into its ``lib``.

    Raises:
        InputError: the image is not there any more, or holds no model.
        OutsideError: the engine does not answer, or sends something damaged.
    """
    with _container(client, image, container) as name:
        command = client.api.inspect_container(name)["Config"]["Entrypoint"] or [""]
        package = str(command[-1])
        if not package.isidentifier():
            raise InputError("its image was not made by mlpack", where=container)
        there = _copy(client, name, f"/{LIBRARY}/{package}", into / LIB)
        if not there:
            raise InputError("there is no model in its image", where=container)
        _copy(client, name, f"/{HOME}/{SBOM_FILE}", into)


def sampled(client: docker.DockerClient, container: str, last: int | None) -> bytes:
    """The requests that a running container has sampled, the oldest first; empty for none.

    With `last` at most so many bytes, the last ones.
    """
    python, told = _inside(client, container)
    path = told.get(FILE)
    if not (python and path):
        return b""
    return whole(_said(client, container, reading(python, path, last)))


def metrics(client: docker.DockerClient, container: str) -> str:
    """What a running container tells at ``/metrics``; empty where it does not answer."""
    python, told = _inside(client, container)
    if not python:
        return ""
    port = told.get("MLPACK_PORT", "8080")
    return _said(client, container, (python, "-I", "-c", _ASK, port)).decode()


def _inside(client: docker.DockerClient, container: str) -> tuple[str, Mapping[str, str]]:
    """A container's own Python, empty where it has none, and its variables."""
    config = client.api.inspect_container(container)["Config"]
    told = dict(each.partition("=")[::2] for each in config["Env"] or [])
    return str((config["Entrypoint"] or [""])[0]), told


def _said(client: docker.DockerClient, container: str, command: Sequence[str]) -> bytes:
    """What a command in a container writes to its standard output."""
    made = client.api.exec_create(container, list(command))["Id"]
    said, _ = client.api.exec_start(made, demux=True)
    return bytes(said or b"")


@contextmanager
def _container(client: docker.DockerClient, image: str, name: str) -> Iterator[str]:
    """A container to copy from; one that was made for it is removed."""
    if client.api.containers(all=True, filters={"name": f"^/{name}$"}):
        yield name
        return
    try:
        made = str(client.containers.create(image, network_mode="none").id)
    except ImageNotFound as error:
        raise InputError(
            "its image is not at the host any more", where=name, hint="mlpack history ENVIRONMENT"
        ) from error
    except APIError as error:
        if error.status_code != CONFLICT:
            raise
        raise OutsideError("the engine is at it in another way; try again", where=name) from error
    try:
        yield made
    finally:
        gone(lambda: client.api.remove_container(made, force=True, v=True))


def _copy(client: docker.DockerClient, container: str, path: str, into: Path) -> bool:
    held = stream(client, container, path)
    if held is None:
        return False
    try:
        with held, tarfile.open(fileobj=held, mode="r:") as tar:
            return unpack_tar(tar, into, container, prefix="")
    except DAMAGE as error:
        raise OutsideError(f"the engine sent a damaged archive of {path}") from error
