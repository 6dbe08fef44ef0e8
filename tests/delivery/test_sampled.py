"""What a container's own Python is told to read."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mlpack.delivery.sampled import reading, whole


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
