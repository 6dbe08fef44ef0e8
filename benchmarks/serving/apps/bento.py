"""A BentoML service around the pickled pipeline: a data frame in, as its documentation has it."""

from __future__ import annotations

from typing import Any

import bentoml
import pandas as pd
from frames import COLUMNS, FACTS, answers, load


@bentoml.service(workers=1)
class Service:
    """One model."""

    def __init__(self) -> None:
        self.model = load()

    @bentoml.api
    def predict(self, rows: pd.DataFrame) -> list[dict[str, Any]]:
        """Answer rows."""
        return answers(self.model, rows[COLUMNS].astype(FACTS["dtypes"]))
