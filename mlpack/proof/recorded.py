"""What the steps of the original answer, while the original itself is asked."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import joblib

METHODS = ("transform", "predict", "predict_proba", "decision_function")


@dataclass
class Record:
    """What was recorded.

    Attributes:
        answers: by the step, as its place in memory, and the method: the last answer.
        raised: the steps that raised, the innermost first.
    """

    answers: dict[tuple[int, str], Any] = field(default_factory=dict)
    raised: list[int] = field(default_factory=list)

    def answer(self, step: Any, method: str) -> Any:
        """What the step answered; None if it was not asked for these rows."""
        return self.answers.get((id(step), method))


@contextlib.contextmanager
def recorded(steps: Sequence[Any], rows: int) -> Iterator[Record]:
    """Record what fitted steps answer while the pipeline that they are part of is asked.

    The very objects are watched, so that each is given just what the original gives it.

    Args:
        steps: the fitted steps.
        rows: how many rows the pipeline is asked for. A step may be asked for some of them only:
            that is not recorded.
    """
    record = Record()
    with contextlib.ExitStack() as stack:
        for step in {id(each): each for each in steps}.values():
            for method in METHODS:
                asked = getattr(step, method, None)
                if callable(asked) and method not in getattr(step, "__dict__", {method: None}):
                    watched = _watched(asked, (id(step), method), rows, record)
                    # The instance's own attribute is found before its class's method.
                    step.__dict__[method] = watched
                    stack.callback(step.__dict__.pop, method, None)
        # In this very process: in others nobody watches.
        with joblib.parallel_backend("sequential"):
            yield record


def _watched(
    asked: Callable[..., Any], key: tuple[int, str], rows: int, record: Record
) -> Callable[..., Any]:
    def watched(*arguments: Any, **named: Any) -> Any:
        try:
            answer = asked(*arguments, **named)
        except Exception:
            record.raised.append(key[0])
            raise
        if _rows(answer) == rows:
            # Some steps write their answer over what they were given.
            record.answers[key] = answer.copy() if hasattr(answer, "copy") else answer
        return answer

    return watched


def _rows(answer: Any) -> int | None:
    shape = getattr(answer, "shape", None)
    return shape[0] if shape else None
