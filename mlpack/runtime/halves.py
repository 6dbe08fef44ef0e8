"""Asks Python code for a batch of rows, and finds out by halves which of them it raises for."""

from __future__ import annotations

from collections.abc import Callable

from .predictions import ACCEPTED, Refusal, shown

SHORT = 6
"""Refused rows come in runs: of so few rows each is asked at once. The proof asks the original in
the same pieces (`mlpack.proof.original`), so that both sum a batch in the same order."""


def in_halves(ask: Callable[[int, int], None], rows: int) -> list[Refusal]:
    """A refusal for each row for which `ask` raises.

    Args:
        ask: answers for the rows from its first argument up to its second, which is never the
            same. What it kept of a try that raised is written anew by the next.
        rows: how many there are.
    """
    refusals: list[Refusal] = []

    def some(start: int, stop: int) -> None:
        if start == stop:
            return
        try:
            ask(start, stop)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - the user's own code may raise anything
            if stop - start == 1:
                said = f"{type(error).__name__}: {error}"
                refusals.append(Refusal(start, None, ACCEPTED, shown(said)[1:-1]))
                return
            step = 1 if stop - start <= SHORT else -(-(stop - start) // 2)
            for piece in range(start, stop, step):
                some(piece, min(piece + step, stop))

    some(0, rows)
    return refusals
