"""The errors that a user may see: what happened, where, and what to type next.

Every error has an exit code that scripts can trust:

====  =============================================================================
code  meaning
====  =============================================================================
1     a check that was asked for said no (``lock --check``, ``build --locked``, a gate)
2     the command line itself is wrong (typer says it)
3     an input is wrong: a file of the project, a value in it, an argument
4     something outside said no or did not answer: network, registry, engine, disk
5     the export could not be made or could not be proved equal, and that was demanded
130   interrupted
====  =============================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(eq=False)
class MlpackError(Exception):
    """An error to be shown to the user, without a traceback.

    Attributes:
        what: one sentence, what happened, naming the value at fault.
        where: the file (and line, column or key) it happened in, relative if it can be.
        hint: the next command to type or the line that fixes it.
    """

    what: str
    where: str | None = None
    hint: str | None = None

    code: ClassVar[int] = 3

    def __str__(self) -> str:
        """All three parts in lines of their own."""
        where = f"{self.where}: " if self.where else ""
        hint = f"\n{self.hint}" if self.hint else ""
        return f"{where}{self.what}{hint}"


class CheckFailedError(MlpackError):
    """A check that the user asked for said no."""

    code = 1


class InputError(MlpackError):
    """A file of the project, a value in it, or an argument is wrong."""

    code = 3


class OutsideError(MlpackError):
    """Something outside said no or did not answer: network, registry, engine, disk."""

    code = 4


class ProofError(MlpackError):
    """The export could not be made, or not proved equal, and that was demanded."""

    code = 5
