"""What is in the cache, and what of it is removed."""

from __future__ import annotations

import os

import pytest

from mlpack.files import sha256
from mlpack.oci.cache import Cache
from mlpack.usecases.cache import BROKEN_OFF, Kind, clean, contents

NOW = 2_000_000_000.0
SIZE = 64 + 1 + 5
"""Of what is remembered: its digest, a line's end, itself."""


def made(path, age):
    os.utime(path, (NOW - age, NOW - age))


@pytest.fixture
def root(tmp_path):
    """A cache with an old and a new blob, something remembered, and what is not the cache's."""
    cache = Cache(tmp_path / "cache")
    for data, age in ((b"old" * 100, 900), (b"new" * 10, 10)):
        digest = f"sha256:{sha256(data)}"
        made(cache.add(digest, [data], "here"), age)
    cache.remember("layers", "a key", 12345)
    [entry] = (cache.root / "layers").iterdir()
    made(entry, 900)
    scratch = cache.root / ".scratch.abc"
    scratch.mkdir()
    (scratch / "part").write_bytes(b"x" * 7)
    made(scratch, 10 * 86_400)
    busy = cache.root / ".scratch.now"
    busy.mkdir()
    made(busy, 100)
    environment = cache.root / "environments" / ("0" * 16)
    environment.mkdir(parents=True)
    (environment / "python").write_bytes(b"x" * 11)
    made(environment, 900)
    (cache.root / "environments" / "mine").mkdir()
    (cache.root / "notes.txt").write_text("mine")
    (cache.root / "blobs" / "sha256" / "mine").write_text("mine")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / f"{'0' * 64}.told").write_text("precious")
    (cache.root / "linked").symlink_to(outside)
    (cache.root / "layers" / f"{'1' * 64}.told").symlink_to(outside / f"{'0' * 64}.told")
    return cache.root


def test_what_it_holds(root):
    assert contents(root).kinds == (
        Kind("blobs", 2, 330),
        Kind(BROKEN_OFF, 2, 7),
        Kind("environments", 1, 11),
        Kind("layers", 1, SIZE),
    )


def test_what_is_older_is_removed_and_nothing_else(root, tmp_path):
    found = clean(root, before=NOW - 500)
    assert found.removed == (
        Kind("blobs", 1, 300),
        Kind(BROKEN_OFF, 1, 7),
        Kind("environments", 1, 11),
        Kind("layers", 1, SIZE),
    )
    assert found.kinds == (Kind("blobs", 1, 30), Kind(BROKEN_OFF, 1, 0))
    assert (tmp_path / "outside" / f"{'0' * 64}.told").read_text() == "precious"


def test_all_of_it_is_removed_but_what_is_being_made_and_what_is_not_its_own(root, tmp_path):
    found = clean(root, before=NOW)
    assert [kind.name for kind in found.kinds] == [BROKEN_OFF]
    assert (root / ".scratch.now").is_dir()
    assert (root / "notes.txt").read_text() == "mine"
    assert (root / "environments" / "mine").is_dir()
    assert (root / "blobs" / "sha256" / "mine").is_file()
    assert (tmp_path / "outside" / f"{'0' * 64}.told").read_text() == "precious"


@pytest.mark.parametrize("there", [False, True])
def test_a_cache_that_is_not_there_holds_nothing(tmp_path, there):
    root = tmp_path / "none"
    if there:
        root.write_text("a file")
    assert contents(root).kinds == ()
    assert clean(root, before=NOW).removed == ()
