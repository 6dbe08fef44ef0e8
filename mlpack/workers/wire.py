"""The protocol between a use case and a worker: JSON in, JSON out, progress on standard error."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

from mlpack.errors import CheckFailedError, InputError, MlpackError, OutsideError, ProofError

MARK = "\x1emlpack "
"""What a line of progress starts with; user code has no reason to print it."""

ERRORS: dict[str, type[MlpackError]] = {
    kind.__name__: kind for kind in (CheckFailedError, InputError, OutsideError, ProofError)
}

Answer = dict[str, Any]
Work = Callable[[dict[str, Any], Callable[[str], None]], Answer]


def progress(text: str) -> None:
    """Tell the use case what is being done."""
    sys.stderr.write(f"{MARK}{text}\n")
    sys.stderr.flush()


def main(work: Work) -> int:
    """Do one piece of work for the use case at the other end of the pipe."""
    # User code may print to file descriptor 1: the answer gets one of its own.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    request = json.load(sys.stdin)
    try:
        answer = work(request, progress)
    except MlpackError as error:
        answer = {
            "error": type(error).__name__,
            "what": error.what,
            "where": error.where,
            "hint": error.hint,
        }
    json.dump(answer, out)
    out.close()
    return 0


def raise_error(answer: Answer) -> None:
    """Raise the error that a worker's answer tells of, if it does."""
    if "error" in answer:
        kind = ERRORS.get(answer["error"], InputError)
        raise kind(answer["what"], where=answer["where"], hint=answer["hint"])
