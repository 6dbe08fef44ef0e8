from __future__ import annotations

import pytest
from bundling import lock_text
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement

from mlpack.errors import InputError
from mlpack.lock import Pin
from mlpack.needs import declared, read_pins

PINS = read_pins(lock_text())
PYTHON_PINS = read_pins(lock_text(scikit_learn="1.9.1", pandas="3.1.1", joblib="1.6.0", six="1.17"))


def with_numpy(*versions: str) -> list[Pin]:
    others = [pin for pin in PINS if pin.name != "numpy"]
    return [*others, *(Pin("numpy", version, ()) for version in versions)]


def test_a_graph_declares_ranges_around_the_proved_versions():
    assert declared("onnx", PINS, "3.11", ["scikit-learn"]) == (
        "fastapi>=0.165,<1",
        "httptools>=0.9,<1",
        "msgspec>=0.22,<1",
        "numpy>=2.4,<3",
        "onnxruntime>=1.31,<2",
        "prometheus-client>=0.26,<1",
        "uvicorn>=0.54,<1",
        'uvloop>=0.23,<1 ; sys_platform != "win32"',
    )


def test_a_pickle_declares_exactly_what_it_needs():
    project = ["six[x]>=1", 'pywin32; sys_platform == "win32"', "pandas>=2"]
    found = declared("python", PYTHON_PINS, "3.11", project)
    assert "pandas==3.1.1" in found
    assert "scikit-learn==1.9.1" in found
    assert "joblib==1.6.0" in found
    assert "numpy==2.4.6" in found
    assert "six[x]==1.17" in found
    assert "fastapi>=0.165,<1" in found
    assert not any("pywin32" in line or "onnxruntime" in line for line in found)
    assert list(found) == sorted(found)


def test_a_hybrid_declares_exactly_what_its_parts_need_and_ranges_for_the_rest():
    pins = read_pins(lock_text(pandas="3.1.1", joblib="1.6.0", six="1.17", tabulate="0.9"))
    found = declared("hybrid", pins, "3.11", ["six"])
    assert {"pandas==3.1.1", "joblib==1.6.0", "numpy==2.4.6", "six==1.17"} <= set(found)
    assert {"onnxruntime>=1.31,<2", "fastapi>=0.165,<1"} <= set(found)
    assert not any("tabulate" in line or "scikit-learn" in line for line in found)


def test_extras_of_the_users_own_metadata_are_not_asked_for():
    found = declared("python", PYTHON_PINS, "3.11", ['pytest>=8; extra == "dev"'])
    assert not any("pytest" in line for line in found)


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        (["2.4.6"], "numpy>=2.4,<3"),
        (["2"], "numpy>=2,<3"),
        (["0.9.1"], "numpy>=0.9,<1"),
        (["2.0rc1"], "numpy>=2.0rc1,<3"),
        (["1!2.4.0"], "numpy>=1!2.4,<1!3"),
        (["2.4.6+cpu"], "numpy>=2.4,<3"),
        (["2.4.6", "1.26.4"], "numpy>=1.26,<3"),
    ],
)
def test_ranges(versions, expected):
    assert expected in declared("onnx", with_numpy(*versions), "3.11")


@given(
    epoch=st.integers(0, 2),
    release=st.lists(st.integers(0, 2030), min_size=1, max_size=4),
    suffix=st.sampled_from(["", "a1", "rc2", ".dev3", ".post4", "+local"]),
)
def test_the_proved_version_is_always_in_its_range(epoch, release, suffix):
    version = (f"{epoch}!" if epoch else "") + ".".join(map(str, release)) + suffix
    lines = declared("onnx", with_numpy(version), "3.11")
    (line,) = [line for line in lines if line.startswith("numpy")]
    assert Requirement(line).specifier.contains(version, prereleases=True)


@pytest.mark.parametrize("form", ["onnx", "python"])
def test_what_is_needed_and_not_locked_is_named(form):
    pins = [pin for pin in PYTHON_PINS if pin.name != "numpy"]
    with pytest.raises(InputError, match="numpy is needed") as caught:
        declared(form, pins, "3.11")
    assert caught.value.hint == "mlpack lock"


def test_a_dependency_of_the_project_that_is_not_locked_is_named():
    with pytest.raises(InputError, match="polars is needed"):
        declared("python", PYTHON_PINS, "3.11", ["polars"])


def test_a_damaged_requirement_is_named():
    with pytest.raises(InputError, match="not a requirement"):
        declared("python", PYTHON_PINS, "3.11", ["polars >== 1"])


def test_a_damaged_lock_is_refused():
    with pytest.raises(InputError, match=r"requirements\.lock\.txt"):
        read_pins("numpy>=2\n")
