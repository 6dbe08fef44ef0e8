"""Other programs."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from mlpack.errors import OutsideError
from mlpack.process import become, run

# Without site: such a Python starts in a few milliseconds.
PYTHON = (sys.executable, "-I", "-S", "-c")


def test_code_and_both_outputs_come_back():
    ended = run([*PYTHON, "import sys; print('out'); print('err', file=sys.stderr); sys.exit(7)"])
    assert (ended.code, ended.stdout, ended.stderr) == (7, "out\n", "err\n")
    assert ended.argv[0] == sys.executable


def test_a_killed_process_tells_its_signal():
    assert run([*PYTHON, "import os; os.kill(os.getpid(), 9)"]).code == -9


def test_arguments_reach_the_program_as_they_are():
    odd = ["a b", "$HOME", "; rm -rf x", "*", "ä'\""]
    ended = run([*PYTHON, "import sys; print(ascii(sys.argv[1:]))", *odd])
    assert ended.stdout.strip() == ascii(odd)


def test_folder_environment_and_input_are_those_that_were_given(tmp_path):
    text = (
        "import os, sys\n"
        "print(os.getcwd(), os.environ.get('A'), 'PATH' in os.environ, sys.stdin.read())\n"
    )
    ended = run([*PYTHON, text], cwd=tmp_path, env={"A": "1"}, stdin="ä\n")
    assert ended.stdout == f"{tmp_path.resolve()} 1 False ä\n\n"
    assert run([*PYTHON, "import sys; print(repr(sys.stdin.read()))"]).stdout == "''\n"


def test_much_on_both_pipes_at_once_blocks_nothing():
    text = (
        "import sys\n"
        "for i in range(20_000):\n"
        "    sys.stdout.write('o' * 49 + '\\n'); sys.stderr.write('e' * 49 + '\\n')\n"
    )
    lines = []
    ended = run([*PYTHON, text], on_line=lines.append, timeout=60)
    assert len(ended.stdout) == len(ended.stderr) == 1_000_000
    assert lines == ["e" * 49] * 20_000


def test_lines_are_told_as_they_come():
    times = []
    text = "import sys, time; print('a', file=sys.stderr, flush=True); time.sleep(0.4)"
    run([*PYTHON, text], on_line=lambda _: times.append(time.monotonic()))
    assert time.monotonic() - times[0] > 0.3


def test_bytes_that_are_no_text_are_replaced():
    ended = run([*PYTHON, "import os; os.write(1, b'a\\xffb'); os.write(2, b'\\xfe')"])
    assert (ended.stdout, ended.stderr) == ("a\ufffdb", "\ufffd")


def test_a_program_that_reads_no_input_is_no_error():
    ended = run([*PYTHON, "import os; os.close(0)"], stdin="x" * 1_000_000)
    assert ended.code == 0


def test_a_missing_program_is_named():
    with pytest.raises(OutsideError, match="'no-such-program-here' is not there"):
        run(["no-such-program-here"])


def test_a_missing_folder_is_not_called_a_missing_program(tmp_path):
    with pytest.raises(OutsideError, match="folder") as caught:
        run([*PYTHON, ""], cwd=tmp_path / "none")
    assert "none" in str(caught.value)


def test_a_program_that_may_not_run_is_named(tmp_path):
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o644)
    with pytest.raises(OutsideError, match="may not run the program"):
        run([str(program)])


def gone(pid: int) -> bool:
    """Whether a process has ended, though nobody may have asked for its exit code yet."""
    for _ in range(100):
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except ProcessLookupError:
            return True
        except FileNotFoundError:
            state = "ended just now, or a system without /proc"
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


CHILD = (
    "import os, subprocess, sys, time\n"
    "child = subprocess.Popen([sys.executable, '-I', '-S', '-c', 'import time; time.sleep(60)'])\n"
    "print(child.pid, file=sys.stderr, flush=True)\n"
)


def test_too_long_ends_the_program_and_its_children():
    pids = []
    start = time.monotonic()
    with pytest.raises(OutsideError, match=r"did not end within 0\.5 s"):
        run(
            [*PYTHON, CHILD + "time.sleep(60)"],
            timeout=0.5,
            on_line=lambda line: pids.append(int(line)),
        )
    assert time.monotonic() - start < 20
    assert len(pids) == 1
    assert gone(pids[0])


def test_a_child_left_behind_with_the_pipes_open_counts_for_the_time_too():
    pids = []
    start = time.monotonic()
    with pytest.raises(OutsideError, match=r"did not end within 0\.5 s"):
        run([*PYTHON, CHILD], timeout=0.5, on_line=lambda line: pids.append(int(line)))
    assert time.monotonic() - start < 20
    assert gone(pids[0])


def test_the_time_holds_while_the_program_does_not_read_its_input():
    start = time.monotonic()
    with pytest.raises(OutsideError, match="did not end within"):
        run([*PYTHON, "import time; time.sleep(30)"], stdin="x" * 1_000_000, timeout=0.3)
    assert time.monotonic() - start < 10


def test_becoming_another_program_takes_its_code_and_output():
    text = (
        "import os, sys; sys.path.insert(0, sys.argv[1])\n"
        "from mlpack.process import become\n"
        "then = 'import os; print(os.environ[\"A\"]); raise SystemExit(3)'\n"
        "become([sys.executable, '-I', '-S', '-c', then], {'A': '5'})\n"
    )
    root = str(Path(become.__code__.co_filename).parent.parent)
    ended = run([sys.executable, "-c", text, root], env=dict(os.environ))
    assert (ended.code, ended.stdout) == (3, "5\n")
