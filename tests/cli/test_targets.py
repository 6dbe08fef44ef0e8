"""The target of an environment, by its configuration: what must be there for whom."""

from __future__ import annotations

import pytest

from mlpack.cli.targets import deploy_settings, target
from mlpack.errors import InputError

GIVEN = """
[deploy]
target = "docker"
host = "tcp://127.0.0.1:1"
secrets = { KEYS = "${env:TESTS_KEYS}", OTHER = "${env:TESTS_OTHER}" }
env = { LOG = "${file:not-there}", PLAIN = "1" }
"""


@pytest.fixture
def given(project, monkeypatch):
    def written(text):
        (project.config_dir / "production.toml").write_text(text)
        return project

    monkeypatch.delenv("TESTS_KEYS", raising=False)
    monkeypatch.setenv("TESTS_OTHER", "there")
    return written


def test_who_only_looks_needs_nothing_that_containers_are_given(given):
    found = deploy_settings(given(GIVEN), "production", looking=True)
    assert (found["secrets"], found["env"]) == ({"OTHER": "there"}, {"PLAIN": "1"})
    assert target(given(GIVEN), "production", looking=True).kind == "docker"


def test_who_starts_something_needs_all_of_it(given):
    with pytest.raises(InputError, match="TESTS_KEYS"):
        deploy_settings(given(GIVEN), "production")


def test_a_login_is_needed_by_everybody(given):
    text = '[deploy]\ntarget = "registry"\npassword = "${env:TESTS_KEYS}"\n'
    with pytest.raises(InputError, match="TESTS_KEYS"):
        deploy_settings(given(text), "production", looking=True)


@pytest.mark.parametrize("looking", [False, True])
def test_a_secret_in_the_file_is_refused_whoever_asks(given, looking):
    text = '[deploy]\ntarget = "docker"\nsecrets = { KEYS = "abc" }\n'
    with pytest.raises(InputError, match=r"secrets\.KEYS stands in the file itself"):
        deploy_settings(given(text), "production", looking=looking)


@pytest.mark.parametrize("looking", [False, True])
def test_a_table_that_is_none_is_told_as_ever(given, looking):
    with pytest.raises(InputError, match="secrets"):
        target(given('[deploy]\ntarget = "docker"\nsecrets = 3\n'), "production", looking=looking)
