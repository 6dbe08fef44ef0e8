from __future__ import annotations

import base64
import hashlib
import json
import subprocess

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.secret import SecretBox

from mlpack.errors import InputError
from mlpack.signers.cosign import STANDARD, new_key, private_key, public_key

DIGEST = hashlib.sha256(b"hello").digest()
PEM = serialization.Encoding.PEM
SPKI = serialization.PublicFormat.SubjectPublicKeyInfo


@pytest.fixture(scope="module")
def pair():
    return new_key(b"secret")


def inside(pem: bytes) -> dict:
    """What the file says, read by other means than the product's."""
    lines = pem.decode().splitlines()
    assert lines[0] == "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----"
    assert lines[-1] == "-----END ENCRYPTED SIGSTORE PRIVATE KEY-----"
    assert {len(line) for line in lines[1:-2]} == {64}
    return json.loads(base64.b64decode("".join(lines[1:-1])))


def written(document: object, kind: str = "SIGSTORE") -> bytes:
    body = base64.b64encode(json.dumps(document).encode()).decode()
    return (
        f"-----BEGIN ENCRYPTED {kind} PRIVATE KEY-----\n{body}\n"
        f"-----END ENCRYPTED {kind} PRIVATE KEY-----\n"
    ).encode()


def test_the_file_is_what_cosign_writes(pair):
    document = inside(pair[0])
    assert document["kdf"]["name"] == "scrypt"
    assert document["kdf"]["params"] == {"N": 65536, "r": 8, "p": 1}
    assert document["cipher"]["name"] == "nacl/secretbox"
    # With the standard library's scrypt: the plain text is the key as PKCS #8.
    key = hashlib.scrypt(
        b"secret", salt=base64.b64decode(document["kdf"]["salt"]), n=65536, r=8, p=1,
        maxmem=1 << 27, dklen=32,
    )  # fmt: skip
    nonce, sealed = (base64.b64decode(text) for text in (
        document["cipher"]["nonce"], document["ciphertext"],
    ))  # fmt: skip
    plain = serialization.load_der_private_key(SecretBox(key).decrypt(sealed, nonce), None)
    assert isinstance(plain, ec.EllipticCurvePrivateKey)
    assert plain.curve.name == "secp256r1"
    assert plain.public_key().public_bytes(PEM, SPKI) == pair[1]
    assert pair[1].startswith(b"-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE")


def test_a_signature_is_checked_by_openssl(pair, tmp_path):
    signature = private_key(pair[0], b"secret", "k").sign(DIGEST)
    (tmp_path / "pub").write_bytes(pair[1])
    (tmp_path / "sig").write_bytes(signature)
    for content, said in ((b"hello", "Verified OK"), (b"other", "Verification failure")):
        (tmp_path / "file").write_bytes(content)
        done = subprocess.run(
            ["openssl", "dgst", "-sha256", "-verify", "pub", "-signature", "sig", "file"],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert said in done.stdout


def test_only_the_very_key_and_digest_are_good(pair):
    signature = private_key(pair[0], b"secret", "k").sign(DIGEST)
    key = public_key(pair[1], "p")
    assert key.valid(DIGEST, signature)
    assert not key.valid(hashlib.sha256(b"other").digest(), signature)
    other = public_key(new_key(b"")[1], "p")
    assert not other.valid(DIGEST, signature)


@settings(max_examples=200)
@given(st.binary(max_size=80))
def test_no_other_bytes_are_a_signature(junk):
    key = ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(PEM, SPKI)
    assert not public_key(key, "p").valid(DIGEST, junk)


def test_both_headers_and_the_older_parameters_are_read(pair):
    older = new_key(b"", type(STANDARD)(N=32768, r=8, p=1))
    renamed = older[0].replace(b"SIGSTORE", b"COSIGN").replace(b"\n", b"\r\n")
    assert private_key(renamed, b"", "k").public_pem == older[1]


def test_another_password_is_told(pair):
    with pytest.raises(InputError, match="the password is not that of the private key") as no:
        private_key(pair[0], b"wrong", "cosign.key")
    assert no.value.hint == "export COSIGN_PASSWORD=..."


def changed(pair, *path_and_value):
    document = inside(pair[0])
    *path, last, value = path_and_value
    inner = document
    for key in path:
        inner = inner[key]
    inner[last] = value
    return written(document)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("kdf", "params", "N", 1 << 30), "does not use"),
        (("kdf", "params", "r", 800), "does not use"),
        (("kdf", "name", "argon2"), "does not use"),
        (("cipher", "name", "aes"), "does not use"),
        (("cipher", "nonce", "AAAA"), "damaged"),
        (("kdf", "salt", 7), "damaged"),
        (("ciphertext", "!"), "damaged"),
        (("kdf", None), "damaged"),
    ],
)
def test_a_file_that_was_changed_is_refused(pair, change, said):
    with pytest.raises(InputError, match=said):
        private_key(changed(pair, *change), b"secret", "k")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"nothing",
        written([]),
        written({}),
        written({}, "OPENSSH"),
        written({}).replace(b"e30=", b"!"),
        written({}).replace(b"e30=", b"AAA"),
        b"\xff\xfe",
    ],
)
def test_other_files_are_no_keys(text):
    with pytest.raises(InputError):
        private_key(text, b"", "k")
    with pytest.raises(InputError, match="no public key"):
        public_key(text, "p")


def test_keys_of_other_kinds_are_refused(pair):
    others = [
        ed25519.Ed25519PrivateKey.generate(),
        ec.generate_private_key(ec.SECP384R1()),
        rsa.generate_private_key(65537, 2048),
    ]
    for other in others:
        with pytest.raises(InputError, match="P-256"):
            public_key(other.public_key().public_bytes(PEM, SPKI), "p")
    with pytest.raises(InputError, match="no public key") as no:
        public_key(pair[0], "p")
    assert "cosign.pub" in no.value.hint
