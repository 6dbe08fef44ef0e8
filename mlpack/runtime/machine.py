"""What this process may use: its container's CPUs and memory, and not the whole host's.

Linux tells in the files of control groups, version 2 (``cpu.max``, ``memory.max``) or version 1
(``cpu.cfs_quota_us``, ``memory.limit_in_bytes``); a limit may stand in any group above one's own.
See the kernel's documentation, admin-guide/cgroup-v2 and cgroup-v1.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, MutableMapping
from pathlib import Path, PurePosixPath

import msgspec

UNASKED = 4
"""At most so many workers where nothing says how many CPUs are meant for this process."""

SHARE = 0.8
"""The part of the memory that workers may have when they start; requests need the rest."""

_NO_LIMIT = 1 << 60
"""Version 1 has no word for it, but a number near 2**63."""

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Machine(msgspec.Struct, frozen=True):
    """What may be used.

    Attributes:
        cpus: CPU seconds a second; 1.5 is one and a half CPU.
        why: what says so.
        meant: whether a limit says so, and it is not just all that the host has.
        memory: bytes; None where there is no limit.
        memory_why: what says so.
    """

    cpus: float
    why: str
    meant: bool
    memory: int | None = None
    memory_why: str = ""

    @property
    def whole(self) -> int:
        """Whole CPUs, at least one."""
        return max(1, int(self.cpus))


class Choice(msgspec.Struct, frozen=True):
    """How a server is laid out: processes, threads of each, and why."""

    workers: int
    threads: int
    why: str


def read(root: Path = Path("/"), *, usable: int | None = None, there: int | None = None) -> Machine:
    """What this process may use.

    Args:
        root: where ``proc`` and ``sys`` are.
        usable: CPUs that the process may run on; as the system says by default.
        there: CPUs of the host; as the system says by default.
    """
    if usable is None:
        usable = _affinity()
    if there is None:
        there = os.cpu_count() or 1
    cpus, why, meant = float(usable), f"{usable} CPUs of the host", usable < there
    if meant:
        why = f"{usable} of {there} CPUs to run on"
    memory: int | None = None
    memory_why = ""
    for folder, version in _groups(root):
        quota = _quota_v2(folder) if version == 2 else _quota_v1(folder)
        if quota is not None and quota <= cpus:
            cpus, why, meant = quota, f"a quota of {quota:g} CPU{'s' * (quota != 1)}", True
        limit = _number(folder / ("memory.max" if version == 2 else "memory.limit_in_bytes"))
        if limit is not None and limit < min(_NO_LIMIT, memory or _NO_LIMIT):
            memory, memory_why = limit, f"a limit of {limit >> 20} MB"
    return Machine(cpus, why, meant, memory, memory_why)


def choose(machine: Machine, *, workers: int, threads: int, each: int) -> Choice:
    """How to lay out a server: one worker for each CPU, if the memory has room for them.

    Args:
        machine: what may be used.
        workers: how many are wanted; 0 for as many as are good.
        threads: of each worker; 0 likewise.
        each: the bytes that one worker has in memory; 0 if it is not known.
    """
    whole = machine.whole
    if workers:
        why = f"{workers} asked for"
    else:
        workers, why = whole, machine.why
        if not machine.meant and workers > UNASKED:
            workers, why = UNASKED, f"{why}, of which nothing says that they are meant for it"
        if machine.memory is not None and each:
            # One more process starts the workers, and has the model loaded at first.
            room = int(machine.memory * SHARE // each) - 1
            if room < workers:
                workers = max(1, room)
                why += f", and {machine.memory_why} with {each >> 20} MB a worker"
    return Choice(workers, threads or max(1, whole // workers), why)


def limit_threads(environ: MutableMapping[str, str], workers: int, machine: Machine) -> None:
    """Let the libraries of a pipeline take no more threads than there are CPUs for each worker.

    They ask for the host's cores, and hinder each other where a container has few of them. Works
    only before they are loaded, and where nothing else is set.
    """
    threads = max(1, machine.whole // workers) if workers else 1
    for name in _THREADS:
        environ.setdefault(name, str(threads))


def _affinity() -> int:
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS and Windows
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _groups(root: Path) -> Iterator[tuple[Path, int]]:
    """The folders of this process's control groups and of all above them, and their version."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        base = root / "sys/fs/cgroup"
        if controllers:
            if not {"cpu", "memory"} & set(controllers.split(",")):
                continue
            # In a container the groups' names may be the host's, and the folder just the mount.
            for name in dict.fromkeys((controllers, *controllers.split(","))):
                for folder in _upwards(base / name, path):
                    yield folder, 1
        else:
            for folder in _upwards(base, path):
                yield folder, 2


def _upwards(base: Path, path: str) -> Iterator[Path]:
    inner = PurePosixPath(path.lstrip("/"))
    if ".." in inner.parts:  # a group outside the container's own
        inner = PurePosixPath()
    yield base / inner
    if inner.parts:
        for parent in inner.parents:
            yield base / parent


def _quota_v2(folder: Path) -> float | None:
    """``cpu.max`` holds a quota, or ``max``, and a period."""
    words = _text(folder / "cpu.max").split()
    if len(words) != 2 or not all(word.isdigit() for word in words) or words[1] == "0":
        return None
    return int(words[0]) / int(words[1])


def _quota_v1(folder: Path) -> float | None:
    """A quota of -1 is none."""
    quota = _number(folder / "cpu.cfs_quota_us")
    period = _number(folder / "cpu.cfs_period_us")
    return quota / period if quota and period else None


def _number(path: Path) -> int | None:
    """The whole number in a file; None if it holds none, such as ``max`` or -1."""
    text = _text(path).strip()
    return int(text) if text.isdigit() else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
