"""What a container may use, and how a server is laid out on it."""

from __future__ import annotations

import os

import pytest

from mlpack.runtime.machine import UNASKED, Machine, choose, limit_threads, read

MB = 1 << 20


def files(root, **texts):
    """Files by path, in which a slash is two underscores and a dot one."""
    for name, text in texts.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def v2(root, groups: str, **limits):
    files(root, **{"proc/self/cgroup": f"0::{groups}\n"})
    return files(root, **{f"sys/fs/cgroup/{path}": text for path, text in limits.items()})


def test_version_2_in_a_container(tmp_path):
    root = v2(tmp_path, "/", **{"cpu.max": "150000 100000\n", "memory.max": "268435456\n"})
    found = read(root, usable=8, there=8)
    assert (found.cpus, found.meant, found.memory) == (1.5, True, 256 * MB)
    assert (found.why, found.memory_why) == ("a quota of 1.5 CPUs", "a limit of 256 MB")
    assert found.whole == 1


def test_version_2_takes_the_least_of_all_groups_above(tmp_path):
    root = v2(
        tmp_path,
        "/pods/one/main",
        **{
            "pods/one/main/cpu.max": "max 100000\n",
            "pods/one/main/memory.max": "max\n",
            "pods/one/cpu.max": "200000 100000\n",
            "pods/one/memory.max": f"{512 * MB}\n",
            "pods/cpu.max": "1600000 100000\n",
            "pods/memory.max": f"{4096 * MB}\n",
        },
    )
    found = read(root, usable=16, there=16)
    assert (found.cpus, found.memory) == (2, 512 * MB)


@pytest.mark.parametrize("controllers", ["cpu,cpuacct", "cpu"])
@pytest.mark.parametrize("inside", [True, False])
def test_version_1(tmp_path, controllers, inside):
    # In a container the group's name is the host's, and the folder is the group's own.
    group = "docker/abc/" if inside else ""
    files(
        tmp_path,
        **{
            "proc/self/cgroup": f"4:memory:/docker/abc\n2:{controllers}:/docker/abc\n1:pids:/\n",
            f"sys/fs/cgroup/cpu/{group}cpu.cfs_quota_us": "300000\n",
            f"sys/fs/cgroup/cpu/{group}cpu.cfs_period_us": "100000\n",
            f"sys/fs/cgroup/memory/{group}memory.limit_in_bytes": f"{300 * MB}\n",
            "sys/fs/cgroup/pids/pids.max": "1\n",
        },
    )
    found = read(tmp_path, usable=4, there=4)
    assert (found.cpus, found.memory) == (3, 300 * MB)


def test_version_1_without_limits(tmp_path):
    files(
        tmp_path,
        **{
            "proc/self/cgroup": "4:memory:/\n2:cpu:/\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        },
    )
    assert read(tmp_path, usable=4, there=4) == Machine(4, "4 CPUs of the host", meant=False)


def test_a_quota_of_the_whole_host_is_meant(tmp_path):
    root = v2(tmp_path, "/", **{"cpu.max": "800000 100000\n"})
    found = read(root, usable=8, there=8)
    assert (found.meant, found.why) == (True, "a quota of 8 CPUs")


def test_a_quota_beyond_the_host_is_none(tmp_path):
    root = v2(tmp_path, "/", **{"cpu.max": "1000000 100000\n"})
    assert read(root, usable=2, there=2).cpus == 2


def test_cpus_to_run_on(tmp_path):
    found = read(tmp_path, usable=3, there=64)
    assert (found.cpus, found.meant) == (3, True)
    assert found.why == "3 of 64 CPUs to run on"


@pytest.mark.parametrize(
    ("name", "text"),
    [("cpu.max", "100000 0"), ("cpu.max", ""), ("cpu.max", "x y"), ("memory.max", "é")],
)
def test_what_cannot_be_read_is_no_limit(tmp_path, name, text):
    found = read(v2(tmp_path, "/", **{name: text}), usable=2, there=2)
    assert (found.cpus, found.memory) == (2, None)


def test_a_group_outside_of_the_container_leads_nowhere(tmp_path):
    v2(tmp_path / "root", "/../../..", **{"cpu.max": "100000 100000"})
    files(tmp_path, **{"cpu.max": "50000 100000"})
    assert read(tmp_path / "root", usable=4, there=4).cpus == 1


def test_this_machine():
    found = read()
    assert 0 < found.cpus <= (os.cpu_count() or 1)
    assert found.memory is None or found.memory > 10 * MB


def laid_out(machine: Machine, workers: int = 0, threads: int = 0, each: int = 0):
    found = choose(machine, workers=workers, threads=threads, each=each)
    return found.workers, found.threads


FOUR = Machine(4.0, "a quota of 4 CPUs", meant=True)


def test_one_worker_for_each_cpu():
    assert laid_out(FOUR) == (4, 1)
    assert laid_out(Machine(2.9, "a quota", meant=True)) == (2, 1)
    assert laid_out(Machine(0.5, "a quota", meant=True)) == (1, 1)


def test_what_was_asked_for_holds():
    assert laid_out(FOUR, workers=2) == (2, 2)
    assert laid_out(FOUR, workers=1) == (1, 4)
    assert laid_out(FOUR, workers=9, threads=3) == (9, 3)


def test_a_host_of_many_cpus_is_not_all_taken():
    many = Machine(96.0, "96 CPUs of the host", meant=False)
    assert laid_out(many) == (UNASKED, 96 // UNASKED)
    assert "nothing says" in choose(many, workers=0, threads=0, each=0).why
    assert laid_out(Machine(96.0, "a quota", meant=True)) == (96, 1)


def test_memory_bounds_the_workers():
    small = Machine(4.0, "a quota of 4 CPUs", True, 400 * MB, "a limit of 400 MB")
    found = choose(small, workers=0, threads=0, each=100 * MB)
    assert (found.workers, found.threads) == (2, 2)  # 320 MB: two, and who starts them
    assert found.why == "a quota of 4 CPUs, and a limit of 400 MB with 100 MB a worker"
    assert laid_out(small, each=1000 * MB) == (1, 4)
    assert laid_out(small, workers=4, each=1000 * MB) == (4, 1)
    assert laid_out(small, each=10 * MB) == (4, 1)


def test_libraries_take_no_more_threads_than_there_are():
    environ = {"OMP_NUM_THREADS": "7"}
    limit_threads(environ, 2, FOUR)
    assert environ == {
        "OMP_NUM_THREADS": "7",
        "OPENBLAS_NUM_THREADS": "2",
        "MKL_NUM_THREADS": "2",
    }
    automatic: dict[str, str] = {}
    limit_threads(automatic, 0, FOUR)
    assert set(automatic.values()) == {"1"}
