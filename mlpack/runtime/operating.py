"""What is around a server: how it is laid out on its machine, and what watches it if it is told to.

Nothing of it stands in the way of a request unless a setting switches it on.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec

from . import machine, samples, tracing
from .app import App
from .metrics import resident
from .model import Model
from .sampling import Sampling
from .settings import Settings

_LENGTH = "inference-header-content-length"
"""Stands on both sides where tensors are binary."""

_SENT = ("authorization", "content-type", "traceparent", "x-api-key", "x-request-id", _LENGTH)
"""What a page may send besides."""

_READ = ("retry-after", "x-request-id", _LENGTH)
"""What it may read of an answer's head."""

logger = logging.getLogger(__name__)


def laid_out(settings: Settings, here: machine.Machine, *, loaded: bool) -> Settings:
    """The settings with numbers for what is automatic, of which the log tells the reason.

    Args:
        settings: as they were given.
        here: what may be used.
        loaded: whether this process holds the model, so that its size tells that of a worker.
    """
    # What a worker has grows with its first requests.
    each = resident() * 5 // 4 if loaded else 0
    found = machine.choose(here, workers=settings.workers, threads=settings.threads, each=each)
    logger.info("workers: %d, threads of each: %d (%s)", found.workers, found.threads, found.why)
    return msgspec.structs.replace(settings, workers=found.workers, threads=found.threads)


def surrounded(
    app: App, model: Model, settings: Settings, environ: Mapping[str, str]
) -> tuple[Any, list[Callable[[], object]]]:
    """The application with what is switched on around it, and what is to be done at the end.

    Raises:
        FileError: the file of samples cannot be written.
    """
    served: Any = app
    farewells: list[Callable[[], object]] = []
    if settings.sample_file is not None:
        writer = samples.Writer(settings.sample_file, settings.sample_max_bytes)
        app.metrics.samples = lambda: (writer.written, writer.dropped)
        served = Sampling(served, app.asked, writer, model, settings)
        farewells.append(writer.close)
    if settings.cors_origins:
        cors = importlib.import_module("starlette.middleware.cors").CORSMiddleware
        served = cors(
            served,
            allow_origins=settings.cors_origins,
            allow_methods=("GET", "POST"),
            allow_headers=_SENT,
            expose_headers=_READ,
        )
    provider = tracing.provider(model, environ)
    if provider is not None:
        served = tracing.Tracing(served, provider, app.paths)
        farewells.append(partial(tracing.end, provider))
    return served, farewells
