"""The command ``verify``."""

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


def verify(
    artifacts: Annotated[
        list[str] | None,
        typer.Argument(
            help="Wheels, zips, image archives, images in a registry; by default what is in dist/."
        ),
    ] = None,
    folder: Folder = HERE,
    base: Annotated[
        str | None,
        typer.Option(envvar="MLPACK_BASE", help="The image's base; the lock's by default."),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(help="cosign.pub: every artifact must be signed by this key too."),
    ] = None,
    keyless: KeylessOption = False,
    certificate_identity: CertificateIdentity = None,
    certificate_oidc_issuer: CertificateIssuer = None,
    trusted_root: TrustedRoot = None,
    json: Json = False,
) -> None:
    """Build artifacts again and say whether they are the same, and if not, which files differ.

    Ends with 1 where one is not, or is not signed. Changes nothing in the project.

    Example: mlpack verify dist/churn-1.2.0-py3-none-any.whl
    """
    console = open_console()
    project = open_project(folder)
    found = load("mlpack.cli.verifying:verify")(
        project,
        console,
        artifacts=tuple(artifacts or ()),
        base=base,
        key=key,
        identity=load("mlpack.cli.identities:Keyless")(
            wanted=keyless,
            identity=certificate_identity,
            issuer=certificate_oidc_issuer,
            trusted_root=trusted_root,
        ),
    )
    load("mlpack.cli.show_verified:as_json" if json else "mlpack.cli.show_verified:table")(
        console, found
    )
    load("mlpack.cli.verifying:demand")(found, project, "identity" if keyless else "key")
