"""Both versions' servers side by side: in turns, so that a busy machine disturbs both alike."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import msgspec

from mlpack.delivery.served import Served
from mlpack.delivery.unpacked import Unpacked
from mlpack.errors import OutsideError
from mlpack.gate.answers import clean
from mlpack.gate.values import Measured
from mlpack.ports import Stage

STARTS = 3
ROUNDS, REQUESTS = 10, 100
_WARM = 50


def measure(
    models: tuple[tuple[Unpacked, Path], tuple[Unpacked, Path]],
    rows: tuple[Mapping[str, Any], Mapping[str, Any]],
    stage: Stage,
) -> tuple[Measured, Measured]:
    """Start both several times, then ask both one row at a time, in turns.

    Args:
        models: both, each with its environment's Python.
        rows: one row as each takes it.
        stage: hears how far it is.

    Raises:
        OutsideError: a server does not start, or refuses the row.
    """
    env = {**clean(os.environ), "MLPACK_LINGER_SECONDS": "0"}
    starts: tuple[list[float], list[float]] = ([], [])
    total = STARTS + ROUNDS
    for index in range(STARTS):
        for place, (model, python) in enumerate(models):
            with Served(model, python, env) as server:
                starts[place].append(server.start_seconds)
        stage.advance(index + 1, total)
    bodies = [msgspec.json.encode({"instances": [row]}) for row in rows]
    times: tuple[list[float], list[float]] = ([], [])
    with ExitStack() as stack:
        servers = [stack.enter_context(Served(model, python, env)) for model, python in models]
        for server, body, (model, _) in zip(servers, bodies, models, strict=True):
            reply = server.ask("POST", "/predict", body)
            if reply.status != 200:
                raise OutsideError(
                    f"its server refuses a row that the model answers: {reply.status}",
                    where=f"{model.manifest.name} {model.manifest.version}",
                )
            for _ in range(_WARM):
                server.ask("POST", "/predict", body)
        for index in range(ROUNDS):
            for place in (0, 1) if index % 2 else (1, 0):
                asked = servers[place]
                times[place].extend(
                    asked.ask("POST", "/predict", bodies[place]).seconds for _ in range(REQUESTS)
                )
            stage.advance(STARTS + index + 1, total)
        held = [server.megabytes() for server in servers]
    found = [
        Measured(
            start_ms=median(starts[place]) * 1e3,
            p50_ms=median(times[place]) * 1e3,
            p99_ms=quantiles(times[place], n=100)[-1] * 1e3,
            megabytes=held[place],
            size=_size(model.library),
        )
        for place, (model, _) in enumerate(models)
    ]
    return found[0], found[1]


def _size(folder: Path) -> int:
    files = (each for each in folder.rglob("*") if "__pycache__" not in each.parts)
    return sum(each.stat().st_size for each in files if each.is_file())
