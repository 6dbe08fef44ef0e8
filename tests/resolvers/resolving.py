"""A runner that answers for uv, pip-tools and pip, and the requests that the tests make."""

from __future__ import annotations

from pathlib import Path

from mlpack.lock import Pin
from mlpack.ports import ResolveRequest
from mlpack.process import Completed

DIGEST = "sha256:" + "a" * 64
PROJECT = "[project] dependencies in pyproject.toml"
SERVER = "mlpack's server"


def pin(name, version, marker=None):
    return Pin(name, version, (DIGEST,), marker)


def request(*requirements, **fields):
    """A request for requirements that are text (the project's) or pairs."""
    asked = tuple(r if isinstance(r, tuple) else (r, PROJECT) for r in requirements)
    defaults = {"constraints": (), "preferences": (), "python": "3.11"}
    return ResolveRequest(requirements=asked, **{**defaults, **fields})


class FakeTool:
    """Answers ``pip config list`` with `config` and the resolver with `answer` or an error."""

    def __init__(self, answer="", error="", config=""):
        self.answer, self.error, self.config = answer, error, config
        self.argv: tuple[str, ...] = ()
        self.env: dict[str, str] = {}
        self.files: dict[str, str] = {}

    def __call__(self, argv, *, cwd=None, env=None, stdin=None, timeout=None, on_line=None):
        if list(argv)[-2:] == ["config", "list"]:
            return Completed(tuple(argv), 0, self.config, "")
        self.argv, self.env = tuple(argv), dict(env)
        self.files = {path.name: path.read_text() for path in Path(cwd).iterdir()}
        if self.error:
            return Completed(tuple(argv), 1, "", self.error)
        (Path(cwd) / "locked.txt").write_text(self.answer)
        return Completed(tuple(argv), 0, "", "")
