"""Every protocol that the server speaks, by its paths."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from ..model import Model
from ..routes import Reply, Route
from ..settings import Settings
from . import inference, own, sagemaker, v1


def routes(model: Model, settings: Settings, ready: Callable[[], Reply]) -> dict[str, Route]:
    """What is answered at which path.

    Args:
        model: the one that is served.
        settings: limits, and what is switched on.
        ready: raises a ProblemError where the server is not.
    """
    formats = own.Formats(model, settings.max_rows)
    found = {
        **own.routes(formats),
        **inference.routes(model, ready),
        **sagemaker.routes(model, formats, ready),
        **v1.routes(model, settings, ready),
    }
    if settings.grpc_port:
        # Imported by nobody who does not ask for it.
        found |= importlib.import_module(".grpc_inference", __package__).routes(model, ready)
    return found
