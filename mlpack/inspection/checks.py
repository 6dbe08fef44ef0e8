"""Values of a table in pyproject.toml, checked; what is wrong is told with its line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mlpack import words
from mlpack.config import did_you_mean
from mlpack.errors import InputError
from mlpack.inspection.metadata import at, line_of

SOURCE = "pyproject.toml"

Check = Callable[[str], str | None]
"""None for a value that is allowed, else what is wrong with it or what it should be."""


def one_of(*values: str) -> Check:
    """A check that only takes these."""

    def check(value: str) -> str | None:
        if value in values:
            return None
        guess = did_you_mean(value, values)
        return f"is none of {', '.join(values)}" + (f". {guess}" if guess else "")

    return check


def strings(
    given: Mapping[str, Any],
    keys: Mapping[str, Check],
    table: str,
    text: str,
    further: tuple[str, ...] = (),
) -> dict[str, str]:
    """The strings of a table.

    Args:
        given: the table, without what is no string.
        keys: the strings that it may have, and what each must be.
        table: its name.
        text: the whole file, to find lines in.
        further: other keys that it may have, for the message.

    Raises:
        InputError: a key is unknown (the hint says which is meant), or a value is not allowed.
    """
    for key, value in given.items():
        if key not in keys:
            known = (*keys, *further)
            raise InputError(
                f'[{table}] has no key "{key}"; there are {", ".join(known)}',
                where=place(text, key, table),
                hint=did_you_mean(key, known),
            )
        if not isinstance(value, str):
            raise InputError(
                f"{key} in [{table}] is a string, not {words.public(repr(value))}",
                where=place(text, key, table),
            )
        if (reason := keys[key](value)) is not None:
            raise InputError(
                f"{key} in [{table}], {words.shown(value)}, {reason}",
                where=place(text, key, table),
            )
    return dict(given)


def listed(value: object, key: str, check: Check, table: str, text: str) -> tuple[str, ...]:
    """A list of strings.

    Raises:
        InputError: it is none, or one of them is not allowed.
    """
    where = place(text, key, table)
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise InputError(
            f"{key} in [{table}] is a list of strings, not {words.public(repr(value))}",
            where=where,
            hint=f'Write it like: {key} = ["..."]',
        )
    for each in value:
        if (reason := check(each)) is not None:
            raise InputError(f"{key} in [{table}]: {words.shown(each)} {reason}", where=where)
    return tuple(value)


def place(text: str, key: str, table: str) -> str:
    """Where a key of a table stands."""
    return at(SOURCE, line_of(text, key, table))
