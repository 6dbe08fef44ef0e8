"""How the OpenAPI document lists the values that something may have."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from .contract import Category

_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}


def labels(values: Sequence[Category]) -> dict[str, Any]:
    """The schema of one of a model's labels."""
    kinds = sorted({_TYPES[type(value)] for value in values})
    return {"type": kinds[0] if len(kinds) == 1 else kinds, **one_of(values)}


def one_of(values: Sequence[Category | None]) -> dict[str, Any]:
    """What demands these values and no other; a type may stand next to it.

    Generators of clients make an enumeration of ``enum``, with a name for each value. They have
    none for booleans and fractions, and give "a b" and "a-b" the same, so that one of them is lost.
    Within ``allOf`` the values are demanded too, but a client goes by the type.
    """
    listed = {"enum": list(values)}
    named = _have_names([each for each in values if each is not None])
    return listed if named else {"allOf": [listed]}


def _have_names(values: Sequence[Category]) -> bool:
    """Whether names in a programming language can be made of the values, one for each."""
    if all(type(value) is int for value in values):
        return True
    if not all(isinstance(value, str) and value[:1].isalpha() for value in values):
        return False
    return len({re.sub(r"[\W_]+", "", str(value)).casefold() for value in values}) == len(values)
