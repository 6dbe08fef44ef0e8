"""What people see: progress, tables and errors on standard error, results on standard output."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TextIO

from mlpack.errors import MlpackError
from mlpack.ports import Stage

PATIENCE = 1.0
"""Seconds after which a piece of work is announced before it is done."""

BOLD, DIM, RED, GREEN, YELLOW, RESET = (
    "\x1b[1m",
    "\x1b[2m",
    "\x1b[31m",
    "\x1b[32m",
    "\x1b[33m",
    "\x1b[0m",
)


@dataclass
class _Stage:
    title: str
    text: str = ""
    done: int = 0
    total: int | None = None
    changed: threading.Event = field(default_factory=threading.Event)

    def advance(self, done: int, total: int | None = None) -> None:
        self.done, self.total = done, total
        self.changed.set()

    def result(self, text: str) -> None:
        self.text = text
        self.changed.set()

    def line(self) -> str:
        parts = [self.title]
        if self.total:
            parts.append(f"{self.done:,}/{self.total:,}")
        elif self.done:
            parts.append(f"{self.done:,}")
        if self.text:
            parts.append(self.text)
        return "  ".join(parts)


@dataclass(frozen=True)
class Timed:
    """A piece of work that ended well.

    Attributes:
        title: as it was announced.
        seconds: how long it took.
    """

    title: str
    seconds: float


class Console:
    """A `mlpack.ports.Reporter` for a terminal, or for plain lines where there is none.

    Args:
        err: where progress goes.
        out: where results go.
        quiet: tell only warnings and errors.

    Attributes:
        timed: the pieces of work so far, in the order in which they ended.
    """

    def __init__(self, err: TextIO, out: TextIO, *, quiet: bool = False) -> None:
        self._err = err
        self._out = out
        self._quiet = quiet
        self.timed: list[Timed] = []
        self._lock = threading.Lock()
        live = err.isatty() and os.environ.get("TERM") != "dumb"
        self._live = live
        self._colour = live and not os.environ.get("NO_COLOR")  # https://no-color.org

    def style(self, text: str, *codes: str) -> str:
        """`text` in colours, where there are any."""
        return f"{''.join(codes)}{text}{RESET}" if self._colour else text

    @contextlib.contextmanager
    def stage(self, title: str) -> Iterator[Stage]:
        """See `mlpack.ports.Reporter.stage`."""
        stage = _Stage(title)
        start = time.monotonic()
        ended = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(stage, start, ended), daemon=True)
        watcher.start()
        try:
            yield stage
        except BaseException:
            ended.set()
            watcher.join()
            self._line(f"{self.style('x', RED)} {stage.line()}")
            raise
        ended.set()
        watcher.join()
        seconds = time.monotonic() - start
        self.timed.append(Timed(title, seconds))
        took = self.style(f"({seconds:.1f} s)", DIM)
        self._line(f"{self.style('+', GREEN)} {stage.line()}  {took}")

    def _watch(self, stage: _Stage, start: float, ended: threading.Event) -> None:
        """Show work that takes long: in place on a terminal, else one line when it begins to."""
        if ended.wait(PATIENCE if not self._live else 0.1):
            return
        if not self._live:
            self._line(f"  {stage.title} ...")
            return
        while not ended.wait(0.1):
            seconds = time.monotonic() - start
            with self._lock:
                self._err.write(f"\r\x1b[K  {stage.line()}  {seconds:.0f} s"[:200])
                self._err.flush()

    def note(self, text: str) -> None:
        """See `mlpack.ports.Reporter.note`."""
        self._line(self.style(f"  {text}", DIM))

    def warn(self, text: str) -> None:
        """See `mlpack.ports.Reporter.warn`."""
        self._line(f"{self.style('! ' + text, YELLOW)}", always=True)

    def say(self, text: str = "") -> None:
        """A line that is neither progress nor a result: a heading, the next step."""
        self._line(text)

    def _line(self, text: str, *, always: bool = False) -> None:
        if self._quiet and not always:
            return
        with self._lock:
            self._err.write(("\r\x1b[K" if self._live else "") + text + "\n")
            self._err.flush()

    def result(self, text: str) -> None:
        """A result, on standard output."""
        self._out.write(text + "\n")
        self._out.flush()

    def json(self, value: Any) -> None:  # noqa: ANN401 - anything that JSON can hold
        """A result for machines, on standard output."""
        self.result(json.dumps(value, indent=2, ensure_ascii=False))

    def table(self, rows: Sequence[Sequence[str]], head: Sequence[str] = ()) -> None:
        """A table on standard error; columns of figures are aligned to the right."""
        everything = [list(head), *map(list, rows)] if head else [list(row) for row in rows]
        if not everything:
            return
        widths = [max(len(row[i]) for row in everything) for i in range(len(everything[0]))]
        right = [bool(rows) and all(_is_figure(row[i]) for row in rows) for i in range(len(widths))]
        for number, row in enumerate(everything):
            cells = [
                cell.rjust(width) if to_right else cell.ljust(width)
                for cell, width, to_right in zip(row, widths, right, strict=True)
            ]
            line = "  " + "  ".join(cells).rstrip()
            self._line(self.style(line, BOLD) if head and number == 0 else line)

    def error(self, error: MlpackError) -> None:
        """What happened, where, and what to type next."""
        where = f"{error.where}: " if error.where else ""
        self._line(f"{self.style('error:', RED, BOLD)} {where}{error.what}", always=True)
        for line in (error.hint or "").splitlines():
            self._line(f"  {line}", always=True)


def _is_figure(cell: str) -> bool:
    return cell.removeprefix("-")[:1].isdigit() or cell in ("-", "exact")


def stdio(*, quiet: bool = False) -> Console:
    """A console on this process's own streams."""
    return Console(sys.stderr, sys.stdout, quiet=quiet)
