"""What was built is signed as an identity: files, and an image in a registry."""

from __future__ import annotations

import hashlib
import json

import private_sigstore
import pytest
from bundling import Remembering
from images import SLIM, image_of
from scripted_registry import Failure, serve

from mlpack.bundle import Artifact
from mlpack.errors import CheckFailedError, InputError, OutsideError
from mlpack.oci.bundles import BUNDLE, PREDICATE, add, read, stated_digests, statement
from mlpack.oci.reference import parse
from mlpack.oci.referrers import attach, attachment, listed
from mlpack.oci.registry import connect
from mlpack.ports import Built
from mlpack.signers import keyless as plugin
from mlpack.usecases.keyless import ByIdentity, sign
from mlpack.usecases.signature import Place, check

NAME = "team/churn"
ALICE, BOB = "alice@example.org", "bob@example.org"


@pytest.fixture(scope="module")
def sigstore():
    with private_sigstore.serve() as running:
        yield running


@pytest.fixture
def signer(sigstore, tmp_path):
    config = tmp_path / "trust_config.json"
    config.write_text(json.dumps(sigstore.trust_config()))
    return lambda who=ALICE: plugin.signer(sigstore.token(who), config, interactive=False)


@pytest.fixture
def by(sigstore, tmp_path):
    root = tmp_path / "trusted_root.json"
    root.write_text(json.dumps(sigstore.trusted_root()))
    return lambda who=ALICE: ByIdentity(plugin.checker(who, private_sigstore.ISSUER, root))


@pytest.fixture(params=[True, False], ids=["api", "tag"])
def running(request):
    with serve(api=request.param) as registry:
        yield registry


@pytest.fixture
def place(running):
    reference = parse(f"{running.host}/{NAME}")
    return Place(reference.name, connect(reference, None, sleep=lambda _: None), "production")


@pytest.fixture
def image(tmp_path):
    return image_of(tmp_path, SLIM)


@pytest.fixture
def built(tmp_path, image):
    artifacts = {}
    for kind in ("wheel", "zip"):
        data = kind.encode()
        (tmp_path / f"churn.{kind}").write_bytes(data)
        artifacts[kind] = Artifact(
            kind=kind, file=f"churn.{kind}", sha256=hashlib.sha256(data).hexdigest(),
            size=len(data),
        )  # fmt: skip
    artifacts["image"] = Artifact(
        kind="image", file="churn.oci.tar", sha256="0" * 64, size=1, digest=image.digest,
        image="churn:1.2.0",
    )  # fmt: skip
    return Built("churn", "1.2.0", "onnx", "l", "b", artifacts, tmp_path)


@pytest.fixture
def pushed(running, image):
    running.put_image(NAME, "1.2.0", image)
    return image.digest


def test_files_are_signed_and_checked(built, signer, by):
    reporter = Remembering()
    done = sign(built, signer(), None, reporter)
    assert [(each.what, each.signature) for each in done] == [
        ("churn.wheel", "churn.wheel.sigstore.json"),
        ("churn.zip", "churn.zip.sigstore.json"),
    ]
    assert reporter.told[0] == f"Signing as {ALICE} ({private_sigstore.ISSUER})"
    assert len(check(built, by(), None)) == 2
    with pytest.raises(CheckFailedError, match=r"not signed by this identity: churn\.wheel") as no:
        check(built, by(BOB), None)
    assert no.value.hint == "mlpack sign --keyless"
    (built.dist / "churn.zip").write_bytes(b"other")
    with pytest.raises(CheckFailedError, match=r"identity: churn\.zip\n"):
        check(built, by(), None)
    (built.dist / "churn.zip.sigstore.json").unlink()
    with pytest.raises(CheckFailedError, match=r"identity: churn\.zip\n"):
        check(built, by(), None)


def test_an_image_is_signed_as_cosign_3_does(built, signer, by, place, pushed):
    done = sign(built, signer(), place, Remembering())
    assert done[-1].what == f"{place.name}@{pushed}"
    (descriptor,) = listed(place.registry, pushed)
    assert descriptor.artifact_type == BUNDLE
    assert descriptor.annotations == {
        "dev.sigstore.bundle.content": "dsse-envelope",
        "dev.sigstore.bundle.predicateType": PREDICATE,
    }
    manifest = json.loads(place.registry.get_manifest(descriptor.digest)[0])
    assert manifest["subject"]["digest"] == pushed
    assert manifest["artifactType"] == manifest["layers"][0]["mediaType"] == BUNDLE
    (bundle,) = read(place.registry, pushed)
    stated = json.loads(by().checker.statement(bundle))
    assert stated == {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"digest": {"sha256": pushed[7:]}, "name": place.name}],
        "predicateType": "https://sigstore.dev/cosign/sign/v1",
        "predicate": {},
    }
    assert len(check(built, by(), place)) == 3
    with pytest.raises(CheckFailedError, match=f"{NAME}@{pushed}"):
        check(built, by(BOB), place)


def test_two_identities_sign_one_image(built, signer, by, place, pushed):
    sign(built, signer(), place, Remembering())
    sign(built, signer(BOB), place, Remembering())
    assert by().is_image_signed(place.registry, pushed)
    assert by(BOB).is_image_signed(place.registry, pushed)
    assert not by("carol@example.org").is_image_signed(place.registry, pushed)


def test_a_signature_of_another_image_is_none_of_this_one(signer, by, place, image, pushed):
    stated = statement(place.name, f"sha256:{'0' * 64}")
    add(place.registry, image, signer().statement(stated))
    assert not by().is_image_signed(place.registry, pushed)


def test_other_statements_and_what_is_no_bundle_are_passed_over(signer, by, place, image, pushed):
    stated = statement(place.name, pushed)
    other = stated.replace(b"cosign/sign/v1", b"cosign/other/v1")
    assert stated_digests(other) == frozenset()
    add(place.registry, image, signer().statement(other))
    add(place.registry, image, b"junk")
    attach(place.registry, attachment(b"bill", "text/plain", "bill", image))
    assert not by().is_image_signed(place.registry, pushed)
    add(place.registry, image, signer().statement(stated))
    assert by().is_image_signed(place.registry, pushed)


@pytest.mark.parametrize("data", [b"{", b"[]", b"\xff", b'{"_type": 1}', b"[" * 9999])
def test_junk_states_nothing(data):
    assert stated_digests(data) == frozenset()


def test_an_image_that_is_not_there_is_told_before_anything_is_signed(
    built, signer, place, sigstore
):
    who, before = signer(), len(sigstore.entries)
    with pytest.raises(InputError, match="is not in") as no:
        sign(built, who, place, Remembering())
    assert no.value.hint == "mlpack deploy production"
    assert len(sigstore.entries) == before


def test_nothing_to_sign(built, signer):
    images = Built("c", "1", "onnx", "l", "b", {"image": built.artifacts["image"]}, built.dist)
    with pytest.raises(InputError, match="neither a wheel nor a zip"):
        sign(images, signer(), None, Remembering())


def test_a_registry_that_refuses(built, signer, place, pushed, running):
    running.failures.append(Failure("PUT", "/manifests/sha256:", status=405))
    with pytest.raises(OutsideError, match="HTTP 405"):
        sign(built, signer(), place, Remembering())


def test_a_folder_in_the_bundles_place(built, by):
    (built.dist / "churn.wheel.sigstore.json").mkdir()
    with pytest.raises(InputError, match="bundle cannot be read"):
        check(built, by(), None)
