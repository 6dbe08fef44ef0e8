"""Asks sampled requests again, and tells where the answers differ from those that were recorded."""

from __future__ import annotations

import asyncio
import csv
import http.client
import io
import math
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec

from .app import App
from .faults import FileError, ServerError
from .model import Model
from .samples import Sample, read
from .settings import Settings

CLOSE_ENOUGH = 1e-9
"""Numbers may differ by so much of themselves: another machine may round the last places apart."""

_OF_THE_MOMENT = frozenset((401, 403, 408, 429, 499, 503))
"""Statuses that tell of the server or the caller at that time, and not of the request."""

_SECONDS = 60.0

Answer = tuple[int, str, bytes]
"""Status, content type and body."""
Ask = Callable[[Sample], Answer]


class Difference(msgspec.Struct, frozen=True):
    """One place where two answers differ.

    Attributes:
        request_id: of the request.
        path: where it was sent.
        row: of the request, from 0; None where it is not about one row.
        column: the place in the answer, such as ``label`` or ``probabilities.yes``.
        recorded, now: what stands there; None for nothing.
    """

    request_id: str
    path: str
    row: int | None
    column: str
    recorded: Any
    now: Any


class Outcome(msgspec.Struct):
    """What came of a replay.

    Attributes:
        asked: how many requests were asked again.
        left_out: how many were not, since their answer told of the server at that time.
        others: the versions of other models that gave recorded answers.
        differences: where the answers differ.
    """

    asked: int = 0
    left_out: int = 0
    others: list[str] = []
    differences: list[Difference] = []


def replay(path: Path, ask: Ask, *, sha256: str | None, request_id: str | None = None) -> Outcome:
    """Ask the requests of a file again.

    Args:
        path: the file.
        ask: asks one.
        sha256: the digest of the model that is asked; None if it is not known.
        request_id: only the requests with this id.

    Raises:
        FileError: the file is none of samples, or holds no such request.
        ServerError: nobody answers.
    """
    outcome = Outcome()
    for sample in read(path):
        if request_id is not None and sample.request_id != request_id:
            continue
        if sample.status in _OF_THE_MOMENT:
            outcome.left_out += 1
            continue
        outcome.asked += 1
        name = f"{sample.model} {sample.version} ({sample.sha256[:12]})"
        other = sha256 is not None and sample.sha256 != sha256
        if other and name not in outcome.others:
            outcome.others.append(name)
        recorded = (sample.status, sample.answer_type, sample.answer_bytes)
        for row, column, before, now in differences(recorded, ask(sample)):
            outcome.differences.append(
                Difference(sample.request_id, sample.path, row, column, before, now)
            )
    if not outcome.asked and not outcome.left_out:
        what = "no request" if request_id is None else f"no request {request_id}"
        raise FileError(f"{path} holds {what}")
    return outcome


Found = tuple[int | None, str, Any, Any]


def differences(recorded: Answer, now: Answer) -> Iterator[Found]:
    """Row, column, what was recorded and what there is now, for each place that differs."""
    if recorded[0] != now[0]:
        yield None, "status", recorded[0], now[0]
    kinds = recorded[1], now[1]
    values = [_values(kind, body) for (_, kind, body) in (recorded, now)]
    if values[0] is None or values[1] is None or kinds[0] != kinds[1]:
        if kinds[0] != kinds[1]:
            yield None, "content type", *kinds
        elif recorded[2] != now[2]:
            yield None, "body", f"{len(recorded[2])} bytes", f"{len(now[2])} other bytes"
        return
    for place, before, after in _compared((), values[0][0], values[1][0]):
        row, column = _placed(place)
        yield row, column, before, after


def _values(kind: str, body: bytes) -> tuple[Any] | None:
    """What a body says, in a tuple; None if it is not read here."""
    kind = kind.partition(";")[0].strip()
    try:
        if kind == "application/json" or kind.endswith("+json"):
            return (_about(msgspec.json.decode(body)),)
        if kind == "application/x-ndjson":
            return ({"predictions": [msgspec.json.decode(line) for line in body.splitlines()]},)
        if kind == "text/csv":
            lines = csv.DictReader(io.StringIO(body.decode(), newline=""))
            return ({"predictions": [_numbers(line) for line in lines]},)
    except (msgspec.DecodeError, UnicodeDecodeError, csv.Error):
        return None
    return None


def _about(answer: Any) -> Any:  # noqa: ANN401 - any JSON
    """An answer without who gave it, which is told apart, and by another way."""
    if isinstance(answer, dict):
        return {
            key: value
            for key, value in answer.items()
            if not key.startswith("model") and key != "request_id"
        }
    return answer


def _numbers(line: dict[str, Any]) -> dict[str, Any]:
    """A CSV's cells, those that are numbers as numbers."""
    found = {}
    for name, cell in line.items():
        try:
            found[name] = float(cell)
        except (TypeError, ValueError):
            found[name] = cell
    return found


def _compared(
    place: tuple[str | int, ...],
    before: Any,  # noqa: ANN401 - any JSON
    now: Any,  # noqa: ANN401
) -> Iterator[tuple[tuple[str | int, ...], Any, Any]]:
    if isinstance(before, dict) and isinstance(now, dict):
        for key in [*before, *(key for key in now if key not in before)]:
            yield from _compared((*place, key), before.get(key), now.get(key))
    elif isinstance(before, list) and isinstance(now, list):
        for index in range(max(len(before), len(now))):
            pair = [values[index] if index < len(values) else None for values in (before, now)]
            yield from _compared((*place, index), *pair)
    elif not _same(before, now):
        yield place, before, now


def _same(before: Any, now: Any) -> bool:  # noqa: ANN401 - any JSON
    kinds = {type(before), type(now)}
    if kinds <= {int, float}:
        same: bool = before == now or math.isclose(before, now, rel_tol=CLOSE_ENOUGH, abs_tol=1e-12)
        return same
    return len(kinds) == 1 and bool(before == now)


def _placed(place: Sequence[str | int]) -> tuple[int | None, str]:
    """The row that a place belongs to, and the rest of the place."""
    if len(place) > 1 and place[0] == "predictions" and isinstance(place[1], int):
        return place[1], ".".join(map(str, place[2:])) or "prediction"
    return None, ".".join(map(str, place))


def in_process(model: Model, settings: Settings) -> Ask:
    """Asks a model in this very process, with the server's own application and its settings."""
    open_to_all = msgspec.structs.replace(settings, keys=(), keys_file=None)
    app = App(model, open_to_all)

    def ask(sample: Sample) -> Answer:
        return asyncio.run(_asked(app, sample))

    return ask


async def _asked(app: Callable[..., Awaitable[None]], sample: Sample) -> Answer:
    body = sample.body_bytes
    headers = _headers(sample) | {"content-length": str(len(body))}
    gone = asyncio.Event()
    pieces = [body]
    status, kind, answer = 0, "", b""

    async def receive() -> dict[str, Any]:
        if not pieces:
            await gone.wait()
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": pieces.pop(), "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        nonlocal status, kind, answer
        if message["type"] == "http.response.start":
            status = message["status"]
            kind = dict(message["headers"]).get(b"content-type", b"").decode("latin-1")
        else:
            answer += message.get("body", b"")

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": sample.method,
        "scheme": "http",
        "path": sample.path,
        "raw_path": sample.path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
        "client": None,
        "server": None,
    }
    await app(scope, receive, send)
    return status, kind, answer


def _headers(sample: Sample) -> dict[str, str]:
    return {**sample.headers, "x-request-id": sample.request_id}


def at_url(url: str, key: str | None) -> Ask:
    """Asks a server.

    Args:
        url: where it is, such as ``http://127.0.0.1:8080``.
        key: an API key, if it wants one.

    Raises:
        ServerError: it is no URL of a server.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ServerError(f"{url!r} is no URL of a server: http://HOST:PORT")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    own = {"authorization": f"Bearer {key}"} if key else {}
    base = parts.path.rstrip("/")

    def ask(sample: Sample) -> Answer:
        connection = kind(parts.hostname or "", parts.port, timeout=_SECONDS)
        try:
            path = base + quote(sample.path, safe="/:@!$&'()*+,;=~-._")
            connection.request(sample.method, path, sample.body_bytes, {**_headers(sample), **own})
            response = connection.getresponse()
            return response.status, response.getheader("content-type", ""), response.read()
        except (OSError, http.client.HTTPException) as error:
            raise ServerError(f"{url} does not answer: {error}") from error
        finally:
            connection.close()

    return ask


def lines(outcome: Outcome, asked: str) -> Iterator[str]:
    """What to tell of a replay; `asked` is who was asked."""
    for name in outcome.others:
        yield f"recorded with {name}, asked is {asked}"
    for each in outcome.differences:
        row = "" if each.row is None else f" row {each.row}"
        recorded, now = (msgspec.json.encode(value).decode() for value in (each.recorded, each.now))
        yield (f"{each.request_id} {each.path}{row} {each.column}: recorded {recorded}, now {now}")
    differing = len({each.request_id for each in outcome.differences})
    text = f"{outcome.asked} asked again, {differing} answered otherwise"
    if outcome.left_out:
        text += f", {outcome.left_out} left out: their answers told of the server at that time"
    yield text
