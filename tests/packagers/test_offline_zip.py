"""The zip that brings all its wheels: built for others' machines, installed without a network."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from bundling import Remembering, onnx_bundle
from wheelhouse import sha256, wheel

from mlpack.comparing.described import describe
from mlpack.errors import InputError, OutsideError
from mlpack.lock import Pin
from mlpack.oci.cache import Cache
from mlpack.oci.offline import Supply, decode, encode, offline
from mlpack.packagers.zip import ZipPackager, zip_bytes
from mlpack.process import Completed

TOOLS = Path(sys.executable).parent
BOTH = ("linux/arm64", "linux/amd64")

PURE = wheel("helping", "1.5", {"helping/__init__.py": b"ready = True\n"})
AMD = wheel("native", "2.0", {"native/x": b"amd"}, tag="py3-none-manylinux_2_17_x86_64")
ARM = wheel("native", "2.0", {"native/x": b"arm"}, tag="py3-none-manylinux_2_28_aarch64")
NEWER = wheel("native", "2.0", {"native/x": b"new"}, tag="py3-none-manylinux_2_35_x86_64")


class Index:
    """pip, which takes the first wheel that is for what it is asked for."""

    def __init__(self, *wheels: tuple[str, bytes]) -> None:
        self.wheels = wheels
        self.runs = 0

    def __call__(self, argv, **_):
        self.runs += 1
        tags = [argv[n + 1] for n, word in enumerate(argv) if word == "--platform"]
        folder = Path(argv[argv.index("--dest") + 1])
        folder.mkdir()
        for line in Path(argv[argv.index("--requirement") + 1]).read_text().splitlines():
            name = line.partition("==")[0]
            for file, data in self.wheels:
                tag = file.removesuffix(".whl").rpartition("-")[2]
                if file.startswith(f"{name}-") and tag in (*tags, "any") and sha256(data) in line:
                    (folder / file).write_bytes(data)
                    break
            else:
                said = f"ERROR: No matching distribution found for {line.split()[0]}"
                return Completed(tuple(argv), 1, "", said)
        return Completed(tuple(argv), 0, "", "")


def pin(name, version, *wheels, marker=None):
    return Pin(name, version, tuple(sorted(sha256(data) for _, data in wheels)), marker)


PINS = (
    pin("helping", "1.5", PURE),
    pin("native", "2.0", NEWER, AMD, ARM, marker="sys_platform != 'win32'"),
)


def bundle(pins=PINS):
    lines = [
        f"{each.name}=={each.version}{f' ; {each.marker}' if each.marker else ''} \\\n"
        + " \\\n".join(f"    --hash={value}" for value in each.hashes)
        for each in pins
    ]
    requires = tuple(each.name for each in pins)
    return replace(onnx_bundle(), lock="\n".join(lines) + "\n", requires=requires)


def package(into, platforms=BOTH, glibc="2.28", index=None, pins=PINS):
    supply = Supply(
        offline(platforms, glibc),
        pins,
        Cache(into / "cache"),
        index or Index(NEWER, AMD, ARM, PURE),
    )
    artifact = ZipPackager(supply=supply).package(bundle(pins), into, Remembering())
    return artifact, into / artifact.file


def entries(path):
    with zipfile.ZipFile(path) as made:
        return {name: made.read(name) for name in made.namelist()}


def test_it_holds_the_wheels_of_its_platforms(tmp_path):
    artifact, path = package(tmp_path)
    files = entries(path)
    wheels = {name: data for name, data in files.items() if "/wheels/" in name}
    assert wheels == {f"churn-1.2.0/wheels/{name}": data for name, data in (PURE, AMD, ARM)}
    assert json.loads(files["churn-1.2.0/offline.json"]) == {
        "platforms": ["linux/amd64", "linux/arm64"],
        "glibc": "2.28",
    }
    assert artifact.offline == offline(BOTH, "2.28")
    assert (artifact.size, artifact.sha256) == (
        path.stat().st_size,
        sha256(path.read_bytes()).removeprefix("sha256:"),
    )
    lines = files["churn-1.2.0/requirements.lock.txt"].decode().splitlines()
    assert lines[1:4] == ["--no-index", "--find-links .", "--find-links wheels"]
    told = files["churn-1.2.0/README.md"].decode()
    assert "linux/amd64 or linux/arm64" in told
    assert "glibc 2.28 or later" in told


def test_the_rest_of_it_is_that_of_the_other_zip(tmp_path):
    """And a zip from the index has nothing of it."""
    files = entries(package(tmp_path)[1])
    with zipfile.ZipFile(io.BytesIO(zip_bytes(bundle()))) as made:
        others = {name: made.read(name) for name in made.namelist()}
    more = {"churn-1.2.0/offline.json"} | {name for name in files if "/wheels/" in name}
    assert set(others) == set(files) - more
    differ = {name.partition("/")[2] for name in others if others[name] != files[name]}
    assert differ == {"README.md", "requirements.lock.txt"}
    assert b"--no-index" not in others["churn-1.2.0/requirements.lock.txt"]


def test_fewer_platforms_and_another_c_library(tmp_path):
    files = entries(package(tmp_path, ("linux/amd64",), "2.36")[1])
    assert [name for name in files if "native" in name] == [f"churn-1.2.0/wheels/{NEWER[0]}"]


def test_its_bytes_are_the_same_again_whatever_the_cache_has(tmp_path):
    one = package(tmp_path / "one")[1].read_bytes()
    index = Index(NEWER, AMD, ARM, PURE)
    two = package(tmp_path / "two", BOTH[::-1], index=index)[1].read_bytes()
    again = package(tmp_path / "two", index=index)[1].read_bytes()
    assert one == two == again
    assert index.runs == 2  # once for each platform; then all is in the cache


def test_it_says_itself_what_to_build_again(tmp_path):
    _, path = package(tmp_path / "one", ("linux/arm64",), "2.31")
    said = describe(path)
    assert (said.kind, said.name, said.version) == ("zip", "churn", "1.2.0")
    assert (said.platforms, said.glibc) == (("linux/arm64",), "2.31")
    _, again = package(tmp_path / "two", said.platforms, said.glibc)
    assert again.read_bytes() == path.read_bytes()


def test_a_package_without_a_wheel_for_a_platform_is_told_with_the_choices(tmp_path):
    with pytest.raises(InputError, match=r"native 2\.0 has no wheel for linux/arm64") as refused:
        package(tmp_path / "both", index=Index(AMD, PURE))
    hint = str(refused.value.hint)
    assert "mlpack build --offline --platform linux/amd64\n" in hint
    assert "--glibc" in hint
    assert not list(tmp_path.rglob("*.zip"))
    with pytest.raises(InputError, match="linux/amd64") as refused:
        package(tmp_path / "one", ("linux/amd64",), index=Index(ARM, PURE))
    assert "--platform" not in str(refused.value.hint)


def test_other_bytes_than_the_lock_names_end_it(tmp_path):
    evil = (PURE[0], wheel("helping", "1.5", {"helping/__init__.py": b"evil = True\n"})[1])

    def lying(argv, **_):
        folder = Path(argv[argv.index("--dest") + 1])
        folder.mkdir()
        (folder / evil[0]).write_bytes(evil[1])
        return Completed(tuple(argv), 0, "", "")

    with pytest.raises(OutsideError, match="other bytes"):
        package(tmp_path, index=lying, pins=PINS[:1])
    assert not list(tmp_path.glob("*.zip"))


@pytest.mark.parametrize(
    "word", ["", "2", "3.1", "2.028", "2.28\n", "2.28 --index", "musl", "2.100"]
)
def test_what_is_no_c_library(word):
    with pytest.raises(InputError, match="no version of the GNU C library"):
        offline(BOTH, word)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"[]", b"\xff", b'{"platforms": "linux/amd64"}', b'{"platforms": [], "glibc": "2.28"}',
        b'{"platforms": ["linux/amd64"]}', b'{"platforms": ["windows/amd64"], "glibc": "2.28"}',
        b'{"platforms": ["linux/amd64"], "glibc": "2.28; rm"}',
        b'{"platforms": ["../../x"], "glibc": "2.28"}',
    ],
)  # fmt: skip
def test_an_offline_json_that_mlpack_did_not_write(data, tmp_path):
    with pytest.raises(InputError, match=r"offline\.json in it"):
        decode(data, "churn.zip")
    with zipfile.ZipFile(tmp_path / "churn-1.2.0.zip", "w") as made:
        made.writestr("churn-1.2.0/offline.json", data)
    with pytest.raises(InputError, match=r"offline\.json in it"):
        describe(tmp_path / "churn-1.2.0.zip")


def test_what_is_written_is_read():
    value = offline((*BOTH, *BOTH), "2.5")
    assert value.platforms == ("linux/amd64", "linux/arm64")
    assert decode(encode(value), "x") == value


@pytest.fixture
def unpacked(tmp_path):
    """A zip of packages for any machine, and an environment for it."""
    _, path = package(tmp_path, pins=PINS[:1])
    with zipfile.ZipFile(path) as made:
        made.extractall(tmp_path / "un packed")
    subprocess.run([TOOLS / "uv", "venv", "-q", "-p", sys.executable, tmp_path / "env"], check=True)
    return tmp_path / "un packed" / "churn-1.2.0"


def install(tool, lock, python, cwd):
    commands = {
        "pip": (sys.executable, "-m", "pip", "--python", python, "install"),
        "uv": (TOOLS / "uv", "pip", "install", "--python", python),
    }
    # Whoever asks an index gets no answer.
    nowhere = "http://127.0.0.1:1/simple"
    own = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "UV_"))}
    own |= {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": nowhere, "PIP_NO_CACHE_DIR": "1"}
    own |= {"UV_DEFAULT_INDEX": nowhere, "UV_NO_CONFIG": "1", "UV_NO_CACHE": "1"}
    return subprocess.run(
        [*map(str, commands[tool]), "-r", lock],
        check=False,
        cwd=cwd,
        capture_output=True,
        text=True,
        env=own,
    )


@pytest.mark.parametrize("tool", ["pip", "uv"])
def test_it_installs_from_any_folder_and_asks_no_index(unpacked, tool, tmp_path):
    cwd = tmp_path / "elsewhere"
    cwd.mkdir()
    python = tmp_path / "env" / "bin" / "python"
    lock = os.path.relpath(unpacked / "requirements.lock.txt", cwd)
    done = install(tool, lock, python, cwd)
    assert done.returncode == 0, done.stderr
    code = "from importlib.metadata import version as v; print(v('churn'), v('helping'))"
    said = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True)
    assert said.stdout.split() == ["1.2.0", "1.5"]


@pytest.mark.parametrize("tool", ["pip", "uv"])
def test_a_changed_wheel_in_it_is_refused(unpacked, tool, tmp_path):
    evil = wheel("helping", "1.5", {"helping/__init__.py": b"evil = True\n"})[1]
    (unpacked / "wheels" / PURE[0]).write_bytes(evil)
    python = tmp_path / "env" / "bin" / "python"
    done = install(tool, str(unpacked / "requirements.lock.txt"), python, tmp_path)
    assert done.returncode != 0
    assert "hash" in (done.stdout + done.stderr).lower()
