"""Write the portable graph: one input per raw column, for runtimes that know nothing of mlpack."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mlpack.errors import CheckFailedError, InputError
from mlpack.ports import Reporter
from mlpack.process import Runner
from mlpack.project import Project
from mlpack.usecases.export import Proved
from mlpack.usecases.work import work


@dataclass(frozen=True)
class Portable:
    """A portable graph.

    Attributes:
        path: the file.
        size: in bytes.
        rows: how many rows it was proved on.
    """

    path: Path
    size: int
    rows: int


def portable(
    project: Project, proved: Proved, to: Path, *, runner: Runner, reporter: Reporter
) -> Portable:
    """Compose it from the proved export, prove it in its turn, and write it.

    Raises:
        CheckFailedError: the pipeline is no graph.
        InputError: the file cannot be written there, or a part has no portable form.
    """
    if proved.record.form != "onnx":
        raise CheckFailedError(
            f"there is no portable graph: {proved.record.reason}",
            hint="See what each step becomes: mlpack export --explain",
        )
    if to.suffix != ".onnx" or not to.parent.is_dir():
        raise InputError(
            f"{to.name!r} is no place for a graph",
            where=str(to),
            hint="Name a file that ends in .onnx, in a folder that is there: -o model.onnx",
        )
    with reporter.stage("Composing the portable graph") as stage:
        request = {
            "root": str(project.root),
            "export": str(proved.folder),
            "to": str(to.absolute()),
        }
        answer = work("portable", request, runner=runner, reporter=reporter, stage=stage)
        stage.result(f"equal on {answer['rows']:,} rows")
    return Portable(to, answer["size"], answer["rows"])
