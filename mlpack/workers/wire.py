"""The protocol between a use case and a worker: JSON in, JSON out, progress on standard error."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlpack.errors import CheckFailedError, InputError, MlpackError, OutsideError, ProofError
from mlpack.files import disk_errors

MARK = "\x1emlpack "
"""What a line of progress starts with; user code has no reason to print it."""

ERRORS: dict[str, type[MlpackError]] = {
    kind.__name__: kind for kind in (CheckFailedError, InputError, OutsideError, ProofError)
}

CONVERTING = "making the graph"
"""What an export tells before a conversion, which may end its process."""

BUG = "bug"
"""What an answer calls an exception that nobody expected."""

Answer = dict[str, Any]
Work = Callable[[dict[str, Any], Callable[[str], None]], Answer]


class WorkerError(Exception):
    """A worker met an exception that nobody expected: a bug."""


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
        answer = _told(error)
    except OSError as error:
        answer = _told(_outside(error))
    except Exception as error:  # noqa: BLE001 - the last resort: the use case tells it as a bug
        if "MLPACK_DEBUG" in os.environ:
            traceback.print_exc()
        answer = {"error": BUG, "what": f"{type(error).__name__}: {error}"}
    json.dump(answer, out)
    out.close()
    return 0


def _told(error: MlpackError) -> Answer:
    return {
        "error": type(error).__name__,
        "what": error.what,
        "where": error.where,
        "hint": error.hint,
    }


def _outside(error: OSError) -> MlpackError:
    """A full or read-only disk by its own name; any other failure by the file's."""
    path = Path(str(error.filename or tempfile.gettempdir()))
    try:
        with disk_errors(path):
            raise error
    except OutsideError as named:
        return named
    except OSError:
        return OutsideError(
            error.strerror or str(error),
            where=str(path) if error.filename else None,
            hint="Look at the file and the disk that it lies on, then run the same command again.",
        )


def raise_error(answer: Answer) -> None:
    """Raise the error that a worker's answer tells of, if it does."""
    if answer.get("error") == BUG:
        raise WorkerError(answer["what"])
    if "error" in answer:
        kind = ERRORS.get(answer["error"], InputError)
        raise kind(answer["what"], where=answer["where"], hint=answer["hint"])
