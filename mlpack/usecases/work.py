"""Hands a piece of work to a worker: a process that may run the user's code."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlpack.errors import InputError
from mlpack.ports import Reporter, Stage
from mlpack.process import Completed, Runner
from mlpack.workers import wire
from mlpack.workers.limits import SECONDS

FATAL = "Fatal Python error"
"""What a crash's report begins with (https://docs.python.org/3/library/faulthandler.html)."""

_FRAME = re.compile(r'\s*File "(.+)", line (\d+) in ')


class ConversionEndedError(Exception):
    """A conversion ended its process; the message says how."""


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
        ConversionEndedError: it ended while it made a graph.
    """
    crash: list[str] = []
    told: list[str] = []

    def on_line(line: str) -> None:
        if crash or line.startswith(FATAL):
            crash.append(line)
        if line.startswith(wire.MARK):
            told.append(line.removeprefix(wire.MARK))
            if stage is not None:
                stage.result(told[-1])
        elif line.strip() and not crash:
            reporter.note(line)

    completed = runner(
        [sys.executable, "-m", f"mlpack.workers.{name}"],
        env={
            **os.environ,
            "PYTHONUNBUFFERED": "1",
            "PYTHONFAULTHANDLER": "1",
            # Sets are pickled in the order of their hashes: equal models shall give equal bytes.
            "PYTHONHASHSEED": "0",
        },
        stdin=json.dumps(request),
        on_line=on_line,
    )
    if completed.code < 0 and told and told[-1] == wire.CONVERTING:
        raise ConversionEndedError(_unconverted(-completed.code))
    if completed.code or not completed.stdout:
        raise _ended(name, completed, crash, Path(request["root"]))
    try:
        answer: wire.Answer = json.loads(completed.stdout)
    except ValueError as error:
        raise InputError(f"the {name} process wrote into its own answer: {error}") from error
    wire.raise_error(answer)
    return answer


def _ended(name: str, completed: Completed, crash: Sequence[str], root: Path) -> InputError:
    """A worker that did not live to answer: only the code that it ran can have ended it."""
    code = completed.code
    if code == -signal.SIGKILL:
        return InputError(
            f"the {name} process was killed from outside, most likely for want of memory",
            hint="Give it more memory, or let data.load take fewer rows under this environment.",
        )
    if code < 0:
        frame = next((found for line in crash if (found := _frame(line, root))), None)
        return InputError(
            f"the {name} process was ended by {_signal(-code)}: a library that it called crashed",
            where=frame,
            hint="Call data.load, pipeline.build and fit in Python by hand to see which one:\n"
            "python -X faulthandler",
        )
    last = _last(completed.stderr)
    return InputError(
        f"the {name} process ended by itself with code {code}" + (f": {last}" if last else ""),
        hint="Does data.load, pipeline.build or the pipeline end the process? It must return.",
    )


def _unconverted(number: int) -> str:
    if number == getattr(signal, "SIGALRM", None):
        return f"making its graph took longer than {SECONDS} s"
    if number == signal.SIGKILL:
        return "making its graph was killed from outside, most likely for want of memory"
    return f"making its graph crashed with {_signal(number)}"


def _frame(line: str, root: Path) -> str | None:
    """The place in the project's own files that a line of a crash names."""
    found = _FRAME.match(line)
    if found is None or not Path(found[1]).is_relative_to(root):
        return None
    return f"{Path(found[1]).relative_to(root).as_posix()}:{found[2]}"


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _last(text: str) -> str:
    lines = [line for line in text.split("\n") if line.strip() and not line.startswith(wire.MARK)]
    return lines[-1] if lines else ""
