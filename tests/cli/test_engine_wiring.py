"""Docker's SDK and program are wired to one engine."""

from __future__ import annotations

import sys

from mlpack.cli import wiring

PROGRAM = """\
#!{python}
import sys
assert sys.argv[1:] == ["context", "inspect"]
print('[{{"Name": "far", "Endpoints": {{"docker": {{"Host": "unix:///far.sock"}}}}}}]')
"""


def test_the_sdk_follows_the_context_of_the_program(tmp_path, monkeypatch):
    program = tmp_path / "docker"
    program.write_text(PROGRAM.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("DOCKER_CONTEXT", "far")
    assert wiring.engine()._env["DOCKER_HOST"] == "unix:///far.sock"
    monkeypatch.setenv("DOCKER_HOST", "tcp://near:1")
    assert wiring.engine()._env["DOCKER_HOST"] == "tcp://near:1"
