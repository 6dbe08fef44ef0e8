"""Versions that are known not to work together, so that a failure can name them."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

from packaging.specifiers import SpecifierSet

FAULTS: tuple[tuple[dict[str, str], str], ...] = (
    ({"onnxruntime": "<1.21"}, "has no TreeEnsemble in double: trees need onnxruntime>=1.21"),
    (
        {"skl2onnx": "<1.19", "onnx": ">=1.18"},
        "cannot be imported, for onnx moved what it imports: install skl2onnx>=1.19.1",
    ),
    ({"skl2onnx": "==1.19.0"}, "lacks a module of its own: install skl2onnx>=1.19.1"),
)
"""What must be installed for a fault to show, and what it is. Each was met, not read of."""


def known_faults(installed: Callable[[str], str] = version) -> str:
    """What is known of the installed versions, as the end of a sentence; empty if nothing is."""
    told = []
    for combination, what in FAULTS:
        try:
            found = {name: installed(name) for name in combination}
        except PackageNotFoundError:
            continue
        if all(SpecifierSet(combination[name]).contains(found[name], True) for name in combination):
            names = " with ".join(f"{name} {number}" for name, number in found.items())
            told.append(f"; {names} {what}")
    return "".join(told)
