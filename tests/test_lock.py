from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpack import lock as lock_file
from mlpack.errors import InputError
from mlpack.lock import BaseImage, Lock, PlatformBase, dumps, loads, with_base

LOCK = Lock(
    inputs="a" * 64,
    python="3.11",
    platforms=("linux/amd64", "linux/arm64"),
    resolver="uv",
    form="onnx",
    prod="b" * 64,
    dev="c" * 64,
)
texts = st.text(st.characters(exclude_categories=["Cs"]))
locks = st.builds(
    Lock,
    inputs=texts,
    python=texts,
    platforms=st.lists(texts).map(tuple),
    resolver=texts,
    form=st.sampled_from(["onnx", "hybrid", "python"]),
    prod=texts,
    dev=texts,
    imports=st.lists(texts).map(tuple),
    base=st.none()
    | st.builds(
        BaseImage,
        reference=texts,
        digest=texts.filter(bool),
        layers=st.lists(texts).map(tuple),
    )
    | st.builds(
        BaseImage,
        reference=texts,
        platforms=st.dictionaries(
            texts, st.builds(PlatformBase, digest=texts, layers=st.lists(texts).map(tuple))
        ),
    ),
)


@given(locks)
def test_what_is_written_is_read(lock):
    assert loads(dumps(lock)) == lock


@given(st.text())
def test_any_text_is_a_lock_or_a_clear_error(text):
    with pytest.raises(InputError):
        loads(text)


def test_the_file_is_read_and_written_whole(tmp_path):
    path = tmp_path / "mlpack.lock"
    assert lock_file.read(path) is None
    base = BaseImage("docker.io/library/python:3.11-slim", "sha256:" + "d" * 64)
    lock_file.write(path, with_base(LOCK, base))
    assert lock_file.read(path) == with_base(LOCK, base)
    assert with_base(lock_file.read(path), None) == LOCK
    assert [entry.name for entry in tmp_path.iterdir()] == ["mlpack.lock"]


BAD = {
    "not TOML": ("<<<<<<< HEAD\n" + dumps(LOCK), "damaged"),
    "cut off": (dumps(LOCK)[:60], "damaged"),
    "without a format": (dumps(LOCK).replace("format = 1\n", ""), "no format version"),
    "a field is missing": (dumps(LOCK).replace('prod = "' + "b" * 64 + '"\n', ""), "prod"),
    "a field of another type": (dumps(LOCK).replace('"3.11"', "3.11"), "python"),
    "an unknown form": (dumps(LOCK).replace('"onnx"', '"pickle"'), "form"),
    "a newer format": (dumps(LOCK).replace("format = 1", "format = 2"), "has format 2"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_damaged_lock_is_an_input_error(case):
    text, said = BAD[case]
    with pytest.raises(InputError, match=said) as caught:
        loads(text)
    assert caught.value.where == "mlpack.lock"
    assert caught.value.hint


def test_bytes_that_are_no_text_are_an_input_error(tmp_path):
    (tmp_path / "mlpack.lock").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not text"):
        lock_file.read(tmp_path / "mlpack.lock")


ONE, TWO = ("linux/amd64",), ("linux/amd64", "linux/arm64")
LAYERED = BaseImage("archive:x", "sha256:1", ("sha256:2",))


def test_a_base_that_is_known_by_its_layers_belongs_to_a_platform():
    more = LAYERED.for_platforms(ONE, TWO)
    assert more.on("linux/amd64") == LAYERED
    assert more.on("linux/arm64") is None
    assert more.for_platforms(TWO, TWO) == more
    assert more.for_platforms(TWO, ONE) == LAYERED
    assert more.for_platforms(TWO, TWO[1:]).on("linux/arm64") is None


def test_a_base_of_a_registry_is_the_same_for_every_platform():
    base = BaseImage("docker.io/library/python:3.11-slim", "sha256:1")
    assert base.for_platforms(ONE, TWO) == base
    assert base.on("linux/amd64") == base.on("linux/arm64") == base
