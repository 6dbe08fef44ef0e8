"""The commands that bring a model into production, and those for when it is there."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from mlpack.cli.options import HERE, Folder, Json, OfEnvironment, open_console, open_project
from mlpack.plugins import load

Environment = Annotated[str, typer.Argument(help="Such as production.")]


def add(app: typer.Typer) -> None:
    """Put the commands of this file into `app`."""
    for command in (deploy, status, logs, history, rollback, promote, remove):
        app.command(cls=OfEnvironment)(command)


def deploy(
    environment: Environment,
    folder: Folder = HERE,
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what would happen and change nothing.")
    ] = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="With --plan: end with 1 if something would change.")
    ] = False,
    canary: Annotated[
        int,
        typer.Option(
            min=0, max=99, metavar="PERCENT", help="So much of the requests, beside what runs."
        ),
    ] = 0,
    minutes: Annotated[
        float,
        typer.Option(
            "--for",
            min=0.0,
            metavar="MINUTES",
            help="With --canary: watch it for so long, then promote it or end it.",
        ),
    ] = 0.0,
    force: Annotated[
        str | None,
        typer.Option(
            metavar="WHY", help="Deploy though the gate says no; the target remembers why."
        ),
    ] = None,
    render: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Write what would be asked for into files and change nothing."
        ),
    ] = None,
    iam: Annotated[
        bool, typer.Option("--iam", help="With --plan: print the permissions that it takes.")
    ] = False,
    json: Json = False,
) -> None:
    """Deploy what was built to the environment's target, as its configuration says.

    Where a model runs there, the gate compares the two first: see mlpack compare.

    Example: mlpack deploy production --plan
    """
    if minutes and not canary:
        raise typer.BadParameter(
            "watches a canary, and --canary says how large it is", param_hint="--for"
        )
    if force is not None and not force.strip():
        raise typer.BadParameter("the target remembers why: say it", param_hint="--force")
    console = open_console()
    project = open_project(folder)
    if render is not None:
        if plan or canary:
            raise typer.BadParameter(
                "stands alone, without --plan and --canary", param_hint="--render"
            )
        files = load("mlpack.cli.deploying:render")(project, environment, render)
        load("mlpack.cli.show_running:rendered")(console, files, json=json)
        return
    if iam:
        if not plan:
            raise load("mlpack.errors:InputError")(
                "--iam prints what a deployment takes, and deploys nothing",
                hint=f"mlpack deploy {environment} --plan --iam",
            )
        console.json(load("mlpack.cli.deploying:policy")(project, environment))
        return
    outcome = load("mlpack.cli.deploying:deploy")(
        project, console, environment=environment, plan=plan, share=canary, force=force or ""
    )
    watching = bool(canary and minutes) and not plan
    if not json:
        load("mlpack.cli.show:deployed")(console, outcome)
    elif not watching:  # one document: that of the watching
        load("mlpack.cli.show:deployed_json")(console, outcome)
    if plan and exit_code and outcome.changes:
        raise typer.Exit(1)
    if watching:
        watched(project, console, environment, minutes, json=json)


def status(environment: Environment, folder: Folder = HERE, json: Json = False) -> None:
    """Show what runs in an environment; end with 1 if it does not all run.

    Example: mlpack status production
    """
    console = open_console()
    found = load("mlpack.cli.deploying:status")(open_project(folder), environment)
    _show(console, found, environment, json=json)
    if not found.well:
        raise typer.Exit(1)


def _show(console: Any, found: Any, environment: str, *, json: bool) -> None:  # noqa: ANN401 - classes that load only here
    """What runs."""
    if json:
        load("mlpack.cli.show:as_json")(console, found)
    else:
        load("mlpack.cli.show_running:status")(console, found, environment)


def logs(
    environment: Environment,
    folder: Folder = HERE,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines come.")] = False,
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=0, help="So many of each container.")
    ] = 100,
) -> None:
    """Print the last lines of what answers in an environment.

    Example: mlpack logs production -f
    """
    console = open_console()
    found = load("mlpack.cli.deploying:logs")(
        open_project(folder), environment, lines, follow=follow
    )
    for line in found:
        console.result(line)


def history(environment: Environment, folder: Folder = HERE, json: Json = False) -> None:
    """Show what was done in an environment, by whom and when.

    Example: mlpack history production
    """
    console = open_console()
    found = load("mlpack.cli.deploying:history")(open_project(folder), environment)
    load("mlpack.cli.show:each_json" if json else "mlpack.cli.show_running:history")(console, found)


def rollback(
    environment: Environment,
    folder: Folder = HERE,
    to: Annotated[
        int | None, typer.Option(min=1, help="A release of the history; by default the one before.")
    ] = None,
    json: Json = False,
) -> None:
    """Go back to a release that ran before, without a build; or end the canary.

    Example: mlpack rollback production --to 12
    """
    console = open_console()
    found = load("mlpack.cli.deploying:rollback")(
        open_project(folder), console, environment=environment, to=to
    )
    _show(console, found, environment, json=json)


def promote(
    environment: Environment,
    folder: Folder = HERE,
    minutes: Annotated[
        float,
        typer.Option(
            "--for",
            min=0.0,
            metavar="MINUTES",
            help="First watch it for so long; end it at once where it does badly.",
        ),
    ] = 0.0,
    json: Json = False,
) -> None:
    """Give the canary all requests; with --for only where it does well.

    With --for it ends with 1 where the canary was ended, or had too few requests to be judged by.

    Example: mlpack promote production --for 10
    """
    console = open_console()
    project = open_project(folder)
    if minutes:
        watched(project, console, environment, minutes, json=json)
        return
    found = load("mlpack.cli.deploying:promote")(project, console, environment=environment)
    _show(console, found, environment, json=json)


def watched(project: Any, console: Any, environment: str, minutes: float, *, json: bool) -> None:  # noqa: ANN401 - classes that load only here
    """Watch a canary, and tell what became of it; ends with 1 where it was not promoted."""
    found = load("mlpack.cli.trying:canary")(
        project, console, environment=environment, minutes=minutes
    )
    if json:
        load("mlpack.cli.show:as_json")(console, found)
    else:
        load("mlpack.cli.show_compared:trial")(console, found, environment)
    if not found.promoted:
        raise typer.Exit(1)


def remove(
    environment: Environment,
    folder: Folder = HERE,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove what runs in an environment, and what its target remembers of it.

    Example: mlpack remove test --yes
    """
    console = open_console()
    project = open_project(folder)
    if not yes:
        if not sys.stdin.isatty():
            raise load("mlpack.errors:InputError")(
                "nobody can be asked whether it may be removed",
                hint=f"mlpack remove {environment} --yes",
            )
        typer.confirm(f"Nothing will answer in {environment} any more. Remove it?", abort=True)
    load("mlpack.cli.deploying:remove")(project, console, environment=environment)
