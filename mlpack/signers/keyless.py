"""Signatures by an identity instead of a key: Sigstore's, in bundles of version 0.3.

Fulcio gives a certificate of ten minutes to whoever an OIDC issuer vouches for, Rekor writes down
what was signed with it, and a bundle holds the signature, the certificate and the log's promise.
All of that is the library's (https://github.com/sigstore/sigstore-python); here are its errors and
its ways in.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from cryptography.x509 import Certificate
from sigstore.dsse import Statement
from sigstore.errors import Error, VerificationError
from sigstore.hashes import Hashed
from sigstore.models import Bundle, ClientTrustConfig, TrustedRoot
from sigstore.oidc import IdentityError, IdentityToken, Issuer, detect_credential
from sigstore.sign import Signer, SigningContext
from sigstore.verify import Verifier
from sigstore.verify.policy import Identity, VerificationPolicy
from sigstore_models.common.v1 import HashAlgorithm

from mlpack.errors import InputError, OutsideError

_T = TypeVar("_T")

_OFFLINE = "Without the network: --trusted-root trusted_root.json"
_INTOTO = "application/vnd.in-toto+json"


class _Anybody:
    """A policy for what was signed here a moment ago: only the proofs are looked at."""

    def verify(self, cert: Certificate) -> None:
        """Take every identity."""


class IdentityChecker:
    """Checks signatures by one identity, as one issuer vouched for it."""

    def __init__(self, verifier: Verifier, policy: VerificationPolicy) -> None:
        self._verifier = verifier
        self._policy = policy

    def file(self, digest: bytes, bundle: bytes) -> bool:
        """Whether a bundle holds the identity's signature of what has the SHA-256 `digest`."""
        found = _read(bundle)
        if found is None:
            return False
        try:
            self._verifier.verify_artifact(_hashed(digest), found, self._policy)
        except Exception:  # noqa: BLE001 - whatever is wrong with it, it proves nothing
            return False
        return True

    def statement(self, bundle: bytes) -> bytes | None:
        """The in-toto statement that the identity signed; None if it signed none there."""
        found = _read(bundle)
        if found is None:
            return None
        try:
            kind, payload = self._verifier.verify_dsse(found, self._policy)
        except Exception:  # noqa: BLE001 - whatever is wrong with it, it proves nothing
            return None
        return payload if kind == _INTOTO else None


class IdentitySigner:
    """Signs as an identity, for as long as its certificate lasts."""

    def __init__(self, signer: Signer, verifier: Verifier, who: str) -> None:
        """What signs.

        Args:
            signer: has a certificate.
            verifier: looks whether others will believe what was signed.
            who: the identity and its issuer, for people.
        """
        self._signer = signer
        self._verifier = verifier
        self.who = who

    def file(self, digest: bytes) -> bytes:
        """A bundle with the signature of what has the SHA-256 `digest`.

        Raises:
            OutsideError: a service of Sigstore refuses, or gave something that proves nothing.
        """
        hashed = _hashed(digest)
        bundle = _asked("sign", lambda: self._signer.sign_artifact(hashed))
        _asked("sign", lambda: self._verifier.verify_artifact(hashed, bundle, _Anybody()))
        return bundle.to_json().encode()

    def statement(self, statement: bytes) -> bytes:
        """A bundle with a signed in-toto statement.

        Raises:
            OutsideError: a service of Sigstore refuses, or gave something that proves nothing.
        """
        told = Statement(statement)
        bundle = _asked("sign", lambda: self._signer.sign_dsse(told))
        _asked("sign", lambda: self._verifier.verify_dsse(bundle, _Anybody()))
        return bundle.to_json().encode()


def checker(identity: str, issuer: str, trusted_root: Path | None) -> IdentityChecker:
    """What checks the signatures of an identity.

    Args:
        identity: as its certificate names it: an address of mail, the URL of a workflow.
        issuer: who vouched for it, a URL.
        trusted_root: Sigstore's keys and certificates; None to ask Sigstore itself.

    Raises:
        InputError: the trusted root is none.
        OutsideError: Sigstore does not answer.
    """
    verifier = _verifier(_root(trusted_root), trusted_root)
    return IdentityChecker(verifier, Identity(identity=identity, issuer=issuer))


def signer(token: str | None, trust_config: Path | None, *, interactive: bool) -> IdentitySigner:
    """What signs as whoever the token is about.

    Args:
        token: of an OIDC issuer; None to look for one where this runs, then in a browser.
        trust_config: where another Sigstore is, and what it is trusted by; None for the public one.
        interactive: somebody sits here who can log in with a browser.

    Raises:
        InputError: there is no token, it is none, or the configuration is none.
        OutsideError: a service does not answer, or refuses.
    """
    who = _token(token, interactive=interactive)
    config = _config(trust_config)
    if who is None:
        issuer = config.signing_config.get_oidc_url
        who = _asked("log in", lambda: Issuer(issuer()).identity_token())
    verifier = _verifier(config.trusted_root, trust_config)
    context = _asked("be asked", lambda: SigningContext.from_trust_config(config))
    made = _asked("give a certificate", lambda: Signer(who, context))
    return IdentitySigner(made, verifier, f"{who.identity} ({who.federated_issuer})")


def _token(token: str | None, *, interactive: bool) -> IdentityToken | None:
    """Whom a token is about; None where somebody can log in instead."""
    if token is None:
        token = _asked("be told who signs", detect_credential)
    try:
        if token is not None:
            return IdentityToken(token)
    except IdentityError as error:
        raise InputError(
            f"the identity token is none that Sigstore takes: {error}",
            where="--identity-token",
            hint="It is a JSON Web Token for the audience sigstore, and lasts some minutes.",
        ) from error
    if not interactive:
        raise InputError(
            "nothing says who signs: there is no identity token, and nobody to log in",
            where="--keyless",
            hint="--identity-token '${env:SIGSTORE_ID_TOKEN}', or on GitHub Actions: "
            "permissions: id-token: write",
        )
    return None


def _config(path: Path | None) -> ClientTrustConfig:
    if path is None:
        return _asked("be asked", ClientTrustConfig.production)
    try:
        return ClientTrustConfig.from_json(path.read_text("utf-8"))
    except OSError as error:
        raise InputError(f"it cannot be read: {error.strerror}", where=str(path)) from error
    except (Error, ValueError) as error:
        raise _none("client trust configuration", path) from error


def _root(path: Path | None) -> TrustedRoot:
    if path is None:
        return _asked("be asked", ClientTrustConfig.production, _OFFLINE).trusted_root
    try:
        return TrustedRoot.from_file(str(path))
    except OSError as error:
        raise InputError(f"it cannot be read: {error.strerror}", where=str(path)) from error
    except (Error, ValueError) as error:
        raise _none("trusted root", path) from error


def _verifier(root: TrustedRoot, path: Path | None) -> Verifier:
    try:
        return Verifier(trusted_root=root)
    except (Error, ValueError) as error:
        raise _none("trusted root", path or Path("trusted_root.json")) from error


def _none(what: str, path: Path) -> InputError:
    return InputError(f"this is no {what} of Sigstore's", where=str(path))


def _read(bundle: bytes) -> Bundle | None:
    try:
        return Bundle.from_json(bundle)
    except Exception:  # noqa: BLE001 - the library's own, its parsers', and their parsers'
        return None


def _hashed(digest: bytes) -> Hashed:
    return Hashed(algorithm=HashAlgorithm.SHA2_256, digest=digest)


def _asked(what: str, do: Callable[[], _T], hint: str | None = None) -> _T:
    """What a service of Sigstore answers.

    Raises:
        OutsideError: it does not answer, refuses, or what it gave is not to be believed.
    """
    try:
        return do()
    except VerificationError as error:
        raise OutsideError(f"what Sigstore gave proves nothing: {error}", hint=hint) from error
    except Exception as error:  # the services' own errors are private classes
        raise OutsideError(f"Sigstore could not {what}: {_said(error)}", hint=hint) from error


def _said(error: Exception) -> str:
    """What an error and its cause say: some of the library's hold their message apart."""
    cause = error.__cause__
    parts = [str(error) or getattr(error, "message", ""), str(cause) if cause else ""]
    told = " ".join(": ".join(part for part in parts if part).split())
    return told[:300] or type(error).__name__
