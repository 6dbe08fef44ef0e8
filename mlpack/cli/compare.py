"""The commands ``compare``, ``shadow`` and ``pull``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mlpack.cli.options import HERE, Folder, Json, OfEnvironment, open_console, open_project
from mlpack.plugins import load


def add(app: typer.Typer) -> None:
    """Put the commands of this file into `app`."""
    app.command()(compare)
    app.command(cls=OfEnvironment)(shadow)
    app.command(cls=OfEnvironment)(pull)


def compare(
    before: Annotated[
        str,
        typer.Argument(
            help="What is in production: an environment such as production, an artifact, or a "
            "folder with build.json."
        ),
    ],
    after: Annotated[
        str | None,
        typer.Argument(help="The candidate, likewise; by default what is in dist/."),
    ] = None,
    folder: Folder = HERE,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Rows to ask both: .parquet, .csv, .jsonl, or requests that a server sampled; by "
            "default the reference rows."
        ),
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="The column of --data with what would be right.")
    ] = None,
    environment: Annotated[
        str | None,
        typer.Option(
            "--env", help="Whose [gate] decides; by default that of BEFORE, if it is one."
        ),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Where the page goes; by default dist/compared.html.")
    ] = None,
    measure: Annotated[
        bool, typer.Option("--speed/--no-speed", help="Start both servers and time them.")
    ] = True,
    json: Json = False,
) -> None:
    """Compare two versions of the model: answers, quality, drift, promises, speed.

    Ends with 1 where a limit of [gate] is passed.

    Example: mlpack compare production --data january.csv
    """
    console = open_console()
    project = open_project(folder)
    found, page = load("mlpack.cli.comparing:compare")(
        project,
        console,
        before=before,
        after=after,
        data=data,
        target=target,
        environment=environment,
        html=html,
        measure=measure,
    )
    load("mlpack.cli.show_compared:as_json" if json else "mlpack.cli.show_compared:table")(
        console, found, page
    )
    if found.stops:
        raise typer.Exit(1)


def shadow(
    environment: Annotated[str, typer.Argument(help="Such as production.")],
    folder: Folder = HERE,
    minutes: Annotated[
        float, typer.Option("--for", min=0.0, metavar="MINUTES", help="For how long.")
    ] = 10.0,
    html: Annotated[
        Path | None, typer.Option(help="Where the page goes; by default dist/shadow.html.")
    ] = None,
    json: Json = False,
) -> None:
    """Ask what is in dist/ the requests that production is asked, and compare the answers.

    The requests are those that the servers sample; nobody gets the candidate's answers, and nothing
    in production changes. Ends with 1 where a limit of [gate] is passed.

    Example: mlpack shadow production --for 10
    """
    console = open_console()
    found, page = load("mlpack.cli.trying:shadow")(
        open_project(folder), console, environment=environment, minutes=minutes, html=html
    )
    load("mlpack.cli.show_compared:as_json" if json else "mlpack.cli.show_compared:table")(
        console, found, page
    )
    if found.stops:
        raise typer.Exit(1)


def pull(
    environment: Annotated[str, typer.Argument(help="Such as production.")],
    folder: Folder = HERE,
    release: Annotated[
        int | None, typer.Option(min=1, help="Of the history; by default what answers.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="A folder that is not there; by default in .mlpack/."),
    ] = None,
    json: Json = False,
) -> None:
    """Bring what runs in an environment to this machine, with what it was locked to.

    The model, an environment with the very packages that it runs with, and what its servers have
    sampled: a prediction that failed there can be asked again here.

    Example: mlpack pull production
    """
    console = open_console()
    found = load("mlpack.cli.pulling:pull")(
        open_project(folder), console, environment=environment, release=release, output=output
    )
    load("mlpack.cli.show:as_json" if json else "mlpack.cli.show_compared:pulled")(console, found)
