"""What is to be typed next has the environment's name in it, where a command was told it."""

from __future__ import annotations

import sys

import pytest
import tiny

from mlpack.cli.console import stdio
from mlpack.cli.entry import main
from mlpack.cli.show_running import status
from mlpack.operating import Status


@pytest.fixture
def folder(tmp_path):
    folder, _ = tiny.project(tmp_path)
    (folder / "config").mkdir(exist_ok=True)
    (folder / "config" / "staging.toml").write_text(
        '[deploy]\ntarget = "registry"\nrepository = "registry.example/churn"\n'
        'channel = "staging"\n'
    )
    return str(folder)


def test_a_target_knows_no_environment_and_its_hint_has_it(folder, monkeypatch, capsys):
    words = ["mlpack", "pull", "staging", "--release", "7", "-C", folder]
    monkeypatch.setattr(sys, "argv", words)
    assert main() == 3
    said = capsys.readouterr().err
    assert "a registry counts no releases" in said
    assert said.endswith("\n  mlpack pull staging\n")


def test_where_nothing_runs_the_next_command_has_it_too(capsys):
    status(stdio(), Status("docker", "churn-staging", "http://127.0.0.1"), "staging")
    assert capsys.readouterr().err.endswith("Next: mlpack deploy staging\n")
