from dataclasses import replace

import pytest

from mlpack.cli.wiring import chosen_platforms, read_platforms
from mlpack.errors import InputError
from mlpack.lock import Lock

LOCK = Lock("i", "3.11", ("linux/amd64", "linux/arm64"), "uv", "onnx", "p", "d")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((), ()),
        (("linux/arm64",), ("linux/arm64",)),
        (("linux/arm64,linux/amd64",), ("linux/amd64", "linux/arm64")),
        (("linux/arm64", "linux/amd64, linux/arm64"), ("linux/amd64", "linux/arm64")),
    ],
)
def test_platforms_are_given_one_by_one_or_with_commas(given, expected):
    assert read_platforms(given) == expected


@pytest.mark.parametrize("word", ["linux/arm", "", "linux/amd64,", "windows/amd64", "arm64"])
def test_what_is_no_platform_is_refused_with_those_that_there_are(word):
    with pytest.raises(InputError, match="there is no platform") as refused:
        read_platforms((word,))
    assert "linux/a" in str(refused.value.hint)


def test_an_image_is_for_all_that_the_lock_is_for_unless_fewer_are_asked_for():
    assert chosen_platforms((), LOCK) == LOCK.platforms
    assert chosen_platforms(("linux/arm64",), LOCK) == ("linux/arm64",)


def test_a_platform_that_the_lock_is_not_for_is_refused_with_the_command_that_locks_it():
    with pytest.raises(InputError, match="for linux/amd64, not for linux/arm64") as refused:
        chosen_platforms(("linux/arm64",), replace(LOCK, platforms=("linux/amd64",)))
    assert refused.value.hint == "Run: mlpack lock --platform linux/amd64,linux/arm64"
