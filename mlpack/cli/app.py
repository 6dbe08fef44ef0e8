"""The commands. Each reads its arguments, calls one use case, and shows what came of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from mlpack import __version__
from mlpack.cli import compare, production, trust
from mlpack.cli.config import app as config
from mlpack.cli.options import HERE, Folder, Json, open_console, open_project
from mlpack.cli.verify import verify
from mlpack.plugins import load

app = typer.Typer(
    name="mlpack",
    help="From a machine-learning project to a proved wheel, zip and image, and into production.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=True,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        open_console().result(f"mlpack {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show it.")
    ] = False,
) -> None:
    pass


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
    console = open_console()
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
    console = open_console()
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
    console = open_console()
    trained = load("mlpack.usecases.train:train")(
        open_project(folder), environment=env, runner=load("mlpack.process:run"), reporter=console
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
    console = open_console()
    project = open_project(folder)
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
        list[str] | None,
        typer.Option(help="What production runs on: linux/amd64, linux/arm64 or both."),
    ] = None,
    json: Json = False,
) -> None:
    """Decide exact versions with hashes: one set for development, a smaller one for production.

    Example: mlpack lock --upgrade-package numpy
    """
    console = open_console()
    result = load("mlpack.cli.locking:lock")(
        open_project(folder),
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
    console = open_console()
    result = load("mlpack.cli.locking:install")(
        open_project(folder), console, prod=prod, allow_system=system
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
    console, project = open_console(), open_project(folder)
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
    show: Annotated[
        bool, typer.Option("--show", help='With builder = "docker": only print the Dockerfile.')
    ] = False,
    platform: Annotated[
        list[str] | None,
        typer.Option(help="What image and wheels are for: all that the lock is for by default."),
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Put all wheels into the zip: it needs no network.")
    ] = False,
    glibc: Annotated[
        str | None, typer.Option(help="With --offline: the C library that they need, 2.28.")
    ] = None,
    explain_size: Annotated[
        bool, typer.Option("--explain-size", help="Show what the image is made of.")
    ] = False,
    json: Json = False,
) -> None:
    """Build the wheel, the zip and the OCI image into dist/. Needs no Docker engine.

    Example: mlpack build --platform linux/amd64,linux/arm64
    """
    console = open_console()
    if show:
        text = load("mlpack.cli.building:dockerfile")(
            open_project(folder), base, tuple(platform or ())
        )
        load("mlpack.cli.show:dockerfile")(console, text, json=json)
        return
    arguments = {
        "base": base,
        "only": tuple(only or ()),
        "platforms": tuple(platform or ()),
        "offline": (offline, glibc),
        "epoch": os.environ.get("SOURCE_DATE_EPOCH"),
        "revision": os.environ.get("MLPACK_REVISION"),
        "load": not no_load,
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
            platforms=tuple(platform or ()),
            offline=offline,
            glibc=glibc,
            key=key,
        )
    if json:
        load("mlpack.cli.show:build_json")(console, outcome)
        return
    load("mlpack.cli.show:built")(console, outcome, loaded=not no_load)
    if explain_size:
        load("mlpack.cli.show:sizes")(console, outcome)


@app.command(context_settings={"ignore_unknown_options": False})
def serve(
    folder: Folder = HERE,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on.")] = 8080,
) -> None:
    """Serve the model on this machine, with the very server that ships.

    Example: mlpack serve --port 9000
    """
    console = open_console()
    arguments = ("serve", "--host", host, "--port", str(port))
    raise typer.Exit(
        load("mlpack.cli.building:run_artifact")(open_project(folder), console, arguments)
    )


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
    console = open_console()
    raise typer.Exit(
        load("mlpack.cli.building:predict")(open_project(folder), console, source, output)
    )


@app.command()
def cache(
    clean: Annotated[bool, typer.Option("--clean", help="Remove what is in it.")] = False,
    older_than: Annotated[
        int, typer.Option(min=0, metavar="DAYS", help="Only what is older than so many days.")
    ] = 0,
    json: Json = False,
) -> None:
    """Show the cache of layers, wheels and base images, or clean it.

    Nothing in it is lost for good: what a build needs again is fetched or made again.

    Example: mlpack cache --clean --older-than 30
    """
    console = open_console()
    outcome = load("mlpack.cli.caching:cache")(console, clean=clean, older_than=older_than)
    if json:
        load("mlpack.cli.show:as_json")(console, outcome)
        return
    load("mlpack.cli.show:cache")(console, outcome)


production.add(app)
compare.add(app)
app.command()(verify)
app.add_typer(config, name="config")
trust.add(app)
