"""Killed at every stage, two at once, a damaged cache, a mirror with other bytes, full disks.

Nothing wrong is emitted or kept: what lies in ``dist/`` is a whole build, each entry of the cache
is what its name says, and the next build gives the bytes of one that nothing happened to.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from disks import small_disk
from loopback import answering
from refusals import NAME, OUTSIDE, command, environ, mlpack, prepare, refusal, scraps, succeeded

EPOCH = {"SOURCE_DATE_EPOCH": "500000000"}
"""Another time than the prepared build's, so that nothing of it can be taken."""


class Ground:
    """A project, a cache and an index to build with; all of them copies.

    Attributes:
        project: where the build runs.
        cache: the user's.
    """

    def __init__(self, project: Path, cache: Path, base: Path, index: str | None = None) -> None:
        self.project = project
        self.cache = cache
        self.words = ["build", "--base", f"archive:{base}", "--no-load", "--json"]
        self.env = {**EPOCH, "MLPACK_CACHE": str(cache), **(from_index(index) if index else {})}

    def build(self, **more: str) -> dict[str, str]:
        """Build; the digest of each file in ``dist/``, which is what the record says."""
        succeeded(*self.words, cwd=self.project, env={**self.env, **more})
        return self.whole()

    def start(self, stderr=subprocess.DEVNULL) -> subprocess.Popen:
        """Begin to build, in a process group of its own."""
        return subprocess.Popen(
            command(*self.words), cwd=self.project, env=environ(self.env),
            stdout=subprocess.DEVNULL, stderr=stderr, start_new_session=True,
        )  # fmt: skip

    def refused(self, *says: str, **more: str) -> None:
        """Build, and be refused by something outside; ``dist/`` stays as it was."""
        before = self.whole()
        done = mlpack(*self.words, cwd=self.project, env={**self.env, **more})
        refusal(done, OUTSIDE, *says)
        assert self.whole() == before
        assert scraps(self.project) == scraps(self.cache) == []
        self.check_cache()

    def whole(self) -> dict[str, str]:
        """What lies in ``dist/`` by its digest: one build, all of it, as its record says."""
        dist = self.project / "dist"
        found = {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in dist.iterdir()
            if path.is_file()
        }
        for artifact in json.loads((dist / "build.json").read_bytes())["artifacts"].values():
            assert found[artifact["file"]] == artifact["sha256"], artifact["file"]
            for document in artifact.get("documents", ()):
                assert found[document["file"]] == document["sha256"], document["file"]
        assert not [name for name in found if name.startswith(".")]
        return found

    def check_cache(self) -> None:
        """Every blob has the digest that it is called by, every result that it begins with."""
        for path in (self.cache / "blobs").rglob("*"):
            if path.is_file() and not path.parent.name.endswith(".tmp"):
                assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
        for path in self.cache.glob("[a-z]*/*.told"):
            told, _, value = path.read_bytes().partition(b"\n")
            assert hashlib.sha256(value).hexdigest() == told.decode(), path.parent.name


def from_index(index: str) -> dict[str, str]:
    """Variables that let pip take everything from one index, and nothing from elsewhere."""
    cleared = {name: "" for name in os.environ if name.startswith(("PIP_", "UV_"))}
    return {
        **cleared, "PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": f"{index}/simple",
        "PIP_NO_CACHE_DIR": "1", "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1",
        "PIP_RETRIES": "1", "PIP_RESUME_RETRIES": "1",
    }  # fmt: skip


@pytest.fixture(scope="module")
def two(base, tmp_path_factory) -> tuple[Ground, Ground]:
    """Two copies of one project, built at once with one cache that was empty."""
    folder = tmp_path_factory.mktemp("two")
    grounds = []
    for name in ("one", "two"):
        project = shutil.copytree(prepare(base), folder / name / NAME)
        shutil.rmtree(project / ".mlpack")
        grounds.append(Ground(project, folder / "cache", base))
    running = [ground.start() for ground in grounds]
    assert [process.wait(300) for process in running] == [0, 0]
    return grounds[0], grounds[1]


@pytest.fixture
def ground(two, base, tmp_path) -> Ground:
    """A copy of a project that was built, with a copy of its cache."""
    project = shutil.copytree(two[0].project, tmp_path / NAME)
    cache = shutil.copytree(two[0].cache, tmp_path / "cache")
    (project / ".mlpack" / "build-state.json").unlink()
    return Ground(project, cache, base)


# Two builds at once


def test_two_builds_at_once_with_one_empty_cache_are_the_same(two):
    one, other = two
    assert one.whole() == other.whole()
    one.check_cache()
    assert scraps(one.cache) == scraps(one.project) == scraps(other.project) == []


def test_two_builds_of_one_project_at_once(ground):
    """Neither is in the other's way, though both export, and both write into ``dist/``."""
    before = ground.whole()
    shutil.rmtree(ground.project / ".mlpack")
    running = [ground.start() for _ in range(2)]
    assert [process.wait(300) for process in running] == [0, 0]
    assert ground.whole() == before
    assert scraps(ground.project) == []


# Killed


STAGES = (
    "Exporting and proving",
    "Packing the wheel",
    "Packing the zip",
    "Reading the base image",
    "Fetching the locked wheels",
    "Assembling the image",
)


def killed(ground: Ground, moment, said: Path) -> bool:
    """Kill a build and all that it started, when `moment` has come; whether it was in time."""
    with said.open("w") as err:
        process = ground.start(err)
    begun = time.monotonic()
    while process.poll() is None and not moment(said.read_text(), time.monotonic() - begun):
        time.sleep(0.005)
    in_time = process.poll() is None
    process.kill()
    process.wait()
    kill_orphans(ground.cache)
    return in_time


def kill_orphans(cache: Path) -> None:
    """Kill what still works in a cache, such as the compiling processes, and wait for its end."""
    deadline = time.monotonic() + 30
    while found := list(working_in(cache)):
        assert time.monotonic() < deadline
        for number in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        time.sleep(0.02)


def working_in(cache: Path) -> Iterator[int]:
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"{cache}/.scratch.".encode() in (folder / "cmdline").read_bytes():
                yield int(folder.name)


def test_a_build_that_is_killed_at_each_stage_and_in_between(ground, two, base, tmp_path):
    undisturbed = two[1].whole()
    # What is in dist/ is another build, so that it is seen when it is replaced.
    shutil.rmtree(ground.project / "dist")
    shutil.copytree(prepare(base) / "dist", ground.project / "dist")
    older = ground.whole()
    assert older != undisturbed
    shutil.rmtree(ground.project / ".mlpack" / "export")
    shutil.rmtree(ground.cache / "layers")
    shutil.rmtree(ground.cache / "python")
    for stage in STAGES:
        assert killed(ground, lambda said, _, stage=stage: stage in said, tmp_path / "said")
        assert ground.whole() == older
        ground.check_cache()
    # While layers are made and the archive is written.
    chance = random.Random(20)
    for _ in range(2):
        at = chance.uniform(1, 4)
        killed(ground, lambda _, seconds, at=at: seconds > at, tmp_path / "said")
        assert ground.whole() in (older, undisturbed)
        ground.check_cache()
    left = [*ground.project.glob(".mlpack/.built.*.tmp"), *ground.cache.glob(".scratch.*")]
    assert left
    for path in left:
        os.utime(path, (time.time() - 90_000,) * 2)
    # One that was to be killed may have been quicker: what is made already is not made again. Or
    # none came so far.
    shutil.rmtree(ground.cache / "layers", ignore_errors=True)
    shutil.rmtree(ground.project / "dist")
    shutil.copytree(prepare(base) / "dist", ground.project / "dist")
    assert ground.build() == undisturbed
    ground.check_cache()
    # What killed builds left is gone after the next one, when it is a day old.
    assert not [path for path in left if path.exists()]


# A damaged cache


def flip(path: Path) -> None:
    """Change one byte in the middle of a file."""
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))


def test_a_damaged_layer_is_made_again(ground, two):
    """Each kind of entry is damaged in tests/packagers/test_image_packager.py."""
    found = [
        json.loads(path.read_bytes().partition(b"\n")[2])["descriptor"]
        for path in (ground.cache / "layers").iterdir()
    ]
    model = min(found, key=lambda each: each["size"])
    flip(ground.cache / "blobs" / "sha256" / model["digest"].removeprefix("sha256:"))
    assert ground.build() == two[1].whole()
    ground.check_cache()


# An index that lies


class Mirror:
    """An index on loopback of the wheels that a cache holds.

    Attributes:
        url: of the index.
        how: what is done to one wheel of it: ``good``, ``other`` (a byte is another), ``cut`` (the
            connection ends in the middle), ``short`` (the second half is missing, and not told of).
    """

    def __init__(self, cache: Path) -> None:
        self.how = "good"
        self.wheels = {}
        for path in (cache / "wheels").iterdir():
            wheel = json.loads(path.read_bytes().partition(b"\n")[2])
            blob = cache / "blobs" / "sha256" / wheel["digest"].removeprefix("sha256:")
            self.wheels[wheel["file"]] = blob.read_bytes()
        self.changed = max(self.wheels, key=lambda name: len(self.wheels[name]))

    def bytes_of(self, name: str) -> bytes:
        data = self.wheels[name]
        if name != self.changed or self.how in ("good", "cut"):
            return data
        half = len(data) // 2
        return data[:half] + (b"" if self.how == "short" else b"?" + data[half + 1 :])

    @contextlib.contextmanager
    def running(self):
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_) -> None:
                pass

            def do_GET(self) -> None:
                name = self.path.strip("/").rpartition("/")[2]
                if self.path.startswith("/simple/"):
                    links = [
                        f'<a href="/files/{file}">{file}</a>'
                        for file in mirror.wheels
                        if file.split("-")[0].replace("_", "-").lower() == name
                    ]
                    self.answer("".join(links).encode(), "text/html")
                elif name in mirror.wheels:
                    self.answer(mirror.bytes_of(name), "application/zip", name)
                else:
                    self.send_error(404)

            def answer(self, data: bytes, kind: str, name: str = "") -> None:
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                cut = mirror.how == "cut" and name == mirror.changed
                self.wfile.write(data[: len(data) // 2] if cut else data)
                self.close_connection = cut

        with answering(Handler) as url:
            yield url


def test_an_index_that_gives_other_bytes_or_too_few(ground, two, tmp_path):
    mirror = Mirror(ground.cache)
    shutil.rmtree(ground.cache / "wheels")
    for data in mirror.wheels.values():
        (ground.cache / "blobs" / "sha256" / hashlib.sha256(data).hexdigest()).unlink()
    layers = set((ground.cache / "blobs" / "sha256").iterdir())
    with mirror.running() as url:
        ground.env |= from_index(url)
        for how, says in (("other", "other bytes"), ("short", "other bytes"), ("cut", "cut off")):
            mirror.how = how
            ground.refused(says)
            assert not (ground.cache / "wheels").exists()
            assert set((ground.cache / "blobs" / "sha256").iterdir()) == layers
        mirror.how = "good"
        # A temporary folder without space is in nobody's way.
        with small_disk(tmp_path / "full", "64k") as full:
            assert ground.build(TMPDIR=str(full)) == two[1].whole()
            assert list(full.iterdir()) == []
    ground.check_cache()


# Full disks


def test_a_full_disk_under_the_cache_while_layers_are_made(ground, tmp_path):
    shutil.rmtree(ground.cache / "layers")
    full = tmp_path / "full"
    kept = sum(path.stat().st_size for path in ground.cache.rglob("*") if path.is_file())
    with small_disk(full, str(kept + (4 << 20))) as cache:
        shutil.copytree(ground.cache, cache, dirs_exist_ok=True)
        ground.cache = cache
        ground.env["MLPACK_CACHE"] = str(cache)
        ground.refused("disk is full", "Free some space", SOURCE_DATE_EPOCH="300000000")
