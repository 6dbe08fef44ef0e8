"""Full disks, and builds that are broken off: nothing half-written, no process left behind."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
import uuid
from pathlib import Path

import pytest
from disks import small_disk
from refusals import (
    INTERRUPTED,
    NAME,
    OUTSIDE,
    WRONG,
    command,
    environ,
    mlpack,
    prepare,
    refusal,
    scraps,
    succeeded,
    tree,
)

from mlpack.oci.cache import default_root

MARK = "MLPACK_TEST_MARK"


@pytest.fixture(scope="module")
def prepared(base):
    return prepare(base)


@pytest.fixture
def project(prepared, tmp_path):
    """A project that was built."""
    return shutil.copytree(prepared, tmp_path / NAME)


@pytest.fixture
def build(base):
    """The words of a build."""
    return ["build", "--base", f"archive:{base}", "--no-load"]


# Full disks


def full(project: Path, build, env=None) -> None:
    before = tree(project)
    done = mlpack(*build, cwd=project, env=env)
    refusal(done, OUTSIDE, "disk is full", "Free some space")
    assert tree(project) == before
    assert scraps(project) == []


def test_a_full_disk_under_dist(project, build):
    """The last build stays as it was."""
    kept = shutil.move(project / "dist", project.parent / "kept")
    with small_disk(project / "dist", "1m"):
        shutil.copy(Path(kept) / "build.json", project / "dist")
        full(project, build)
    succeeded(*build, cwd=project)


@pytest.mark.parametrize("size", ["16k", "1m"])
def test_a_full_disk_under_what_can_be_made_again(project, build, size):
    """Full when the export is written, and when the image is."""
    shutil.rmtree(project / ".mlpack")
    with small_disk(project / ".mlpack", size):
        full(project, build)
    succeeded(*build, cwd=project)


def test_a_full_disk_under_the_cache(project, build, tmp_path):
    with small_disk(tmp_path / "cache", "1m") as cache:
        full(project, [*build, "--only", "image"], {"MLPACK_CACHE": str(cache)})
        assert scraps(cache) == []


def test_a_folder_that_may_not_be_written(project, build):
    (project / "dist").rename(project / "kept")
    (project / "dist").write_text("no folder")
    before = tree(project)
    done = mlpack(*build, cwd=project)
    refusal(done, WRONG, "dist", "Move it away")
    assert tree(project) == before


# Broken off


class Build:
    """A build that runs, in a process group of its own as a terminal would give it."""

    def __init__(self, project: Path, words, env=None) -> None:
        self.project = project
        self.mark = uuid.uuid4().hex
        self.seen = set()
        self.stderr = project.parent / "stderr"
        with self.stderr.open("w") as err:
            self.process = subprocess.Popen(
                command(*words),
                cwd=project,
                env=environ({MARK: self.mark, **(env or {})}),
                stdout=subprocess.PIPE,
                stderr=err,
                text=True,
                start_new_session=True,
            )

    def family(self) -> list[int]:
        """The processes that this build started and that still run; itself is left out."""
        parents = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                # After the name, which is in brackets: state, parent, ..., time of the start.
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                number = int(folder.name)
                if fields[0] != "Z":
                    parents[number] = (int(fields[1]), fields[19])
                if f"{MARK}={self.mark}".encode() in (folder / "environ").read_bytes():
                    self.seen.add((number, fields[19]))
        known = {self.process.pid}
        for number, (parent, start) in sorted(parents.items()):
            if parent in known:
                known.add(number)
                self.seen.add((number, start))
        living = {(number, start) for number, (_, start) in parents.items()}
        return [number for number, _ in self.seen & living if number != self.process.pid]

    def wait_for(self, moment, seconds=120) -> None:
        """Wait until `moment` has come; the build still runs then."""
        deadline = time.monotonic() + seconds
        while not moment(self):
            assert self.process.poll() is None, self.stderr.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def tell(self, number) -> int:
        """Signal the whole group, as a terminal does, or the process alone; the exit code."""
        if number == signal.SIGINT:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)
        return self.process.wait(60)


def at_once(build: Build) -> bool:
    """The worker has just been started."""
    return bool(build.family())


def exporting(build: Build) -> bool:
    """The worker has begun to load the model."""
    return any((build.project / ".mlpack" / "export").glob(".*.tmp/*"))


def proving(build: Build) -> bool:
    """The worker is at work for a while."""
    if not exporting(build):
        return False
    time.sleep(0.6)  # all of it takes a second and a half on a quick machine
    return True


def assembling(build: Build) -> bool:
    """The wheel and the zip are there, the image is in the making."""
    return any((build.project / ".mlpack").glob(".built.*.tmp/*.zip")) and (
        "Fetching the locked wheels" in build.stderr.read_text()
    )


def compiling(build: Build) -> bool:
    """A process of the image's dependencies is running."""
    return assembling(build) and bool(build.family())


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks processes up in /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("moment", [at_once, exporting, proving, assembling, compiling])
def test_a_build_that_is_broken_off(project, build, moment, number):
    image = moment in (assembling, compiling)
    if not image:
        shutil.rmtree(project / ".mlpack")
    before = tree(project)
    if moment is compiling:  # what was compiled before would be taken
        shutil.rmtree(default_root(os.environ, Path.home()) / "bytecode", ignore_errors=True)
    # Another time in the image, and everything in its layers is made anew.
    env = {"SOURCE_DATE_EPOCH": str(500_000_000 + time.time_ns() % 100_000_000)}
    running = Build(project, build, env if image else None)
    running.wait_for(moment)
    code = running.tell(number)
    said = running.stderr.read_text()
    assert code == INTERRUPTED, said
    assert running.process.stdout.read() == ""
    assert "Traceback" not in said
    assert "interrupted" in said
    assert tree(project) == before
    assert scraps(project) == []
    assert running.family() == []


def test_the_next_build_after_one_that_was_killed(project, build):
    """SIGKILL leaves no chance to tidy up; still dist/ is as it was, and building goes on."""
    shutil.rmtree(project / ".mlpack")
    before = tree(project)
    running = Build(project, build)
    running.wait_for(proving)
    assert running.tell(signal.SIGKILL) == -signal.SIGKILL
    assert tree(project) == before
    again = json.loads(succeeded(*build, "--json", cwd=project).stdout)
    assert again["artifacts"].keys() == {"wheel", "zip", "image"}
    assert scraps(project / "dist") == []
    deadline = time.monotonic() + 30
    while running.family():
        assert time.monotonic() < deadline, "a worker lives on without its build"
        time.sleep(0.1)
