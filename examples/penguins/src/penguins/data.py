"""The data that the pipeline learns from."""

from typing import Any

import pandas as pd
from palmerpenguins import load_penguins

COLUMNS = [
    "island",
    "bill_length_mm",
    "bill_depth_mm",
    "flipper_length_mm",
    "body_mass_g",
    "sex",
]


def load(config: dict[str, Any]) -> pd.DataFrame:
    """One penguin a row: the raw columns, and the column that `config` names as the target."""
    return load_penguins()[[*COLUMNS, config["target"]]]
