"""A conversion has limits of time and memory, and its end is a reason and no end of the export."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

from mlpack.process import Completed
from mlpack.usecases.work import ConversionEndedError, work
from mlpack.workers import wire
from mlpack.workers.limits import limited
from mlpack.workers.versions import known_faults


def child(body):
    code = f"from mlpack.workers.limits import limited\n{body}"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_code_that_never_returns_is_ended():
    ended = child("with limited(seconds=0.3):\n    sum(iter(int, 1))\n")
    assert ended.returncode == -signal.SIGALRM


def test_a_lack_of_memory_is_an_error_and_no_crash():
    ended = child(
        "try:\n    with limited(share=0.1):\n        bytearray(2**42)\n"
        "except MemoryError:\n    print('told')\n"
    )
    assert ended.stdout == "told\n"


def test_the_limits_end_with_the_conversion():
    before = resource.getrlimit(resource.RLIMIT_AS)
    with limited(seconds=60, share=0.9):
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
        assert resource.getrlimit(resource.RLIMIT_AS) != before
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
    assert resource.getrlimit(resource.RLIMIT_AS) == before


class Silent:
    @contextmanager
    def stage(self, title):
        yield self

    def result(self, text):
        pass

    def note(self, text):
        pass


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (-signal.SIGALRM, "took longer than 300 s"),
        (-signal.SIGKILL, "want of memory"),
        (-signal.SIGSEGV, "crashed with SIGSEGV"),
    ],
)
def test_a_process_that_ends_in_its_conversion_is_told_apart(code, said, tmp_path):
    def runner(argv, *, on_line, **_):
        on_line(f"{wire.MARK}loading the model")
        on_line(f"{wire.MARK}{wire.CONVERTING}")
        return Completed(tuple(argv), code, "", "")

    with pytest.raises(ConversionEndedError, match=said):
        work("export", {"root": str(tmp_path)}, runner=runner, reporter=Silent())


def test_versions_that_do_not_work_together_are_named():
    versions = {"onnxruntime": "1.20.1", "skl2onnx": "1.20.0", "onnx": "1.23.2"}
    assert "onnxruntime 1.20.1 has no TreeEnsemble" in known_faults(versions.__getitem__)
    versions["onnxruntime"] = "1.21.0"
    assert known_faults(versions.__getitem__) == ""


@pytest.mark.parametrize(
    ("versions", "said"),
    [
        ({"skl2onnx": "1.18.0", "onnx": "1.18.0"}, "skl2onnx 1.18.0 with onnx 1.18.0 cannot be"),
        ({"skl2onnx": "1.18.0", "onnx": "1.17.0"}, ""),
        ({"skl2onnx": "1.19.0", "onnx": "1.17.0"}, "skl2onnx 1.19.0 lacks a module"),
        ({"skl2onnx": "1.19.1", "onnx": "1.23.2"}, ""),
    ],
)
def test_an_skl2onnx_that_cannot_be_imported_is_named(versions, said):
    told = known_faults({"onnxruntime": "1.21.0", **versions}.__getitem__)
    assert said in told if said else not told
