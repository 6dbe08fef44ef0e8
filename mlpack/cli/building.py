"""Puts together what ``build``, ``serve`` and ``predict`` need."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mlpack import records
from mlpack.cli import wiring
from mlpack.cli.console import Console
from mlpack.config import did_you_mean
from mlpack.errors import InputError
from mlpack.oci.offline import GLIBC, read_glibc
from mlpack.plugins import load
from mlpack.process import become, run
from mlpack.project import Project
from mlpack.usecases import build as build_use_case
from mlpack.usecases import unchanged
from mlpack.usecases.outcome import Result
from mlpack.usecases.serve import command, predict_parquet

SUFFIXES = (".csv", ".jsonl", ".ndjson", ".parquet")


def build(
    folder: Path,
    console: Console,
    *,
    base: str | None,
    only: tuple[str, ...],
    locked: bool,
    load_image: bool,
    platforms: tuple[str, ...],
    offline: bool,
    glibc: str | None,
    key: Callable[[], str],
) -> Result:
    """See the command ``build``."""
    for kind in only:
        if kind not in build_use_case.KINDS:
            raise InputError(
                f"there is no artifact {kind!r}; there are {', '.join(build_use_case.KINDS)}",
                where="--only",
                hint=_one_each(kind) or did_you_mean(kind, build_use_case.KINDS),
            )
    kinds = tuple(kind for kind in build_use_case.KINDS if not only or kind in only)
    if glibc is not None and not offline:
        raise InputError(
            "--glibc is about the wheels of a zip that needs no network",
            where="--glibc",
            hint=f"mlpack build --offline --glibc {glibc}",
        )
    if offline and "zip" not in kinds:
        raise InputError(
            "--offline is about the zip, and --only leaves it out",
            where="--offline",
            hint="mlpack build --only zip --offline",
        )
    epoch = wiring.epoch()
    result = build_use_case.build(
        load("mlpack.inspection:read")(folder),
        tools=wiring.Wiring(
            epoch=epoch,
            load_image=load_image,
            platforms=wiring.read_platforms(platforms),
            revision=wiring.revision(),
            glibc=read_glibc(glibc or GLIBC) if offline else None,
        ),
        runner=run,
        reporter=console,
        kinds=kinds,
        base=base,
        locked=locked,
    )
    # The lock may have changed on the way, so the fingerprint is taken at the end.
    artifacts = [name for each in result.built.artifacts.values() for name in each.files]
    unchanged.remember(folder.resolve(), key(), [*artifacts, records.BUILD_FILE])
    return result


def dockerfile(project: Project, base: str | None, platforms: tuple[str, ...]) -> str:
    """See the option ``--show`` of ``build``. Builds nothing, and asks no engine."""
    tools = wiring.Wiring(epoch=None, load_image=False, platforms=wiring.read_platforms(platforms))
    return tools.dockerfile(project, base)


def _one_each(kind: str) -> str | None:
    """What to type for several kinds that were given in one word."""
    kinds = [each.strip() for each in kind.split(",")]
    if len(kinds) == 1 or not set(kinds) <= set(build_use_case.KINDS):
        return None
    return "Each for itself: " + " ".join(f"--only {each}" for each in kinds)


def run_artifact(project: Project, console: Console, arguments: tuple[str, ...]) -> int:
    """Become the artifact's own command; does not come back where that can be."""
    made = command(
        project,
        arguments,
        tools=wiring.Wiring(epoch=None),
        runner=run,
        reporter=console,
    )
    return become(made.argv, made.env)


def predict(project: Project, console: Console, source: Path, output: Path) -> int:
    """See the command ``predict``."""
    for path in (source, output):
        if path.suffix not in SUFFIXES and str(path) != "-":
            raise InputError(
                f"{path.name} is none of {', '.join(SUFFIXES)}", hint="The suffix says the format."
            )
    if not source.is_file():
        raise InputError(
            "there is no such file",
            where=str(source),
            hint="Usage: mlpack predict IN.csv -o OUT.csv",
        )
    if not output.parent.is_dir():
        raise InputError(
            f"there is no folder {output.parent} to write to",
            where=str(output),
            hint=f"Make it: mkdir -p {output.parent}",
        )
    if ".parquet" in (source.suffix, output.suffix):
        if source.suffix != output.suffix:
            raise InputError(
                f"{source.name} and {output.name} have different formats",
                hint="Give both the same suffix.",
            )
        tools = wiring.Wiring(epoch=None)
        predict_parquet(project, source, output, tools=tools, runner=run, reporter=console)
        return 0
    return run_artifact(project, console, ("predict", str(source), str(output)))
