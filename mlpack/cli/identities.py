"""Puts together what signs and checks as an identity."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlpack import config
from mlpack.cli import wiring
from mlpack.errors import InputError
from mlpack.plugins import load
from mlpack.ports import IdentitySigner
from mlpack.usecases.keyless import ByIdentity

_PARTS = ("sigstore", "sigstore_models")


@dataclass(frozen=True)
class Keyless:
    """What the command line says of an identity.

    Attributes:
        wanted: that there shall be no key.
        identity, issuer: whose signatures are good.
        trusted_root: Sigstore's keys and certificates, without asking it.
        token: of an OIDC issuer, as a reference.
        trust_config: another Sigstore than the public one.
    """

    wanted: bool = False
    identity: str | None = None
    issuer: str | None = None
    trusted_root: Path | None = None
    token: str | None = None
    trust_config: Path | None = None

    def refuse_with(self, key: Path | None, *, new_key: bool = False) -> None:
        """See to it that it is one or the other.

        Raises:
            InputError: a key is given too, or what is said of an identity without ``--keyless``.
        """
        if self.wanted and (key is not None or new_key):
            raise InputError("with --keyless there is no key", where="--key")
        said = (self.identity, self.issuer, self.trusted_root, self.token, self.trust_config)
        if not self.wanted and any(each is not None for each in said):
            raise InputError(
                "an identity is told, and not that it shall count", hint="Add: --keyless"
            )


NOBODY = Keyless()
"""No identity counts."""


def signer(asked: Keyless, root: Path) -> IdentitySigner:
    """What signs as the identity that a token is about.

    Args:
        asked: what the command line says.
        root: what ``${file:PATH}`` is relative to.

    Raises:
        InputError: there is no token, or it stands on the command line itself.
        OutsideError: a service of Sigstore does not answer, or refuses.
    """
    token = asked.token
    if token is not None:
        if not config.references(token):
            raise InputError(
                "the token stands on the command line itself, where others on this machine read it",
                where="--identity-token",
                hint="--identity-token '${env:SIGSTORE_ID_TOKEN}' or '${file:PATH}'",
            )
        token = str(config.resolve(token, os.environ, root)).strip()
    made: IdentitySigner = _plugin("signer")(
        token, asked.trust_config, interactive=sys.stdin.isatty()
    )
    return made


def checker(asked: Keyless) -> ByIdentity:
    """What looks for an identity's signatures.

    Raises:
        InputError: it is not told whose, or by whom that is vouched for.
        OutsideError: Sigstore does not answer.
    """
    for option, value in (
        ("--certificate-identity", asked.identity),
        ("--certificate-oidc-issuer", asked.issuer),
    ):
        if not value:
            raise InputError(
                "anybody can sign without a key: it must be told who shall have",
                where=option,
                hint="--certificate-identity you@example.org "
                "--certificate-oidc-issuer https://github.com/login/oauth",
            )
    return ByIdentity(_plugin("checker")(asked.identity, asked.issuer, asked.trusted_root))


def _plugin(name: str) -> Any:  # noqa: ANN401 - a function of the plugin
    try:
        return load(f"mlpack.signers.keyless:{name}")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _PARTS:
            raise
        raise InputError(
            f"signatures without a key need {error.name}, which is not installed",
            hint=f'pip install "{wiring.DISTRIBUTION}[keyless]"',
        ) from error
