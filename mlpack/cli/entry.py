"""Runs the command line, and turns what goes wrong into an exit code and a sentence."""

from __future__ import annotations

import os
import signal
import sys
import traceback

import typer

from mlpack import __version__
from mlpack.cli.app import app
from mlpack.cli.options import open_console
from mlpack.errors import MlpackError

INTERRUPTED = 130
BUG = 70


def main() -> int:
    """Run the command line; the exit code (see `mlpack.errors`)."""
    _tidy_when_told_to_end()
    try:
        code = app(standalone_mode=False)
    except MlpackError as error:
        open_console().error(error)
        return error.code
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last resort: no traceback for a user
        if hasattr(error, "exit_code") and hasattr(error, "show"):
            error.show()  # typer's own: the command line is wrong
            return int(error.exit_code)
        return _bug(error)
    if code == INTERRUPTED:  # typer makes this exit code of an interruption
        open_console().warn(
            "interrupted: nothing was left half-written; run the same command again"
        )
    return code if isinstance(code, int) else 0


def _tidy_when_told_to_end() -> None:
    """SIGTERM, and the end of the terminal, break off like Ctrl-C: with everything cleaned up."""

    def interrupt(number: int, frame: object) -> None:
        del number, frame
        raise KeyboardInterrupt

    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, interrupt)


def _bug(error: Exception) -> int:
    console = open_console()
    if "MLPACK_DEBUG" in os.environ:
        sys.stderr.write("".join(traceback.format_exception(error)))
    console.warn(f"this is a bug in mlpack {__version__}: {type(error).__name__}: {error}")
    console.say("  Run the command again with MLPACK_DEBUG=1 for the traceback, and report it.")
    return BUG
