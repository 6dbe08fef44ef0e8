"""The commands. Each reads its arguments, calls one use case, and shows what came of it."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any

import typer

from mlpack import __version__
from mlpack.errors import MlpackError
from mlpack.plugins import load

INTERRUPTED = 130
BUG = 70

app = typer.Typer(
    name="mlpack",
    help="From a machine-learning project to a proved wheel, zip and image, and into production.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=True,
)

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
Folder = Annotated[
    Path,
    typer.Option("--project", "-C", help="The project's folder.", show_default="this folder"),
]
HERE = Path()


def _show_version(wanted: bool) -> None:
    if wanted:
        _console().result(f"mlpack {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show it.")
    ] = False,
) -> None:
    pass


def _console() -> Any:  # noqa: ANN401 - a Console; the class loads only here
    return load("mlpack.cli.console:stdio")()


def _project(folder: Path) -> Any:  # noqa: ANN401 - a Project; the class loads only here
    return load("mlpack.inspection:read")(folder)


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="The project's name, and its folder's.")],
    template: Annotated[
        str, typer.Option(help="classification, regression or text.")
    ] = "classification",
    json: Json = False,
) -> None:
    """Create a conventional project that already works, on real data.

    Example: mlpack new churn --template regression
    """
    console = _console()
    created = load("mlpack.usecases.new:new")(name, Path(name), template, console)
    if json:
        console.json({"root": str(created.root), "name": created.name, "files": created.files})
        return
    console.say(f"Next: cd {name} && mlpack lock && mlpack install && mlpack train && mlpack build")


@app.command()
def inspect(folder: Folder = HERE, json: Json = False) -> None:
    """Say what is in a project, what is assumed, and what is missing. Runs none of its code.

    Example: mlpack inspect --json
    """
    console = _console()
    inspection = load("mlpack.usecases.inspect:inspect")(folder)
    if json:
        console.json(inspection.to_json())
        return
    load("mlpack.cli.show:inspection")(console, inspection)


@app.command()
def train(
    folder: Folder = HERE,
    env: Annotated[str, typer.Option(help="development, test, production ...")] = "development",
    json: Json = False,
) -> None:
    """Fit the pipeline on the project's data; write model, metrics, signature, reference rows.

    Example: mlpack train --env test
    """
    console = _console()
    trained = load("mlpack.usecases.train:train")(
        _project(folder), environment=env, runner=load("mlpack.process:run"), reporter=console
    )
    if json:
        load("mlpack.cli.show:as_json")(console, trained)
        return
    load("mlpack.cli.show:trained")(console, trained)


@app.command()
def version(
    to: Annotated[
        str | None, typer.Argument(help="major, minor, patch, or a version; nothing to show it.")
    ] = None,
    folder: Folder = HERE,
    json: Json = False,
) -> None:
    """Show the project's version, or raise it in pyproject.toml.

    Example: mlpack version patch
    """
    console = _console()
    project = _project(folder)
    if to is None:
        versions = load("mlpack.usecases.version:show")(project)
    else:
        versions = load("mlpack.usecases.version:raise_version")(project, to)
        console.say(f"{versions.before} → {versions.after}. Next: mlpack build")
    if json:
        load("mlpack.cli.show:as_json")(console, versions)
    elif to is None:
        console.result(versions.after)


@app.command()
def lock(
    folder: Folder = HERE,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit 1 if the lock is stale.")
    ] = False,
    upgrade: Annotated[
        bool, typer.Option("--upgrade", help="Take the newest of everything.")
    ] = False,
    upgrade_package: Annotated[
        list[str] | None, typer.Option(help="Take the newest of this package.")
    ] = None,
    upgrade_base: Annotated[
        bool, typer.Option("--upgrade-base", help="Forget the base image: build takes today's.")
    ] = False,
    resolver: Annotated[
        str | None, typer.Option(help="uv or pip-tools; the project's setting by default.")
    ] = None,
    platform: Annotated[
        list[str] | None, typer.Option(help="What production runs on, such as linux/amd64.")
    ] = None,
    json: Json = False,
) -> None:
    """Decide exact versions with hashes: one set for development, a smaller one for production.

    Example: mlpack lock --upgrade-package numpy
    """
    console = _console()
    result = load("mlpack.cli.locking:lock")(
        _project(folder),
        console,
        check=check,
        upgrade=upgrade,
        upgrade_packages=tuple(upgrade_package or ()),
        upgrade_base=upgrade_base,
        resolver=resolver,
        platforms=tuple(platform or ()),
    )
    if json:
        load("mlpack.cli.show:as_json")(console, result)
        return
    load("mlpack.cli.show:locked")(console, result)


@app.command()
def install(
    folder: Folder = HERE,
    prod: Annotated[
        bool, typer.Option("--prod", help="The production set instead of the development set.")
    ] = False,
    system: Annotated[
        bool, typer.Option("--system", help="Allow an interpreter without a virtual environment.")
    ] = False,
    json: Json = False,
) -> None:
    """Bring this environment to the development lock, every file's hash checked.

    Example: mlpack install
    """
    console = _console()
    result = load("mlpack.cli.locking:install")(
        _project(folder), console, prod=prod, allow_system=system
    )
    if json:
        load("mlpack.cli.show:as_json")(console, result)
        return
    load("mlpack.cli.show:installed")(console, result)


@app.command()
def export(
    folder: Folder = HERE,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Only say what becomes of each step; nothing is proved."),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Also write the portable graph, with one input per raw column, to this file.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Export the fitted pipeline and prove it equal to the original; print the proof.

    Example: mlpack export -o model.onnx
    """
    console, project = _console(), _project(folder)
    tools = {"runner": load("mlpack.process:run"), "reporter": console}
    if explain:
        found = load("mlpack.usecases.explain:explain")(project, **tools)
        load("mlpack.cli.show:as_json" if json else "mlpack.cli.show:explained")(console, found)
        return
    proved = load("mlpack.usecases.export:export")(project, **tools)
    made = None
    if output is not None:
        made = load("mlpack.usecases.portable:portable")(project, proved, output, **tools)
    if json:
        load("mlpack.cli.show:proof_json")(console, proved, made)
        return
    load("mlpack.cli.show:proof")(console, proved)
    if made is not None:
        load("mlpack.cli.show:portable")(console, made)


@app.command()
def build(
    folder: Folder = HERE,
    base: Annotated[
        str | None,
        typer.Option(
            envvar="MLPACK_BASE",
            help="The image's base: a registry reference, oci:PATH, archive:PATH or docker:NAME.",
        ),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="wheel, zip or image; all three by default.")
    ] = None,
    locked: Annotated[
        bool, typer.Option("--locked", help="Refuse to change the lock, as CI should.")
    ] = False,
    no_load: Annotated[
        bool, typer.Option("--no-load", help="Do not load the image into a Docker engine.")
    ] = False,
    json: Json = False,
) -> None:
    """Build the wheel, the zip and the OCI image into dist/. Needs no Docker engine.

    Example: mlpack build --base docker.io/library/python:3.11-slim
    """
    console = _console()
    arguments = {
        "base": base,
        "only": tuple(only or ()),
        "epoch": os.environ.get("SOURCE_DATE_EPOCH"),
    }

    def key() -> str:
        found: str = load("mlpack.usecases.unchanged:fingerprint")(folder.resolve(), arguments)
        return found

    if load("mlpack.usecases.unchanged:stands")(folder.resolve(), key()):
        outcome = load("mlpack.usecases.outcome:last")(folder.resolve())
    else:
        outcome = load("mlpack.cli.building:build")(
            folder,
            console,
            base=base,
            only=tuple(only or ()),
            locked=locked,
            load_image=not no_load,
            key=key,
        )
    if json:
        load("mlpack.cli.show:build_json")(console, outcome)
        return
    load("mlpack.cli.show:built")(console, outcome)


@app.command(context_settings={"ignore_unknown_options": False})
def serve(
    folder: Folder = HERE,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on.")] = 8080,
) -> None:
    """Serve the model on this machine, with the very server that ships.

    Example: mlpack serve --port 9000
    """
    console = _console()
    arguments = ("serve", "--host", host, "--port", str(port))
    raise typer.Exit(load("mlpack.cli.building:run_artifact")(_project(folder), console, arguments))


@app.command()
def predict(
    source: Annotated[Path, typer.Argument(help="Rows: a .csv, .jsonl or .parquet file.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Where to: a .csv, .jsonl or .parquet file.")
    ],
    folder: Folder = HERE,
) -> None:
    """Predict the rows of a file, in batches.

    Example: mlpack predict in.csv -o out.csv
    """
    console = _console()
    raise typer.Exit(load("mlpack.cli.building:predict")(_project(folder), console, source, output))


@app.command()
def deploy(
    environment: Annotated[str, typer.Argument(help="Such as production.")],
    folder: Folder = HERE,
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what would happen and change nothing.")
    ] = False,
    json: Json = False,
) -> None:
    """Deploy what was built to the environment's target, as its configuration says.

    Example: mlpack deploy production --plan
    """
    console = _console()
    outcome = load("mlpack.cli.deploying:deploy")(
        _project(folder), console, environment=environment, plan=plan
    )
    if json:
        load("mlpack.cli.show:deployed_json")(console, outcome)
        return
    load("mlpack.cli.show:deployed")(console, outcome)


def main() -> int:
    """Run the command line; the exit code (see `mlpack.errors`)."""
    _tidy_when_told_to_end()
    try:
        code = app(standalone_mode=False)
    except MlpackError as error:
        _console().error(error)
        return error.code
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last resort: no traceback for a user
        if hasattr(error, "exit_code") and hasattr(error, "show"):
            error.show()  # typer's own: the command line is wrong
            return int(error.exit_code)
        return _bug(error)
    if code == INTERRUPTED:  # typer makes this exit code of an interruption
        _console().warn("interrupted: nothing was left half-written; run the same command again")
    return code if isinstance(code, int) else 0


def _tidy_when_told_to_end() -> None:
    """SIGTERM, and the end of the terminal, break off like Ctrl-C: with everything cleaned up."""

    def interrupt(number: int, frame: object) -> None:
        del number, frame
        raise KeyboardInterrupt

    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, interrupt)


def _bug(error: Exception) -> int:
    console = _console()
    if "MLPACK_DEBUG" in os.environ:
        sys.stderr.write("".join(traceback.format_exception(error)))
    console.warn(f"this is a bug in mlpack {__version__}: {type(error).__name__}: {error}")
    console.say("  Run the command again with MLPACK_DEBUG=1 for the traceback, and report it.")
    return BUG
