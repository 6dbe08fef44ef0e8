"""Why a function could not be followed, and where in the user's file."""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path
from types import TracebackType

_PACKAGES = ("numpy", "pandas", "sklearn", "scipy", "joblib")
_HERE = str(Path(__file__).resolve().parents[3])
_PATHS = {name: Path(path).resolve() for name, path in sysconfig.get_paths().items()}
_SITES = tuple(str(_PATHS[name]) for name in ("purelib", "platlib") if name in _PATHS)
_STANDARD = tuple(str(_PATHS[name]) for name in ("stdlib", "platstdlib") if name in _PATHS)


class TraceError(BaseException):
    """The function did something that no graph can do.

    It is no `Exception`, so that a ``try`` in the user's function does not take it for one of its
    own and go on along another path.
    """


def where(found: TracebackType | None) -> str:
    """The last line of the user's own that a traceback passed: ``in features.py, line 12``."""
    own = [
        frame
        for frame in traceback.extract_tb(found)
        if not _is_library(frame.filename) and not frame.filename.startswith("<frozen")
    ]
    if not own:
        return ""
    last = own[-1]
    line = f": `{last.line.strip()}`" if last.line and last.line.strip() else ""
    return f"{Path(last.filename).name}, line {last.lineno}{line}"


def _is_library(filename: str) -> bool:
    """Whether a file is none of the user's own, who may have installed theirs."""
    path = Path(filename).resolve()
    site = next((each for each in _SITES if path.is_relative_to(each)), None)
    if site is not None:
        return path.relative_to(site).parts[0] in _PACKAGES
    return path.is_relative_to(_HERE) or any(path.is_relative_to(each) for each in _STANDARD)
