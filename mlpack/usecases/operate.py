"""What is asked of a target where the model runs: status, history, logs, the way back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from mlpack.errors import InputError
from mlpack.operating import (
    Fetched,
    Happened,
    Holding,
    Permitted,
    Rendering,
    Running,
    Status,
)
from mlpack.ports import Built, Deployment, Reporter, Target

_TYPED: Mapping[str, tuple[str, ...]] = {
    "apply": ("mlpack deploy",),
    "canary": ("mlpack deploy --canary",),
    "counted": (),
    "fetch": ("mlpack pull", "mlpack compare"),
    "plan": ("mlpack deploy --plan",),
    "policy": ("mlpack deploy --plan --iam",),
    "render": ("mlpack deploy --render",),
    "samples": ("mlpack shadow",),
}
"""What a user types for a verb, where that is not the verb."""


def running(target: Target, verb: str) -> Running:
    """The target as one that knows `verb`.

    Raises:
        InputError: it does not.
    """
    if verb not in target.verbs:
        typed = {each for known in target.verbs for each in _TYPED.get(known, (f"mlpack {known}",))}
        raise InputError(
            f"the target {target.kind} has no {verb}",
            where="[deploy] target",
            hint=f"What there is: {', '.join(sorted(typed))}.",
        )
    return cast("Running", target)


def policy(target: Target) -> Mapping[str, Any]:
    """The smallest policy with which all that the target does works; errors as in `canary`."""
    return cast("Permitted", running(target, "policy")).policy()


def canary(
    built: Built, target: Target, share: int, reporter: Reporter, why: str = ""
) -> Deployment:
    """Deploy beside what runs, for `share` of a hundred requests.

    Raises:
        InputError: the target knows no canaries, or there is no image.
        CheckFailedError, OutsideError: see the target.
    """
    return running(target, "canary").canary(built, share, reporter, why=why)


def render(built: Built, target: Target, into: Path) -> Sequence[Path]:
    """Write down what the target would be asked for, for others to apply.

    Raises:
        InputError: the target writes nothing down, there is no image, or `into` is a file.
    """
    running(target, "render")
    return cast("Rendering", target).render(built, into)


def promote(target: Target, reporter: Reporter) -> Status:
    """Give the canary all requests; errors as in `canary`."""
    return running(target, "promote").promote(reporter)


def rollback(target: Target, to: int | None, reporter: Reporter) -> Status:
    """Go back to a release, by default the one before; errors as in `canary`."""
    return running(target, "rollback").rollback(to, reporter)


def status(target: Target) -> Status:
    """What runs; errors as in `canary`."""
    return running(target, "status").status()


def history(target: Target) -> Sequence[Happened]:
    """What was done, the oldest first; errors as in `canary`."""
    return running(target, "history").history()


def logs(target: Target, lines: int, *, follow: bool) -> Iterator[str]:
    """The last lines of what answers, and those that come; errors as in `canary`."""
    return running(target, "logs").logs(lines, follow=follow)


def remove(target: Target, reporter: Reporter) -> None:
    """Remove everything at the target; errors as in `canary`."""
    running(target, "remove").remove(reporter)


def fetch(target: Target, release: int | None, into: Path, reporter: Reporter) -> Fetched | None:
    """Bring what runs to this machine; None where nothing does; errors as in `canary`."""
    running(target, "fetch")
    return cast("Holding", target).fetch(release, into, reporter)
