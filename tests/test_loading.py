"""What is sent to an engine, by what it holds and by how it takes it."""

import tarfile

import pytest
from images import SLIM, image_of

from mlpack.errors import OutsideError
from mlpack.loading import load
from mlpack.oci.archive import write_archive
from mlpack.oci.source import Base

CALLED = ("churn", "1.2.0")


class Engine:
    """An engine that keeps layers by their chains, as moby does, and remembers what it was sent."""

    name = "an engine"

    def __init__(self, image, *held, thin=True, identity=None, broken=False):
        self.image, self.held, self.takes_thin, self.broken = image, held, thin, broken
        self.identity = identity or image.config_digest
        self.sent, self.asked = [], []

    def available(self):
        return True

    def platform(self):
        return "linux/amd64"

    def layers(self, images, label):
        self.asked.append((tuple(images), label))
        if self.broken:
            raise OutsideError("the list of images took too long")
        return self.held

    def load(self, archive):
        with tarfile.open(archive) as tar:
            names = {name for name in tar.getnames() if name.startswith("blobs/sha256/")}
        blobs = [f"blobs/sha256/{layer.descriptor.digest[7:]}" for layer in self.image.layers]
        self.sent.append(tuple(blob in names for blob in blobs))
        whole = all(self.sent[-1])
        if not (whole or self.takes_thin):
            raise OutsideError("no such file or directory")
        return self.image.config_digest if whole else self.identity


@pytest.fixture
def image(tmp_path):
    return image_of(tmp_path, SLIM, {"etc/x": b"x"}, {"etc/model": b"m"})


@pytest.fixture
def loaded(image, tmp_path):
    def run(engine, **more):
        below = image_of(tmp_path, SLIM)
        base = Base("archive:x", below.config_digest, below.config.rootfs.diff_ids, below)
        scratch = tmp_path / "scratch"
        scratch.mkdir()
        found = load(engine, image, CALLED, base, scratch, **more)
        assert engine.asked == [
            ((below.config_digest, "churn:1.2.0"), f"io.mlpack.base={base.digest}")
        ]
        return found

    return run


def test_an_engine_that_holds_nothing_of_it_gets_the_archive_that_is_there(image, loaded, tmp_path):
    whole = tmp_path / "churn-1.2.0.oci.tar"
    written = write_archive(image, whole, *CALLED)
    engine = Engine(image, ("sha256:other",), ())
    found = loaded(engine, whole=whole)
    assert (found.identity, found.sent) == (image.config_digest, written.size)
    assert engine.sent == [(True, True, True)]
    assert list((tmp_path / "scratch").iterdir()) == []


def test_without_an_archive_the_whole_is_written(image, loaded):
    engine = Engine(image)
    assert loaded(engine).identity == image.config_digest
    assert engine.sent == [(True, True, True)]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_what_some_image_begins_with_is_not_sent(image, loaded, count):
    diff_ids = image.config.rootfs.diff_ids
    others = [("sha256:other", *diff_ids[1:]), diff_ids[:1], (*diff_ids[:count], "sha256:other")]
    engine = Engine(image, *others)
    found = loaded(engine)
    assert engine.sent == [tuple(n >= count for n in range(3))]
    assert found.identity == image.config_digest


@pytest.mark.parametrize(
    "engine",
    [
        {"thin": False},  # Podman, containerd's images, a layer that went away meanwhile
        {"identity": "sha256:other"},
    ],
)
def test_an_engine_that_does_not_take_it_gets_the_whole(image, loaded, engine):
    made = Engine(image, image.config.rootfs.diff_ids[:2], **engine)
    found = loaded(made)
    assert made.sent == [(False, False, True), (True, True, True)]
    assert found.identity == image.config_digest


def test_an_engine_that_cannot_tell_what_it_holds_gets_the_whole(image, loaded):
    engine = Engine(image, image.config.rootfs.diff_ids, broken=True)
    assert loaded(engine).identity == image.config_digest
    assert engine.sent == [(True, True, True)]
