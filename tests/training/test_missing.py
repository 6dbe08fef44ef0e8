"""A module that is not there is told with the command that brings it."""

from __future__ import annotations

import pytest
import tiny

from mlpack import inspection
from mlpack.errors import InputError
from mlpack.lock import Pin
from mlpack.requirements_file import dumps
from mlpack.training.usercode import load_data

BOUGHT = "import bokeh_samples_of_nobody\n"
HASHES = ("sha256:" + "0" * 64,)


def hint(tmp_path, *locked, data=BOUGHT, declared=""):
    """What is said of a project whose data.py imports what is not there."""
    folder, _ = tiny.project(tmp_path, data=data)
    if locked:
        (folder / "requirements-dev.lock.txt").write_text(dumps(locked, "a lock"))
    file = folder / "pyproject.toml"
    file.write_text(file.read_text().replace('"pandas"]', f'"pandas"{declared}]'))
    with pytest.raises(InputError) as caught:
        load_data(inspection.read(folder), {"target": "left"})
    return caught.value.hint.splitlines()[0]


def test_what_is_locked_is_installed(tmp_path):
    said = hint(tmp_path, Pin("bokeh-samples-of-nobody", "1.0", HASHES))
    assert said == "bokeh-samples-of-nobody is in the lock, and not installed here: mlpack install"


def test_what_is_declared_alone_is_locked_first(tmp_path):
    said = hint(tmp_path, Pin("pandas", "2.2.0", HASHES), declared=', "Bokeh_samples.of-nobody>=1"')
    assert said == "bokeh-samples-of-nobody is not locked yet: mlpack lock && mlpack install"


def test_a_module_that_is_not_called_as_its_package_may_be_of_one_that_is_not_installed(tmp_path):
    said = hint(
        tmp_path, Pin("nobody-bokeh", "1.0", HASHES), Pin("other", "1", HASHES, "os_name == 'no'")
    )
    assert said.startswith("Not all of the lock is installed here, and bokeh_samples_of_nobody may")
    assert said.endswith(": mlpack install")


def test_what_nobody_asked_for_is_added_first(tmp_path):
    said = hint(tmp_path, Pin("pandas", "2.2.0", HASHES))
    assert "add that to the dependencies in pyproject.toml" in said
    assert said.endswith("mlpack lock && mlpack install")


def test_a_library_that_says_it_in_its_own_words_is_understood(tmp_path):
    data = f"""
        try:
            {BOUGHT}
        except ImportError as error:
            raise RuntimeError("the samples are not there") from error
    """
    said = hint(tmp_path, Pin("bokeh-samples-of-nobody", "1.0", HASHES), data=data)
    assert said.endswith("not installed here: mlpack install")


@pytest.mark.parametrize("data", ["import pandas.nothing_of_this_name\n", "1 / 0\n"])
def test_what_is_no_missing_package_is_not_told_as_one(tmp_path, data):
    assert hint(tmp_path, data=data).startswith("The whole traceback is in")


def test_a_module_of_the_projects_own_is_no_package_of_others(tmp_path):
    assert hint(tmp_path, data="from . import nothing\n").startswith("The whole traceback")
    assert hint(tmp_path, data="from .nothing import x\n").startswith("The whole traceback")


def test_a_lock_that_cannot_be_read_is_none(tmp_path):
    folder, _ = tiny.project(tmp_path, data=BOUGHT)
    (folder / "requirements-dev.lock.txt").write_text("-e .\n")
    with pytest.raises(InputError) as caught:
        load_data(inspection.read(folder), {"target": "left"})
    assert "mlpack lock && mlpack install" in caught.value.hint
