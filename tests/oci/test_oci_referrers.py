"""Documents attached to an image, in registries with and without the referrers API."""

from __future__ import annotations

import hashlib
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from images import SLIM, image_of
from scripted_registry import serve

from mlpack.errors import OutsideError
from mlpack.oci.credentials import Credential
from mlpack.oci.reference import parse
from mlpack.oci.referrers import ArtifactManifest, attach, attachment, fallback_tag, listed
from mlpack.oci.registry import connect
from mlpack.oci.values import Index, decode, encode, make_multi_image

INDEX = "application/vnd.oci.image.index.v1+json"
SPDX = "application/spdx+json"


@pytest.fixture
def image(tmp_path):
    return image_of(tmp_path, SLIM)


@pytest.fixture(params=["basic", "token"])
def running(request):
    with serve(auth=request.param) as registry:
        yield registry


def connected(running):
    login = Credential(running.user, running.password)
    return connect(parse(f"{running.host}/team/churn"), login, sleep=lambda _: None)


def stored(running, digest):
    return json.loads(running.manifests["team/churn", digest][0])


def test_a_manifest_is_as_the_specification_wants_it(image):
    made = json.loads(attachment(b"{}\n", SPDX, "a.spdx.json", image).manifest)
    empty = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert made == {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": SPDX,
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": empty, "size": 2},
        "layers": [
            {
                "mediaType": SPDX,
                "digest": f"sha256:{hashlib.sha256(b'{}' + chr(10).encode()).hexdigest()}",
                "size": 3,
                "annotations": {"org.opencontainers.image.title": "a.spdx.json"},
            }
        ],
        "subject": {
            "mediaType": image.manifest.media_type,
            "digest": image.digest,
            "size": len(image.manifest_bytes),
        },
    }


def layer_of(document):
    return decode(document.manifest, ArtifactManifest, "test").layers[0]


def test_a_registry_with_the_api_lists_it_by_itself(image, running):
    running.api = True
    registry = connected(running)
    assert listed(registry, image.digest) == ()
    document = attachment(b"one", SPDX, "one", image)
    attach(registry, document)
    assert listed(registry, image.digest) == (document.descriptor,)
    assert ("team/churn", fallback_tag(image.digest)) not in running.manifests
    assert stored(running, document.digest)["subject"]["digest"] == image.digest
    assert registry.get_blob(layer_of(document)) == b"one"


def test_a_long_list_comes_in_pages(image, running):
    running.api, running.page = True, 2
    registry = connected(running)
    made = [attachment(str(number).encode(), SPDX, "x", image) for number in range(5)]
    for each in made:
        attach(registry, each)
    assert {each.digest for each in listed(registry, image.digest)} == {
        each.digest for each in made
    }
    assert len(running.seen("GET", "/referrers/.*from=")) == 2


def test_a_registry_without_the_api_gets_an_index_under_the_tag(image, running):
    registry = connected(running)
    assert listed(registry, image.digest) == ()
    one, two = (attachment(content, SPDX, "x", image) for content in (b"1", b"2"))
    for each in (one, two, one):
        attach(registry, each)
    tag = "sha256-" + image.digest.removeprefix("sha256:")
    data, media_type = running.manifests["team/churn", tag]
    assert media_type == INDEX
    index = json.loads(data)
    assert (index["schemaVersion"], index["mediaType"]) == (2, INDEX)
    assert [each["digest"] for each in index["manifests"]] == [one.digest, two.digest]
    assert {each["artifactType"] for each in index["manifests"]} == {SPDX}
    assert listed(registry, image.digest) == (one.descriptor, two.descriptor)


def test_what_others_have_listed_there_stays(image, running):
    other = {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": f"sha256:{'7' * 64}", "size": 7, "artifactType": "a/b",
        "annotations": {"their": "own"},
    }  # fmt: skip
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [other]}
    running.put_manifest(
        "team/churn", fallback_tag(image.digest), json.dumps(index).encode(), INDEX
    )
    attach(connected(running), attachment(b"1", SPDX, "x", image))
    found = stored(running, fallback_tag(image.digest))["manifests"]
    assert found[0] == other
    assert len(found) == 2


def test_a_tag_that_is_something_else_is_not_overwritten(image, running, tmp_path):
    tag = fallback_tag(image.digest)
    other = image_of(tmp_path, {"other": b""})
    running.put_image("team/churn", tag, other)
    with pytest.raises(OutsideError, match="is no index"):
        attach(connected(running), attachment(b"1", SPDX, "x", image))
    assert running.manifests["team/churn", tag][0] == other.manifest_bytes


def test_a_registry_that_takes_the_tag_for_the_image_has_no_list(image, running, tmp_path):
    """Of an image for several platforms it would look like an index of what belongs to it."""
    both = make_multi_image([image, image_of(tmp_path, {}, architecture="arm64")], {})
    tag = fallback_tag(both.digest)
    running.put_manifest("team/churn", tag, both.document, INDEX)
    registry = connected(running)
    assert listed(registry, both.digest) == ()
    with pytest.raises(OutsideError, match="the image itself"):
        attach(registry, attachment(b"1", SPDX, "x", both))
    assert running.manifests["team/churn", tag][0] == both.document


def losing(running, image, times):
    """A registry where others, `times` times, write back the list that they read before."""
    tag = ("team/churn", fallback_tag(image.digest))
    other = attachment(b"of others", SPDX, "other", image)
    theirs = encode(Index(schema_version=2, media_type=INDEX, manifests=(other.descriptor,)))
    paused = []

    def meanwhile(seconds):
        paused.append(seconds)
        if len(paused) <= times:
            running.put_manifest(*tag, theirs, INDEX)

    login = Credential(running.user, running.password)
    return connect(parse(f"{running.host}/team/churn"), login, sleep=meanwhile), other, paused


def test_an_entry_that_another_writer_took_away_is_added_again(image, running):
    registry, other, paused = losing(running, image, 2)
    ours = [attachment(content, SPDX, "x", image) for content in (b"1", b"2")]
    attach(registry, *ours)
    known = (other.descriptor, *(each.descriptor for each in ours))
    assert listed(registry, image.digest) == known
    assert len(running.seen("PUT", f"manifests/{fallback_tag(image.digest)}")) == 3
    assert paused[0] < paused[2]


def test_a_list_that_keeps_nothing_is_told_and_what_others_wrote_stays(image, running):
    registry, other, paused = losing(running, image, 99)
    with pytest.raises(OutsideError, match="did not keep what was added to it, 5 times"):
        attach(registry, attachment(b"1", SPDX, "x", image))
    assert listed(registry, image.digest) == (other.descriptor,)
    assert len(paused) == 5


def test_two_who_attach_at_once_are_both_listed(image, running):
    """Both read the empty list before either has written."""
    barrier = threading.Barrier(2)
    documents = [attachment(content, SPDX, "x", image) for content in (b"1", b"2")]

    def writer(document):
        login = Credential(running.user, running.password)
        registry = connect(parse(f"{running.host}/team/churn"), login)
        read, first = registry.get_manifest, []

        def together(version):
            found = read(version)
            if not first:
                first.append(barrier.wait(10))
            return found

        registry.get_manifest = together
        attach(registry, document)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(writer, documents))
    found = {each.digest for each in listed(connected(running), image.digest)}
    assert found == {each.digest for each in documents}


def test_a_list_without_end_is_given_up(image, running):
    running.api, running.page = True, 0
    registry = connected(running)
    attach(registry, attachment(b"1", SPDX, "x", image))
    with pytest.raises(OutsideError, match="does not end"):
        listed(registry, image.digest)


def test_other_bytes_for_a_digest_are_refused(image, running):
    registry = connected(running)
    document = attachment(b"1", SPDX, "x", image)
    attach(registry, document)
    layer = layer_of(document)
    running.blobs["team/churn", layer.digest] = b"2"
    with pytest.raises(OutsideError, match="other bytes"):
        registry.get_blob(layer)
