"""The pipe between a use case and a worker: real processes, though very small ones."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from bundling import Remembering

import mlpack
from mlpack.errors import CheckFailedError, InputError, OutsideError, ProofError
from mlpack.process import Completed, run
from mlpack.usecases.work import work
from mlpack.workers import wire

ROOT = Path(mlpack.__file__).parent.parent

PROGRAM = """
import os, subprocess, sys
from mlpack.errors import *
from mlpack.workers import wire

def work(request, progress):
{body}

sys.exit(wire.main(work))
"""


def runner(body):
    """Runs a worker whose work is `body`, in place of the one that was asked for."""
    program = PROGRAM.format(body="\n".join(f"    {line}" for line in body.splitlines()))

    def start(argv, **arguments):
        assert argv == [sys.executable, "-m", "mlpack.workers.any"]
        arguments["env"] = {**arguments["env"], "PYTHONPATH": str(ROOT)}
        return run([sys.executable, "-S", "-c", program], **arguments)

    return start


def answer(body, request=None, reporter=None):
    told = reporter or Remembering()
    return work("any", request or {"root": "/"}, runner=runner(body), reporter=told, stage=told)


def test_a_request_goes_in_and_an_answer_comes_out():
    request = {"root": "/a b/ä\u2028\ud800", "n": [1, 2.5, None, True]}
    assert answer("return {'got': request}", request) == {"got": request}


NOISE = """
print("print", flush=False)
sys.stdout.write("unflushed")
os.write(1, b"\\xff descriptor 1\\n")
subprocess.run([sys.executable, "-S", "-c", "print('a child')"])
print('{"error": "InputError"}')
return {"equal": 1}
"""


def test_what_user_code_prints_does_not_reach_the_answer_but_the_terminal():
    told = Remembering()
    assert answer(NOISE, reporter=told) == {"equal": 1}
    said = "\n".join(told.told)
    for words in ("print", "unflushed", "descriptor 1", "a child"):
        assert words in said


def test_progress_is_the_stages_and_other_lines_are_notes():
    class Stage:
        def __init__(self):
            self.results = []

        def result(self, text):
            self.results.append(text)

    stage, told = Stage(), Remembering()
    body = "progress('half')\nprint('mine', file=sys.stderr)\nprint(file=sys.stderr)\nreturn {}"
    work("any", {}, runner=runner(body), reporter=told, stage=stage)
    assert stage.results == ["half"]
    assert told.told == ["mine"]


@pytest.mark.parametrize("kind", [CheckFailedError, InputError, OutsideError, ProofError])
def test_errors_cross_the_pipe_whole(kind):
    with pytest.raises(kind) as caught:
        answer(f"raise {kind.__name__}('what ä', where='a.py:3', hint='Do: that')")
    error = caught.value
    assert type(error) is kind
    assert (error.what, error.where, error.hint) == ("what ä", "a.py:3", "Do: that")


def test_an_error_without_place_and_hint_crosses_too():
    with pytest.raises(ProofError) as caught:
        answer("raise ProofError('no')")
    assert (caught.value.where, caught.value.hint) == (None, None)


def test_every_kind_of_error_can_cross():
    kinds = {kind for kind in vars(mlpack.errors).values() if isinstance(kind, type)}
    raised = {k for k in kinds if issubclass(k, mlpack.errors.MlpackError)}
    assert set(wire.ERRORS.values()) == raised - {mlpack.errors.MlpackError}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("progress('busy')\nos._exit(7)", "code 7"),
        ("print('last words', flush=True)\nprogress('busy')\nos._exit(7)", "code 7: last words"),
        ("os._exit(0)", "code 0"),
        ("sys.exit(0)", "code 0"),
        ("os.kill(os.getpid(), 11)", "SIGSEGV"),
    ],
)
def test_a_process_that_dies_is_a_clear_error(body, said):
    with pytest.raises(InputError) as caught:
        answer(body)
    assert "the any process" in caught.value.what
    assert said in caught.value.what
    assert wire.MARK[0] not in caught.value.what


def test_a_bug_of_mlpacks_own_is_not_called_the_users():
    with pytest.raises(wire.WorkerError, match="RuntimeError: odd"):
        answer("raise RuntimeError('odd')")


def test_one_that_was_killed_is_said_to_have_run_out_of_memory():
    with pytest.raises(InputError, match=r"the any process .* memory"):
        answer("os.kill(os.getpid(), 9)")


def fake(stdout, code=0, stderr=""):
    def start(argv, *, cwd=None, env=None, stdin=None, timeout=None, on_line=None):
        start.asked = (list(argv), env, json.loads(stdin))
        return Completed(tuple(argv), code, stdout, stderr)

    return start


def test_the_worker_is_this_pythons_module_with_the_whole_environment():
    start = fake('{"a": 1}')
    assert work("train", {"root": "x"}, runner=start, reporter=Remembering()) == {"a": 1}
    argv, env, request = start.asked
    assert argv == [sys.executable, "-m", "mlpack.workers.train"]
    assert {**env, **os.environ, "PYTHONUNBUFFERED": "1"} == env
    assert request == {"root": "x"}


def test_an_answer_that_is_no_json_is_a_clear_error():
    with pytest.raises(InputError, match="into its own answer"):
        work("any", {}, runner=fake("Hello\n"), reporter=Remembering())


def test_an_unknown_kind_of_error_is_still_an_error():
    told = '{"error": "NewerError", "what": "w", "where": null, "hint": null}'
    with pytest.raises(InputError, match="w"):
        work("any", {}, runner=fake(told), reporter=Remembering())
