"""What a run that was broken off did at a target, and did not write down in the history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

Unsaid = Literal["", "deploy", "canary", "promote", "rollback"]


def unsaid(said: Sequence[tuple[str, int]], live: int, canary: int = 0) -> Unsaid:
    """The verb of what was done and the history does not tell; empty where it tells all.

    A run does one thing and then writes it down, and the next run looks first: at most the last
    thing is missing. Deploying makes a higher number, so a lower one is a way back.

    Args:
        said: the history's verbs and releases, the oldest first; nothing is done by what failed.
        live: the release that answers; 0 for none.
        canary: the one beside it; 0 for none.
    """
    verb, release = next((each for each in reversed(said) if each[0] != "failed"), ("", 0))
    if canary:
        return "" if (verb, release) == ("canary", canary) else "canary"
    if verb == "canary" and live == release:
        return "promote"
    if live in (0, release):
        return ""
    return "rollback" if live < release else "deploy"
