"""The data that the pipeline learns from."""

from typing import Any

import pandas as pd
from bokeh_sampledata.titanic import data as passengers

COLUMNS = ["name"]


def load(config: dict[str, Any]) -> pd.DataFrame:
    """One passenger a row: the name, and the column that `config` names as the target."""
    return passengers[[*COLUMNS, config["target"]]]
