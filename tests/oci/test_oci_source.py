from dataclasses import replace
from pathlib import Path

import pytest
from images import SLIM, image_of
from scripted_registry import serve

from mlpack.container import base_image
from mlpack.errors import InputError, OutsideError
from mlpack.lock import BaseImage, PlatformBase
from mlpack.oci.archive import write_archive
from mlpack.oci.cache import Cache, default_root
from mlpack.oci.layout import write_layout
from mlpack.oci.registry import connect
from mlpack.oci.source import open_base, open_bases
from mlpack.oci.values import INDEX, make_multi_image


class Engine:
    """An engine with one image."""

    def __init__(self, image):
        self.image = image
        self.saved = 0

    def image_id(self, name):
        return self.image.config_digest

    def save(self, name, into):
        self.saved += 1
        write_archive(self.image, into, "x", "1")


@pytest.fixture
def image(tmp_path):
    return image_of(tmp_path, SLIM)


@pytest.fixture
def opened(image, tmp_path):
    cache = Cache(tmp_path / "cache")
    write_layout(image, tmp_path / "layout", "1.0")
    write_archive(image, tmp_path / "base.tar", "base", "1.0")
    engine = Engine(image)

    def open_it(reference, locked=None, platform="linux/amd64", engine=engine):
        return open_base(
            reference, platform, cache, root=tmp_path, engine=engine, locked=locked,
            puller=lambda found: connect(found, None, sleep=lambda _: None),
        )  # fmt: skip

    open_it.engine = engine
    return open_it


LOCAL = ["oci:layout", "oci:layout:1.0", "archive:base.tar", "docker:base:1.0"]


@pytest.mark.parametrize("reference", LOCAL)
def test_a_local_base_is_known_by_its_configuration_and_layers(opened, image, reference):
    base = opened(reference)
    assert base.digest == image.config_digest
    assert base.layers == image.config.rootfs.diff_ids
    assert base.name is None
    with base.image.layers[0].open() as ours, image.layers[0].open() as theirs:
        assert ours.read() == theirs.read()
    assert opened(reference, base_image(base)).digest == base.digest


@pytest.mark.parametrize("reference", LOCAL)
def test_a_local_base_that_changed_is_refused(opened, reference):
    locked = base_image(opened(reference))
    for wrong in (replace(locked, digest="sha256:" + "0" * 64), replace(locked, layers=())):
        with pytest.raises(InputError, match="not the one that was locked") as refused:
            opened(reference, wrong)
        assert "mlpack lock --upgrade-base" in str(refused.value.hint)


def test_a_registrys_base_is_known_by_its_manifest_and_may_move(opened, image, tmp_path):
    with serve() as registry:
        registry.put_image("bases/python", "3.11", image)
        reference = f"{registry.host}/bases/python:3.11"
        base = opened(reference)
        assert (base.digest, base.layers, base.name) == (image.digest, (), reference)
        locked = base_image(base)
        newer = image_of(tmp_path, SLIM, {"etc/newer": b""})
        registry.put_image("bases/python", "3.11", newer)
        assert opened(reference, locked).image.digest == image.digest
        assert opened(reference).digest == newer.digest
        gone = replace(locked, digest="sha256:" + "0" * 64)
        with pytest.raises(OutsideError, match="has no image") as refused:
            opened(reference, gone)
        assert "--upgrade-base" in str(refused.value.hint)


def test_a_lock_for_another_base(opened):
    locked = BaseImage("docker.io/library/python:3.11-slim", "sha256:" + "0" * 64)
    with pytest.raises(InputError, match="made for the base image") as refused:
        opened("oci:layout", locked)
    assert "--upgrade-base" in str(refused.value.hint)


def test_a_digest_in_the_reference_and_another_in_the_lock(opened):
    reference = "python@sha256:" + "1" * 64
    with pytest.raises(InputError, match="another digest than the lock"):
        opened(reference, BaseImage(reference, "sha256:" + "2" * 64))


def test_an_engine_saves_an_image_once(opened):
    opened("docker:base:1.0")
    opened("docker:base:1.0")
    assert opened.engine.saved == 1


def test_no_engine(opened):
    with pytest.raises(InputError, match="needs a container engine"):
        opened("docker:base:1.0", engine=None)


def test_another_platform(opened):
    with pytest.raises(InputError, match="for linux/amd64, not for linux/arm64"):
        opened("archive:base.tar", platform="linux/arm64")


@pytest.mark.parametrize(
    "reference",
    ["oci:missing", "oci:layout:2.0", "oci:base.tar", "archive:missing.tar", "archive:layout",
     "docker:no name", "docker:x;rm -rf", "Not A Reference", ""],
)  # fmt: skip
def test_what_is_no_base(opened, reference):
    with pytest.raises(InputError):
        opened(reference)


def test_where_the_cache_is(tmp_path):
    assert default_root({}, tmp_path) == tmp_path / ".cache" / "mlpack"
    assert default_root({"XDG_CACHE_HOME": "/x"}, tmp_path).as_posix() == "/x/mlpack"
    both = {"XDG_CACHE_HOME": "/x", "MLPACK_CACHE": "/y"}
    assert default_root(both, tmp_path).as_posix() == "/y"
    assert default_root({"MLPACK_CACHE": "here"}, tmp_path) == Path.cwd() / "here"
    assert default_root({"XDG_CACHE_HOME": "x"}, tmp_path) == Path.cwd() / "x" / "mlpack"


def test_the_cache_keeps_nothing_that_is_wrong(tmp_path):
    cache = Cache(tmp_path)
    digest = "sha256:" + "0" * 64
    with pytest.raises(OutsideError, match="other bytes"):
        cache.add(digest, [b"x"], "a mirror")

    def broken():
        yield b"x"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        cache.add(digest, broken(), "a mirror")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


BOTH = ("linux/amd64", "linux/arm64")


@pytest.fixture
def both(tmp_path):
    images = [
        image_of(tmp_path, {**SLIM, "arch": name.encode()}, architecture=name)
        for name in ("amd64", "arm64")
    ]
    return make_multi_image(images, {})


@pytest.fixture
def open_all(tmp_path):
    def opened(reference, locked=None, platforms=BOTH):
        return open_bases(
            reference, platforms, Cache(tmp_path / "cache"), root=tmp_path, locked=locked,
            puller=lambda found: connect(found, None, sleep=lambda _: None),
        )  # fmt: skip

    return opened


@pytest.mark.parametrize("reference", ["oci:both", "archive:both.tar"])
def test_of_a_base_that_is_an_index_each_platform_has_its_own(both, open_all, tmp_path, reference):
    write_layout(both, tmp_path / "both", "1.0")
    write_archive(both, tmp_path / "both.tar", "base", "1.0")
    bases = open_all(reference)
    assert [base.image.digest for base in bases.values()] == [each.digest for each in both.images]
    known = {platform: PlatformBase(base.digest, base.layers) for platform, base in bases.items()}
    locked = BaseImage(reference, platforms=known)
    assert open_all(reference, locked.on).keys() == bases.keys()
    other = BaseImage(reference, platforms={**known, BOTH[1]: known[BOTH[0]]})
    with pytest.raises(InputError, match="not the one that was locked"):
        open_all(reference, other.on)


def test_a_base_that_is_not_there_for_a_platform_is_refused_with_the_choices(
    image, both, open_all, tmp_path
):
    write_layout(image, tmp_path / "one", "1.0")
    write_layout(both, tmp_path / "both", "1.0")
    for reference, platforms, told, there in (
        ("oci:one", BOTH, "for linux/amd64, not for linux/arm64", ""),
        ("oci:both", ("linux/amd64", "linux/s390x"), "not there for linux/s390x", "linux/arm64"),
    ):
        with pytest.raises(InputError, match=told) as refused:
            open_all(reference, platforms=platforms)
        assert "mlpack build --platform linux/amd64" in str(refused.value.hint)
        assert there in str(refused.value.hint)
    with pytest.raises(InputError) as refused:
        open_all("oci:one", platforms=BOTH[1:])
    assert "fewer platforms" not in str(refused.value)


def test_a_tag_that_moves_between_two_platforms_makes_no_mixture(both, open_all, tmp_path):
    newer = make_multi_image(
        [
            image_of(tmp_path, {**SLIM, "newer": b"", "arch": name.encode()}, architecture=name)
            for name in ("amd64", "arm64")
        ],
        {},
    )
    with serve() as registry:
        for image in both.images:
            registry.put_image("bases/python", image.digest, image)
        for image in newer.images:
            registry.put_image("bases/python", image.digest, image)
        registry.put_manifest("bases/python", "3.11", both.document, INDEX)
        reference = f"{registry.host}/bases/python:3.11"

        def moving(platform):
            if platform == BOTH[1]:
                registry.put_manifest("bases/python", "3.11", newer.document, INDEX)

        bases = open_all(reference, moving)
    assert [base.digest for base in bases.values()] == [both.digest] * 2
    assert [base.image.digest for base in bases.values()] == [each.digest for each in both.images]
