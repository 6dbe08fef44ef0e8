"""A project without anything built, and a console that nobody sees."""

from __future__ import annotations

import io

import pytest
from memory_target import project_in

from mlpack.cli.console import Console


@pytest.fixture
def project(tmp_path):
    return project_in(tmp_path / "project")


@pytest.fixture
def console():
    return Console(io.StringIO(), io.StringIO())
