"""A Sigstore of the tests' own, on loopback: an issuer of tokens, Fulcio and Rekor.

The services are fakes of a page; the cryptography is real. Certificates chain to a root, carry a
log's timestamp (RFC 6962) and the extensions of Fulcio's; entries lie in a Merkle tree with signed
checkpoints, and have a signed time. So what the library accepts is accepted for its proofs, and
each of them can be spoiled.
"""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import hashlib
import json
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SHA256 = ec.ECDSA(hashes.SHA256())
ISSUER = "https://issuer.example"
MINUTES = dt.timedelta(minutes=10)
ROOT_TYPE = "application/vnd.dev.sigstore.trustedroot+json;version=0.1"
SIGNING_TYPE = "application/vnd.dev.sigstore.signingconfig.v0.2+json"
TRUST_TYPE = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json"


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def now() -> dt.datetime:
    return dt.datetime.now(dt.timezone.utc).replace(microsecond=0)


def spki(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def key_id(key: ec.EllipticCurvePrivateKey) -> bytes:
    return hashlib.sha256(spki(key.public_key())).digest()


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def leaf_hash(data: bytes) -> bytes:
    return hashlib.sha256(b"\0" + data).digest()


def tree_hash(leaves: list[bytes]) -> bytes:
    """The root of a Merkle tree (RFC 6962, 2.1)."""
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << ((len(leaves) - 1).bit_length() - 1)
    return hashlib.sha256(b"\1" + tree_hash(leaves[:half]) + tree_hash(leaves[half:])).digest()


def proof(index: int, leaves: list[bytes]) -> list[bytes]:
    """The way from a leaf to the root (RFC 6962, 2.1.1)."""
    if len(leaves) == 1:
        return []
    half = 1 << ((len(leaves) - 1).bit_length() - 1)
    if index < half:
        return [*proof(index, leaves[:half]), tree_hash(leaves[half:])]
    return [*proof(index - half, leaves[half:]), tree_hash(leaves[:half])]


@dataclass
class Sigstore:
    """The state; tests read and change it.

    Attributes:
        lie: what is wrong with what is given: ``sct``, ``log``, ``checkpoint``, ``proof``,
            ``late``, ``other`` (another signature is in the log); or who refuses: ``fulcio``,
            ``rekor``.
        seen: the identities that got a certificate.
        entries: the bodies in the log.
    """

    url: str = ""
    lie: str = ""
    seen: list[str] = field(default_factory=list)
    entries: list[bytes] = field(default_factory=list)
    ca: ec.EllipticCurvePrivateKey = field(default_factory=new_key)
    ct: ec.EllipticCurvePrivateKey = field(default_factory=new_key)
    log: ec.EllipticCurvePrivateKey = field(default_factory=new_key)
    issuer: ec.EllipticCurvePrivateKey = field(default_factory=new_key)
    stranger: ec.EllipticCurvePrivateKey = field(default_factory=new_key)

    def __post_init__(self) -> None:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "private sigstore")])
        self.root = (
            _certificate(self.ca.public_key(), name, self.ca, name, days=3650)
            .add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
            .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
            .sign(self.ca, hashes.SHA256())
        )

    def token(self, who: str = "alice@example.org", **claims: object) -> str:
        """An identity token, as an OIDC issuer gives it."""
        at = int(now().timestamp())
        told = {
            "iss": ISSUER, "sub": who, "aud": "sigstore", "iat": at, "exp": at + 300, **claims,
        }  # fmt: skip
        return jwt.encode(told, self.issuer, algorithm="ES256")

    def trusted_root(self) -> dict:
        """What its signatures are checked by."""
        since = {"start": "2020-01-01T00:00:00Z"}
        return {
            "mediaType": ROOT_TYPE,
            "tlogs": [self._log(self.log, since)],
            "ctlogs": [self._log(self.ct, since)],
            "certificateAuthorities": [
                {
                    "subject": {"organization": "private", "commonName": "private sigstore"},
                    "uri": self.url,
                    "certChain": {"certificates": [{"rawBytes": b64(_der(self.root))}]},
                    "validFor": since,
                }
            ],
        }

    def trust_config(self) -> dict:
        """What a client signs with."""
        service = {
            "url": self.url, "majorApiVersion": 1, "operator": "private",
            "validFor": {"start": "2020-01-01T00:00:00Z"},
        }  # fmt: skip
        return {
            "mediaType": TRUST_TYPE,
            "trustedRoot": self.trusted_root(),
            "signingConfig": {
                "mediaType": SIGNING_TYPE,
                "caUrls": [service],
                "oidcUrls": [service],
                "rekorTlogUrls": [service],
                "rekorTlogConfig": {"selector": "ANY"},
            },
        }

    def _log(self, key: ec.EllipticCurvePrivateKey, since: dict) -> dict:
        return {
            "baseUrl": self.url,
            "hashAlgorithm": "SHA2_256",
            "publicKey": {
                "rawBytes": b64(spki(key.public_key())),
                "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                "validFor": since,
            },
            "logId": {"keyId": b64(key_id(key))},
        }

    # Fulcio

    def certify(self, token: str, request: bytes) -> dict:
        """The answer to a request for a certificate; the token is checked."""
        claims = jwt.decode(
            token, self.issuer.public_key(), algorithms=["ES256"], audience="sigstore"
        )
        csr = x509.load_pem_x509_csr(request)
        if not csr.is_signature_valid:
            raise PermissionError
        who = claims["sub"]
        self.seen.append(who)
        key = csr.public_key()
        begun = now()  # both certificates have the same time and number

        def made(*more: x509.ExtensionType) -> x509.Certificate:
            san = x509.UniformResourceIdentifier(who) if "://" in who else x509.RFC822Name(who)
            builder = (
                _certificate(key, x509.Name([]), self.ca, self.root.subject, begun=begun, serial=77)
                .add_extension(_usage(digital_signature=True), critical=True)
                .add_extension(
                    x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False
                )
                .add_extension(x509.SubjectAlternativeName([san]), critical=True)
                .add_extension(_extension("1.3.6.1.4.1.57264.1.1", ISSUER.encode()), critical=False)
            )
            for each in more:
                builder = builder.add_extension(each, critical=False)
            return builder.sign(self.ca, hashes.SHA256())

        leaf = made(self._timestamp(made().tbs_certificate_bytes))
        chain = [
            each.public_bytes(serialization.Encoding.PEM).decode() for each in (leaf, self.root)
        ]
        return {"signedCertificateEmbeddedSct": {"chain": {"certificates": chain}}}

    def _timestamp(self, tbs: bytes) -> x509.UnrecognizedExtension:
        """The log's promise about a certificate, which lies in it (RFC 6962, 3.3)."""
        key = self.stranger if self.lie == "sct" else self.ct
        at = int(now().timestamp() * 1000)
        entry = key_id(self.ca) + len(tbs).to_bytes(3, "big") + tbs
        signed = struct.pack("!BBQH", 0, 0, at, 1) + entry + b"\0\0"
        value = key.sign(signed, SHA256)
        one = b"\0" + key_id(self.ct) + struct.pack("!Q", at) + b"\0\0\4\3" + _long(value)
        return _extension("1.3.6.1.4.1.11129.2.4.2", _octets(_long(_long(one))))

    # Rekor

    def record(self, proposed: dict) -> dict:
        """The answer to a proposed entry; its signature is checked."""
        check = {"hashedrekord": _hashed_record, "dsse": _envelope_record}[proposed["kind"]]
        body = json.dumps(check(proposed), sort_keys=True, separators=(",", ":")).encode()
        if self.lie == "other":
            body = body.replace(b'"content":"', b'"content":"AAAA').replace(
                b'"signature":"', b'"signature":"AAAA'
            )
        self.entries.append(body)
        leaves = [leaf_hash(each) for each in self.entries]
        index, root = len(leaves) - 1, tree_hash(leaves)
        at = int(now().timestamp()) + (3600 if self.lie == "late" else 0)
        key = self.stranger if self.lie == "log" else self.log
        promise = {
            "body": b64(body), "integratedTime": at, "logID": key_id(self.log).hex(),
            "logIndex": index,
        }  # fmt: skip
        told = json.dumps(promise, sort_keys=True, separators=(",", ":")).encode()
        way = proof(index, leaves)
        if self.lie == "proof":
            root = hashlib.sha256(root).digest()
        verification = {
            "signedEntryTimestamp": b64(key.sign(told, SHA256)),
            "inclusionProof": {
                "logIndex": index,
                "rootHash": root.hex(),
                "treeSize": len(leaves),
                "hashes": [each.hex() for each in way],
                "checkpoint": self._checkpoint(len(leaves), root),
            },
        }
        return {leaves[index].hex(): {**promise, "verification": verification}}

    def _checkpoint(self, size: int, root: bytes) -> str:
        key = self.stranger if self.lie == "checkpoint" else self.log
        note = f"private.example - 1\n{size}\n{b64(root)}\n"
        value = key_id(self.log)[:4] + key.sign(note.encode(), SHA256)
        return f"{note}\n\u2014 private.example {b64(value)}\n"


@contextlib.contextmanager
def serve() -> Iterator[Sigstore]:
    """A running Sigstore."""
    state = Sigstore()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # GitHub's way to a token, for whoever runs there
            good = (
                self.headers["Authorization"].lower() == "bearer runner"
                and "audience=sigstore" in self.path
            )
            self._answer(200 if good else 403, {"value": state.token("https://ci.example/run")})

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            try:
                if self.path == "/api/v2/signingCert" and state.lie != "fulcio":
                    token = self.headers["Authorization"].removeprefix("Bearer ")
                    csr = base64.b64decode(asked["certificateSigningRequest"])
                    return self._answer(201, state.certify(token, csr))
                if self.path == "/api/v1/log/entries" and state.lie != "rekor":
                    return self._answer(201, state.record(asked))
            except (jwt.PyJWTError, PermissionError, InvalidSignature):
                pass
            return self._answer(400, {"code": 3, "message": "no"})

        def _answer(self, status: int, body: dict) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield state
        finally:
            server.shutdown()


def _hashed_record(proposed: dict) -> dict:
    spec = proposed["spec"]
    key = _key(spec["signature"]["publicKey"]["content"])
    digest = bytes.fromhex(spec["data"]["hash"]["value"])
    value = base64.b64decode(spec["signature"]["content"])
    key.verify(value, digest, ec.ECDSA(Prehashed(hashes.SHA256())))
    return proposed


def _envelope_record(proposed: dict) -> dict:
    content = proposed["spec"]["proposedContent"]
    envelope = json.loads(content["envelope"])
    payload = base64.b64decode(envelope["payload"])
    kind = envelope["payloadType"]
    signed = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)
    (verifier,) = content["verifiers"]
    value = envelope["signatures"][0]["sig"]
    _key(verifier).verify(base64.b64decode(value), signed, SHA256)

    def hashed(data: bytes) -> dict:
        return {"algorithm": "sha256", "value": hashlib.sha256(data).hexdigest()}

    spec = {
        "envelopeHash": hashed(content["envelope"].encode()),
        "payloadHash": hashed(payload),
        "signatures": [{"signature": value, "verifier": verifier}],
    }
    return {"apiVersion": "0.0.1", "kind": "dsse", "spec": spec}


def _key(pem: str) -> ec.EllipticCurvePublicKey:
    key = x509.load_pem_x509_certificate(base64.b64decode(pem)).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key


def _certificate(key, subject, ca, issuer, *, days=0, begun=None, serial=1):
    begun = begun or now() - dt.timedelta(days=1)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(serial)
        .not_valid_before(begun)
        .not_valid_after(begun + (dt.timedelta(days=days) if days else MINUTES))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.public_key()), critical=False
        )
    )


def _usage(**on: bool) -> x509.KeyUsage:
    every = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
        "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{name: on.get(name, False) for name in every})


def _extension(oid: str, value: bytes) -> x509.UnrecognizedExtension:
    return x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value)


def _long(data: bytes) -> bytes:
    return struct.pack("!H", len(data)) + data


def _octets(data: bytes) -> bytes:
    length = bytes([len(data)]) if len(data) < 128 else bytes([0x81, len(data)])
    return b"\x04" + length + data


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)
