"""Reads ``[deploy]``, value by value: each has a grammar, and an error names the key."""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlpack.errors import InputError

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
SECRET = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
"""A secret's name: of a file below ``/run/secrets``."""

_MEMORY = re.compile(r"(\d{1,9})([kmg])", re.IGNORECASE)
_UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


class Reader:
    """The values of a table of the configuration.

    Args:
        config: the table, its references looked up.
        table: what it is called, for messages.
        example: what it may look like, for messages.
    """

    def __init__(
        self, config: Mapping[str, Any], table: str = "deploy", example: str | None = None
    ) -> None:
        self._config = config
        self._table = table
        self._example = example

    def text(self, key: str, grammar: re.Pattern[str], default: str = "") -> str:
        """A text that `grammar` matches whole, or `default`, which need not match.

        Raises:
            InputError: it is none.
        """
        value = self._config.get(key, default)
        if value == default:
            return default
        if not isinstance(value, str) or not grammar.fullmatch(value):
            raise InputError(
                f"{str(value)[:80]!r} is none", where=self._where(key), hint=self._example
            )
        return value

    def needed(self, key: str, grammar: re.Pattern[str], hint: str) -> str:
        """A text that must be there.

        Raises:
            InputError: it is missing, or none that `grammar` matches whole.
        """
        if key not in self._config:
            raise InputError(f"[{self._table}] has no {key}", hint=hint)
        value = self._config[key]
        if not isinstance(value, str) or not grammar.fullmatch(value):
            raise InputError(f"{str(value)[:80]!r} is none", where=self._where(key), hint=hint)
        return value

    def texts(self, key: str, grammar: re.Pattern[str]) -> tuple[str, ...]:
        """A list of texts, each matched whole; empty where it is not there.

        Raises:
            InputError: it is none.
        """
        value = self._config.get(key, [])
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise InputError("it is no list", where=self._where(key), hint=self._example)
        for each in value:
            if not isinstance(each, str) or not grammar.fullmatch(each):
                raise InputError(
                    f"{str(each)[:80]!r} is none", where=self._where(key), hint=self._example
                )
        return tuple(value)

    def choice(self, key: str, choices: Sequence[str], default: str) -> str:
        """One of some words.

        Raises:
            InputError: it is another.
        """
        value = self._config.get(key, default)
        if value not in choices:
            raise InputError(
                f"{str(value)[:80]!r} is none of {', '.join(choices)}", where=self._where(key)
            )
        return str(value)

    def number(self, key: str, default: int, least: int, most: int) -> int:
        """A whole number within bounds.

        Raises:
            InputError: it is none.
        """
        value = self._config.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise InputError(
                f"{str(value)[:40]!r} is no whole number from {least} to {most}",
                where=self._where(key),
            )
        return value

    def fraction(self, key: str, default: float, least: float, most: float) -> float:
        """A number within bounds.

        Raises:
            InputError: it is none.
        """
        value = self._config.get(key, default)
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or not least <= value <= most:
            raise InputError(
                f"{str(value)[:40]!r} is no number from {least:g} to {most:g}",
                where=self._where(key),
            )
        return float(value)

    def switch(self, key: str, *, default: bool) -> bool:
        """True or false.

        Raises:
            InputError: it is neither.
        """
        value = self._config.get(key, default)
        if not isinstance(value, bool):
            raise InputError("it is neither true nor false", where=self._where(key))
        return value

    def path(self, key: str) -> Path | None:
        """A file; None where it is not there.

        Raises:
            InputError: it is no path.
        """
        value = self._config.get(key)
        if value is None:
            return None
        if not isinstance(value, str) or not value:
            raise InputError("it is not a path", where=self._where(key))
        return Path(value)

    def address(self, key: str = "address", default: str = "0.0.0.0") -> str:  # noqa: S104
        """An IP address.

        Raises:
            InputError: it is none.
        """
        value = self._config.get(key, default)
        try:
            return str(ipaddress.ip_address(value if isinstance(value, str) else ""))
        except ValueError as error:
            raise InputError(
                f"{str(value)[:40]!r} is no IP address",
                where=self._where(key),
                hint=f'{key} = "127.0.0.1"',
            ) from error

    def memory(self, key: str = "memory") -> int | None:
        """A size such as ``512m``, in bytes; None where it is not there.

        Raises:
            InputError: it is none.
        """
        value = self._config.get(key)
        if value is None:
            return None
        found = _MEMORY.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            raise InputError(
                f"{str(value)[:40]!r} is no size", where=self._where(key), hint=f'{key} = "512m"'
            )
        return int(found[1]) * _UNITS[found[2].lower()]

    def cpus(self, key: str = "cpus") -> float | None:
        """A number of CPUs, such as 0.5; None where it is not there.

        Raises:
            InputError: it is none.
        """
        value = self._config.get(key)
        if value is None:
            return None
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or not 0.01 <= value <= 1024:
            raise InputError(
                f"{str(value)[:40]!r} is no number of CPUs",
                where=self._where(key),
                hint=f"{key} = 1",
            )
        return float(value)

    def table(self, key: str, grammar: re.Pattern[str]) -> dict[str, str]:
        """A table of texts, whose names `grammar` matches whole; empty where it is not there.

        Raises:
            InputError: it is none.
        """
        value = self._config.get(key, {})
        if not isinstance(value, Mapping):
            raise InputError(
                "it is no table", where=f"[{self._table}.{key}]", hint='NAME = "value"'
            )
        for name, text in value.items():
            if not grammar.fullmatch(name):
                raise InputError(f"{name[:80]!r} is no name", where=f"[{self._table}.{key}]")
            if not isinstance(text, str) or "\0" in text:
                raise InputError("it is not a text", where=f"[{self._table}.{key}] {name}")
        return dict(value)

    def _where(self, key: str) -> str:
        return f"[{self._table}] {key}"
