"""Signatures by an identity, against a Sigstore of the tests' own and a bundle of the real one."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import private_sigstore
import pytest

from mlpack.errors import InputError, OutsideError
from mlpack.oci.bundles import PREDICATE, stated_digests, statement
from mlpack.signers.keyless import checker, signer

VECTORS = Path(__file__).parent / "vectors"
DIGEST = hashlib.sha256(b"hello").digest()
IMAGE = f"sha256:{'a' * 64}"
ALICE = "alice@example.org"


@pytest.fixture(scope="module")
def running():
    with private_sigstore.serve() as sigstore:
        yield sigstore


@pytest.fixture
def sigstore(running):
    running.lie = ""
    running.seen.clear()
    return running


@pytest.fixture
def config(sigstore, tmp_path):
    path = tmp_path / "trust_config.json"
    path.write_text(json.dumps(sigstore.trust_config()))
    return path


@pytest.fixture
def root(sigstore, tmp_path):
    path = tmp_path / "trusted_root.json"
    path.write_text(json.dumps(sigstore.trusted_root()))
    return path


@pytest.fixture
def bundle(sigstore, config):
    return signer(sigstore.token(), config, interactive=False).file(DIGEST)


@pytest.fixture
def alice(root):
    return checker(ALICE, private_sigstore.ISSUER, root)


def test_what_alice_signed_is_alices(sigstore, config, alice):
    by = signer(sigstore.token(), config, interactive=False)
    assert by.who == f"{ALICE} ({private_sigstore.ISSUER})"
    bundle = by.file(DIGEST)
    assert sigstore.seen == [ALICE]
    told = json.loads(bundle)
    assert told["mediaType"] == "application/vnd.dev.sigstore.bundle.v0.3+json"
    assert alice.file(DIGEST, bundle)
    assert not alice.file(hashlib.sha256(b"other").digest(), bundle)
    by.file(hashlib.sha256(b"more").digest())
    assert sigstore.seen == [ALICE]  # one certificate for all


def test_a_statement_is_signed_in_an_envelope(sigstore, config, alice):
    stated = statement("registry.example/team/churn", IMAGE)
    bundle = signer(sigstore.token(), config, interactive=False).statement(stated)
    assert alice.statement(bundle) == stated
    assert stated_digests(stated) == {IMAGE}
    # One is not taken for the other.
    assert not alice.file(hashlib.sha256(stated).digest(), bundle)


def test_a_file_is_no_statement(bundle, alice):
    assert alice.statement(bundle) is None


def test_another_identity_or_issuer_is_not_alice(bundle, root):
    assert not checker("bob@example.org", private_sigstore.ISSUER, root).file(DIGEST, bundle)
    assert not checker(ALICE, "https://other.example", root).file(DIGEST, bundle)
    assert not checker("alice@example", private_sigstore.ISSUER, root).file(DIGEST, bundle)


def test_another_sigstore_is_not_believed(bundle, tmp_path):
    path = tmp_path / "other.json"
    path.write_text(json.dumps(private_sigstore.Sigstore(url="http://x.example").trusted_root()))
    assert not checker(ALICE, private_sigstore.ISSUER, path).file(DIGEST, bundle)


@pytest.mark.parametrize("part", ["tlogs", "ctlogs", "certificateAuthorities"])
def test_each_key_of_the_trusted_root_counts(bundle, sigstore, tmp_path, part):
    other = private_sigstore.Sigstore(url=sigstore.url).trusted_root()
    path = tmp_path / "mixed.json"
    path.write_text(json.dumps({**sigstore.trusted_root(), part: other[part]}))
    assert not checker(ALICE, private_sigstore.ISSUER, path).file(DIGEST, bundle)


def damaged(bundle):
    """Bundles in which one thing is another: a name for each, and its bytes."""
    entry = ("verificationMaterial", "tlogEntries", 0)
    places = {
        "signature": ("messageSignature", "signature"),
        "certificate": ("verificationMaterial", "certificate", "rawBytes"),
        "promise": (*entry, "inclusionPromise", "signedEntryTimestamp"),
        "body": (*entry, "canonicalizedBody"),
        "root": (*entry, "inclusionProof", "rootHash"),
    }
    for name, place in places.items():
        told = json.loads(bundle)
        *way, last = place
        inner = told
        for key in way:
            inner = inner[key]
        data = bytearray(base64.b64decode(inner[last]))
        data[-3] ^= 1
        inner[last] = base64.b64encode(bytes(data)).decode()
        yield name, json.dumps(told).encode()
    for name in ("inclusionPromise", "inclusionProof"):
        told = json.loads(bundle)
        del told["verificationMaterial"]["tlogEntries"][0][name]
        yield f"no {name}", json.dumps(told).encode()
    told = json.loads(bundle)
    told["verificationMaterial"]["tlogEntries"] = []
    yield "no entry", json.dumps(told).encode()
    told = json.loads(bundle)
    told["verificationMaterial"]["tlogEntries"][0]["integratedTime"] = "1"
    yield "another time", json.dumps(told).encode()


def test_a_bundle_in_which_anything_is_another_proves_nothing(bundle, alice):
    names = []
    for name, data in damaged(bundle):
        assert not alice.file(DIGEST, data), name
        names.append(name)
    assert len(names) == 9


@pytest.mark.parametrize(
    "junk", [b"", b"{}", b"[]", b"null", b"\xff", b'{"mediaType": 1}', b"[" * 9999]
)
def test_junk_proves_nothing(junk, alice):
    assert not alice.file(DIGEST, junk)
    assert alice.statement(junk) is None


# A Sigstore that lies or refuses


@pytest.mark.parametrize("lie", ["log", "checkpoint", "proof", "late", "other"])
def test_what_proves_nothing_is_not_given_out(sigstore, config, lie):
    by = signer(sigstore.token(), config, interactive=False)
    sigstore.lie = lie
    with pytest.raises(OutsideError, match="what Sigstore gave proves nothing"):
        by.file(DIGEST)
    with pytest.raises(OutsideError, match="what Sigstore gave proves nothing"):
        by.statement(statement("r.example/x", IMAGE))


def test_a_certificate_that_is_in_no_log_is_refused(sigstore, config):
    sigstore.lie = "sct"
    with pytest.raises(OutsideError, match="proves nothing"):
        signer(sigstore.token(), config, interactive=False)


def test_a_sigstore_that_refuses(sigstore, config):
    sigstore.lie = "fulcio"
    with pytest.raises(OutsideError, match="could not give a certificate: 400"):
        signer(sigstore.token(), config, interactive=False)
    sigstore.lie = ""
    by = signer(sigstore.token(), config, interactive=False)
    sigstore.lie = "rekor"
    with pytest.raises(OutsideError, match="could not sign: 3: no"):
        by.file(DIGEST)


def test_a_token_of_somebody_elses_making_gets_no_certificate(sigstore, config):
    forged = private_sigstore.Sigstore().token()
    with pytest.raises(OutsideError, match="could not give a certificate: 400"):
        signer(forged, config, interactive=False)
    assert sigstore.seen == []


def test_a_sigstore_that_is_not_there(config, sigstore, tmp_path):
    text = config.read_text().replace(sigstore.url, "http://127.0.0.1:1")
    away = tmp_path / "away.json"
    away.write_text(text)
    with pytest.raises(OutsideError, match=r"could not give a certificate: .*refused"):
        signer(sigstore.token(), away, interactive=False)


def test_the_public_sigstore_out_of_reach(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in ("http_proxy", "https_proxy", "HTTPS_PROXY"):  # nobody is asked in earnest
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(OutsideError, match="could not be asked: Failed to refresh TUF") as no:
        checker(ALICE, private_sigstore.ISSUER, None)
    assert "--trusted-root" in no.value.hint


# Tokens


def test_a_runner_of_github_has_its_token(sigstore, config, root, monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "runner")
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", f"{sigstore.url}/token?x=1")
    bundle = signer(None, config, interactive=False).file(DIGEST)
    assert sigstore.seen == ["https://ci.example/run"]
    assert checker("https://ci.example/run", private_sigstore.ISSUER, root).file(DIGEST, bundle)


def test_a_runner_of_github_without_the_permission(sigstore, config, monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.delenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", raising=False)
    with pytest.raises(OutsideError, match="could not be told who signs: GitHub"):
        signer(None, config, interactive=False)


def test_a_job_of_gitlab_has_its_token(sigstore, config, monkeypatch):
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    monkeypatch.setenv("GITLAB_CI", "true")
    monkeypatch.setenv("SIGSTORE_ID_TOKEN", sigstore.token("https://gitlab.example/job"))
    signer(None, config, interactive=False)
    assert sigstore.seen == ["https://gitlab.example/job"]


def test_without_a_token_and_without_anybody_there(config, monkeypatch):
    for name in ("GITHUB_ACTIONS", "GITLAB_CI", "CIRCLECI", "BUILDKITE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InputError, match="nothing says who signs") as no:
        signer(None, config, interactive=False)
    assert "--identity-token" in no.value.hint


@pytest.mark.parametrize("claims", [{"aud": "other"}, {"exp": 1}, {"nbf": 1 << 33}])
def test_a_token_that_cannot_be(claims, sigstore, config):
    with pytest.raises(InputError, match="none that Sigstore takes"):
        signer(sigstore.token(**claims), config, interactive=False)
    with pytest.raises(InputError, match="none that Sigstore takes"):
        signer("nonsense", config, interactive=False)


# Files


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"mediaType": "x"}'])
def test_files_that_are_something_else(text, tmp_path, sigstore):
    path = tmp_path / "file.json"
    path.write_text(text)
    with pytest.raises(InputError, match="no trusted root"):
        checker(ALICE, private_sigstore.ISSUER, path)
    with pytest.raises(InputError, match="no client trust configuration"):
        signer(sigstore.token(), path, interactive=False)


def test_files_that_are_not_there(tmp_path, sigstore):
    for attempt in (
        lambda: checker(ALICE, private_sigstore.ISSUER, tmp_path / "none"),
        lambda: signer(sigstore.token(), tmp_path / "none", interactive=False),
    ):
        with pytest.raises(InputError, match="cannot be read"):
            attempt()


# The real one: a bundle from the tests of pypi-attestations, and the public trusted root as the
# library brings it (both Apache 2.0)


def test_a_bundle_of_the_public_sigstore_is_read():
    bundle = (VECTORS / "pypi_attestation_models-0.0.4a2.tar.gz.sigstore").read_bytes()
    root = VECTORS / "trusted_root.json"
    github = "https://token.actions.githubusercontent.com"
    workflow = (
        "https://github.com/trailofbits/pypi-attestation-models/.github/workflows/release.yml"
        "@refs/tags/v0.0.4a2"
    )
    stated = checker(workflow, github, root).statement(bundle)
    told = json.loads(stated)
    assert told["subject"][0]["name"] == "pypi_attestation_models-0.0.4a2.tar.gz"
    assert told["subject"][0]["digest"]["sha256"].startswith("c9709ce6fd5b67b59b4a28758cf")
    assert checker(workflow[:-1], github, root).statement(bundle) is None
    assert checker(workflow, "https://accounts.google.com", root).statement(bundle) is None
    spoiled = json.loads(bundle)
    payload = base64.b64decode(spoiled["dsseEnvelope"]["payload"]).replace(b"0.0.4a2", b"0.0.4a3")
    spoiled["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()
    assert checker(workflow, github, root).statement(json.dumps(spoiled).encode()) is None
    # It says nothing of an image.
    assert told["predicateType"] != PREDICATE
    assert stated_digests(stated) == frozenset()
