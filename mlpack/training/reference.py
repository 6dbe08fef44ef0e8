"""The reference rows: held-out rows with what the original pipeline said of them, as Parquet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mlpack.errors import InputError
from mlpack.files import staged
from mlpack.proof.original import Outcomes
from mlpack.runtime.contract import Signature

PREFIX = "mlpack:"
LABEL = f"{PREFIX}label"
REFUSED = f"{PREFIX}refused"
TARGET = f"{PREFIX}target"


def number_column(index: int) -> str:
    """The name of the column with the probability, the value or the score, number `index`."""
    return f"{PREFIX}number:{index}"


def _each(name: str, count: int) -> list[str]:
    """The names of the columns of several outputs; of one it is `name` itself."""
    return [name] if count == 1 else [f"{name}:{index}" for index in range(count)]


def write_reference(
    path: Path,
    columns: pd.DataFrame,
    target: Any,
    outcomes: Outcomes,
    signature: Signature,
) -> None:
    """Write rows, predictions and the target, if there is one, whole or not at all."""
    table = columns.reset_index(drop=True).copy()
    if target is not None:
        wanted = np.asarray(target).reshape(len(table), -1)
        for name, values in zip(_each(TARGET, wanted.shape[1]), wanted.T, strict=True):
            table[name] = values
    table[REFUSED] = outcomes.refused
    if outcomes.labels is not None:
        places = outcomes.labels.reshape(len(table), -1).T.tolist()
        for name, group in zip(_each(LABEL, len(places)), places, strict=True):
            table[name] = [signature.labels[place] for place in group]
    if outcomes.numbers is not None:
        for index in range(outcomes.numbers.shape[1]):
            table[number_column(index)] = outcomes.numbers[:, index]
    with staged(path) as stage:
        table.to_parquet(stage, index=False)


def read_reference(path: Path) -> pd.DataFrame:
    """The raw columns of the reference rows.

    Raises:
        InputError: the file is damaged.
    """
    try:
        table = pd.read_parquet(path)
    except (ValueError, OSError) as error:  # what Arrow raises for bytes that are no Parquet
        raise InputError(
            f"the reference rows cannot be read: {error}",
            where=f"{path.parent.name}/{path.name}",
            hint="Run: mlpack train",
        ) from error
    return table[[name for name in table.columns if not str(name).startswith(PREFIX)]]
