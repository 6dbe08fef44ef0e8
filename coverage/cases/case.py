"""What a row of the list is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Case:
    """One ordinary pipeline.

    Attributes:
        id: ``group/name``; it never changes.
        what: the estimator and option, in the words that a user would write.
        build: makes the pipeline, not yet fitted.
        data: which columns it takes, a name in `cases.data.FRAMES`.
        target: what it predicts, a name in `cases.data.TARGETS` of that data.
        needs: the module that it needs beside scikit-learn.
        float32: whether the original computes in float32, so that 1e-12 makes no sense.
    """

    id: str
    what: str
    build: Callable[[], Any]
    data: str = "flights"
    target: str = "late"
    needs: str | None = None
    float32: bool = False

    @property
    def group(self) -> str:
        """The part of the list that it belongs to."""
        return self.id.partition("/")[0]

    @property
    def name(self) -> str:
        """Its name within the group."""
        return self.id.partition("/")[2]
