"""Say, before anything is built, what becomes of each step of the pipeline."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from mlpack.export import Step
from mlpack.ports import Reporter
from mlpack.process import Runner
from mlpack.project import Project
from mlpack.runtime.contract import Form
from mlpack.usecases.export import require_model
from mlpack.usecases.work import ConversionEndedError, work
from mlpack.workers.wire import Answer


@dataclass(frozen=True)
class Explained:
    """What an export would make of the pipeline; the proof has not been asked.

    Attributes:
        form: a graph, a hybrid or Python.
        steps: what becomes of each step, and why.
    """

    form: Form
    steps: tuple[Step, ...]


def explain(project: Project, *, runner: Runner, reporter: Reporter) -> Explained:
    """What would become of each step. Writes nothing.

    Raises:
        InputError: there is no model, or it cannot be read.
    """
    require_model(project)
    with reporter.stage("Looking at the pipeline") as stage:
        request = {"root": str(project.root)}

        def attempt(**more: str) -> Answer:
            asked = {**request, **more}
            return work("explain", asked, runner=runner, reporter=reporter, stage=stage)

        try:
            answer = attempt()
        except ConversionEndedError as error:
            answer = attempt(given_up=str(error))
        found = msgspec.convert(answer, Explained)
        in_graph = sum(step.form == "graph" for step in found.steps)
        stage.result(f"{in_graph} of {len(found.steps)} steps in the graph")
    return found
