"""The gate before a deployment, at a target in memory."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import pytest
from bundling import Remembering
from memory_target import GOOD, POOR, Target, build, bundle

from mlpack.bundle import Artifact
from mlpack.cli import gating
from mlpack.delivery.unpacked import unpack
from mlpack.errors import CheckFailedError, InputError, OutsideError
from mlpack.files import sha256
from mlpack.packagers.wheel import WheelPackager

WHY = "the labels were wrong before"


def said(console):
    return console._err.getvalue()


def gate(project, console, target, built, force="", environment="production"):
    return gating.gate(project, console, target, built, environment=environment, force=force)


def page(project):
    """The report beside what was built; None where none was written."""
    path = project.dist_dir / "gate-production.json"
    return json.loads(path.read_bytes()) if path.is_file() else None


def test_a_good_one_passes_with_a_page(project, console):
    target = Target(bundle("1.2.0"))
    assert gate(project, console, target, build(project, GOOD)) == ""
    told = page(project)
    assert (told["before"]["version"], told["after"]["version"]) == ("1.2.0", "1.3.0")
    assert told["before"]["source"] == "memory, release 7"
    assert (project.dist_dir / "gate-production.html").is_file()
    assert "the gate lets it pass: gate-production.html" in said(console)
    assert not list(project.cache_dir.iterdir())


def test_one_that_must_not_go_on_is_stopped_with_its_page_and_the_way_past(project, console):
    with pytest.raises(CheckFailedError, match="trained with 10 rows, 100 before") as caught:
        gate(project, console, Target(bundle("1.2.0")), build(project, POOR))
    assert 'mlpack deploy production --force "why"' in caught.value.hint
    assert caught.value.where == "dist/gate-production.html"
    assert page(project)["forced"] == ""


def test_what_is_forced_past_the_gate_says_why_on_the_page_and_to_the_target(project, console):
    assert gate(project, console, Target(bundle("1.2.0")), build(project, POOR), WHY) == WHY
    assert page(project)["forced"] == WHY
    assert f"goes on all the same: {WHY}" in said(console)


def test_what_passes_was_not_forced_whatever_was_said(project, console):
    assert gate(project, console, Target(bundle("1.2.0")), build(project, GOOD), WHY) == ""
    assert page(project)["forced"] == ""


@pytest.mark.parametrize("verb", ["status", "fetch"])
def test_a_gate_that_cannot_be_asked_stops_too_unless_it_is_forced(project, console, verb):
    built = build(project, GOOD)
    image = Artifact(kind="image", file="i", sha256="0" * 64, size=1, digest="sha256:new")
    built = replace(built, artifacts={**built.artifacts, "image": image})
    target = Target(bundle("1.2.0"), silent=(verb,))
    with pytest.raises(OutsideError, match="does not answer"):
        gate(project, console, target, built)
    assert gate(project, console, target, built, WHY) == WHY
    assert "the gate could not be asked: the host does not answer" in said(console)
    assert page(project) is None


def test_what_runs_and_is_no_model_stops_too_unless_it_is_forced(project, console):
    built = build(project, GOOD)
    target = Target(bundle("1.2.0"))
    target.files = {"churn/__init__.py": b""}
    with pytest.raises(InputError, match="no model"):
        gate(project, console, target, built)
    assert gate(project, console, target, built, WHY) == WHY


def test_where_nothing_runs_there_is_nothing_to_compare(project, console):
    assert gate(project, console, Target(None), build(project, POOR), WHY) == ""
    assert page(project) is None


def test_the_very_model_that_runs_is_not_compared_with_itself(project, console):
    assert gate(project, console, Target(POOR), build(project, POOR)) == ""
    assert page(project) is None


@pytest.mark.parametrize(
    ("states", "asked"),
    [
        ({"live": "sha256:new"}, ["status"]),
        ({"live": "sha256:old", "canary": "sha256:new"}, ["status", "fetch"]),
        ({"live": "sha256:old", "kept": "sha256:new"}, ["status", "fetch"]),
    ],
)
def test_the_very_image_that_answers_is_not_fetched(project, console, states, asked):
    built = build(project, GOOD)
    image = Artifact(kind="image", file="i", sha256="0" * 64, size=1, digest="sha256:new")
    target = Target(None, states)
    more = replace(built, artifacts={**built.artifacts, "image": image})
    assert gate(project, console, target, more) == ""
    assert target.asked == asked


def test_the_environments_own_limits_are_those_that_count(project, console):
    (project.config_dir / "default.toml").write_text("[gate]\nrows = 0.05\n")
    built = build(project, POOR)
    assert gate(project, console, Target(bundle("1.2.0")), built) == ""
    (project.config_dir / "production.toml").write_text("[gate]\nrows = 0.2\n")
    (project.config_dir / "staging.toml").write_text("")
    target = Target(bundle("1.2.0"))
    assert gate(project, console, target, built, environment="staging") == ""
    assert (project.dist_dir / "gate-staging.html").is_file()
    with pytest.raises(CheckFailedError):
        gate(project, console, Target(bundle("1.2.0")), built)


def test_a_gate_that_is_off_asks_nobody_and_neither_does_one_that_cannot(project, console):
    built = build(project, POOR)
    assert gate(project, console, Target(GOOD, verbs=("status",)), built) == ""
    (project.config_dir / "production.toml").write_text("[gate]\nenabled = false\n")
    target = Target(bundle("1.2.0"))
    assert gate(project, console, target, built) == ""
    assert target.asked == []


def test_a_limit_that_is_none_is_told_even_where_it_is_forced(project, console):
    (project.config_dir / "production.toml").write_text("[gate]\nchangd = 0.5\n")
    with pytest.raises(InputError, match="changd"):
        gate(project, console, Target(bundle("1.2.0")), build(project, POOR), WHY)


def environment(root, model):
    """An environment for a model, which is this one."""
    key = sha256(f"{model.manifest.python}\n{model.exact}\n{model.requirements}".encode())[:16]
    python = root / "environments" / key / "bin" / "python"
    python.parent.mkdir(parents=True, exist_ok=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    (python.parent.parent / "ready").touch()


def test_the_rows_of_the_training_are_asked_of_both(project, console, tmp_path, monkeypatch):
    monkeypatch.setenv("MLPACK_CACHE", str(tmp_path / "cache"))
    reference = tmp_path / "reference.csv"
    lines = [f"{size},{2 * size}" for size in range(60)]
    reference.write_text("\n".join(["size,price", *lines]) + "\n")
    project = replace(project, reference=reference)
    built = build(project, bundle("1.3.0", factor=-3.0))
    runs = bundle("1.2.0")
    wheel = WheelPackager().package(runs, tmp_path, Remembering())
    for number, path in enumerate(
        (project.dist_dir / built.artifacts["zip"].file, tmp_path / wheel.file)
    ):
        environment(tmp_path / "cache", unpack(path, tmp_path / f"model{number}"))
    with pytest.raises(CheckFailedError):
        gate(project, console, Target(runs), built)
    told = page(project)
    assert (told["rows"], told["labelled"], told["changed"]["changed"]) == (60, True, 59)
    errors = {each["name"]: (each["before"], each["after"]) for each in told["metrics"]}
    assert errors["mae"] == (0.0, pytest.approx(5 * 29.5))
    assert [each["p50_ms"] > 0 for each in told["speed"]] == [True, True]
