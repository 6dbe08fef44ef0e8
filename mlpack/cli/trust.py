"""The commands that tell whether something can be trusted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mlpack.cli.options import (
    HERE,
    CertificateIdentity,
    CertificateIssuer,
    Folder,
    Json,
    KeylessOption,
    TrustedRoot,
    open_console,
    open_project,
)
from mlpack.plugins import load


def add(app: typer.Typer) -> None:
    """Put the commands of this file into `app`."""
    app.command()(sign)
    app.command()(audit)


def sign(
    environment: Annotated[
        str | None,
        typer.Argument(help="Also sign the image in this environment's registry."),
    ] = None,
    folder: Folder = HERE,
    key: Annotated[
        Path | None,
        typer.Option(
            envvar="MLPACK_SIGN_KEY",
            help="cosign.key; with --check cosign.pub. The password is in COSIGN_PASSWORD.",
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Sign nothing; exit 1 if something is not signed.")
    ] = False,
    new_key: Annotated[
        bool,
        typer.Option("--new-key", help="Write a new pair of keys into the folder."),
    ] = False,
    keyless: KeylessOption = False,
    identity_token: Annotated[
        str | None,
        typer.Option(
            metavar="REFERENCE",
            help="With --keyless: '${env:NAME}' or '${file:PATH}'; else found where this runs.",
        ),
    ] = None,
    trust_config: Annotated[
        Path | None,
        typer.Option(
            help="With --keyless: a Sigstore of your own, its client trust configuration."
        ),
    ] = None,
    certificate_identity: CertificateIdentity = None,
    certificate_oidc_issuer: CertificateIssuer = None,
    trusted_root: TrustedRoot = None,
    json: Json = False,
) -> None:
    """Sign the wheel, the zip and the image with a key in cosign's format, or check signatures.

    With --keyless as an identity that an OIDC issuer vouches for, through Sigstore.

    Example: mlpack sign production --key cosign.key
    """
    console = open_console()
    outcome = load("mlpack.cli.signing:sign")(
        lambda: open_project(folder),
        console,
        folder=folder,
        environment=environment,
        key=key,
        check=check,
        new_key=new_key,
        identity=load("mlpack.cli.identities:Keyless")(
            wanted=keyless,
            identity=certificate_identity,
            issuer=certificate_oidc_issuer,
            trusted_root=trusted_root,
            token=identity_token,
            trust_config=trust_config,
        ),
    )
    if json:
        load("mlpack.cli.show:as_json")(console, outcome)
        return
    load("mlpack.cli.signing:show")(console, outcome, checked=check)


def audit(
    folder: Folder = HERE,
    dev: Annotated[
        bool, typer.Option("--dev", help="The development set instead of production's.")
    ] = False,
    database: Annotated[
        Path | None,
        typer.Option(help="OSV records instead of its service: all.zip, a folder, JSON lines."),
    ] = None,
    ignore: Annotated[
        list[str] | None, typer.Option(help="An identifier or alias that does not count.")
    ] = None,
    json: Json = False,
) -> None:
    """Look for known vulnerabilities in the locked packages, in OSV's database; exit 1 if some.

    Example: mlpack audit --ignore CVE-2026-1234
    """
    console = open_console()
    result = load("mlpack.cli.auditing:audit")(
        open_project(folder), console, dev=dev, database=database, ignore=tuple(ignore or ())
    )
    load("mlpack.cli.show:as_json" if json else "mlpack.cli.auditing:show")(console, result)
    load("mlpack.usecases.audit:refuse")(result)
