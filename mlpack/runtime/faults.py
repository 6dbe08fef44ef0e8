"""What can go wrong, each with the exit code of ``python -m churn``. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .predictions import Refusal


class ModelError(Exception):
    """The model cannot be loaded: a file is damaged, missing, or not what the manifest says."""


class InvalidInputError(ValueError):
    """Rows that the author's constraints, or the original pipeline, refuse.

    Attributes:
        problems: every problem, by row.
    """

    def __init__(self, problems: Sequence[Refusal]) -> None:
        self.problems = tuple(problems)
        lines = [
            f"row {p.row}{', ' + p.column if p.column else ''}: expected {p.expected}, got {p.got}"
            for p in self.problems[:10]
        ]
        if len(self.problems) > len(lines):
            lines.append(f"... and {len(self.problems) - len(lines)} more")
        super().__init__("\n".join(lines))


class FileError(Exception):
    """A file cannot be read, written or understood; says which and why."""


class ServerError(Exception):
    """The server cannot run on this machine as it is: the port is taken, or not allowed."""
