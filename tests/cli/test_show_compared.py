"""What ``pull`` and the watching of a canary tell."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import pytest

from mlpack.cli import show_compared
from mlpack.cli.console import Console
from mlpack.gate.trial import Tally, Trial
from mlpack.usecases.pull import Pulled


@pytest.mark.parametrize("folder", ["there", "in a folder with spaces"])
def test_the_commands_that_it_tells_work_though_the_folder_was_named_from_here(
    tmp_path, monkeypatch, folder
):
    monkeypatch.chdir(tmp_path)
    into = Path(folder)
    (into / "lib").mkdir(parents=True)
    (into / "samples.jsonl").write_text("asked\n")
    program = tmp_path / "python"
    program.write_text('#!/bin/sh\n[ "$3" = replay ] && cat "$4" || echo "$@"\n')
    program.chmod(0o755)
    console = Console(io.StringIO(), io.StringIO())
    show_compared.pulled(
        console,
        Pulled(
            folder=into,
            name="churn",
            version="1.2.0",
            release=7,
            digest="sha256:1",
            python=Path("python"),
            exact=True,
            library=into / "lib",
            package="churn",
            samples=into / "samples.jsonl",
            rows=1,
        ),
    )
    lines = console._err.getvalue().splitlines()
    told = [line.partition(": ")[2].strip() for line in lines if line.startswith("To ")]
    said = [subprocess.check_output(["sh", "-c", line], text=True) for line in told]
    assert said == ["-m churn serve\n", "asked\n"]
    assert console._out.getvalue() == f"{folder}\n"


@pytest.mark.parametrize(("became", "said"), [({}, True), ({"promoted": True}, False)])
def test_a_canary_that_stays_one_is_told_with_what_to_type(became, said):
    tally = Tally(requests=9, failed=0, mean_ms=1.0)
    found = Trial(
        release=4, version="0.3.0", seconds=6, live=tally, canary=tally, copied=0, findings=(),
        **became,
    )  # fmt: skip
    console = Console(io.StringIO(), io.StringIO())
    show_compared.trial(console, found, "production")
    told = console._err.getvalue()
    assert ("mlpack promote production --for MINUTES" in told) is said
    assert ("mlpack rollback production" in told) is said
