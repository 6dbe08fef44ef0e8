"""Raising a version touches one line, and never goes down."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from mlpack.errors import InputError
from mlpack.inspection import read
from mlpack.usecases.version import PARTS, _next, raise_version, show

TEXT = '[project]\nname = "churn"  # ours\nversion = "1.2.3"\n\n[tool.other]\nversion = "9"\n'


@pytest.fixture
def project(tmp_path):
    (tmp_path / "pyproject.toml").write_text(TEXT)
    return read(tmp_path)


@pytest.mark.parametrize(
    ("to", "after"),
    [("patch", "1.2.4"), ("minor", "1.3.0"), ("major", "2.0.0"), ("1.2.10", "1.2.10")],
)
def test_one_line_changes(project, to, after):
    assert raise_version(project, to).after == after
    written = (project.root / "pyproject.toml").read_text()
    assert written == TEXT.replace('"1.2.3"', f'"{after}"')
    assert show(read(project.root)).after == after


@pytest.mark.parametrize("to", ["1.2.3", "1.0", "next", ""])
def test_what_does_not_raise_it_is_refused(project, to):
    with pytest.raises(InputError):
        raise_version(project, to)
    assert (project.root / "pyproject.toml").read_text() == TEXT


def test_a_version_that_stands_elsewhere_is_not_touched(tmp_path):
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "churn"\ndynamic = ["version"]\n'
        '[tool.setuptools.dynamic]\nversion = {attr = "churn.__version__"}\n'
    )
    (tmp_path / "churn").mkdir()
    (tmp_path / "churn" / "__init__.py").write_text('__version__ = "1.0"\n')
    with pytest.raises(InputError, match=r"does not stand in \[project\]"):
        raise_version(read(tmp_path), "patch")


@given(st.lists(st.integers(0, 99), min_size=1, max_size=4), st.sampled_from(PARTS))
def test_every_part_goes_up(release, part):
    version = Version(".".join(map(str, release)))
    if len(release) < 4:
        assert Version(_next(version, part)) > version
