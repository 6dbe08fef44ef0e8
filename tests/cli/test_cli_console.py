"""What people see."""

from __future__ import annotations

import io
import json
import re
import time
from pathlib import Path

import pytest

from mlpack.bundle import Artifact
from mlpack.cli import show
from mlpack.cli.console import PATIENCE, Console, stdio
from mlpack.errors import InputError, MlpackError
from mlpack.export import Check, Figures, Parity, Step
from mlpack.oci.account import Cut, Part
from mlpack.pin_sets import Change
from mlpack.ports import Action, Built, Deployment
from mlpack.usecases.deploy import Plan
from mlpack.usecases.lock import LockResult
from mlpack.usecases.outcome import Result
from mlpack.usecases.train import Trained


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


@pytest.fixture
def plain():
    err, out = io.StringIO(), io.StringIO()
    return Console(err, out), err, out


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    err, out = Terminal(), Terminal()
    return Console(err, out), err, out


def test_a_stage_is_one_line_when_it_ends(plain):
    console, err, out = plain
    with console.stage("Exporting") as stage:
        stage.advance(1, 3)
        stage.result("half")
        stage.advance(1234, 2345)
        stage.result("a graph")
    assert re.fullmatch(r"\+ Exporting  1,234/2,345  a graph  \(\d+\.\d s\)\n", err.getvalue())
    assert out.getvalue() == ""


def test_how_long_the_stages_of_a_build_took_is_in_its_json(plain, tmp_path):
    console, _, out = plain
    with console.stage("Exporting and proving"):
        time.sleep(0.05)
    with console.stage("Packing the wheel"):
        pass
    with pytest.raises(InputError), console.stage("Packing the zip"):
        raise InputError("no")
    made = Built("x", "1.0.0", "onnx", "1" * 64, "2" * 64, {}, tmp_path)
    show.build_json(console, Result(made, None, unchanged=False))
    told = json.loads(out.getvalue())
    assert (told["name"], told["unchanged"]) == ("x", False)
    export, wheel = told["stages"]
    assert (export["title"], wheel["title"]) == ("Exporting and proving", "Packing the wheel")
    assert 0.05 <= export["seconds"] < 5
    assert 0 <= wheel["seconds"] < 0.05


def test_a_stage_that_fails_says_so_and_the_error_goes_on(plain):
    console, err, _ = plain

    def fail():
        with console.stage("Exporting") as stage:
            stage.result("proving")
            raise InputError("no")

    with pytest.raises(InputError):
        fail()
    assert err.getvalue() == "x Exporting  proving\n"


def test_work_that_takes_long_is_announced_once(plain):
    console, err, _ = plain
    with console.stage("Training"):
        time.sleep(PATIENCE + 0.3)
    first, second, end = err.getvalue().split("\n")
    assert first == "  Training ..."
    assert second.startswith("+ Training")
    assert end == ""


def test_where_there_is_no_terminal_there_is_no_escape(plain):
    console, err, out = plain
    console.note("note")
    console.warn("warning")
    console.say("next")
    console.error(InputError("what", where="file:3", hint="Do:\nthat"))
    console.table([("a", "1")], ("name", "n"))
    console.result("result")
    assert err.getvalue() == (
        "  note\n! warning\nnext\nerror: file:3: what\n  Do:\n  that\n  name  n\n  a     1\n"
    )
    assert out.getvalue() == "result\n"


def test_an_error_without_place_and_hint_is_one_line(plain):
    console, err, _ = plain
    console.error(MlpackError("what"))
    assert err.getvalue() == "error: what\n"


def test_on_a_terminal_there_are_colours(terminal):
    console, err, _ = terminal
    console.warn("warning")
    assert "\x1b[33m! warning\x1b[0m" in err.getvalue()


def test_a_terminal_shows_the_work_in_place(terminal):
    console, err, _ = terminal
    with console.stage("Training") as stage:
        stage.advance(5, 10)
        time.sleep(0.5)
    assert "\r\x1b[K  Training  5/10  0 s" in err.getvalue()
    assert err.getvalue().count("\n") == 1


@pytest.mark.parametrize(("value", "coloured"), [("1", False), ("no", False), ("", True)])
def test_no_color_is_heeded_where_it_says_something(monkeypatch, value, coloured):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", value)
    err = Terminal()
    Console(err, io.StringIO()).warn("warning")
    assert ("\x1b[33m" in err.getvalue()) == coloured


def test_a_dumb_terminal_gets_plain_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    err = Terminal()
    console = Console(err, io.StringIO())
    console.warn("warning")
    with console.stage("Training"):
        pass
    assert "\x1b" not in err.getvalue()
    assert "\r" not in err.getvalue()


def test_quiet_keeps_warnings_errors_and_results():
    err, out = io.StringIO(), io.StringIO()
    console = Console(err, out, quiet=True)
    with console.stage("Training"):
        console.note("note")
        console.say("say")
        console.table([("a", "b")])
    console.warn("warning")
    console.error(InputError("what"))
    console.result("result")
    assert err.getvalue() == "! warning\nerror: what\n"
    assert out.getvalue() == "result\n"


def test_a_tables_columns_are_aligned_and_figures_stand_right(plain):
    console, err, _ = plain
    rows = [
        ("accuracy", "0.9", "exact", "equal"),
        ("r2", "-12.25", "1.2e-09", ""),
        ("a longer name", "1,234", "exact", "DIFFERENT"),
    ]
    console.table(rows, ("rows", "asked", "largest", ""))
    assert err.getvalue().split("\n") == [
        "  rows            asked  largest",
        "  accuracy          0.9    exact  equal",
        "  r2             -12.25  1.2e-09",
        "  a longer name   1,234    exact  DIFFERENT",
        "",
    ]


def test_tables_of_nothing_and_of_a_head_alone(plain):
    console, err, _ = plain
    console.table([])
    assert err.getvalue() == ""
    console.table([], ("a", "b"))
    assert err.getvalue() == "  a  b\n"


def test_json_is_for_machines_and_keeps_every_letter(plain):
    console, err, out = plain
    console.json({"name": "ä", "n": [1, None]})
    assert json.loads(out.getvalue()) == {"name": "ä", "n": [1, None]}
    assert "ä" in out.getvalue()
    assert err.getvalue() == ""


def test_the_processes_own_streams_are_taken_when_they_are_asked_for(capsys):
    stdio().result("to out")
    stdio().say("to err")
    assert capsys.readouterr() == ("to out\n", "to err\n")


# What use cases return


def check(name, **changes):
    fields = dict.fromkeys(("labels_wrong", "outcomes_wrong", "refused", "beyond"), 0)
    return Check(name=name, rows=1000, **{**fields, "largest": 0.0, **changes})


def test_the_proofs_table_has_figures_only(plain):
    console, err, _ = plain
    checks = (check("held-out"), check("odd", labels_wrong=2, beyond=3, largest=2e-3, refused=7))
    show.parity(
        console,
        Parity(
            equal=False,
            form="onnx",
            tolerance=1e-6,
            checks=checks,
            steps=(Step(path="a", form="graph"),),
        ),
    )
    head, first, second, _ = err.getvalue().split("\n")
    assert head.split("  ")[1] == "rows"
    assert first.split() == ["held-out", "1,000", "0", "exact", "0", "equal"]
    assert second.split() == ["odd", "1,000", "5", "2.0e-03", "7", "DIFFERENT"]


def test_trained_shows_metrics_and_what_is_next(plain):
    console, err, out = plain
    trained = Trained("regression", "test", {"mae": 1234.5678, "r2": -0.5}, {"train": 1}, ())
    show.trained(console, trained)
    assert err.getvalue() == "  mae  1235\n  r2   -0.5\nNext: mlpack build\n"
    show.as_json(console, trained)
    assert json.loads(out.getvalue())["metrics"] == {"mae": 1234.5678, "r2": -0.5}


def test_a_lock_that_stands_and_one_that_changed(plain):
    console, err, _ = plain
    show.locked(console, LockResult(None, 3, 5, (), resolved=False))
    assert err.getvalue() == "Nothing changed: the lock stands.\n"
    show.locked(console, LockResult(None, 3, 5, (), resolved=True))
    assert "3 packages for production, 5 for development" in err.getvalue()
    assert "more" not in err.getvalue()


def test_of_many_changes_some_are_shown_and_the_others_counted(plain):
    console, err, _ = plain
    changes = tuple(Change(f"package-{number}", None, "1.0") for number in range(69))
    show.locked(console, LockResult(None, 3, 69, changes, resolved=True))
    told = err.getvalue()
    assert told.count("(new)") == show.MOST_CHANGES
    assert f"and {69 - show.MOST_CHANGES} more" in told


ACTIONS = (Action("push", "x:1", "5 MB"), Action("tag", "x:1", "is there", needed=False))


def test_a_plan_and_a_deployment_tell_apart_what_is_needed(plain):
    console, err, out = plain
    show.deployed(console, Plan("registry", ACTIONS))
    assert err.getvalue() == (
        "  + push    x:1  5 MB\n  = tag     x:1  is there\nThis is a plan: nothing was changed.\n"
    )
    show.deployed(console, Plan("registry", ACTIONS[1:]))
    assert err.getvalue().endswith("Up to date.\n")
    show.deployed(console, Deployment("registry", "x:1", "sha256:1", ACTIONS))
    assert out.getvalue() == "sha256:1\n"
    show.deployed_json(console, Plan("registry", ACTIONS))


def test_what_somebody_else_has_to_do_is_not_called_deployed(plain):
    console, err, out = plain
    left = Deployment("fly", "x@sha256:1", "sha256:1", ACTIONS, left=("fly", "deploy", "a b"))
    show.deployed(console, left)
    assert err.getvalue().endswith("Not deployed yet. Left to do: fly deploy 'a b'\n")
    assert out.getvalue() == "sha256:1\n"


def test_the_steps_table_says_how_each_compares(plain):
    console, err, _ = plain
    good = Figures(rows=300, columns=12, largest=0.0, beyond=0)
    near = Figures(rows=300, columns=1200, largest=2.5e-16, beyond=0)
    wrong = Figures(rows=300, columns=1, largest=0.5, beyond=4, outcomes_wrong=1)
    made = (
        Step(path="a → Scaler", form="graph", how="mlpack", compared=good),
        Step(path="b → Own", form="graph", how="traced", compared=near),
        Step(path="c → Other", form="graph", how="mlpack", compared=wrong),
        Step(path="d → Unread", form="graph", how="mlpack", uncompared="nothing reads it"),
        Step(path="e → Loop", form="python", reason="it loops"),
    )
    report = Parity(equal=True, form="onnx", tolerance=1e-6, checks=(), steps=made)
    show.steps(console, report)
    head, *lines, warning, _ = err.getvalue().split("\n")
    assert head.split("  ")[-1] == "largest difference"
    assert [line.split() for line in lines] == [
        ["graph", "a", "→", "Scaler", "300", "12", "0", "exact"],
        ["traced", "b", "→", "Own", "300", "1,200", "0", "2.5e-16"],
        ["graph", "c", "→", "Other", "300", "1", "5", "5.0e-01", "DIFFERENT"],
        ["graph", "d", "→", "Unread", *"----", "not", "compared:", "nothing", "reads", "it"],
        ["Python", "e", "→", "Loop", *"----", "it", "loops"],
    ]
    assert "c → Other differs by itself, though no answer does" in warning


def test_the_steps_of_an_older_report_have_no_figures(plain):
    console, err, _ = plain
    made = (Step(path="a", form="graph"), Step(path="b", form="python", reason="it loops"))
    show.steps(console, Parity(equal=True, form="onnx", tolerance=1e-6, checks=(), steps=made))
    assert [line.split() for line in err.getvalue().splitlines()] == [
        ["graph", "a"],
        ["Python", "b", "it", "loops"],
    ]


def test_the_size_of_an_image_is_a_tree_the_largest_first(plain):
    console, err, _ = plain
    cut = Cut(what="its tests", files=9, size=2_500_000)
    small = Part(name="small", version="2", files=1, size=1_000_000)
    large = Part(name="large", version="1", files=2, size=9e6, bytecode=150_000, cuts=(cut,))
    image = Artifact(
        kind="image",
        file="x.oci.tar",
        sha256="0",
        size=1,
        unpacked=12_000_000,
        parts=(small, large),
    )
    built = Built("x", "1", "onnx", "", "", {"image": image}, Path("dist"))
    show.sizes(console, Result(built, None, unchanged=True))
    lines = [line.split() for line in err.getvalue().splitlines()[1:]]
    assert lines[0] == ["dependencies", "10.00"]
    assert lines[1] == ["├", "large", "1", "9.00", "2.50"]
    assert lines[2] == ["│", "├", "bytecode", "0.15"]
    assert lines[3][-3:] == ["its", "tests", "2.50"]
    assert lines[4] == ["├", "small", "2", "1.00", "0.00"]
    assert lines[5][-1] == "2.00"


def test_without_an_image_there_is_no_size_to_explain(plain):
    console, err, _ = plain
    show.sizes(
        console, Result(Built("x", "1", "onnx", "", "", {}, Path("dist")), None, unchanged=True)
    )
    assert "--explain-size makes one" in err.getvalue()
