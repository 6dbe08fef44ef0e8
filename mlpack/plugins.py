"""The one place that imports by name, so that nothing heavy loads before it is needed."""

from __future__ import annotations

import importlib
from typing import Any


def load(reference: str) -> Any:  # noqa: ANN401 - what is loaded is typed where it is used
    """The object that ``package.module:name`` refers to."""
    module, _, name = reference.partition(":")
    return getattr(importlib.import_module(module), name)
