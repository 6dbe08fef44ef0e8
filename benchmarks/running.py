"""Running other programs: what they say where they fail is what people need."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from mlpack import indexes

_TAIL = 3000


class FailedError(Exception):
    """A command or an artifact did not do what it is for."""


def run(argv: Sequence[object], cwd: Path, env: Mapping[str, str] | None = None) -> str:
    """The standard output of a command.

    Raises:
        FailedError: it failed; with the end of what it wrote.
    """
    words = [str(word) for word in argv]
    done = subprocess.run(
        words,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = indexes.redact(f"{done.stdout[-_TAIL:]}{done.stderr[-_TAIL:]}".strip())
        raise FailedError(f"{' '.join(words[:4])} failed:\n{said}")
    return done.stdout


def timed(
    argv: Sequence[object], cwd: Path, env: Mapping[str, str] | None = None
) -> tuple[float, str]:
    """How long a command took, in seconds, and its standard output."""
    start = time.perf_counter()
    told = run(argv, cwd, env)
    return time.perf_counter() - start, told
