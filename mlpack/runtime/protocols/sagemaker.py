"""SageMaker's container contract: ``/ping`` and ``/invocations``.

The formats are those of ``/predict``. A CSV often comes without a header there: one whose first
line names no column and has as many cells as the model has columns is read by position, and is
answered without a header too.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from typing import Any

from ..model import Model
from ..predictions import Predictions
from ..routes import Exchange, Headers, Reply, Route
from ..values import Clean
from .own import CSV, Formats

_FIRST = 1_000_000  # bytes that the first line is looked for in
_BOM = b"\xef\xbb\xbf"


class _Positional:
    """A request in CSV, with or without the line that names the columns."""

    def __init__(self, exchange: Exchange, names: list[str]) -> None:
        self._exchange = exchange
        self._names = names
        self._headless = False

    def read(self, body: bytes) -> tuple[Any, ...] | Clean:
        start = body.removeprefix(_BOM)[:_FIRST].decode("utf-8", "replace")
        try:
            cells = next(csv.reader(io.StringIO(start, newline=""), strict=True), [])
        except csv.Error:
            cells = []  # whoever reads it next says what is wrong
        if len(cells) == len(self._names) and not set(cells).intersection(self._names):
            self._headless = True
            body = _line(self._names) + body.removeprefix(_BOM)
        return self._exchange.read(body)

    def write(self, predictions: Predictions) -> Reply:
        reply = self._exchange.write(predictions)
        if not self._headless or reply.content_type != CSV:
            return reply
        return Reply(reply.body.partition(b"\n")[2], reply.content_type)


def _line(cells: list[str]) -> bytes:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerow(cells)
    return stream.getvalue().encode()


def routes(model: Model, formats: Formats, ready: Callable[[], Reply]) -> Mapping[str, Route]:
    """The paths of the contract.

    Args:
        model: the one that is served.
        formats: reads and writes.
        ready: raises a ProblemError where the server is not.
    """
    names = [column.name for column in model.signature.columns]

    def opens(headers: Headers) -> Exchange:
        exchange = formats.choose(headers)
        if headers.get(b"content-type", b"").lower().partition(b";")[0].strip() == CSV:
            return _Positional(exchange, names)
        return exchange

    return {
        "/ping": Route(method="GET", tell=ready, guarded=False),
        "/invocations": Route(method="POST", open=opens),
    }
