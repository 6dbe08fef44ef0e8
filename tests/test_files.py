"""Files written whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import posixpath
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpack.errors import InputError, OutsideError
from mlpack.files import (
    contained,
    disk_errors,
    one_at_a_time,
    read_text,
    scratch,
    sha256,
    sha256_file,
    sha256_of,
    staged,
    write,
    write_tree,
)


class BrokenError(Exception):
    """What a failing block raises."""


def half_written(target, failure, *, folder=False):
    with staged(target, folder=folder) as stage:
        (stage / "new.txt" if folder else stage).write_text("half")
        raise failure


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_a_written_file_has_the_bytes_and_nothing_lies_beside_it(tmp_path):
    write(tmp_path / "a" / "b.txt", "ä\r\nb\n")
    write(tmp_path / "a" / "c.bin", b"\x00\xff")
    assert (tmp_path / "a" / "b.txt").read_bytes() == "ä\r\nb\n".encode()
    assert (tmp_path / "a" / "c.bin").read_bytes() == b"\x00\xff"
    assert names(tmp_path) == ["a", "a/b.txt", "a/c.bin"]


@pytest.mark.parametrize("failure", [BrokenError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("before", [None, "old"])
def test_a_failing_block_leaves_a_file_as_it_was(tmp_path, before, failure):
    target = tmp_path / "file"
    if before is not None:
        target.write_text(before)
    with pytest.raises(failure):
        half_written(target, failure)
    assert names(tmp_path) == ([] if before is None else ["file"])
    assert read_text(target) == before


def test_a_file_that_the_block_did_not_write_leaves_the_target(tmp_path):
    target = tmp_path / "file"
    target.write_text("old")
    with pytest.raises(FileNotFoundError), staged(target):
        pass
    assert target.read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    target = tmp_path / "out"
    write_tree_at(target, {"old.txt": b"1", "in/deep.txt": b"2"})
    with staged(target, folder=True) as stage:
        assert list(stage.iterdir()) == []
        (stage / "new.txt").write_text("3")
    assert names(tmp_path) == ["out", "out/new.txt"]


@pytest.mark.parametrize("failure", [BrokenError, KeyboardInterrupt])
def test_a_failing_block_leaves_a_folder_as_it_was(tmp_path, failure):
    target = tmp_path / "out"
    write_tree_at(target, {"old.txt": b"1", "in/deep.txt": b"2"})
    with pytest.raises(failure):
        half_written(target, failure, folder=True)
    assert names(tmp_path) == ["out", "out/in", "out/in/deep.txt", "out/old.txt"]
    assert (target / "old.txt").read_bytes() == b"1"


def test_a_folder_that_cannot_be_moved_into_place_leaves_the_old_one(tmp_path):
    target = tmp_path / "out"
    write_tree_at(target, {"old.txt": b"1"})
    with pytest.raises(FileNotFoundError), staged(target, folder=True) as stage:
        stage.rmdir()
    assert names(tmp_path) == ["out", "out/old.txt"]


def test_two_who_put_the_same_folder_there_at_once(tmp_path):
    """The other one is in its place between the look and the move."""
    target = tmp_path / "out"
    with staged(target, folder=True) as stage:
        (stage / "ours.txt").write_text("1")
        with staged(target, folder=True) as other:
            (other / "theirs.txt").write_text("2")
    assert names(tmp_path) == ["out", "out/ours.txt"]


def test_many_put_a_folder_there_at_once(tmp_path):
    target = tmp_path / "out"

    def put(number):
        for _ in range(20):
            with staged(target, folder=True) as stage:
                (stage / "a.txt").write_text(str(number))
                (stage / "b.txt").write_text(str(number))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(put, range(4)))
    assert names(tmp_path) == ["out", "out/a.txt", "out/b.txt"]
    assert (target / "a.txt").read_text() == (target / "b.txt").read_text()


def test_one_at_a_time(tmp_path):
    inside, most, waited = [], [], []

    def work(number):
        with one_at_a_time(tmp_path / "in" / "lock", lambda: waited.append(number)):
            inside.append(number)
            most.append(len(inside))
            time.sleep(0.05)
            inside.remove(number)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, range(3)))
    assert most == [1, 1, 1]
    assert len(waited) == 2


def test_a_lock_of_a_killed_process_is_free(tmp_path):
    code = (
        "import sys, pathlib; from mlpack.files import one_at_a_time\n"
        "with one_at_a_time(pathlib.Path(sys.argv[1])): print('in', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "lock")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert holder.stdout.readline() == b"in\n"
    waited = []

    def kill():
        waited.append(True)
        holder.kill()

    with one_at_a_time(tmp_path / "lock", kill):
        assert waited == [True]
    holder.communicate()


def test_what_killed_processes_left_is_swept_when_it_is_old(tmp_path):
    for name in (".out.old.tmp", ".out.new.tmp", ".other.old.tmp"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "half").write_text("")
    for name in (".out.old.tmp", ".other.old.tmp"):
        os.utime(tmp_path / name, (0, time.time() - 90_000))
    with scratch(tmp_path, "out") as folder:
        assert folder.is_dir()
    assert names(tmp_path) == [
        ".other.old.tmp", ".other.old.tmp/half", ".out.new.tmp", ".out.new.tmp/half",
    ]  # fmt: skip


def write_tree_at(folder: Path, tree: dict[str, bytes]) -> None:
    folder.mkdir()
    write_tree(folder, tree)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_said_to_be_full(tmp_path, number):
    target = tmp_path / "model.joblib"
    target.write_text("old")
    with (
        pytest.raises(OutsideError, match=r"disk is full.*model\.joblib") as caught,
        staged(target),
    ):
        raise OSError(number, os.strerror(number))
    assert caught.value.where == str(target)
    assert "nothing is half-written" in caught.value.hint
    assert names(tmp_path) == ["model.joblib"]
    assert target.read_text() == "old"


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_a_folder_that_may_not_be_written_is_said_so(tmp_path, number):
    target = tmp_path / "file"
    with pytest.raises(OutsideError, match="may not write file: ") as caught, disk_errors(target):
        raise OSError(number, os.strerror(number))
    assert caught.value.where == str(tmp_path / "file")


def test_other_errors_of_the_system_stay_what_they_are(tmp_path):
    with pytest.raises(OSError, match="Input/output") as caught, staged(tmp_path / "file"):
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    assert not isinstance(caught.value, OutsideError)


segment = st.one_of(
    st.sampled_from(["", ".", "..", "...", "a", "b.txt", "C:", "c:x", "a:b", "x\\y", "\0", "~"]),
    st.text(max_size=4),
)
paths = st.one_of(st.lists(segment, max_size=5).map("/".join), st.text(max_size=12))


@given(paths)
def test_what_is_contained_stays_inside_by_the_systems_own_rules(name):
    try:
        kept = contained(name)
    except ValueError:
        return
    assert kept == name
    assert not posixpath.isabs(name)
    assert posixpath.normpath(name) == name  # nothing climbs, nothing is said twice
    assert posixpath.normpath(posixpath.join("/srv/here", name)).startswith("/srv/here/")
    assert "\\" not in name
    assert "\0" not in name
    # A drive letter, which would take a Windows path out of its root.
    assert name[1:2] != ":"


safe = st.text(st.characters(exclude_characters="/\\:\0", exclude_categories=["Cs"]), min_size=1)


@given(st.lists(safe.filter(lambda part: part not in (".", "..")), min_size=1, max_size=4))
def test_an_ordinary_path_is_contained(parts):
    assert contained("/".join(parts)) == "/".join(parts)


@pytest.mark.parametrize(
    "name",
    ["", "/etc/passwd", "../x", "a/../../x", "a//b", "a/", "./a", "C:/x", "C:x", "a\\b", "a\0"],
)
def test_a_path_that_could_leave_its_root_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match="is not a path inside its root"):
        contained(name)
    root = tmp_path / "root"
    root.mkdir()
    with pytest.raises(ValueError, match="is not a path inside its root"):
        write_tree(root, {name: b""})
    assert names(tmp_path) == ["root"]


@given(st.lists(st.tuples(st.text(max_size=6), st.binary(max_size=6)), max_size=4))
def test_no_two_lists_of_parts_have_the_same_digest(parts):
    assert sha256_of(parts) == sha256_of(list(parts))
    for other in (
        [*parts, ("", b"")],
        [(name, data + b"\0") for name, data in parts] + [("x", b"")],
        [("".join(name for name, _ in parts), b"".join(data for _, data in parts))],
    ):
        assert (sha256_of(other) == sha256_of(parts)) == (other == parts)


def test_digests_are_those_of_hashlib(tmp_path):
    data = os.urandom(2_500_000)  # more than two pieces
    (tmp_path / "file").write_bytes(data)
    assert sha256_file(tmp_path / "file") == sha256(data) == hashlib.sha256(data).hexdigest()


def test_text_is_read_without_its_mark_and_missing_files_are_none(tmp_path):
    (tmp_path / "marked").write_bytes(b"\xef\xbb\xbfname = 1\n")
    (tmp_path / "plain").write_text("ä", encoding="utf-8")
    assert read_text(tmp_path / "marked") == "name = 1\n"
    assert read_text(tmp_path / "plain") == "ä"
    assert read_text(tmp_path / "none") is None
    assert read_text(tmp_path / "plain" / "none") is None


@pytest.mark.parametrize("kind", ["a file", "a link to nothing"])
def test_what_is_no_folder_in_a_place_far_above_is_named(tmp_path, kind):
    taken = tmp_path / "cache"
    if kind == "a file":
        taken.write_text("mine")
    else:
        taken.symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="a file in the place of the folder cache") as caught:
        write(taken / "in" / "deep.txt", "")
    assert caught.value.where == str(taken)
    with pytest.raises(InputError, match="cache"), one_at_a_time(taken / "in" / "lock"):
        pass
    assert os.path.lexists(taken)


@pytest.mark.parametrize("folder", [False, True])
def test_a_name_that_no_disk_takes_is_told_shortened(tmp_path, folder):
    target = tmp_path / ("x" * 300)
    with pytest.raises(InputError, match=r"x{60}\.\.\. cannot lie there: File name too long"):
        half_written(target, BrokenError, folder=folder)
    assert names(tmp_path) == []
