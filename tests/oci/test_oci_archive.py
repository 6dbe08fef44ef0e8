import gzip
import hashlib
import json
import tarfile

import pytest
from hostile import odd_tar
from images import SLIM, image_of, tar_of

from mlpack.errors import InputError, OutsideError
from mlpack.oci.archive import read_archive, read_whole_archive, write_archive, write_thin_archive
from mlpack.oci.cache import Cache
from mlpack.oci.layout import Folder, OtherPlatformError, read_layout, write_layout
from mlpack.oci.values import digest_of, make_image, make_multi_image


@pytest.fixture
def image(tmp_path):
    return image_of(tmp_path, SLIM, {"etc/x": b"x"})


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache")


def bytes_of(image) -> list[bytes]:
    found = []
    for layer in image.layers:
        with layer.open() as stream:
            found.append(stream.read())
    return found


def saved(path, image, *, names=("a/layer.tar", "b/layer.tar"), tags=None, links=None, **more):
    """An archive as ``docker save`` of old engines writes it: plain tars."""
    tars = [gzip.decompress(data) for data in bytes_of(image)]
    files = {"config.json": image.config_bytes, **dict(zip(names, tars, strict=False)), **more}
    files.update(links or {})
    entry = {"Config": "config.json", "RepoTags": tags, "Layers": list(names)}
    files.setdefault("manifest.json", json.dumps([entry]).encode())
    path.write_bytes(tar_of(files))
    return path


def test_what_is_written_is_read_and_is_the_same_twice(image, cache, tmp_path):
    written = write_archive(image, tmp_path / "a.tar", "churn", "1.2.0")
    write_archive(image, tmp_path / "b.tar", "churn", "1.2.0")
    data = (tmp_path / "a.tar").read_bytes()
    assert data == (tmp_path / "b.tar").read_bytes()
    assert written.sha256 == hashlib.sha256(data).hexdigest()
    assert written.size == len(data)
    again = read_archive(tmp_path / "a.tar", "linux/amd64", cache)
    assert again.digest == image.digest
    assert bytes_of(again) == bytes_of(image)


def test_it_is_a_layout_and_a_docker_archive_at_once(image, tmp_path):
    write_archive(image, tmp_path / "a.tar", "churn", "1.2.0")
    with tarfile.open(tmp_path / "a.tar") as tar:
        assert all(item.isfile() or item.isdir() for item in tar)
        assert {item.mtime for item in tar} == {315532800}

        def read(name):
            return tar.extractfile(name).read()

        assert json.loads(read("oci-layout")) == {"imageLayoutVersion": "1.0.0"}
        (entry,) = json.loads(read("manifest.json"))
        assert entry["RepoTags"] == ["churn:1.2.0"]
        assert digest_of(read(entry["Config"])) == image.config_digest
        diff_ids = [digest_of(gzip.decompress(read(name))) for name in entry["Layers"]]
        assert diff_ids == list(image.config.rootfs.diff_ids)
        (descriptor,) = json.loads(read("index.json"))["manifests"]
        assert descriptor["digest"] == image.digest
        assert descriptor["annotations"]["org.opencontainers.image.ref.name"] == "1.2.0"
        assert read(f"blobs/sha256/{image.digest[7:]}") == image.manifest_bytes


def members(path):
    with tarfile.open(path) as tar:
        return {item.name: item.size for item in tar if item.isfile()}


@pytest.mark.parametrize("held", [0, 1, 2])
def test_a_thin_archive_has_all_but_the_layers_that_are_held(image, tmp_path, held):
    write_archive(image, tmp_path / "whole.tar", "churn", "1.2.0")
    size = write_thin_archive(image, tmp_path / "thin.tar", "churn", "1.2.0", held)
    whole, thin = members(tmp_path / "whole.tar"), members(tmp_path / "thin.tar")
    blobs = [f"blobs/sha256/{layer.descriptor.digest[7:]}" for layer in image.layers]
    config = f"blobs/sha256/{image.config_digest[7:]}"
    assert set(thin) == {"manifest.json", config, *blobs[held:]}
    assert all(whole[name] == size for name, size in thin.items())
    assert size == (tmp_path / "thin.tar").stat().st_size
    with tarfile.open(tmp_path / "thin.tar") as tar:
        (entry,) = json.loads(tar.extractfile("manifest.json").read())
    assert entry == {"Config": config, "RepoTags": ["churn:1.2.0"], "Layers": blobs}


def test_a_layer_that_is_held_below_and_wanted_above_is_sent(tmp_path):
    twice = image_of(tmp_path, SLIM, {"etc/x": b"x"}, SLIM)
    write_thin_archive(twice, tmp_path / "thin.tar", "churn", "1.2.0", 1)
    blobs = {f"blobs/sha256/{layer.descriptor.digest[7:]}" for layer in twice.layers}
    assert len(blobs) == 2
    assert blobs < set(members(tmp_path / "thin.tar"))


def test_a_layer_of_another_size_is_not_sent(image, tmp_path):
    path = next(
        p for p in tmp_path.iterdir() if p.stat().st_size == image.layers[1].descriptor.size
    )
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(OutsideError, match="damaged"):
        write_thin_archive(image, tmp_path / "thin.tar", "churn", "1.2.0", 1)


def test_who_reads_a_thin_archive_as_a_whole_one_refuses_it(image, cache, tmp_path):
    write_thin_archive(image, tmp_path / "thin.tar", "churn", "1.2.0", 1)
    with pytest.raises(InputError, match="has no blobs/sha256/"):
        read_archive(tmp_path / "thin.tar", "linux/amd64", cache)


def test_a_damaged_layer_is_not_written(image, tmp_path):
    image.layers[0].open().close()
    path = next(
        p for p in tmp_path.iterdir() if p.stat().st_size == image.layers[0].descriptor.size
    )
    path.write_bytes(b"x" * image.layers[0].descriptor.size)
    with pytest.raises(OutsideError, match="damaged"):
        write_archive(image, tmp_path / "a.tar", "churn", "1.2.0")


def test_docker_save_keeps_the_configuration_and_compresses_once(image, cache, tmp_path):
    path = saved(tmp_path / "saved.tar", image)
    found = read_archive(path, "linux/amd64", cache)
    assert found.config_digest == image.config_digest
    assert [layer.diff_id for layer in found.layers] == list(image.config.rootfs.diff_ids)
    assert list(map(digest_of, bytes_of(found))) == [
        layer.descriptor.digest for layer in found.layers
    ]
    times = {file: file.stat().st_mtime_ns for file in (cache.root / "blobs/sha256").iterdir()}
    assert read_archive(path, "linux/amd64", cache).digest == found.digest
    assert times == {
        file: file.stat().st_mtime_ns for file in (cache.root / "blobs/sha256").iterdir()
    }


def test_a_layer_that_is_there_twice_may_be_a_link_inside(cache, tmp_path):
    image = image_of(tmp_path, SLIM, SLIM)
    path = saved(tmp_path / "saved.tar", image, links={"b/layer.tar": "../a/layer.tar"})
    assert len(set(bytes_of(read_archive(path, "linux/amd64", cache)))) == 1


@pytest.mark.parametrize("target", ["/etc/passwd", "../../etc/passwd", "missing", "layer.tar"])
def test_a_link_anywhere_else_leads_nowhere(image, cache, tmp_path, target):
    path = saved(tmp_path / "saved.tar", image, links={"b/layer.tar": target})
    with pytest.raises(InputError, match=r"has no b/layer\.tar"):
        read_archive(path, "linux/amd64", cache)


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "C:/x", "a\\..\\..\\x", "./../x"])
def test_a_name_that_leads_outside(image, cache, tmp_path, name):
    path = saved(tmp_path / "saved.tar", image, **{name: b""})
    with pytest.raises(InputError, match="leads outside"):
        read_archive(path, "linux/amd64", cache)


def test_a_layer_that_leads_outside(image, cache, tmp_path):
    path = saved(tmp_path / "saved.tar", image)
    entry = [{"Config": "../../etc/passwd", "Layers": []}]
    path = saved(tmp_path / "saved.tar", image, **{"manifest.json": json.dumps(entry).encode()})
    with pytest.raises(InputError, match="leads outside"):
        read_archive(path, "linux/amd64", cache)


@pytest.mark.parametrize(
    "kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.LNKTYPE]
)
def test_devices_pipes_and_hard_links_are_refused(cache, tmp_path, kind):
    (tmp_path / "x.tar").write_bytes(odd_tar({}, "manifest.json", kind, "/etc/shadow"))
    with pytest.raises(InputError, match="no plain file"):
        read_archive(tmp_path / "x.tar", "linux/amd64", cache)


def test_a_layer_that_is_not_its_diff_id(image, cache, tmp_path):
    path = saved(
        tmp_path / "saved.tar",
        image,
        **{"z/layer.tar": b""},
        links={"a/layer.tar": "../b/layer.tar"},
    )
    with pytest.raises(InputError, match="does not have its digest"):
        read_archive(path, "linux/amd64", cache)
    assert not list((cache.root / "blobs").rglob("*")) if (cache.root / "blobs").exists() else True


def test_several_images(image, cache, tmp_path):
    entry = {"Config": "config.json", "RepoTags": None, "Layers": []}
    data = json.dumps([entry, entry]).encode()
    path = saved(tmp_path / "saved.tar", image, **{"manifest.json": data})
    with pytest.raises(InputError, match="2 images"):
        read_archive(path, "linux/amd64", cache)


@pytest.mark.parametrize(
    "data",
    [b"", b"no tar", gzip.compress(tar_of({"a": b""})), tar_of({"a": b""}), b"\0" * 512],
    # Names of their own: a compressed file has the time in it, and workers must agree on names.
    ids=["empty", "no tar", "compressed", "another tar", "zeros"],
)
def test_what_is_no_archive(cache, tmp_path, data):
    (tmp_path / "x.tar").write_bytes(data)
    with pytest.raises(InputError):
        read_archive(tmp_path / "x.tar", "linux/amd64", cache)


def test_no_archive_at_all(cache, tmp_path):
    with pytest.raises(InputError, match="no such image archive"):
        read_archive(tmp_path / "x.tar", "linux/amd64", cache)
    with pytest.raises(InputError, match="no image archive"):
        read_archive(tmp_path, "linux/amd64", cache)


def test_a_truncated_archive(image, cache, tmp_path):
    path = saved(tmp_path / "saved.tar", image)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(InputError):
        read_archive(path, "linux/amd64", cache)


def test_what_was_cut_in_half_is_made_again_by_who_made_it(image, cache, tmp_path):
    ours, theirs = tmp_path / "ours.tar", saved(tmp_path / "saved.tar", image)
    write_archive(image, ours, "demo", "1.0")
    for path in (ours, theirs):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    for path, made in ((ours, "mlpack build"), (theirs, "docker save")):
        with pytest.raises(InputError, match="the image archive is damaged: ") as refused:
            read_archive(path, "linux/amd64", cache)
        assert made in refused.value.hint


def test_what_shall_be_mlpack_s_own_is_built_anew(tmp_path):
    (tmp_path / "x.tar").write_bytes(b"")
    with pytest.raises(InputError, match="no image archive") as refused:
        read_whole_archive(tmp_path / "x.tar")
    assert "mlpack build" in refused.value.hint


def test_a_layout_on_disk(image, tmp_path):
    write_layout(image, tmp_path / "layout", "1.0")
    for tag in (None, "1.0"):
        again = read_layout(Folder(tmp_path / "layout"), "linux/amd64", tag, "x")
        assert again.digest == image.digest
        assert bytes_of(again) == bytes_of(image)
    with pytest.raises(InputError, match=r"no image called '2\.0'") as refused:
        read_layout(Folder(tmp_path / "layout"), "linux/amd64", "2.0", "x")
    assert "1.0" in str(refused.value.hint)


def test_a_layout_whose_document_was_changed(image, tmp_path):
    write_layout(image, tmp_path / "layout")
    (tmp_path / "layout/blobs/sha256" / image.config_digest[7:]).write_bytes(b"{}")
    with pytest.raises(InputError, match="does not have its digest"):
        read_layout(Folder(tmp_path / "layout"), "linux/amd64", None, "x")


def test_a_layout_with_a_link_in_it(image, tmp_path):
    write_layout(image, tmp_path / "layout")
    (tmp_path / "layout/index.json").unlink()
    (tmp_path / "layout/index.json").symlink_to("/etc/hostname")
    with pytest.raises(InputError, match="is a link"):
        read_layout(Folder(tmp_path / "layout"), "linux/amd64", None, "x")


@pytest.mark.parametrize("version", [b"", b"[]", b"{}", b'{"imageLayoutVersion":"9"}'])
def test_a_layout_of_another_version(image, tmp_path, version):
    write_layout(image, tmp_path / "layout")
    (tmp_path / "layout/oci-layout").write_bytes(version)
    with pytest.raises(InputError):
        read_layout(Folder(tmp_path / "layout"), "linux/amd64", None, "x")


def test_a_folder_that_is_no_layout(tmp_path):
    with pytest.raises(InputError, match="has no oci-layout"):
        read_layout(Folder(tmp_path), "linux/amd64", None, "x")


@pytest.fixture
def both(tmp_path):
    """An image for two platforms that share a layer."""
    images = [
        image_of(tmp_path, {"bin/program": name.encode()}, {"etc/x": b"x"}, architecture=name)
        for name in ("arm64", "amd64")
    ]
    return make_multi_image(images, {"title": "churn"})


def test_an_image_for_two_platforms_is_an_index_in_the_order_of_their_names(both, tmp_path):
    write_archive(both, tmp_path / "a.tar", "churn", "1.2.0")
    with tarfile.open(tmp_path / "a.tar") as tar:
        names = tar.getnames()
        (descriptor,) = json.loads(tar.extractfile("index.json").read())["manifests"]
        index = json.loads(tar.extractfile(f"blobs/sha256/{both.digest[7:]}").read())
        entries = json.loads(tar.extractfile("manifest.json").read())
    assert descriptor["digest"] == both.digest
    assert descriptor["mediaType"] == index["mediaType"]
    assert index["mediaType"] == "application/vnd.oci.image.index.v1+json"
    assert [item["platform"]["architecture"] for item in index["manifests"]] == ["amd64", "arm64"]
    assert index["annotations"] == {"title": "churn"}
    # Index, two manifests, two configurations, three layers: what they share is there once.
    assert len([name for name in names if name.startswith("blobs/sha256/")]) == 8
    assert [entry["RepoTags"] for entry in entries] == [
        ["churn:1.2.0", "churn:1.2.0-amd64"], ["churn:1.2.0-arm64"],
    ]  # fmt: skip
    assert [digest_of(image.config_bytes)[7:] for image in both.images] == [
        entry["Config"].rpartition("/")[2] for entry in entries
    ]


@pytest.mark.parametrize("platform", ["linux/amd64", "linux/arm64"])
def test_each_platform_is_read_out_of_an_index(both, cache, tmp_path, platform):
    write_archive(both, tmp_path / "a.tar", "churn", "1.2.0")
    write_layout(both, tmp_path / "layout", "1.0")
    (wanted,) = [image for image in both.images if image.config.platform == platform]
    archived = read_archive(tmp_path / "a.tar", platform, cache)
    laid_out = read_layout(Folder(tmp_path / "layout"), platform, None, "x")
    assert archived.digest == laid_out.digest == wanted.digest
    assert bytes_of(archived) == bytes_of(laid_out) == bytes_of(wanted)


def test_a_whole_archive_is_read_with_all_its_platforms(both, image, tmp_path):
    for made in (both, image):
        write_archive(made, tmp_path / "a.tar", "churn", "1.2.0")
        again = read_whole_archive(tmp_path / "a.tar")
        assert again.digest == made.digest
        assert [each.digest for each in again.images] == [each.digest for each in made.images]
        write_archive(again, tmp_path / "b.tar", "churn", "1.2.0")
        assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


def test_a_platform_that_is_not_there_is_refused_with_those_that_are(both, cache, tmp_path):
    write_archive(both, tmp_path / "a.tar", "churn", "1.2.0")
    with pytest.raises(OtherPlatformError, match="not there for linux/riscv64") as refused:
        read_archive(tmp_path / "a.tar", "linux/riscv64", cache)
    assert "linux/amd64, linux/arm64" in str(refused.value.hint)


def test_an_index_has_one_image_for_each_platform(image):
    for images in ([image, image], []):
        with pytest.raises(ValueError, match="one image for each platform"):
            make_multi_image(images, {})
    again = make_image(image.config, image.layers, {})
    assert make_multi_image([image], {}).digest == make_multi_image([again], {}).digest
