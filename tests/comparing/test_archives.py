import gzip
import io
import json
import os
import tarfile
import zipfile

import images
import msgspec
import pytest
from hostile import HOSTILE, UNREADABLE, odd_tar
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from images import SLIM, image_of, tar_of

from mlpack.comparing.artifact import differences
from mlpack.comparing.described import describe
from mlpack.comparing.difference import (
    ARTIFACT_ONLY,
    BYTES,
    DAMAGED,
    FORM,
    MODE,
    REBUILT_ONLY,
    TIME,
    VALUE,
)
from mlpack.comparing.layers import Files
from mlpack.errors import InputError
from mlpack.oci.archive import write_archive
from mlpack.oci.compression import ZSTD
from mlpack.oci.layers import compress
from mlpack.oci.values import (
    LAYER_GZIP,
    LAYER_TAR,
    LAYER_ZSTD,
    Descriptor,
    History,
    Layer,
    RootFs,
    make_image,
    make_multi_image,
)
from mlpack.wheelfile import archive

FILES = {
    "churn/__init__.py": b"from ._mlpack import Model\n",
    "churn/data.bin": os.urandom(1000),
    "churn-1.2.0.dist-info/METADATA": b"Name: churn\n",
}


@pytest.fixture
def wheel(tmp_path):
    path = tmp_path / "churn-1.2.0-py3-none-any.whl"
    path.write_bytes(archive(FILES, 1_700_000_000))
    return path


@pytest.fixture
def other(tmp_path):
    return tmp_path / "other.whl"


def told(kind, artifact, rebuilt):
    return [(each.file, each.what) for each in differences(kind, artifact, rebuilt)]


def offset(path, name):
    with zipfile.ZipFile(path) as opened:
        info = opened.getinfo(name)
    return info.header_offset + 30 + len(name)


def test_a_wheel_says_what_it_is(wheel):
    said = describe(wheel)
    assert (said.kind, said.name, said.version) == ("wheel", "churn", "1.2.0")
    assert said.epoch == 1_700_000_000
    assert differences("wheel", wheel, wheel) == ()


def test_a_changed_byte_is_told_with_its_file_and_place(wheel, other):
    data = bytearray(wheel.read_bytes())
    data[offset(wheel, "churn/data.bin") + 700] ^= 1
    other.write_bytes(data)
    assert told("wheel", other, wheel) == [("churn/data.bin", DAMAGED), ("churn/data.bin", BYTES)]
    found = differences("wheel", other, wheel)[1]
    assert found.detail.startswith("1,000 bytes; they differ from byte 700 on")


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_any_changed_byte_makes_a_difference_or_a_clear_error(wheel, other, data):
    content = bytearray(wheel.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    other.write_bytes(content)
    try:
        describe(other)
        assert differences("wheel", other, wheel)
    except InputError:
        pass


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_a_wheel_that_was_cut_off_is_a_clear_error(wheel, other, data):
    content = wheel.read_bytes()
    other.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(InputError, match="no zip, or one that was cut off"):
        describe(other)


def test_files_more_and_less_other_times_and_compression(wheel, other):
    changed = {**FILES, "churn/more.py": b""}
    del changed["churn/data.bin"]
    other.write_bytes(archive(changed, 1_600_000_000))
    found = told("wheel", other, wheel)
    assert ("churn/more.py", ARTIFACT_ONLY) in found
    assert ("churn/data.bin", REBUILT_ONLY) in found
    assert ("churn/__init__.py", TIME) in found
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(other, "w") as new:
        for info in old.infolist():
            data = old.read(info)
            if info.filename == "churn/data.bin":
                info.compress_type = zipfile.ZIP_DEFLATED
            else:
                info.external_attr = 0o100755 << 16
            new.writestr(info, data)
    assert told("wheel", other, wheel) == [
        ("churn-1.2.0.dist-info/METADATA", MODE),
        ("churn/__init__.py", MODE),
        ("churn/data.bin", FORM),
    ]


def test_bytes_around_the_files_are_a_difference_too(wheel, other):
    other.write_bytes(b"#!/bin/sh\n" + wheel.read_bytes())
    (found,) = differences("wheel", other, wheel)
    assert (found.file, found.what) == ("other.whl", FORM)
    assert "byte 0" in found.detail


def test_a_wheel_in_a_zip_is_looked_into(wheel, tmp_path):
    inner = wheel.read_bytes()
    data = bytearray(inner)
    data[offset(wheel, "churn/data.bin")] ^= 1
    one, two = tmp_path / "one.zip", tmp_path / "two.zip"
    one.write_bytes(archive({"churn-1.2.0/churn.whl": bytes(data), "churn-1.2.0/README.md": b""}))
    two.write_bytes(archive({"churn-1.2.0/churn.whl": inner, "churn-1.2.0/README.md": b""}))
    assert told("zip", one, two) == [
        ("churn-1.2.0/churn.whl → churn/data.bin", DAMAGED),
        ("churn-1.2.0/churn.whl → churn/data.bin", BYTES),
    ]
    said = describe(one)
    assert (said.kind, said.name, said.version) == ("zip", "churn", "1.2.0")


def zip_of(path, *entries, **more):
    with zipfile.ZipFile(path, "w") as made:
        for name, data in entries:
            info = zipfile.ZipInfo(name)
            for key, value in more.items():
                setattr(info, key, value)
            made.writestr(info, data)
    return path


@pytest.mark.parametrize("evil", HOSTILE, ids=lambda evil: evil.what)
@pytest.mark.parametrize("suffix", [".whl", ".zip"])
def test_what_tries_to_escape_is_refused(tmp_path, evil, suffix):
    path = tmp_path / f"churn-1.2.0{suffix}"
    path.write_bytes(evil.data)
    with pytest.raises(InputError, match=evil.told):
        describe(path)


@pytest.mark.parametrize("evil", HOSTILE, ids=lambda evil: evil.what)
def test_a_wheel_in_a_zip_that_tries_to_escape_is_refused(tmp_path, evil):
    one, two = tmp_path / "one.zip", tmp_path / "two.zip"
    for path, inner in ((one, evil.data), (two, archive(FILES))):
        path.write_bytes(archive({"churn-1.2.0/churn.whl": inner}))
    with pytest.raises(InputError, match=evil.told):
        differences("zip", one, two)


@pytest.mark.parametrize("what", sorted({*UNREADABLE} - {"encrypted"}))
def test_an_entry_that_cannot_be_read_is_a_difference(wheel, other, what):
    other.write_bytes(UNREADABLE[what])
    assert ("schema.json", ARTIFACT_ONLY) in told("wheel", other, wheel)


def test_what_is_not_an_artifact(tmp_path, other):
    with pytest.raises(InputError, match="no such artifact"):
        describe(tmp_path / "nothing.whl")
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(InputError, match="is no artifact"):
        describe(tmp_path / "a.txt")
    other.write_text("no zip")
    with pytest.raises(InputError, match="no zip"):
        describe(other)


def test_a_zip_that_unpacks_to_more_than_it_says_is_damaged(wheel, other):
    zip_of(other, ("churn/data.bin", bytes(100_000)), compress_type=zipfile.ZIP_DEFLATED)
    data = other.read_bytes()
    size = (100_000).to_bytes(4, "little")
    assert data.count(size) == 2
    other.write_bytes(data.replace(size, (10).to_bytes(4, "little")))
    assert ("churn/data.bin", DAMAGED) in told("wheel", other, wheel)


# Images.

MODEL = {"app/lib/churn/__init__.py": b"a = 1\n", "app/lib/churn/data": b"1"}


def layer_of(folder, tar):
    path = folder / f"{len(list(folder.iterdir()))}.layer"
    done = compress(io.BytesIO(tar), path)
    descriptor = Descriptor(media_type=LAYER_GZIP, digest=done.digest, size=done.size)
    return Layer(descriptor, done.diff_id, lambda: path.open("rb"))


@pytest.fixture
def image(tmp_path):
    (tmp_path / "made").mkdir()
    return image_of(tmp_path / "made", SLIM, {"app/lib/numpy": b""}, MODEL, user="65532:65532")


@pytest.fixture
def rebuilt(image, tmp_path):
    write_archive(image, tmp_path / "rebuilt.tar", "churn", "1.2.0")
    return tmp_path / "rebuilt.tar"


@pytest.fixture
def written(tmp_path):
    def write(image):
        write_archive(image, tmp_path / "churn.oci.tar", "churn", "1.2.0")
        return tmp_path / "churn.oci.tar"

    return write


def with_model(image, layer):
    rootfs = RootFs(type="layers", diff_ids=(*image.config.rootfs.diff_ids[:2], layer.diff_id))
    config = msgspec.structs.replace(image.config, rootfs=rootfs)
    return make_image(config, (*image.layers[:2], layer), {})


def test_the_same_image_has_no_difference(image, rebuilt, written):
    assert differences("image", written(image), rebuilt) == ()
    assert describe(rebuilt).platforms == ("linux/amd64",)


def test_a_changed_file_is_told_with_its_layer(image, rebuilt, written, tmp_path):
    changed = {**MODEL, "app/lib/churn/__init__.py": b"a = 2\n", "app/more": "/etc/passwd"}
    found = written(with_model(image, layer_of(tmp_path, tar_of(changed))))
    assert told("image", found, rebuilt) == [
        ("layer 3 (model) → app/lib/churn/__init__.py", BYTES),
        ("layer 3 (model) → app/more", ARTIFACT_ONLY),
    ]


def test_layers_of_zstd_are_looked_into_as_well(image, rebuilt, written, tmp_path):
    changed = {**MODEL, "app/lib/churn/data": b"2"}
    layer = images.layer_of(tmp_path, changed, ZSTD)
    assert told("image", written(with_model(image, layer)), rebuilt) == [
        ("layer 3 (model)", FORM),
        ("layer 3 (model) → app/lib/churn/data", BYTES),
    ]
    same = written(with_model(image, images.layer_of(tmp_path, MODEL, ZSTD)))
    assert told("image", same, rebuilt) == [("layer 3 (model)", FORM)] * 2


def test_the_same_files_packed_otherwise(image, rebuilt, written, tmp_path):
    with image.layers[2].open() as stream:
        tar = gzip.decompress(stream.read())
    path = tmp_path / "slow"
    path.write_bytes(gzip.compress(tar, 1, mtime=0))
    done = Descriptor(
        media_type=LAYER_GZIP,
        digest=layer_digest(path),
        size=path.stat().st_size,
    )
    layer = Layer(done, image.layers[2].diff_id, lambda: path.open("rb"))
    found = differences("image", written(with_model(image, layer)), rebuilt)
    assert [(each.file, each.what) for each in found] == [("layer 3 (model)", FORM)]


def layer_digest(path):
    from hashlib import sha256

    return f"sha256:{sha256(path.read_bytes()).hexdigest()}"


def test_the_configuration_is_compared_field_by_field(image, rebuilt, written):
    execution = msgspec.structs.replace(image.config.config, user="0", env=("A=1",))
    config = msgspec.structs.replace(image.config, config=execution, created="2020-01-01T00:00:00Z")
    assert told("image", written(make_image(config, image.layers, {"x": "y"})), rebuilt) == [
        ("configuration.config.Env[0]", VALUE),
        ("configuration.config.User", VALUE),
        ("configuration.created", ARTIFACT_ONLY),
        ("manifest.annotations", ARTIFACT_ONLY),
    ]


def test_a_blob_that_is_not_what_its_name_says(image, rebuilt, tmp_path):
    # The documents are the right ones; a byte of the model's layer is not.
    digest = image.layers[2].descriptor.digest[7:]
    with tarfile.open(rebuilt) as tar:
        place = tar.getmember(f"blobs/sha256/{digest}").offset_data
    data = bytearray(rebuilt.read_bytes())
    data[place + 40] ^= 1
    (tmp_path / "x.tar").write_bytes(data)
    found = told("image", tmp_path / "x.tar", rebuilt)
    assert found[0] == ("layer 3 (model)", DAMAGED)


def test_what_older_engines_would_load_is_compared(image, rebuilt, tmp_path):
    lying = tmp_path / "x.tar"
    with tarfile.open(rebuilt) as old, tarfile.open(lying, "w") as new:
        for info in old:
            data = old.extractfile(info).read() if info.isfile() else None
            if info.name == "manifest.json":
                (entry,) = json.loads(data)
                data = json.dumps([{**entry, "RepoTags": ["churn:9"]}]).encode()
                info.size = len(data)
            new.addfile(info, io.BytesIO(data) if data is not None else None)
        more = tarfile.TarInfo("blobs/sha256/" + "1" * 64)
        new.addfile(more)
    assert told("image", lying, rebuilt) == [
        (f"blobs/sha256/{'1' * 64}", ARTIFACT_ONLY), ("manifest.json[0].RepoTags[0]", VALUE),
    ]  # fmt: skip


def test_platforms_are_compared_one_by_one(image, rebuilt, written, tmp_path):
    arm = make_image(msgspec.structs.replace(image.config, architecture="arm64"), image.layers, {})
    root = msgspec.structs.replace(
        arm.config, config=msgspec.structs.replace(arm.config.config, user="0")
    )
    write_archive(make_multi_image([image, arm], {}), tmp_path / "two.tar", "churn", "1.2.0")
    evil = written(make_multi_image([image, make_image(root, arm.layers, {})], {}))
    assert told("image", evil, tmp_path / "two.tar") == [
        ("linux/arm64: configuration.config.User", VALUE)
    ]
    assert describe(evil).platforms == ("linux/amd64", "linux/arm64")
    assert told("image", written(image), tmp_path / "two.tar") == [("linux/arm64", REBUILT_ONLY)]
    assert told("image", tmp_path / "two.tar", written(image)) == [("linux/arm64", ARTIFACT_ONLY)]
    noted = written(make_multi_image([image, arm], {"a": "b"}))
    assert told("image", noted, tmp_path / "two.tar") == [("index.annotations", ARTIFACT_ONLY)]


def test_a_layer_more(image, rebuilt, written, tmp_path):
    extra = layer_of(tmp_path, tar_of({"etc/cron.d/x": b""}))
    rootfs = RootFs(type="layers", diff_ids=(*image.config.rootfs.diff_ids, extra.diff_id))
    config = msgspec.structs.replace(image.config, rootfs=rootfs, history=(History(),))
    found = told("image", written(make_image(config, (*image.layers, extra), {})), rebuilt)
    assert ("layer 4", ARTIFACT_ONLY) in found


def test_modes_owners_times_and_links_of_a_layer_count(image, rebuilt, written, tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for number, (name, data) in enumerate(MODEL.items()):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            info.mode, info.mtime, info.uid = (0o4755, 0, 0) if number else (0o644, 5, 7)
            tar.addfile(info, io.BytesIO(data))
    found = written(with_model(image, layer_of(tmp_path, buffer.getvalue())))
    assert told("image", found, rebuilt) == [
        ("layer 3 (model) → app/lib/churn/__init__.py", TIME),
        ("layer 3 (model) → app/lib/churn/__init__.py", FORM),
        ("layer 3 (model) → app/lib/churn/data", MODE),
    ]


@pytest.mark.parametrize("name", ["../../etc/cron.d/x", "/etc/cron.d/x", "app/lib/CHURN/data"])
def test_a_name_in_a_layer_that_would_lead_elsewhere_is_told(
    image, rebuilt, written, tmp_path, name
):
    """Nothing is unpacked, and the name is not followed: it is one that does not belong there."""
    evil = layer_of(tmp_path, tar_of({**MODEL, name: b"evil"}))
    found = told("image", written(with_model(image, evil)), rebuilt)
    assert found == [(f"layer 3 (model) → {name}", ARTIFACT_ONLY)]


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]
)
def test_what_is_no_file_in_a_layer_is_told(image, rebuilt, written, tmp_path, kind):
    evil = layer_of(tmp_path, odd_tar(MODEL, "app/lib/churn/data", kind, "../../../../etc/shadow"))
    found = told("image", written(with_model(image, evil)), rebuilt)
    assert ("layer 3 (model) → app/lib/churn/data", FORM) in found


def test_a_layer_that_unpacks_to_more_than_any_is_refused(tmp_path):
    bomb = layer_of(tmp_path, tar_of({"app/zeros": bytes(4 << 20)}))
    assert bomb.descriptor.size < 10_000
    assert list(Files(bomb, "x").items) == ["app/zeros"]
    with pytest.raises(InputError, match="unpacks to more than"):
        Files(bomb, "x", largest=1 << 20)


def test_a_layer_that_ends_within_a_file_is_damaged(tmp_path):
    whole = tar_of({"app/data": os.urandom(100_000)})
    cut = layer_of(tmp_path, whole[:50_000])
    with pytest.raises(InputError, match="a layer of the image is damaged"):
        Files(cut, "x")


def test_a_layer_that_is_no_tar(image, rebuilt, written, tmp_path):
    odd = layer_of(tmp_path, b"no tar at all" * 100)
    assert told("image", written(with_model(image, odd)), rebuilt) == [("layer 3 (model)", DAMAGED)]


LONG = {"app/lib/a": os.urandom(50_000), "app/lib/b": os.urandom(50_000)}


def cut_off(folder, kind, left):
    """A layer that ends within a file: its blob, or for the kind `LAYER_TAR` the tar itself."""
    whole = tar_of(LONG)
    blob = {
        LAYER_TAR: lambda: whole,
        LAYER_GZIP: lambda: gzip.compress(whole),
        LAYER_ZSTD: lambda: images.layer_of(folder, LONG, ZSTD).open().read(),
    }[kind]()[:left]
    path = folder / "cut"
    path.write_bytes(blob)
    digest = layer_digest(path)
    descriptor = Descriptor(media_type=kind, digest=digest, size=len(blob))
    return Layer(descriptor, digest, lambda: path.open("rb"))


@pytest.mark.parametrize("kind", [LAYER_TAR, LAYER_GZIP, LAYER_ZSTD])
@pytest.mark.parametrize("left", [100, 30_000, 80_000])
def test_a_layer_that_was_cut_off_is_damaged(image, rebuilt, written, tmp_path, kind, left):
    found = written(with_model(image, cut_off(tmp_path, kind, left)))
    assert ("layer 3 (model)", DAMAGED) in told("image", found, rebuilt)


def test_a_layer_that_was_cut_off_is_damaged_where_its_contents_are_asked_for(tmp_path):
    layer = images.layer_of(tmp_path, LONG)
    files = Files(layer, "here")
    path = next(tmp_path.glob("*.gzip"))
    path.write_bytes(path.read_bytes()[:30_000])
    with pytest.raises(InputError, match="a layer of the image is damaged"):
        files.contents(["app/lib/a", "app/lib/b"])


@pytest.mark.parametrize(
    "odd",
    [
        {"size": "-5"},
        {"size": "9" * 30},
        {"uid": "-" + "9" * 30},
        {"GNU.sparse.size": "x", "GNU.sparse.map": "0,1"},
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "x"},
        {"GNU.sparse.map": "0,x"},
    ],
)
def test_numbers_that_are_none_in_a_tar_are_damage(image, rebuilt, written, tmp_path, odd):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("oci-layout")
        info.pax_headers = odd
        info.size = 1000
        tar.addfile(info, io.BytesIO(bytes(1000)))
    found = written(with_model(image, layer_of(tmp_path, buffer.getvalue())))
    assert differences("image", found, rebuilt)
    (tmp_path / "x.tar").write_bytes(buffer.getvalue())
    with pytest.raises(InputError):
        describe(tmp_path / "x.tar")


@pytest.mark.parametrize("name", ["oci-layout", "index.json", "manifest.json"])
@pytest.mark.parametrize("depth", [100, 400, 900, 200_000])
def test_a_document_that_is_nested_deep(rebuilt, tmp_path, name, depth):
    deep = b'"x": ' + b"[" * depth + b"]" * depth
    odd = tmp_path / "x.tar"
    with tarfile.open(rebuilt) as old, tarfile.open(odd, "w") as new:
        for info in old:
            data = old.extractfile(info).read() if info.isfile() else None
            if info.name == name:
                data = data.replace(b"{", b"{" + deep + b", ", 1)
                info.size = len(data)
            new.addfile(info, io.BytesIO(data) if data is not None else None)
    try:
        assert describe(odd).kind == "image"
        assert differences("image", odd, rebuilt)
    except InputError:
        assert depth > 500


def test_a_file_twice_in_a_layer_is_seen(image, rebuilt, written, tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in (*MODEL.items(), ("app/lib/churn/data", b"2")):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    found = written(with_model(image, layer_of(tmp_path, buffer.getvalue())))
    assert told("image", found, rebuilt) == [
        ("layer 3 (model) → app/lib/churn/data (2)", ARTIFACT_ONLY)
    ]


@pytest.mark.parametrize("content", [b"", b"no tar", tar_of({"index.json": b"{}"})])
def test_what_is_no_image_archive(tmp_path, content):
    (tmp_path / "x.tar").write_bytes(content)
    with pytest.raises(InputError):
        describe(tmp_path / "x.tar")


def test_a_time_that_is_none(image, written):
    config = msgspec.structs.replace(image.config, created="yesterday")
    found = written(make_image(config, image.layers, {}))
    assert describe(found).epoch is None


COMMIT = "c" * 40


def statement(commit):
    source = {"uri": "git+https://git.example/churn", "digest": {"gitCommit": commit}}
    definition = {"externalParameters": {"source": source}}
    return json.dumps({"predicate": {"buildDefinition": definition}}).encode()


@pytest.mark.parametrize(
    ("content", "commit"),
    [
        (statement(COMMIT), COMMIT),
        (statement("main"), None),
        (statement("C" * 40), None),
        (b'{"predicate": {}}', None),
        (b"{", None),
        (b'{"predicate": 7}', None),
        (b'{"predicate": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", None),
        (b'{"x": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", None),
    ],
)
def test_a_zip_tells_its_commit_by_its_provenance(tmp_path, content, commit):
    path = tmp_path / "churn-1.2.0.zip"
    path.write_bytes(archive({"churn-1.2.0/provenance.intoto.json": content}, 1_700_000_000))
    assert describe(path).revision == commit


@pytest.mark.parametrize(
    ("created", "epoch"),
    [
        ("2023-11-14T22:13:21Z", 1_700_000_001),
        ("2023-11-14T22:13:22Z", 1_700_000_000),  # the entries do not say so
        ("2023-11-14", 1_700_000_000),
        ("9" * 5000, 1_700_000_000),
        (7, 1_700_000_000),
    ],
)
def test_the_second_of_a_zip_is_told_by_its_bill_of_materials(tmp_path, created, epoch):
    path = tmp_path / "churn-1.2.0.zip"
    bill = json.dumps({"creationInfo": {"created": created}}).encode()
    path.write_bytes(archive({"churn-1.2.0/sbom.spdx.json": bill}, 1_700_000_001))
    assert describe(path).epoch == epoch


def test_an_image_tells_its_commit_by_its_annotation(tmp_path):
    image = image_of(tmp_path, SLIM)
    for commit, told_ in ((COMMIT, COMMIT), ("main\n", None)):
        annotations = {"org.opencontainers.image.revision": commit}
        made = make_image(image.config, image.layers, annotations)
        path = tmp_path / "churn-1.2.0.oci.tar"
        write_archive(made, path, "churn", "1.2.0")
        assert describe(path).revision == told_
