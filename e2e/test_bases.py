"""One project on one base that comes from a registry, a layout, an archive and an engine.

And the same project as a zip that needs no network at all.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path

import pytest
from environments import (
    EXAMPLES,
    ROOT,
    Environment,
    missing,
    mlpack_wheel,
    post,
    run,
    running,
    with_mlpack,
)

NAME = "debian-bookworm-python3.11:12"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A trained and locked project, and the environment that made it."""
    folder = tmp_path_factory.mktemp("bases")
    environment = with_mlpack(folder / "environment")
    root = folder / "penguins"
    shutil.copytree(EXAMPLES / "penguins", root, ignore=shutil.ignore_patterns("models"))
    for command in ("lock", "install", "train"):
        environment.mlpack(command, cwd=root)
    return root, environment


@pytest.fixture(scope="module")
def references(project, base, registry, engine, tool, tmp_path_factory):
    """The same base under the four kinds of names, and the variables that its login needs."""
    skopeo = tool("skopeo")
    folder = tmp_path_factory.mktemp("base")
    source = f"docker-archive:{base}:{NAME}"
    login = f"{registry.username}:{registry.password}"
    there = f"docker://{registry.host}/base/{NAME}"
    run(skopeo, "copy", "--dest-tls-verify=false", "--dest-creds", login, source, there)
    run(skopeo, "copy", source, f"oci:{folder / 'layout'}:12")
    with base.open("rb") as stream:
        engine.images.load(stream)
    config = folder / "docker"
    config.mkdir()
    run(
        "docker", "--config", config, "login", registry.host, "--username", registry.username,
        "--password-stdin", stdin=registry.password,
    )  # fmt: skip
    names = {
        "registry": f"{registry.host}/base/{NAME}",
        "layout": f"oci:{folder / 'layout'}:12",
        "archive": f"archive:{base}",
        "engine": f"docker:{NAME}",
    }
    return names, {"DOCKER_CONFIG": str(config)}


@pytest.mark.parametrize("kind", ["registry", "layout", "archive", "engine"])
def test_the_image_is_built_on_a_base_from_anywhere(kind, project, references, engine):
    root, environment = project
    names, login = references
    environment.mlpack("lock", "--upgrade-base", cwd=root)
    environment.mlpack("build", "--base", names[kind], cwd=root, env=login)
    lock = (root / "mlpack.lock").read_text()
    assert f'reference = "{names[kind]}"' in lock
    assert 'digest = "sha256:' in lock
    build = json.loads((root / "dist" / "build.json").read_text())
    image = engine.images.get(build["artifacts"]["image"]["config"])
    assert build["artifacts"]["image"]["image"] in image.tags
    with running(engine, image.id) as url:
        answer = post(f"{url}/predict", {"bill_length_mm": 46.1})
    assert set(answer["predictions"][0]) == {"label", "probabilities"}


INSIDE = """
import json, os, socket, ssl, sys, zoneinfo
import bz2, ctypes, decimal, hashlib, lzma, sqlite3, uuid, zlib

def refused(do):
    try:
        do()
    except OSError:
        return True

print(json.dumps({
    "user": [os.getuid(), os.getgid()],
    "authorities": ssl.create_default_context().cert_store_stats()["x509_ca"],
    "zone": str(zoneinfo.ZoneInfo("Europe/Berlin")),
    "resolves": bool(socket.getaddrinfo("localhost", 80)),
    "wheels link to": [bool(ctypes.CDLL(f"{name}.so.{n}")) for name, n in
        (("libstdc++", 6), ("libgcc_s", 1), ("libm", 6), ("libz", 1), ("libpthread", 0))],
    "compiled": os.path.isfile(json.__cached__),
    "pip": any(__import__("importlib.util").util.find_spec(n) for n in ("pip", "ensurepip")),
    "read-only": refused(lambda: open("/app/x", "w")),
}))
"""


@pytest.fixture(scope="module")
def hardened(debian, engine, tmp_path_factory):
    """What Dockerfile.base makes of a root of Debian's packages, named as what it is."""
    name = "mlpack-base-of-debian-bookworm-apt:12"
    run(
        *("docker", "build", "--network", "host", "--build-arg", f"BASE={debian}"),
        *("--tag", name, "--file", ROOT / "Dockerfile.base", tmp_path_factory.mktemp("empty")),
        env={"DOCKER_BUILDKIT": "1"},
    )
    yield name
    engine.images.remove(name, force=True)


def test_mlpacks_own_base_has_python_certificates_time_zones_and_nothing_else(hardened, engine):
    image = engine.images.get(hardened)
    assert image.attrs["Config"]["User"] == "65532:65532"
    assert image.attrs["Size"] < 55_000_000
    told = engine.containers.run(
        *(image.id, ["python3", "-c", INSIDE]),
        read_only=True,
        cap_drop=["ALL"],
        network_mode="none",
        remove=True,
    )
    found = json.loads(told)
    assert found.pop("authorities") > 100
    assert found == {
        "user": [65532, 65532],
        "zone": "Europe/Berlin",
        "resolves": True,
        "wheels link to": [True] * 5,
        "compiled": True,
        "pip": False,
        "read-only": True,
    }
    container = engine.containers.create(image.id)
    try:
        files = io.BytesIO(b"".join(container.export()))
    finally:
        container.remove()
    with tarfile.open(fileobj=files) as tar:
        members = {member.name.removeprefix("./"): member for member in tar}
        users = tar.extractfile("etc/passwd").read().decode()
    assert [line.split(":")[2] for line in users.splitlines()] == ["0", "65532"]
    assert {name for name in members if re.fullmatch(r"(usr/)?(local/)?s?bin/.+", name)} == {
        "usr/bin/python3",
        "usr/bin/python3.11",
    }
    assert not [name for name, member in members.items() if member.mode & 0o6000]
    others = [name for name, m in members.items() if m.mode & 0o002 and not m.issym()]
    assert {name for name in others if not name.startswith(("dev", "proc", "sys"))} == {
        "tmp",
        "var/tmp",
    }
    assert not [
        name for name in members if re.search(r"(^|/)(apt|perl5?|pip|site-packages)(/|$)", name)
    ]
    # Scanners are told what the libraries are from, each of which belongs to a package.
    packages = {name.rpartition("/")[2] for name in members if "dpkg/status.d/" in name}
    assert {"libc6", "libssl3", "libstdc++6", "tzdata", "zlib1g", "libgcc-s1"} <= packages


def test_a_model_on_mlpacks_own_base_answers_as_nobody_on_a_read_only_root(
    project, hardened, engine
):
    root, environment = project
    environment.mlpack("lock", "--upgrade-base", cwd=root)
    environment.mlpack("build", "--only", "image", "--base", f"docker:{hardened}", cwd=root)
    built = json.loads((root / "dist" / "build.json").read_text())["artifacts"]["image"]
    below = engine.images.get(hardened).attrs["RootFS"]["Layers"]
    image = engine.images.get(built["config"])
    assert image.attrs["RootFS"]["Layers"][: len(below)] == below
    assert image.attrs["Config"]["User"] == "65532:65532"
    with running(engine, image.id, security_opt=["no-new-privileges"]) as url:
        answer = post(f"{url}/predict", {"bill_length_mm": 46.1})
    assert set(answer["predictions"][0]) == {"label", "probabilities"}


def test_a_base_that_changed_under_its_name_is_refused(project, references, base, tmp_path):
    """The lock has its identity: the same name with other content is not the same base."""
    root, environment = project
    _, login = references
    moved = tmp_path / "base.tar"
    shutil.copy(base, moved)
    environment.mlpack("lock", "--upgrade-base", cwd=root)
    environment.mlpack("build", "--base", f"archive:{moved}", "--no-load", cwd=root, env=login)
    other = tmp_path / "empty"
    other.mkdir()
    run("umoci", "init", "--layout", other / "layout")
    run("umoci", "new", "--image", f"{other / 'layout'}:1")
    run("skopeo", "copy", f"oci:{other / 'layout'}:1", f"docker-archive:{other / 'new.tar'}:x:1")
    shutil.copy(other / "new.tar", moved)
    (root / "pyproject.toml").write_text(
        (root / "pyproject.toml").read_text().replace('"0.1.0"', '"0.1.1"')
    )
    refused = environment.mlpack(
        "build", "--base", f"archive:{moved}", "--no-load", cwd=root, env=login, code=3
    )
    assert "not the one that was locked" in refused.stderr
    assert "mlpack lock --upgrade-base" in refused.stderr


class Offline:
    """A project as a zip for two platforms, unpacked where nothing of its making is known."""

    def __init__(self, root: Path, environment: Environment, folder: Path) -> None:
        self.environment = environment
        self.project = folder / "project"
        shutil.copytree(root, self.project, ignore=shutil.ignore_patterns("dist"))
        environment.mlpack("lock", "--platform", "linux/amd64,linux/arm64", cwd=self.project)
        self.build()
        self.zip = self.project / "dist" / self.record()["zip"]["file"]
        shutil.unpack_archive(self.zip, folder / "un packed")
        self.folder = next((folder / "un packed").iterdir())
        self.lock = self.folder / "requirements.lock.txt"

    def build(self, *options, env=None):
        """Wheel and zip, the latter with all wheels unless other options are given."""
        kinds = ("--only", "wheel", "--only", "zip")
        return self.environment.mlpack(
            "build", *kinds, *(options or ("--offline",)), "--json", cwd=self.project, env=env
        )

    def record(self):
        """What ``build.json`` says of the artifacts."""
        return json.loads((self.project / "dist" / "build.json").read_text())["artifacts"]

    def alone(self, *argv, home, **variables):
        """Run a command without a network, without anybody's settings and with empty caches."""
        if os.geteuid() != 0:
            missing("only root may run a command without a network: run as root")
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        kept = {"PATH": path, "HOME": str(home), **variables}
        own = [f"{name}={value}" for name, value in kept.items()]
        return run("unshare", "--net", "env", "-i", *own, *argv, cwd=home)


@pytest.fixture(scope="module")
def offline(project, tmp_path_factory):
    root, environment = project
    return Offline(root, environment, tmp_path_factory.mktemp("offline"))


PREDICT = "from penguins import Model; print(Model().predict([{'bill_length_mm': 46.1}]))"


@pytest.mark.parametrize("tool", ["pip", "uv"])
def test_the_offline_zip_installs_without_a_network_and_predicts(offline, tool, tmp_path):
    clean = Environment(tmp_path / "clean")
    commands = {
        "pip": (sys.executable, "-m", "pip", "--python", clean.python, "install"),
        "uv": ("uv", "pip", "install", "--python", clean.python),
    }
    offline.alone(*commands[tool], "--require-hashes", "-r", offline.lock, home=tmp_path)
    expected = offline.alone(clean.python, "-c", PREDICT, home=tmp_path).stdout
    assert expected.strip() in ("['Adelie']", "['Chinstrap']", "['Gentoo']")
    if tool == "pip":
        return
    # The wheel on its own, by the third of those who install wheels.
    wheel = offline.project / "dist" / offline.record()["wheel"]["file"]
    run("uv", "pip", "uninstall", "--python", clean.python, "penguins")
    libraries = {"PYTHONPATH": sysconfig.get_path("purelib")}
    installer = (clean.python, "-m", "installer", "--validate-record", "all", wheel)
    offline.alone(*installer, home=tmp_path, **libraries)
    assert offline.alone(clean.python, "-c", PREDICT, home=tmp_path).stdout == expected


@pytest.mark.parametrize(
    ("machine", "number"), [("x86_64", 62), ("aarch64", 183)], ids=["amd64", "arm64"]
)
def test_the_offline_zip_has_all_that_each_of_its_platforms_needs(
    offline, machine, number, tmp_path
):
    """Placed as for another machine; the processor stands in every library (``e_machine``)."""
    offline.alone(
        *("uv", "pip", "install", "--target", tmp_path / "lib", "--python", sys.executable),
        *("--python-platform", f"{machine}-manylinux_2_28", "--only-binary", ":all:"),
        *("--require-hashes", "-r", offline.lock),
        home=tmp_path,
    )
    heads = [path.read_bytes()[:20] for path in (tmp_path / "lib").rglob("*.so*")]
    assert len(heads) > 10
    assert {struct.unpack_from("<H", head, 18)[0] for head in heads} == {number}


def test_the_offline_zip_is_told_verified_and_not_built_twice(offline):
    told = offline.record()["zip"]["offline"]
    assert told == {"platforms": ["linux/amd64", "linux/arm64"], "glibc": "2.28"}
    before = offline.record()["zip"]["sha256"]
    said = offline.environment.mlpack("verify", offline.zip, cwd=offline.project).stdout
    assert said.startswith(f"{offline.zip.name}: the same, byte for byte: sha256:{before}")
    assert json.loads(offline.build().stdout)["unchanged"] is True
    # Another zip is another build; and back.
    commit = {"MLPACK_REVISION": "c" * 40}
    assert json.loads(offline.build("--locked", env=commit).stdout)["unchanged"] is False
    assert "offline" not in offline.record()["zip"]
    assert offline.zip.stat().st_size < 5_000_000
    # The commit is what the zip says, unless somebody says another.
    verify = ("verify", offline.zip)
    offline.environment.mlpack(*verify, cwd=offline.project)
    commit = {"MLPACK_REVISION": "d" * 40}
    other = offline.environment.mlpack(*verify, cwd=offline.project, env=commit, code=1)
    assert "provenance.intoto.json" in other.stderr
    assert json.loads(offline.build().stdout)["unchanged"] is False
    assert offline.record()["zip"]["sha256"] == before


def test_mlpacks_own_wheel_is_a_good_one():
    wheel = mlpack_wheel()
    run("check-wheel-contents", wheel)
    run("twine", "check", "--strict", wheel)
    held = subprocess.run(
        ["python3", "-m", "zipfile", "-l", wheel], capture_output=True, text=True, check=True
    ).stdout
    for name in (
        "mlpack/_templates/Dockerfile.base",
        "mlpack/_templates/common/",
        "mlpack/py.typed",
    ):
        assert name in held
