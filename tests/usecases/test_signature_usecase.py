"""What was built is signed, and signatures are checked: files, and an image in a registry."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace

import pytest
from bundling import Remembering
from images import SLIM, image_of
from scripted_registry import serve

from mlpack.bundle import Artifact
from mlpack.errors import CheckFailedError, InputError, OutsideError
from mlpack.oci.reference import parse
from mlpack.oci.registry import connect
from mlpack.oci.signatures import signed_digest
from mlpack.ports import Built
from mlpack.signers.cosign import new_key, private_key, public_key
from mlpack.usecases.signature import ByKey, Place, check, image_is_signed, sign

NAME = "team/churn"


@pytest.fixture(scope="module")
def pair():
    private, public = new_key(b"")
    return private_key(private, b"", "k"), public_key(public, "p")


@pytest.fixture(scope="module")
def stranger():
    return public_key(new_key(b"")[1], "p")


@pytest.fixture
def running():
    with serve() as registry:
        yield registry


@pytest.fixture
def image(tmp_path):
    return image_of(tmp_path, SLIM)


@pytest.fixture
def place(running):
    reference = parse(f"{running.host}/{NAME}")
    return Place(reference.name, connect(reference, None, sleep=lambda _: None), "production")


@pytest.fixture
def built(tmp_path, image):
    artifacts = {}
    for kind in ("wheel", "zip"):
        data = kind.encode()
        (tmp_path / f"churn.{kind}").write_bytes(data)
        artifacts[kind] = Artifact(
            kind=kind, file=f"churn.{kind}", sha256=hashlib.sha256(data).hexdigest(), size=1
        )
    artifacts["image"] = Artifact(
        kind="image", file="churn.oci.tar", sha256="", size=1, digest=image.digest,
        image="churn:1.2.0",
    )  # fmt: skip
    return Built("churn", "1.2.0", "onnx", "l", "b", artifacts, tmp_path)


@pytest.fixture
def pushed(running, image):
    running.put_image(NAME, "1.2.0", image)
    return image.digest


def tag(digest):
    return f"sha256-{digest.removeprefix('sha256:')}.sig"


def test_files_get_their_signatures_beside_them(built, pair, stranger, tmp_path):
    signed = sign(built, pair[0], None, Remembering())
    assert [(each.what, each.signature, each.fresh) for each in signed] == [
        ("churn.wheel", "churn.wheel.sig", True),
        ("churn.zip", "churn.zip.sig", True),
    ]
    value = base64.b64decode((tmp_path / "churn.wheel.sig").read_bytes(), validate=True)
    assert pair[1].valid(hashlib.sha256(b"wheel").digest(), value)
    assert len(check(built, ByKey(pair[1]), None)) == 2
    with pytest.raises(CheckFailedError, match=r"churn\.wheel, churn\.zip") as no:
        check(built, ByKey(stranger), None)
    assert no.value.hint == "mlpack sign --key cosign.key"


def test_what_is_signed_stays_signed_and_what_changed_is_signed_anew(built, pair, tmp_path):
    sign(built, pair[0], None, Remembering())
    before = (tmp_path / "churn.zip.sig").read_bytes()
    assert not any(each.fresh for each in sign(built, pair[0], None, Remembering()))
    assert (tmp_path / "churn.zip.sig").read_bytes() == before
    (tmp_path / "churn.zip").write_bytes(b"another")
    with pytest.raises(CheckFailedError, match=r"by this key: churn\.zip\n"):
        check(built, ByKey(pair[1]), None)
    assert [each.fresh for each in sign(built, pair[0], None, Remembering())] == [False, True]
    check(built, ByKey(pair[1]), None)


@pytest.mark.parametrize("junk", [b"", b"!", b"AAAA", b"\xff", b"A" * 9000])
def test_a_damaged_signature_is_none(built, pair, tmp_path, junk):
    sign(built, pair[0], None, Remembering())
    (tmp_path / "churn.wheel.sig").write_bytes(junk)
    with pytest.raises(CheckFailedError, match=r"churn\.wheel"):
        check(built, ByKey(pair[1]), None)


def test_a_folder_in_the_place_of_a_signature_is_told(built, pair, tmp_path):
    (tmp_path / "churn.wheel.sig").mkdir()
    for work in (
        lambda: check(built, ByKey(pair[1]), None),
        lambda: sign(built, pair[0], None, Remembering()),
    ):
        with pytest.raises(InputError, match="the signature cannot be read") as no:
            work()
        assert no.value.where == "churn.wheel.sig"


def test_an_image_is_signed_as_cosign_does(built, pair, running, place, pushed):
    signed = sign(built, pair[0], place, Remembering())[-1]
    assert (signed.what, signed.signature, signed.fresh) == (
        f"{running.host}/{NAME}@{pushed}",
        tag(pushed),
        True,
    )
    data, media_type = running.manifests[NAME, tag(pushed)]
    assert media_type == "application/vnd.oci.image.manifest.v1+json"
    manifest = json.loads(data)
    (layer,) = manifest["layers"]
    assert layer["mediaType"] == "application/vnd.dev.cosign.simplesigning.v1+json"
    payload = running.blobs[NAME, layer["digest"]]
    # As Go writes it, byte for byte: no blanks, and null where nothing else is told.
    assert payload.decode() == (
        f'{{"critical":{{"identity":{{"docker-reference":"{running.host}/{NAME}"}},'
        f'"image":{{"docker-manifest-digest":"{pushed}"}},'
        '"type":"cosign container image signature"},"optional":null}'
    )
    value = base64.b64decode(layer["annotations"]["dev.cosignproject.cosign/signature"])
    assert pair[1].valid(hashlib.sha256(payload).digest(), value)
    assert manifest["config"]["mediaType"] == "application/vnd.oci.image.config.v1+json"
    config = json.loads(running.blobs[NAME, manifest["config"]["digest"]])
    assert config["rootfs"] == {"type": "layers", "diff_ids": [layer["digest"]]}
    assert len(check(built, ByKey(pair[1]), place)) == 3


def test_signing_twice_adds_nothing_and_another_key_adds_its_own(
    built, pair, running, place, pushed, stranger
):
    sign(built, pair[0], place, Remembering())
    running.requests.clear()
    assert not any(each.fresh for each in sign(built, pair[0], place, Remembering()))
    assert not [item for item in running.requests if item.method in ("PUT", "POST")]
    with pytest.raises(CheckFailedError, match="@sha256:") as no:
        check(built, ByKey(stranger), place)
    assert no.value.hint == "mlpack sign production --key cosign.key"
    private, public = new_key(b"")
    sign(built, private_key(private, b"", "k"), place, Remembering())
    manifest = json.loads(running.manifests[NAME, tag(pushed)][0])
    assert len(manifest["layers"]) == 2
    # The files have one signature each: the last one's.
    images = replace(built, artifacts={"image": built.artifacts["image"]})
    for key in (pair[1], public_key(public, "p")):
        check(images, ByKey(key), place)


def test_a_signature_of_another_image_is_none_of_this_one(built, pair, running, place, pushed):
    sign(built, pair[0], place, Remembering())
    other = f"sha256:{'7' * 64}"
    running.manifests[NAME, tag(other)] = running.manifests[NAME, tag(pushed)]
    running.manifests[NAME, other] = running.manifests[NAME, pushed]
    image = Artifact(kind="image", file="x", sha256="", size=1, digest=other, image="churn:2")
    moved = replace(built, artifacts={"image": image})
    with pytest.raises(CheckFailedError, match=other):
        check(moved, ByKey(pair[1]), place)


@pytest.mark.parametrize(
    "layer",
    [
        {"annotations": {"dev.cosignproject.cosign/signature": "!"}},
        {"annotations": {"dev.cosignproject.cosign/signature": "\u00e9"}},
        {"annotations": {}},
        {"mediaType": "a/b"},
        {"size": 1 << 30},
    ],
)
def test_layers_that_are_no_signatures_are_passed_over(built, pair, running, place, pushed, layer):
    sign(built, pair[0], place, Remembering())
    data, kind = running.manifests[NAME, tag(pushed)]
    manifest = json.loads(data)
    manifest["layers"][0] |= layer
    running.put_manifest(NAME, tag(pushed), json.dumps(manifest).encode(), kind)
    with pytest.raises(CheckFailedError):
        check(built, ByKey(pair[1]), place)


def test_something_else_under_the_tag_is_refused(built, pair, running, place, pushed):
    index = "application/vnd.oci.image.index.v1+json"
    running.put_manifest(NAME, tag(pushed), b'{"schemaVersion":2,"manifests":[]}', index)
    with pytest.raises(OutsideError, match="holds no signatures"):
        sign(built, pair[0], place, Remembering())


@pytest.mark.parametrize(
    "data", [b"{", b'{"schemaVersion":2}', b'{"a":' + b"[" * 200_000, b'"\xff"']
)
def test_no_manifest_under_the_tag_is_the_registrys_fault(
    built, pair, running, place, pushed, data
):
    running.put_manifest(NAME, tag(pushed), data, "application/vnd.oci.image.manifest.v1+json")
    for work in (
        lambda: sign(built, pair[0], place, Remembering()),
        lambda: check(built, ByKey(pair[1]), place),
    ):
        with pytest.raises(OutsideError):
            work()


def test_no_signature_is_added_where_none_would_be_read(
    built, pair, running, place, pushed, stranger
):
    sign(built, pair[0], place, Remembering())
    data, kind = running.manifests[NAME, tag(pushed)]
    manifest = json.loads(data)
    (ours,) = manifest["layers"]
    others = {**ours, "annotations": {"dev.cosignproject.cosign/signature": "AAAA"}}

    def put(*layers):
        manifest["layers"] = layers
        running.put_manifest(NAME, tag(pushed), json.dumps(manifest).encode(), kind)

    put(*[others] * 99)
    assert sign(built, pair[0], place, Remembering())[-1].fresh
    check(built, ByKey(pair[1]), place)
    put(*[others] * 100)
    with pytest.raises(OutsideError, match="holds 100 signatures") as no:
        sign(built, pair[0], place, Remembering())
    assert "Remove" in no.value.hint


def test_a_signature_that_another_writer_took_away_is_stored_again(
    built, pair, running, pushed, stranger
):
    """Somebody else has read the tag before this signature was there, and writes it back."""
    reference = parse(f"{running.host}/{NAME}")
    other, paused = private_key(new_key(b"")[0], b"", "o"), []

    def meanwhile(seconds):
        paused.append(seconds)
        if len(paused) == 1:
            del running.manifests[NAME, tag(pushed)]
            sign(built, other, Place(reference.name, quiet, "production"), Remembering())

    quiet = connect(reference, None, sleep=lambda _: None)
    place = Place(reference.name, connect(reference, None, sleep=meanwhile), "production")
    sign(built, pair[0], place, Remembering())
    assert image_is_signed(quiet, pushed, pair[1])
    assert image_is_signed(quiet, pushed, other)
    assert len(paused) == 2


def test_a_signed_document_that_is_none_names_nothing():
    for data in (b"{", b"\xff", b'{"a":' + b"[" * 200_000):
        assert signed_digest(data) is None


def test_an_image_that_is_not_there_is_deployed_first(built, pair, place):
    with pytest.raises(InputError, match="is not in") as no:
        sign(built, pair[0], place, Remembering())
    assert no.value.hint == "mlpack deploy production"


def test_nothing_to_sign(built, pair, place):
    images = replace(built, artifacts={"image": built.artifacts["image"]})
    with pytest.raises(InputError, match="neither a wheel nor a zip"):
        sign(images, pair[0], None, Remembering())
    with pytest.raises(InputError, match="neither a wheel nor a zip"):
        check(images, ByKey(pair[1]), None)
    wheels = replace(built, artifacts={"wheel": built.artifacts["wheel"]})
    with pytest.raises(InputError, match="no image is built"):
        sign(wheels, pair[0], place, Remembering())
