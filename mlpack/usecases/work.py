"""Hands a piece of work to a worker: a process that may run the user's code."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from mlpack.errors import InputError
from mlpack.ports import Reporter, Stage
from mlpack.process import Runner
from mlpack.workers import wire

OUT_OF_MEMORY = -9


def work(
    name: str,
    request: dict[str, Any],
    *,
    runner: Runner,
    reporter: Reporter,
    stage: Stage | None = None,
) -> wire.Answer:
    """Run the worker called `name` to its end and return its answer.

    What the user's code prints goes to the terminal as it comes.

    Raises:
        MlpackError: the worker's own error, or how its process ended.
    """

    def on_line(line: str) -> None:
        if line.startswith(wire.MARK):
            if stage is not None:
                stage.result(line.removeprefix(wire.MARK))
        elif line.strip():
            reporter.note(line)

    completed = runner(
        [sys.executable, "-m", f"mlpack.workers.{name}"],
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdin=json.dumps(request),
        on_line=on_line,
    )
    if completed.code or not completed.stdout:
        raise InputError(
            f"the {name} process ended with code {completed.code}: {_last(completed.stderr)}",
            hint="It ran out of memory or was killed." if completed.code == OUT_OF_MEMORY else None,
        )
    try:
        answer: wire.Answer = json.loads(completed.stdout)
    except ValueError as error:
        raise InputError(f"the {name} process wrote into its own answer: {error}") from error
    wire.raise_error(answer)
    return answer


def _last(text: str) -> str:
    lines = [line for line in text.split("\n") if line.strip() and not line.startswith(wire.MARK)]
    return lines[-1] if lines else "it said nothing"
