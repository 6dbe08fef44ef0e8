"""What commands have in common: options, the console, the project. Nothing heavy loads here."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from mlpack.errors import MlpackError
from mlpack.plugins import load

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
Folder = Annotated[
    Path,
    typer.Option("--project", "-C", help="The project's folder.", show_default="this folder"),
]
HERE = Path()
KeylessOption = Annotated[
    bool, typer.Option("--keyless", help="By an identity instead of a key, through Sigstore.")
]
CertificateIdentity = Annotated[
    str | None,
    typer.Option(help="With --keyless: whose signature, such as a mail address or a workflow."),
]
CertificateIssuer = Annotated[
    str | None, typer.Option(help="With --keyless: the OIDC issuer that vouched for them, a URL.")
]
TrustedRoot = Annotated[
    Path | None,
    typer.Option(help="With --keyless: Sigstore's keys in a file, instead of asking it."),
]

_PLACE = re.compile(r"\bENVIRONMENT\b")


class OfEnvironment(TyperCommand):
    """A command with the argument ``environment``: hints to type have it instead of a word for it.

    Targets do not know what the environment is called that they are of.
    """

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - as typer has it
        """Run the command."""
        try:
            return super().invoke(ctx)
        except MlpackError as error:
            name = ctx.params["environment"]
            hint = error.hint and _PLACE.sub(lambda _: name, error.hint)
            raise replace(error, hint=hint) from error


def open_console() -> Any:  # noqa: ANN401 - a Console; the class loads only here
    """What the terminal sees."""
    return load("mlpack.cli.console:stdio")()


def open_project(folder: Path) -> Any:  # noqa: ANN401 - a Project; the class loads only here
    """The project in a folder."""
    return load("mlpack.inspection:read")(folder)
