"""Keys and signatures as cosign has them: ECDSA over P-256 with SHA-256.

The private key's file is what ``cosign generate-key-pair`` writes: a PEM block around JSON that
names scrypt and NaCl's secretbox, whose plain text is the key as PKCS #8
(https://github.com/secure-systems-lab/go-securesystemslib/tree/main/encrypted). The public key
is an ordinary PEM file, a signature is ASN.1 DER
(https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md).
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from mlpack.errors import InputError

_PEM = "ENCRYPTED SIGSTORE PRIVATE KEY"
_OLDER = "ENCRYPTED COSIGN PRIVATE KEY"
_BLOCK = re.compile(
    rf"\s*-----BEGIN (?P<type>{_PEM}|{_OLDER})-----\n"
    r"(?P<body>[A-Za-z0-9+/=\s]+)\n-----END (?P=type)-----\s*"
)
_ALGORITHM = ec.ECDSA(Prehashed(hashes.SHA256()))
_SALT = 32
_LINE = 64
_GENERATE = "mlpack sign --new-key"


class _Params(msgspec.Struct, frozen=True):
    N: int
    r: int
    p: int


class _Kdf(msgspec.Struct, frozen=True):
    name: str
    params: _Params
    salt: bytes


class _Cipher(msgspec.Struct, frozen=True):
    name: str
    nonce: bytes


class _Encrypted(msgspec.Struct, frozen=True):
    kdf: _Kdf
    cipher: _Cipher
    ciphertext: bytes


STANDARD = _Params(N=65536, r=8, p=1)
"""What cosign writes."""

_KNOWN = (STANDARD, _Params(N=32768, r=8, p=1), _Params(N=131072, r=8, p=1))
"""What cosign's versions wrote. Others are refused: a file could ask for any amount of memory."""


class PrivateKey:
    """Signs."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key

    def sign(self, digest: bytes) -> bytes:
        """The signature of what has the SHA-256 `digest`."""
        return self._key.sign(digest, _ALGORITHM)

    def valid(self, digest: bytes, signature: bytes) -> bool:
        """See `PublicKey.valid`."""
        return PublicKey(self._key.public_key()).valid(digest, signature)

    @property
    def public_pem(self) -> bytes:
        """The public key, as ``cosign.pub`` has it."""
        return self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )


class PublicKey:
    """Checks signatures."""

    def __init__(self, key: ec.EllipticCurvePublicKey) -> None:
        self._key = key

    def valid(self, digest: bytes, signature: bytes) -> bool:
        """Whether `signature` was made by this key of what has the SHA-256 `digest`."""
        try:
            self._key.verify(signature, digest, _ALGORITHM)
        except InvalidSignature:
            return False
        return True


def new_key(password: bytes, params: _Params = STANDARD) -> tuple[bytes, bytes]:
    """A new key pair: the contents of ``cosign.key`` and ``cosign.pub``."""
    key = ec.generate_private_key(ec.SECP256R1())
    plain = key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    salt, nonce = secrets.token_bytes(_SALT), secrets.token_bytes(SecretBox.NONCE_SIZE)
    box = SecretBox(_derived(password, salt, params))
    document = _Encrypted(
        kdf=_Kdf(name="scrypt", params=params, salt=salt),
        cipher=_Cipher(name="nacl/secretbox", nonce=nonce),
        ciphertext=box.encrypt(plain, nonce).ciphertext,
    )
    body = base64.b64encode(msgspec.json.encode(document)).decode()
    lines = [body[at : at + _LINE] for at in range(0, len(body), _LINE)]
    pem = "\n".join([f"-----BEGIN {_PEM}-----", *lines, f"-----END {_PEM}-----", ""])
    return pem.encode(), PrivateKey(key).public_pem


def private_key(pem: bytes, password: bytes, where: str) -> PrivateKey:
    """The key in a file such as ``cosign.key``.

    Args:
        pem: its content.
        password: of the key.
        where: its name, for errors.

    Raises:
        InputError: it is no such file, or the password is another.
    """
    match = _BLOCK.fullmatch(pem.decode("ascii", "replace").replace("\r\n", "\n"))
    if match is None:
        raise InputError("this is no private key in cosign's format", where=where, hint=_GENERATE)
    try:
        document = msgspec.json.decode(
            base64.b64decode("".join(match["body"].split()), validate=True), type=_Encrypted
        )
    except (binascii.Error, msgspec.DecodeError) as error:
        raise InputError("the private key is damaged", where=where, hint=_GENERATE) from error
    known = (document.kdf.name, document.cipher.name) == ("scrypt", "nacl/secretbox")
    if not known or document.kdf.params not in _KNOWN:
        raise InputError("the private key is encrypted in a way that cosign does not use", where)
    if len(document.cipher.nonce) != SecretBox.NONCE_SIZE:
        raise InputError("the private key is damaged", where=where, hint=_GENERATE)
    box = SecretBox(_derived(password, document.kdf.salt, document.kdf.params))
    try:
        plain = box.decrypt(document.ciphertext, document.cipher.nonce)
    except CryptoError as error:
        raise InputError(
            "the password is not that of the private key, or the file is damaged",
            where=where,
            hint="export COSIGN_PASSWORD=...",
        ) from error
    try:
        key = serialization.load_der_private_key(plain, None)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InputError("the private key is damaged", where=where, hint=_GENERATE) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise InputError("the private key is not one over P-256", where=where, hint=_GENERATE)
    return PrivateKey(key)


def public_key(pem: bytes, where: str) -> PublicKey:
    """The key in a file such as ``cosign.pub``.

    Raises:
        InputError: it is no public key over P-256.
    """
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InputError(
            "this is no public key",
            where=where,
            hint="Give the public half, such as --key cosign.pub",
        ) from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise InputError("the public key is not one over P-256", where=where)
    return PublicKey(key)


def _derived(password: bytes, salt: bytes, params: _Params) -> bytes:
    return Scrypt(salt, SecretBox.KEY_SIZE, params.N, params.r, params.p).derive(password)
