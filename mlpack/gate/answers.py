"""What a version of a model answers, asked by its own command in its own environment.

The command is the artifact's (``python -m PACKAGE predict``), so that an older runtime answers as
it does in production; nothing of this process is loaded into it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from mlpack.delivery.unpacked import Unpacked
from mlpack.errors import OutsideError
from mlpack.process import Runner

_OURS = ("MLPACK_", "PYTHON", "OTEL_", "AIP_", "SAGEMAKER_", "AWS_LAMBDA_")


@dataclass(frozen=True)
class Answers:
    """Answers to some rows; what was refused is NaN and None.

    Attributes:
        refused: bool [rows]; true too where a number of the answer is null: that is no answer.
        labels: a label of each row, or a list of labels; None where the model has none.
        classes: the labels that probabilities are told for, as texts.
        probabilities: float64 [rows, classes]; None where there are none.
        values: float64 [rows, outputs] of a regression, or the scores of outliers; else None.
    """

    refused: NDArray[np.bool_]
    labels: tuple[Any, ...] | None = None
    classes: tuple[str, ...] = ()
    probabilities: NDArray[np.float64] | None = None
    values: NDArray[np.float64] | None = None

    @property
    def rows(self) -> int:
        """How many rows were asked."""
        return len(self.refused)


def clean(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment for an artifact's process, in which nothing of this one's is set for it."""
    return {
        key: text for key, text in environ.items() if not key.startswith(_OURS) and key != "PORT"
    }


def ask(
    model: Unpacked, python: Path, rows: Sequence[Mapping[str, Any]], folder: Path, runner: Runner
) -> Answers:
    """The answers of a model to some rows.

    Args:
        model: its files.
        python: of its environment.
        rows: as JSON has them; columns that it does not know are not looked at.
        folder: for files that nobody needs afterwards.
        runner: runs the process.

    Raises:
        OutsideError: its process ended in an error.
    """
    source, target = folder / "rows.jsonl", folder / "answers.jsonl"
    encoder = msgspec.json.Encoder()
    source.write_bytes(encoder.encode_lines(rows))
    done = runner(
        [
            *(str(python), "-m", model.manifest.package, "predict"),
            *(str(source), str(target), "--skip-bad"),
        ],
        cwd=model.library,
        env=clean(os.environ),
    )
    if done.code:
        raise OutsideError(
            f"it could not be asked: {' '.join(done.stderr.split())[-400:]}",
            where=f"{model.manifest.name} {model.manifest.version}",
        )
    decoder = msgspec.json.Decoder(_Line)
    return parse([decoder.decode(line).prediction for line in target.read_bytes().splitlines()])


class _Line(msgspec.Struct, frozen=True):
    prediction: dict[str, Any] | None = None


def parse(predictions: Sequence[Mapping[str, Any] | None]) -> Answers:
    """The answers that predictions tell, as they stand in JSON; None for a refused row."""
    refused = np.array([each is None for each in predictions], dtype=np.bool_)
    known = [each for each in predictions if each is not None]
    if not known:
        return Answers(refused)
    first = known[0]
    labels = None
    if "label" in first:
        labels = tuple(None if each is None else each["label"] for each in predictions)
    classes: tuple[str, ...] = ()
    probabilities = None
    if isinstance(first.get("probabilities"), Mapping):
        classes = tuple(first["probabilities"])
        probabilities = _numbers(
            [
                None if each is None else list(each["probabilities"].values())
                for each in predictions
            ],
            len(classes),
        )
    values = None
    key = next((key for key in ("value", "score") if key in first), None)
    if key is not None:
        width = len(first[key]) if isinstance(first[key], list) else 1
        values = _numbers([None if each is None else each[key] for each in predictions], width)
    for numbers in (probabilities, values):
        if numbers is not None:
            refused = refused | np.isnan(numbers).any(axis=1)
    return Answers(refused, labels, classes, probabilities, values)


def _numbers(cells: Sequence[Any], width: int) -> NDArray[np.float64]:
    found = np.full((len(cells), width), np.nan)
    for place, cell in enumerate(cells):
        if cell is not None:
            found[place] = cell
    return found
