import ssl
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from images import SLIM, image_of
from loopback import certificate
from scripted_registry import Failure, serve

from mlpack.errors import InputError, OutsideError
from mlpack.oci.cache import Cache
from mlpack.oci.credentials import Credential
from mlpack.oci.reference import Reference, parse
from mlpack.oci.registry import Registry, connect
from mlpack.oci.values import (
    DOCKER_MANIFEST,
    INDEX,
    LAYER_GZIP,
    Descriptor,
    ImageConfig,
    Index,
    Layer,
    Platform,
    RootFs,
    digest_of,
    encode,
    make_image,
    make_multi_image,
)

ALICE = Credential("alice", "secret")


@pytest.fixture
def image(tmp_path):
    (tmp_path / "layers").mkdir()
    return image_of(tmp_path / "layers", SLIM, {"etc/x": b"x"})


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache")


def at(registry, credential=None, repository="team/churn", waits=None) -> Registry:
    sleep = (lambda _: None) if waits is None else waits.append
    return connect(reference(registry, repository), credential, sleep=sleep)


def reference(registry, repository="team/churn", tag="1.0") -> Reference:
    return parse(f"{registry.host}/{repository}:{tag}")


def content(layer) -> bytes:
    with layer.open() as stream:
        return stream.read()


@pytest.mark.parametrize("auth", ["none", "basic", "token"])
def test_what_is_pushed_is_pulled(image, cache, auth):
    with serve(auth=auth) as registry:
        pushed = at(registry, ALICE).push(image, ("1.0",))
        assert pushed.digest == image.digest
        assert len(pushed.sent) == 2
        digest, pulled = at(registry, ALICE).pull(reference(registry), "linux/amd64", cache)
        assert digest == image.digest
        assert pulled.manifest_bytes == image.manifest_bytes
        assert pulled.config_bytes == image.config_bytes
        assert [content(item) for item in pulled.layers] == [content(item) for item in image.layers]
        assert at(registry, ALICE).resolve("1.0") == image.digest
        assert at(registry, ALICE).resolve("2.0") is None


def test_layers_come_only_when_they_are_opened_and_once(image, cache):
    with serve() as registry:
        registry.put_image("team/churn", "1.0", image)
        _, pulled = at(registry).pull(reference(registry), "linux/amd64", cache)
        layer = pulled.layers[0]
        assert not registry.seen("GET", layer.descriptor.digest)
        content(layer)
        content(layer)
        assert len(registry.seen("GET", layer.descriptor.digest)) == 1


def test_a_known_digest_needs_no_registry(image, cache):
    with serve() as registry:
        registry.put_image("team/churn", "1.0", image)
        at(registry).pull(reference(registry), "linux/amd64", cache)
        host = registry.host
    known = Reference(host, "team/churn", "1.0", image.digest, "http")
    digest, pulled = connect(known, None).pull(known, "linux/amd64", cache)
    assert digest == pulled.digest == image.digest


@pytest.mark.parametrize("auth", ["basic", "token"])
def test_a_wrong_password_is_refused(image, auth):
    with serve(auth=auth) as registry:
        with pytest.raises(OutsideError, match="refused the user name and password") as refused:
            at(registry, Credential("alice", "wrong")).push(image, ("1.0",))
        assert "wrong" not in str(refused.value)
        assert not registry.blobs


@pytest.mark.parametrize("auth", ["basic", "token"])
def test_no_password_is_said_to_be_wanted(image, auth):
    with (
        serve(auth=auth) as registry,
        pytest.raises(OutsideError, match="wants a user name and a password") as refused,
    ):
        at(registry).resolve("1.0")
    assert "MLPACK_REGISTRY_USERNAME" in str(refused.value.hint)


def test_an_anonymous_token_is_enough_to_pull(image, cache):
    with serve(auth="token", anonymous_token=True) as registry:
        registry.put_image("library/python", "3.11", image)
        where = reference(registry, "library/python", "3.11")
        at(registry, repository="library/python").pull(where, "linux/amd64", cache)
        assert registry.scopes == [["repository:library/python:pull"]]
        assert "Authorization" not in registry.seen("GET", "/token")[0].headers


def test_an_identity_token_is_exchanged(image):
    with serve(auth="token") as registry:
        token = Credential("", "", "identity")
        at(registry, token).push(image, ("1.0",))
        assert registry.seen("POST", "^/token$")
        assert not registry.seen("GET", "^/token")


def test_the_password_does_not_go_to_a_stranger_without_tls():
    with serve(auth="token") as registry:
        registry.realm = "http://elsewhere.example/token"
        with pytest.raises(OutsideError, match="without TLS"):
            at(registry, ALICE).resolve("1.0")
        assert not registry.seen("GET", "token")


def test_a_redirect_does_not_take_the_password_along(image, cache):
    with serve() as other, serve(auth="basic") as registry:
        registry.put_image("team/churn", "1.0", image)
        other.put_image("team/churn", "1.0", image)
        registry.redirect_blobs_to = f"http://{other.host}"
        _, pulled = at(registry, ALICE).pull(reference(registry), "linux/amd64", cache)
        assert content(pulled.layers[0])
        assert "Authorization" in registry.seen("GET", "blobs")[-1].headers
        assert other.seen("GET", "blobs")
        assert all("Authorization" not in item.headers for item in other.requests)


def test_a_registry_that_redirects_in_a_circle_is_given_up(image, cache):
    with serve() as registry:
        registry.put_image("team/churn", "1.0", image)
        registry.redirect_blobs_to = f"http://{registry.host}"
        with pytest.raises(OutsideError, match="in a circle"):
            at(registry).pull(reference(registry), "linux/amd64", cache)


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_it_tries_again_and_waits_longer_each_time(image, status):
    with serve() as registry:
        registry.failures = [Failure("GET", "manifests", status) for _ in range(3)]
        waits: list[float] = []
        assert at(registry, waits=waits).resolve("1.0") is None
        assert waits == [0.5, 1.0, 2.0]


def test_it_waits_as_long_as_it_is_asked_to_within_reason():
    with serve() as registry:
        registry.failures = [
            Failure("GET", "manifests", 429, {"Retry-After": seconds})
            for seconds in ("7", "86400", "Wed, 21 Oct 2026 07:28:00 GMT")
        ]
        waits: list[float] = []
        at(registry, waits=waits).resolve("1.0")
        assert waits == [7.0, 30.0, 2.0]


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (307, {"Location": "http://[x/"}),
        (200, {"Content-Encoding": "gzip"}),
        (429, {"Retry-After": "\u00b2"}),
    ],
)
def test_an_answer_that_is_none_is_told_and_ends_nothing(status, headers):
    with serve() as registry:
        registry.failures = [Failure("GET", "manifests", status, headers) for _ in range(10)]
        with pytest.raises(OutsideError, match=registry.host):
            connect(parse(f"{registry.host}/x:1"), None, sleep=lambda _: None).resolve("1")


def test_it_gives_up_in_the_end():
    with serve() as registry:
        registry.failures = [Failure("GET", "manifests", 503) for _ in range(10)]
        with pytest.raises(OutsideError, match="HTTP 503"):
            at(registry).resolve("1.0")
        assert len(registry.requests) == 5


def test_an_upload_that_fails_starts_again(image):
    with serve() as registry:
        registry.failures = [Failure("PUT", "blobs/uploads", 503), Failure("PUT", "uploads", 404)]
        at(registry).push(image, ("1.0",))
        assert all(
            (("team/churn", item.descriptor.digest) in registry.blobs) for item in image.layers
        )


def image_with(folder, *sizes):
    """An image of layers of so many bytes, which are no tars."""

    def layer(size):
        path = folder / f"blob{size}"
        path.write_bytes(bytes([size % 251]) * size)
        digest = digest_of(path.read_bytes())
        descriptor = Descriptor(media_type=LAYER_GZIP, digest=digest, size=size)
        return Layer(descriptor, digest, lambda: path.open("rb"))

    layers = tuple(map(layer, sizes))
    rootfs = RootFs(type="layers", diff_ids=tuple(each.diff_id for each in layers))
    return make_image(ImageConfig(architecture="amd64", os="linux", rootfs=rootfs), layers, {})


def test_layers_are_sent_at_the_same_time_after_one_login(tmp_path):
    """The smallest goes first, alone; then each waits in the registry until all have come."""
    image = image_with(tmp_path, 3_000, 1_000, 4_000, 2_000, 5_000)
    told = []

    def on_layer(layer, what):
        told.append((layer.descriptor.size, what))
        registry.together = None if len(told) == 5 else barrier

    barrier = threading.Barrier(4, timeout=10)
    with serve(auth="token") as registry:
        pushed = at(registry, ALICE).push(image, ("1.0",), on_layer)
        assert pushed.sent == tuple(layer.descriptor for layer in image.layers)
        assert told[0] == (1_000, "sent")
        assert sorted(told) == [(1_000 * n, "sent") for n in range(1, 6)]
        assert len(registry.scopes) == 1


def test_a_layer_that_is_refused_ends_the_push_and_the_next_one_sends_the_rest(tmp_path):
    image = image_with(tmp_path, *range(1_000, 1_008))
    refused = image.layers[5].descriptor
    with serve() as registry:
        registry.failures = [Failure("PUT", refused.digest, 418)]
        with pytest.raises(OutsideError, match="HTTP 418 when a layer was sent"):
            at(registry).push(image, ("1.0",))
        assert not registry.manifests
        before = {digest for _, digest in registry.blobs}
        again = at(registry).push(image, ("1.0",))
        assert refused in again.sent
        assert {each.digest for each in again.there} == before != set()


def test_blobs_that_are_there_are_not_sent(image):
    with serve() as registry:
        at(registry).push(image, ("1.0",))
        registry.requests.clear()
        again = at(registry).push(image, ("1.1",))
        assert len(again.there) == 2
        assert not registry.seen("POST", ".")
        assert [item.path for item in registry.seen("PUT", ".")] == ["/v2/team/churn/manifests/1.1"]


@pytest.mark.parametrize("mounts", [True, False])
def test_blobs_of_another_repository_are_mounted_where_that_works(image, cache, mounts):
    with serve(auth="token", mounts=mounts) as registry:
        registry.put_image("library/python", "3.11", image)
        where = reference(registry, "library/python", "3.11")
        _, base = at(registry, ALICE, "library/python").pull(where, "linux/amd64", cache)
        pushed = at(registry, ALICE).push(base, ("1.0",))
        assert len(pushed.mounted) == (2 if mounts else 0)
        assert len(registry.seen("PUT", "uploads")) == (1 if mounts else 3)
        wanted = {scope for asked in registry.scopes for part in asked for scope in part.split()}
        assert "repository:library/python:pull" in wanted


def test_a_truncated_download_is_not_kept(image, cache):
    with serve() as registry:
        registry.put_image("team/churn", "1.0", image)
        _, pulled = at(registry).pull(reference(registry), "linux/amd64", cache)
        digest = pulled.layers[0].descriptor.digest
        registry.failures = [Failure("GET", digest, cut=True)]
        assert content(pulled.layers[0])  # the second try is whole
        registry.failures = [Failure("GET", pulled.layers[1].descriptor.digest, cut=True)] * 3
        with pytest.raises(OutsideError, match="broke off"):
            content(pulled.layers[1])
        assert not cache.blob(pulled.layers[1].descriptor.digest).exists()


def test_other_bytes_than_the_digest_names_are_not_kept(image, cache):
    with serve() as registry:
        registry.put_image("team/churn", "1.0", image)
        digest = image.layers[0].descriptor.digest
        registry.blobs["team/churn", digest] = b"something else"
        _, pulled = at(registry).pull(reference(registry), "linux/amd64", cache)
        with pytest.raises(OutsideError, match="other bytes"):
            content(pulled.layers[0])
        assert not cache.blob(digest).exists()


def test_a_manifest_that_is_not_what_the_digest_names_is_refused(image, cache):
    with serve() as registry:
        registry.put_image("team/churn", "1.0", image)
        asked = f"sha256:{'0' * 64}"
        registry.manifests["team/churn", asked] = registry.manifests["team/churn", "1.0"]
        where = Reference(registry.host, "team/churn", None, asked, "http")
        with pytest.raises(OutsideError, match="another image"):
            at(registry).pull(where, "linux/amd64", cache)


def index_of(image, *platforms: str) -> bytes:
    return encode(
        Index(
            schema_version=2,
            media_type=INDEX,
            manifests=tuple(
                Descriptor(
                    media_type=DOCKER_MANIFEST,
                    digest=image.digest,
                    size=len(image.manifest_bytes),
                    platform=Platform(os=name.split("/")[0], architecture=name.split("/")[1]),
                )
                for name in platforms
            ),
        )
    )


def test_an_index_gives_the_platforms_image_and_its_own_digest(image, cache):
    with serve() as registry:
        registry.put_image("team/churn", "one", image)
        data = index_of(image, "linux/arm64", "linux/amd64")
        registry.put_manifest("team/churn", "1.0", data, INDEX)
        digest, pulled = at(registry).pull(reference(registry), "linux/amd64", cache)
        assert digest == digest_of(data)
        assert pulled.digest == image.digest
        with pytest.raises(InputError, match="not there for linux/s390x") as refused:
            at(registry).pull(reference(registry), "linux/s390x", cache)
        assert "linux/amd64, linux/arm64" in str(refused.value.hint)


def test_all_platforms_of_an_image_are_pushed_and_pulled(image, cache, tmp_path):
    arm = image_of(tmp_path, {"arm": b""}, architecture="arm64")
    both = make_multi_image([image, arm], {"title": "churn"})
    with serve() as registry:
        pushed = at(registry).push(both, ("1.0",))
        assert pushed.digest == both.digest
        assert len(pushed.sent) == len(image.layers) + len(arm.layers)
        assert at(registry).resolve("1.0") == both.digest
        found = at(registry).pull_whole(reference(registry), cache)
        assert found == replace(both, images=found.images)
        assert [each.digest for each in found.images] == [each.digest for each in both.images]
        assert content(found.images[1].layers[0]) == content(arm.layers[0])
        _, one = at(registry).pull(reference(registry), "linux/arm64", cache)
        assert one.digest == arm.digest
        at(registry).push(image, ("2.0",))
        alone = at(registry).pull_whole(reference(registry, tag="2.0"), cache)
        assert (alone.digest, alone.images) == (image.digest, (alone,))


def test_an_image_that_is_not_there(cache):
    with serve() as registry, pytest.raises(OutsideError, match=r"has no image .*team/churn:1\.0"):
        at(registry).pull(reference(registry), "linux/amd64", cache)


def test_a_registry_that_cannot_be_reached():
    with serve() as registry:
        host = registry.host
    with pytest.raises(OutsideError, match="cannot be reached") as refused:
        connect(parse(f"{host}/x:1"), None, sleep=lambda _: None).resolve("1")
    assert host in str(refused.value)


def test_an_endless_manifest_is_not_read(cache):
    with serve() as registry:
        registry.put_manifest("team/churn", "1.0", b"x" * (9 << 20), INDEX)
        with pytest.raises(OutsideError, match="larger than"):
            at(registry).pull(reference(registry), "linux/amd64", cache)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"schemaVersion": "two"}', b"\xff\xfe"])
def test_a_manifest_that_is_none(cache, data):
    with serve() as registry:
        registry.put_manifest("team/churn", "1.0", data, DOCKER_MANIFEST)
        with pytest.raises(InputError, match="no valid image"):
            at(registry).pull(reference(registry), "linux/amd64", cache)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A private authority's certificate for this machine, and a server that has it."""
    made, key = certificate(tmp_path_factory.mktemp("tls"), "IP:127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made, key)
    return Path(made), context


def test_a_private_authority_is_trusted_only_when_it_is_named(image, authority):
    certificate, context = authority
    with serve(tls=context, auth="basic") as registry:
        where = parse(f"https://{registry.host}/team/churn:1.0")
        connect(where, ALICE, certificate, sleep=lambda _: None).push(image, ("1.0",))
        assert ("team/churn", "1.0") in registry.manifests
        with pytest.raises(OutsideError, match=r"cannot be reached.*(?i:certificate)"):
            connect(where, ALICE, sleep=lambda _: None).resolve("1.0")


def test_a_ca_file_that_is_none(tmp_path):
    with pytest.raises(InputError, match="certificates"):
        connect(parse("registry.example/x:1"), None, tmp_path / "missing.pem")
    (tmp_path / "bad.pem").write_text("no certificate")
    with pytest.raises(InputError, match="certificates"):
        connect(parse("registry.example/x:1"), None, tmp_path / "bad.pem")
