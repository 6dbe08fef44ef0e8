"""The real parts that end-to-end tests run against: a registry, an engine, a base image."""

from __future__ import annotations

import contextlib
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
from environments import APT_ROOT, missing, run
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

ROOT = Path(__file__).resolve().parent.parent


ENGINE = frozenset(
    {
        "test_aws",
        "test_bases",
        "test_docker_builder",
        "test_engine_load",
        "test_hybrid",
        "test_image_in_registry",
        "test_platforms",
        "test_protocols",
        "test_readme",
        "test_stories",
    }
)
"""What loads and removes images, or takes away the engine's bridge: one after the other."""


class OneEngine(LoadFileScheduling):
    """A file's tests stay together, and so do all that share the engine.

    ``--dist loadgroup`` does not do it: xdist 3.8 writes the groups into names that pytest 9 makes
    anew.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return "engine" if Path(file).stem in ENGINE else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> OneEngine:
    """What says which worker runs which tests."""
    return OneEngine(config, log)


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
    with running_registry(tmp_path_factory.mktemp("registry")) as found:
        yield found


@contextlib.contextmanager
def running_registry(
    folder: Path, certificate: tuple[Path, Path] | None = None
) -> Iterator[RunningRegistry]:
    """A registry with a password; with a certificate and its key, it speaks TLS."""
    program, htpasswd = shutil.which("docker-registry"), shutil.which("htpasswd")
    if program is None or htpasswd is None:
        missing(
            "docker-registry or htpasswd is not there: apt-get install docker-registry "
            "apache2-utils"
        )
    users, config, log = folder / "htpasswd", folder / "config.yml", folder / "log"
    username, password = "alice", "a-password-for-tests"
    made = subprocess.run(
        [str(htpasswd), "-Bbn", username, password], capture_output=True, text=True, check=True
    )
    users.write_text(made.stdout)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    tls = ""
    if certificate is not None:
        tls = f"  tls:\n    certificate: {certificate[0]}\n    key: {certificate[1]}\n"
    config.write_text(
        "version: 0.1\n"
        f"storage:\n  filesystem:\n    rootdirectory: {folder / 'data'}\n"
        f"http:\n  addr: 127.0.0.1:{port}\n{tls}"
        f"auth:\n  htpasswd:\n    realm: tests\n    path: {users}\n"
    )
    with log.open("wb") as out:
        process = subprocess.Popen(
            [str(program), "serve", str(config)], stdout=out, stderr=subprocess.STDOUT
        )
    try:
        host = f"127.0.0.1:{port}"
        scheme = "http" if certificate is None else "https"
        _wait_until_it_answers(f"{scheme}://{host}/v2/", process, log)
        yield RunningRegistry(host, username, password, folder / "data", log)
    finally:
        process.terminate()
        process.wait()


def _wait_until_it_answers(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    with httpx.Client(trust_env=False, verify=False) as client:
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
def buildkit(engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Put the first docker on PATH that has BuildKit before the others.

    A client newer than 20.10 has it only with its plugin, and may stand before one that needs none.
    """
    folder = tmp_path_factory.mktemp("docker")
    (folder / "Dockerfile").write_text("FROM scratch\nLABEL of=tests\n")
    for place in os.environ["PATH"].split(os.pathsep):
        program = shutil.which("docker", path=place)
        if program is not None and _has_buildkit(program, folder):
            (folder / "bin").mkdir()
            (folder / "bin" / "docker").symlink_to(program)
            os.environ["PATH"] = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
            return
    missing("no docker on PATH has BuildKit: apt-get install docker.io, or docker-buildx with it")


def _has_buildkit(program: str, folder: Path) -> bool:
    done = subprocess.run(
        [program, "build", "--quiet", str(folder)],
        env={**os.environ, "DOCKER_BUILDKIT": "1"},
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


@pytest.fixture(scope="session")
def debian(engine: docker.DockerClient, buildkit: None, tmp_path_factory: pytest.TempPathFactory):
    """A root of Debian with apt-get and Python, in the engine under a name that says what it is."""
    given = os.environ.get("MLPACK_APT_ROOT")
    if given:
        run("docker", "import", given, APT_ROOT)
        return APT_ROOT
    if shutil.which("mmdebstrap") is None or os.geteuid() != 0:
        missing("a root of Debian is made as root with mmdebstrap: apt-get install mmdebstrap")
    root = tmp_path_factory.mktemp("debian") / "root.tar"
    run(sys.executable, ROOT / "scripts" / "debian_apt.py", root)
    run("docker", "import", root, APT_ROOT)
    root.unlink()
    return APT_ROOT


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of a base image: MLPACK_BASE_ARCHIVE, or one made from Debian's packages."""
    return _base("MLPACK_BASE_ARCHIVE", (), tmp_path_factory.mktemp("base") / "base.tar")


@pytest.fixture(scope="session")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for two platforms: MLPACK_BASES_ARCHIVE, or one made as well."""
    made = tmp_path_factory.mktemp("bases") / "bases.tar"
    return _base("MLPACK_BASES_ARCHIVE", ("amd64", "arm64"), made)


def _base(variable: str, architectures: tuple[str, ...], made: Path) -> Path:
    given = os.environ.get(variable)
    if given:
        if not Path(given).is_file():
            pytest.fail(f"{variable} names {given}, which is not there", pytrace=False)
        return Path(given)
    if shutil.which("mmdebstrap") is None or os.geteuid() != 0:
        missing(
            f"a base image is made as root with mmdebstrap: set {variable}, or run as "
            "root after apt-get install mmdebstrap"
        )
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "debian_base.py"), str(made), *architectures],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        missing(f"the base image could not be made: {done.stderr[-500:]}")
    return made
