"""Says of each step whether it exports, is traced or stays Python. Nothing is proved or written."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from mlpack import inspection
from mlpack.export import Step
from mlpack.ports import NotExportableError
from mlpack.training.usercode import importable
from mlpack.workers import forms, subject, wire
from mlpack.workers.limits import limited


def work(request: dict[str, Any], progress: Callable[[str], None]) -> wire.Answer:
    """The form that the pipeline would have, and its steps."""
    project = inspection.read(Path(request["root"]))
    progress("loading the model")
    with importable(project), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read = subject.read(project)
        if "given_up" in request:
            steps = (Step(path=_name(read), form="python", reason=request["given_up"]),)
            return _told("python", steps)
        progress(wire.CONVERTING)
        with limited():
            return _explained(read)


def _explained(read: subject.Subject) -> wire.Answer:
    try:
        exporter = forms.exporter(read.pipeline)
        exported = forms.graph(exporter, read.pipeline, read.signature, hybrid=True)
    except NotExportableError as error:
        failed = Step(path=error.path or _name(read), form="python", reason=error.reason)
        return _told("python", (*error.steps, failed))
    return _told(exported.form, exported.steps)


def _name(read: subject.Subject) -> str:
    return type(read.pipeline).__name__


def _told(form: str, steps: tuple[Step, ...]) -> wire.Answer:
    return {"form": form, "steps": [msgspec.to_builtins(step) for step in steps]}


if __name__ == "__main__":
    sys.exit(wire.main(work))
