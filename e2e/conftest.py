"""The real parts that end-to-end tests run against: a registry, an engine, a base image."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import httpx
import pytest
from docker.errors import DockerException
from environments import missing

ROOT = Path(__file__).resolve().parent.parent


ENGINE = frozenset(
    {"test_bases", "test_image_in_registry", "test_protocols", "test_readme", "test_stories"}
)
"""What loads and removes images: one after the other, since they share the engine."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A file's tests stay together, and so do all that share the engine."""
    for item in items:
        name = item.path.stem
        item.add_marker(pytest.mark.xdist_group("engine" if name in ENGINE else name))


@pytest.fixture(scope="session")
def tool() -> Callable[[str], str]:
    """Finds a program of the system, such as ``skopeo``."""

    def find(name: str) -> str:
        path = shutil.which(name)
        if path is None:
            missing(f"{name} is not there: apt-get install {name}")
        return str(path)

    return find


@dataclass(frozen=True)
class RunningRegistry:
    """A registry that wants a password.

    Attributes:
        host: with its port.
        username, password: what it accepts.
        data: the folder that it stores everything in.
        log: what it wrote so far, requests among it.
    """

    host: str
    username: str
    password: str
    data: Path
    log: Path

    def environment(self, password: str | None = None) -> dict[str, str]:
        """The variables that mlpack logs in with."""
        return {
            "MLPACK_REGISTRY_USERNAME": self.username,
            "MLPACK_REGISTRY_PASSWORD": self.password if password is None else password,
        }


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningRegistry]:
    """Debian's docker-registry on this machine, with a password, on a free port."""
    program, htpasswd = shutil.which("docker-registry"), shutil.which("htpasswd")
    if program is None or htpasswd is None:
        missing(
            "docker-registry or htpasswd is not there: apt-get install docker-registry "
            "apache2-utils"
        )
    folder = tmp_path_factory.mktemp("registry")
    users, config, log = folder / "htpasswd", folder / "config.yml", folder / "log"
    username, password = "alice", "a-password-for-tests"
    made = subprocess.run(
        [str(htpasswd), "-Bbn", username, password], capture_output=True, text=True, check=True
    )
    users.write_text(made.stdout)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config.write_text(
        "version: 0.1\n"
        f"storage:\n  filesystem:\n    rootdirectory: {folder / 'data'}\n"
        f"http:\n  addr: 127.0.0.1:{port}\n"
        f"auth:\n  htpasswd:\n    realm: tests\n    path: {users}\n"
    )
    with log.open("wb") as out:
        process = subprocess.Popen(
            [str(program), "serve", str(config)], stdout=out, stderr=subprocess.STDOUT
        )
    try:
        host = f"127.0.0.1:{port}"
        _wait_until_it_answers(f"http://{host}/v2/", process, log)
        yield RunningRegistry(host, username, password, folder / "data", log)
    finally:
        process.terminate()
        process.wait()


def _wait_until_it_answers(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    with httpx.Client(trust_env=False) as client:
        for _ in range(100):
            if process.poll() is not None:
                break
            try:
                client.get(url)
            except httpx.TransportError:
                time.sleep(0.1)
            else:
                return
    pytest.fail(f"docker-registry did not start: {log.read_text()[-1000:]}")


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    """A running Docker engine: that of DOCKER_HOST, or of the local socket."""
    try:
        client = docker.from_env(timeout=120)
        client.ping()
    except DockerException as error:
        missing(f"no Docker engine answers: {error}")
        raise
    yield client
    client.close()


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of a base image: MLPACK_BASE_ARCHIVE, or one made from Debian's packages."""
    given = os.environ.get("MLPACK_BASE_ARCHIVE")
    if given:
        if not Path(given).is_file():
            pytest.fail(f"MLPACK_BASE_ARCHIVE names {given}, which is not there", pytrace=False)
        return Path(given)
    if shutil.which("mmdebstrap") is None or os.geteuid() != 0:
        missing(
            "a base image is made as root with mmdebstrap: set MLPACK_BASE_ARCHIVE, or run as "
            "root after apt-get install mmdebstrap"
        )
    made = tmp_path_factory.mktemp("base") / "base.tar"
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "debian_base.py"), str(made)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        missing(f"the base image could not be made: {done.stderr[-500:]}")
    return made
