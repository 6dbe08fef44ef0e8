"""Whether all categories that a CatBoost model learned are known by name.

The model has only hashes of them. CatBoost writes the hash of each category of a pool that it is
given; with these the keys of its statistics can be computed again, as in CatBoost's
``catboost/libs/model/hash.h`` and ``ctr_provider.h``. A key that no known category has is of a
category that nobody could send to the graph.
"""

from __future__ import annotations

import inspect
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mlpack.exporters.sklearn.converters.catboost_model import Raw, Told
from mlpack.exporters.sklearn.converters.ensemble import Array

_MULTIPLIER = np.uint64(0x4906BA494954CB65)
_EMPTY = 2**64 - 1
_LARGEST = 2**22
"""So many combinations are looked through; more would be too many for a table too."""

Values = Mapping[int, Sequence[Any]]
"""By the number of a categorical feature its known categories."""


def unknown(step: Any, model: Told, values: Values, width: int) -> set[int]:
    """The categorical features of which the model learned a category that is not among `values`.

    Args:
        step: the fitted model.
        model: what it says of itself.
        values: the known categories.
        width: how many columns the model takes.
    """
    known = _hashes(step, model, values, width)
    found: set[int] = set()
    for split in model.splits.values():
        if split["split_type"] == "OneHotFeature":
            number = split["cat_feature_index"]
            if split["value"] not in known[number].astype(np.int64):
                found.add(number)
    for name, data in (model.whole.get("ctr_data") or {}).items():
        elements = json.loads(name)["identifier"]
        keys = {int(key) for key in data["hash_map"][:: data["hash_stride"]]} - {_EMPTY}
        if not keys <= _keys(elements, known):
            found |= {each["cat_feature_index"] for each in elements if "cat_feature_index" in each}
    return found


def _hashes(step: Any, model: Told, values: Values, width: int) -> dict[int, Array]:
    """The hashes of the known categories: 32 bits with a sign, as uint64."""
    rows = np.zeros((max(map(len, values.values()), default=0) + 1, width), object)
    for number, place in model.categories.items():
        rows[:, place] = ""
        rows[: len(values[number]), place] = list(values[number])
    pool = inspect.getmodule(type(step)).Pool(  # type: ignore[union-attr]
        rows, cat_features=list(model.categories.values())
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "model.json")
        step.save_model(str(file), format="json", pool=pool)
        told = json.loads(file.read_bytes())["features_info"].get("cat_features_hash") or []
    by_text = {each["value"]: each["hash"] for each in told}
    return {
        number: np.array([by_text[_text(each)] for each in known], np.uint32)
        .astype(np.int32)
        .astype(np.uint64)
        for number, known in values.items()
    }


def _text(value: Any) -> str:
    """A category as CatBoost knows it."""
    return value if isinstance(value, str) else str(int(value))


def _keys(elements: list[Raw], known: Mapping[int, Array]) -> set[int]:
    """The keys of every combination of known categories and sides of borders."""
    keys: Array = np.zeros(1, np.uint64)
    for element in elements:
        if element["combination_element"] == "cat_feature_value":
            parts = known[element["cat_feature_index"]]
        else:
            parts = np.array([0, 1], np.uint64)
        if len(keys) * len(parts) > _LARGEST:
            return set()
        keys = (_MULTIPLIER * (keys[:, None] + _MULTIPLIER * parts[None, :])).ravel()
    return set(keys.tolist())
