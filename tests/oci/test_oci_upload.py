"""Large blobs: whole where that works, else in chunks that go on where they broke off."""

from __future__ import annotations

import io
import random

import pytest
from scripted_registry import Failure, serve

from mlpack.errors import OutsideError
from mlpack.oci.credentials import Credential
from mlpack.oci.http import Session, make_client
from mlpack.oci.upload import Upload
from mlpack.oci.values import Descriptor, digest_of

CHUNK = 1000
BLOB = random.Random(7).randbytes(10 * CHUNK + 123)


@pytest.fixture
def registry():
    with serve() as running:
        yield running


class Pipe(io.BytesIO):
    """What can only be read from its beginning."""

    def seekable(self):
        return False


def upload(registry, blob=BLOB, opener=io.BytesIO, waits=None):
    session = Session(
        registry.host,
        "http",
        Credential("alice", "secret"),
        make_client(registry.host, "http"),
        sleep=(lambda _: None) if waits is None else waits.append,
    )
    descriptor = Descriptor(media_type="x", digest=digest_of(blob), size=len(blob))
    done = Upload(session, "team/churn", descriptor, lambda: opener(blob), CHUNK).run()
    assert registry.blobs["team/churn", descriptor.digest] == blob
    return done


def sent(registry, method="PATCH"):
    return sum(int(each.headers["Content-Length"]) for each in registry.seen(method, "uploads"))


def test_a_blob_goes_in_one_piece_where_that_works(registry):
    assert upload(registry) == "sent"
    assert (sent(registry, "PUT"), sent(registry)) == (len(BLOB), 0)


@pytest.mark.parametrize("opener", [io.BytesIO, Pipe])
@pytest.mark.parametrize("taken", [0, 1500, 9999])
def test_what_broke_off_goes_on_where_the_registry_is(registry, opener, taken):
    registry.failures = [Failure("PUT", "uploads", taken=taken)]
    upload(registry, opener=opener)
    assert sent(registry) == len(BLOB) - taken
    assert len(registry.seen("POST", "uploads")) == 1


@pytest.mark.parametrize("failure", [{"taken": 400}, {"status": 503}, {"status": 429}])
def test_a_chunk_that_broke_off_goes_on_too(registry, failure):
    registry.failures = [Failure("PUT", "uploads", taken=0)]
    registry.failures += [Failure("PATCH", "uploads", **failure) for _ in range(2)]
    upload(registry)
    there = 2 * failure.get("taken", 0)
    assert sent(registry) == len(BLOB) - there + 2 * CHUNK
    assert len(registry.seen("POST", "uploads")) == 1


def test_it_waits_as_long_as_it_is_asked_to(registry):
    waits = []
    registry.failures = [
        Failure("PUT", "uploads", taken=0),
        Failure("PATCH", "uploads", 429, {"Retry-After": "9"}),
        Failure("PATCH", "uploads", 503),
    ]
    upload(registry, waits=waits)
    assert waits == [0.5, 9.0, 1.0]


def test_what_takes_no_large_bodies_gets_small_ones(registry):
    """As Cloudflare, or nginx as it is installed, before a registry."""
    registry.largest_body = CHUNK
    upload(registry)
    assert len(registry.seen("PATCH", "uploads")) == 11
    assert sent(registry) == len(BLOB)


def test_chunks_are_as_large_as_the_registry_demands(registry):
    registry.failures = [Failure("PUT", "uploads", taken=0)]
    registry.least_chunk = 4 * CHUNK
    upload(registry)
    sizes = [int(each.headers["Content-Length"]) for each in registry.seen("PATCH", "uploads")]
    assert sizes == [4 * CHUNK, 4 * CHUNK, len(BLOB) - 8 * CHUNK]


def test_an_upload_that_is_forgotten_is_begun_again(registry):
    registry.forgets = True
    registry.failures = [Failure("PUT", "uploads", taken=5000)]
    upload(registry)
    assert len(registry.seen("POST", "uploads")) == 2
    assert sent(registry) == len(BLOB)


def test_one_that_is_forgotten_each_time_is_given_up(registry):
    registry.failures = [Failure("PUT", "uploads", 404) for _ in range(3)]
    with pytest.raises(OutsideError, match="forgets uploads"):
        upload(registry)
    assert len(registry.seen("POST", "uploads")) == 3
    assert not registry.blobs


def test_one_that_gets_no_further_is_given_up(registry):
    registry.failures = [Failure("PUT", "uploads", taken=2500)]
    registry.failures += [Failure("PATCH", "uploads", taken=0) for _ in range(9)]
    with pytest.raises(OutsideError, match=r"takes 2,500 of 10,123 bytes"):
        upload(registry)
    assert len(registry.seen("PATCH", "uploads")) == 3
    assert not registry.blobs


def test_what_is_small_is_sent_whole_again(registry):
    registry.failures = [Failure("PUT", "uploads", 503), Failure("PUT", "uploads", taken=0)]
    upload(registry, blob=b"x" * CHUNK)
    assert not registry.seen("PATCH", "uploads")
    assert len(registry.seen("PUT", "uploads")) == 3


@pytest.mark.parametrize("status", [400, 405, 500])
def test_a_registry_that_takes_no_chunks_says_so(registry, status):
    registry.failures = [Failure("PUT", "uploads", taken=0)]
    registry.failures += [Failure("PATCH", "uploads", status) for _ in range(9)]
    with pytest.raises(OutsideError, match=f"HTTP {status}|takes 0 of"):
        upload(registry)
    assert not registry.blobs


def test_the_login_goes_to_no_other_host(registry):
    """An upload's place may be elsewhere, such as in a bucket."""
    with serve() as bucket:
        bucket.uploads["far"] = b""
        away = f"http://{bucket.host}/v2/team/churn/blobs/uploads/far?state=0"
        registry.failures = [
            Failure("POST", "uploads", 401, {"WWW-Authenticate": "Basic"}),
            Failure("POST", "uploads", 202, {"Location": away}),
        ]
        with pytest.raises(KeyError):
            upload(registry)
        assert "Authorization" in registry.requests[-1].headers
        assert ("team/churn", digest_of(BLOB)) in bucket.blobs
        assert all("Authorization" not in each.headers for each in bucket.requests)
