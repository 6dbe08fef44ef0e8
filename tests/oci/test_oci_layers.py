import gzip
import io
import random
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpack.oci.layers import EPOCH, Entry, compress, write_layer
from mlpack.oci.values import digest_of

FILES = {
    "app/lib/b.py": Entry(b"b = 1\n"),
    "app/lib/a/__init__.py": Entry(b""),
    "app/bin/run": Entry(b"#!/bin/true\n", executable=True),
}


def opened(path):
    return tarfile.open(fileobj=io.BytesIO(gzip.decompress(path.read_bytes())))


def test_what_an_unpacker_sees(tmp_path):
    written = write_layer(FILES, EPOCH, tmp_path / "layer")
    with opened(tmp_path / "layer") as tar:
        members = tar.getmembers()
        assert [item.name for item in members] == [
            "app", "app/bin", "app/bin/run", "app/lib", "app/lib/a", "app/lib/a/__init__.py",
            "app/lib/b.py",
        ]  # fmt: skip
        assert {(item.uid, item.gid, item.uname, item.gname) for item in members} == {
            (0, 0, "", "")
        }
        assert {item.mtime for item in members} == {315532800}
        modes = {item.name: item.mode for item in members}
        assert modes["app/bin/run"] == modes["app"] == 0o755
        assert modes["app/lib/b.py"] == 0o644
        assert tar.extractfile("app/lib/b.py").read() == b"b = 1\n"
    blob = (tmp_path / "layer").read_bytes()
    assert written.digest == digest_of(blob)
    assert written.size == len(blob)
    assert written.diff_id == digest_of(gzip.decompress(blob))
    assert written.unpacked == sum(len(entry.data) for entry in FILES.values())


def test_the_bytes_never_change(tmp_path):
    """A golden digest: another Python, order, folder or year must not change it."""
    first = write_layer(FILES, EPOCH, tmp_path / "one")
    second = write_layer(dict(reversed(FILES.items())), EPOCH, tmp_path / "two")
    assert first == second
    golden = "sha256:51cf20b79a163c2ef93dce830b395d67af7fd3790fe0f339ffffb48bae50584f"
    assert first.diff_id == golden
    assert (tmp_path / "one").read_bytes()[:10] == bytes.fromhex("1f8b08000000000000ff")


def test_the_number_of_threads_does_not_matter(tmp_path):
    data = b"".join(i.to_bytes(4, "big") * 3 for i in range(400_000))
    files = {"a": Entry(data), "b": Entry(data[::-1])}
    results = [write_layer(files, EPOCH, tmp_path / str(n), threads=n) for n in (1, 2, 5)]
    assert results[0] == results[1] == results[2]
    with opened(tmp_path / "5") as tar:
        assert tar.extractfile("b").read() == data[::-1]


def test_the_time_is_the_epochs(tmp_path):
    write_layer(FILES, 1_700_000_000, tmp_path / "layer")
    with opened(tmp_path / "layer") as tar:
        assert {item.mtime for item in tar} == {1_700_000_000}


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../b", "a//b", "", "a\\b", "./a"])
def test_a_path_that_leads_outside(tmp_path, name):
    with pytest.raises(ValueError, match="not a path inside"):
        write_layer({name: Entry(b"")}, EPOCH, tmp_path / "layer")


def test_a_file_that_is_a_folder_too(tmp_path):
    with pytest.raises(ValueError, match="a file and a folder"):
        write_layer({"a": Entry(b""), "a/b": Entry(b"")}, EPOCH, tmp_path / "layer")


_PART = st.text(
    st.characters(blacklist_characters="/\\:\0", blacklist_categories=("Cs",)), min_size=1
).filter(lambda part: part not in (".", ".."))
_NAME = st.lists(_PART, min_size=1, max_size=6).map("/".join)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(_NAME, st.binary(max_size=2000), max_size=6))
def test_whatever_goes_in_comes_out(tmp_path_factory, files):
    folders = {"/".join(name.split("/")[: n + 1]) for name in files for n in range(name.count("/"))}
    if folders & set(files):
        return
    path = tmp_path_factory.mktemp("any") / "layer"
    write_layer({name: Entry(data) for name, data in files.items()}, EPOCH, path)
    with opened(path) as tar:
        found = {item.name: tar.extractfile(item).read() for item in tar if item.isfile()}
    assert found == files


@settings(max_examples=25, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 20000))
def test_compressed_tars_decompress(tmp_path_factory, seed, times):
    data = seed * times
    path = tmp_path_factory.mktemp("any") / "layer"
    done = compress(io.BytesIO(data), path, threads=2)
    assert gzip.decompress(path.read_bytes()) == data
    assert done.diff_id == digest_of(data)


class Pieces:
    """Keeps compressed pieces."""

    def __init__(self):
        self.kept, self.found = {}, 0

    def recall(self, key):
        self.found += key in self.kept
        return self.kept.get(key)

    def remember(self, key, piece):
        self.kept[key] = piece


def package(path):
    return path.removeprefix("app/lib/").partition("/")[0]


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_what_is_kept_changes_no_byte_and_another_package_leaves_the_others(tmp_path, compression):
    chance = random.Random(1)
    files = {
        f"app/lib/{name}/{number}.py": Entry(bytes(chance.choices(b"abcd \n", k=40_000 * number)))
        for name in ("one", "two", "three", "four")
        for number in range(1, 9)
    }

    def written(files, threads, known):
        out = tmp_path / "layer"
        return write_layer(files, EPOCH, out, threads, compression, package, known)

    plain = written(files, 2, None)
    pieces = Pieces()
    assert written(files, 1, pieces) == plain
    made = len(pieces.kept)
    assert pieces.found == 0
    assert written(files, 3, pieces) == plain
    assert pieces.found == made == len(pieces.kept)
    other = {**files, "app/lib/three/1.py": Entry(b"another\n")}
    changed = written(other, 2, pieces)
    assert changed != plain
    assert len(pieces.kept) - made <= 2, "of the package that changed alone"
    assert changed == written(other, 1, None)
