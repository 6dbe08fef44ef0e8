"""What a container's own Python is told to read."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mlpack.delivery.sampled import check, reading, space, whole
from mlpack.errors import InputError
from mlpack.runtime.settings import Settings


def read(path, most):
    words = reading(sys.executable, str(path), most)
    return subprocess.run(words, capture_output=True, check=True).stdout


@pytest.mark.parametrize(
    ("most", "kept"),
    [
        (None, b"1\n2\n3\n4\n5\n"),
        (10, b"1\n2\n3\n4\n5\n"),
        (5, b"\n4\n5\n"),
        (2, b"5\n"),
        (0, b""),
    ],
)
def test_the_last_of_what_was_sampled_comes_with_the_oldest_first(tmp_path, most, kept):
    path = tmp_path / "samples.jsonl"
    path.write_bytes(b"4\n5\n")
    (tmp_path / "samples.jsonl.1").write_bytes(b"2\n3\n")
    (tmp_path / "samples.jsonl.2").write_bytes(b"1\n")
    assert read(path, most) == kept


def test_where_nothing_was_sampled_nothing_comes(tmp_path):
    assert read(tmp_path / "samples.jsonl", 10) == b""


@pytest.mark.parametrize(
    ("said", "kept"), [(b"1\n2\n", b"1\n2\n"), (b"1\n2", b"1\n"), (b"1", b""), (b"", b"")]
)
def test_a_line_that_is_just_being_written_is_left_out(said, kept):
    assert whole(said) == kept


@pytest.mark.parametrize("path", ["", "/tmp/samples.jsonl", "/tmp/in/samples.jsonl"])
def test_samples_may_lie_where_a_container_can_write(path):
    check({"MLPACK_SAMPLE_FILE": path})


@pytest.mark.parametrize(
    "path", ["/var/samples", "/tmpx/samples", "/tmp", "/tmp/", "/tmp/../samples", "tmp/samples"]
)
def test_nowhere_else(path):
    with pytest.raises(InputError, match="below /tmp alone"):
        check({"MLPACK_SAMPLE_FILE": path})


ON = {"MLPACK_SAMPLE_FILE": "/tmp/samples.jsonl"}
MIB = 1 << 20


@pytest.mark.parametrize(
    ("env", "room"),
    [
        ({}, 0),
        ({"MLPACK_SAMPLE_MAX_BYTES": "7"}, 0),
        ({**ON, "MLPACK_SAMPLE_MAX_BYTES": str(3 * MIB)}, 3 * MIB),
        ({**ON, "MLPACK_SAMPLE_MAX_BYTES": str(3 * MIB + 1)}, 4 * MIB),
    ],
)
def test_they_have_room_in_whole_units(env, room):
    assert space(env) == room


@pytest.mark.parametrize("size", [None, "", "much", "²"])
def test_without_a_size_they_have_the_room_that_the_server_takes(size):
    env = ON if size is None else {**ON, "MLPACK_SAMPLE_MAX_BYTES": size}
    most = Settings().sample_max_bytes
    assert most <= space(env) < most + MIB
