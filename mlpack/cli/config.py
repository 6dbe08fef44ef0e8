"""The commands about configuration."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from mlpack.cli.options import HERE, Folder, Json, open_console, open_project
from mlpack.plugins import load

app = typer.Typer(no_args_is_help=True, help="Look at the configuration.")


@app.callback()
def _options() -> None:
    pass


@app.command()
def show(
    folder: Folder = HERE,
    env: Annotated[str, typer.Option(help="The environment whose files are read.")] = "development",
    json: Json = False,
) -> None:
    """Show what an environment's configuration comes to, and where each value is from.

    Secrets are masked, and references are not looked up: those that lead to nothing are named.

    Example: mlpack config show --env production
    """
    console = open_console()
    settings = load("mlpack.usecases.show_config:show")(open_project(folder), env, os.environ)
    load("mlpack.cli.show_config:as_json" if json else "mlpack.cli.show_config:table")(
        console, settings
    )
