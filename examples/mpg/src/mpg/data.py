"""The data that the pipeline learns from."""

from typing import Any

import pandas as pd
from bokeh_sampledata.autompg import autompg_clean

COLUMNS = ["cyl", "displ", "hp", "weight", "accel", "yr", "origin"]


def load(config: dict[str, Any]) -> pd.DataFrame:
    """One car a row: the raw columns, and the column that `config` names as the target."""
    return autompg_clean[[*COLUMNS, config["target"]]]
