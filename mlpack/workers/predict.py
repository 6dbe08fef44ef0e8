"""Predicts the rows of a Parquet file with an unpacked bundle: Parquet is for the builder only."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mlpack.errors import InputError
from mlpack.files import staged
from mlpack.runtime import tables
from mlpack.runtime.faults import InvalidInputError, ModelError
from mlpack.runtime.model import Model
from mlpack.runtime.predictions import Refusal
from mlpack.workers import wire

BATCH = 10_000


def work(request: dict[str, Any], progress: Callable[[str], None]) -> wire.Answer:
    """Predict; the answer has the number of rows."""
    sys.path.insert(0, request["folder"])
    source, target = Path(request["source"]), Path(request["target"])
    try:
        model = Model(Path(request["data"]))
        with staged(target) as stage:
            rows = predict_parquet(model, source, stage, progress)
    except (InvalidInputError, ModelError, pa.ArrowInvalid) as error:
        raise InputError(str(error), where=source.name) from error
    return {"rows": rows}


def predict_parquet(
    model: Model, source: Path, target: Path, progress: Callable[[str], None], size: int = BATCH
) -> int:
    """Write the rows of a Parquet file with their predictions beside them; how many there were.

    Columns that the model does not know are kept and not looked at.
    """
    known = {column.name for column in model.signature.columns}
    done = 0
    writer: pq.ParquetWriter | None = None
    try:
        for batch in pq.ParquetFile(source).iter_batches(batch_size=size):
            table = pa.Table.from_batches([batch])
            mine = [name for name in table.column_names if name in known]
            predictions = model.predict_columns(table.select(mine).to_pydict())
            if predictions.refusals:
                raise InvalidInputError(
                    [
                        Refusal(r.row + done, r.column, r.expected, r.got)
                        for r in predictions.refusals
                    ]
                )
            answers = list(tables.cells(model.answers, predictions))
            for index, name in enumerate(tables.header(model.answers, predictions)):
                while name in table.column_names:
                    name += "_"  # noqa: PLW2901 - a free name, as for CSV
                table = table.append_column(name, pa.array([answer[index] for answer in answers]))
            writer = writer or pq.ParquetWriter(target, table.schema)
            writer.write_table(table)
            done += table.num_rows
            progress(f"{done:,} rows")
    finally:
        if writer is not None:
            writer.close()
    if writer is None:
        pq.write_table(pq.read_table(source), target)
    return done


if __name__ == "__main__":
    sys.exit(wire.main(work))
