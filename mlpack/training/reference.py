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
        table[TARGET] = np.asarray(target).reshape(len(table), -1)[:, 0]
    table[REFUSED] = outcomes.refused
    if outcomes.labels is not None:
        table[LABEL] = [signature.labels[index] for index in outcomes.labels]
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
