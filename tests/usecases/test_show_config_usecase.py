"""What ``mlpack config show`` tells, and what it does not."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpack.errors import InputError
from mlpack.inspection import read
from mlpack.usecases.show_config import MASK, show

DEFAULT = """target = "species"
[model]
C = 1.0
[deploy]
target = "registry"
repository = "registry.example/team/churn"
"""
PRODUCTION = """[deploy]
channel = "production"
repository = "registry.example/live/churn"
password = "${env:REGISTRY_PASSWORD}"
token = "abc-very-secret"
url = "https://alice:hunter2@packages.example/simple"
other = "https://${env:USER_NAME}@packages.example/"
api-key = 7
[deploy.labels]
file = "${file:notes.txt}"
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "churn"\nversion = "1.0.0"\n')
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "default.toml").write_text(DEFAULT)
    (tmp_path / "config" / "production.toml").write_text(PRODUCTION)
    return read(tmp_path)


def told(project, environment="production", env=()):
    return {each.key: each for each in show(project, environment, dict(env))}


def test_every_value_has_the_file_and_the_line_that_it_is_from(project):
    found = told(project)
    assert {key: (each.value, each.origin) for key, each in found.items() if "." not in key} == {
        "target": ("species", "config/default.toml:1")
    }
    assert found["model.C"].origin == "config/default.toml:3"
    assert found["deploy.target"].origin == "config/default.toml:5"
    assert found["deploy.repository"].value == "registry.example/live/churn"
    assert found["deploy.repository"].origin == "config/production.toml:3"
    assert found["deploy.labels.file"].origin == "config/production.toml:10"
    assert list(found) == sorted(found)


def test_another_environment_has_the_default_alone(project):
    assert "deploy.channel" not in told(project, "test")
    assert told(project, "test")["deploy.repository"].origin == "config/default.toml:6"


def test_nothing_secret_is_told(project):
    found = told(project, env={"REGISTRY_PASSWORD": "swordfish"}.items())
    text = json.dumps([each.value for each in found.values()])
    assert not [word for word in ("very-secret", "hunter2", "alice", "swordfish") if word in text]
    assert found["deploy.token"].value == MASK
    assert found["deploy.api-key"].value == MASK
    assert found["deploy.password"].value == "${env:REGISTRY_PASSWORD}"
    assert found["deploy.url"].value == f"https://{MASK}@packages.example/simple"
    assert found["deploy.other"].value == "https://${env:USER_NAME}@packages.example/"


@pytest.mark.parametrize(
    ("login", "shown"),
    [
        ("bob:${env:PASSWORD}", "bob:${env:PASSWORD}"),
        ("bob:half${env:PASSWORD}", MASK),
        ("bob:half:${env:PASSWORD}", MASK),
        ("${env:NAME}:plain", MASK),
        ("${env:LOGIN}", "${env:LOGIN}"),
        ("bob", MASK),
    ],
)
def test_of_an_address_only_a_whole_reference_is_told(project, tmp_path, login, shown):
    text = f'url = "https://{login}@packages.example/"\n'
    (tmp_path / "config" / "production.toml").write_text(text)
    assert told(project)["url"].value == f"https://{shown}@packages.example/"


def test_references_that_lead_to_nothing_are_named(project, tmp_path):
    assert told(project)["deploy.password"].missing == ("${env:REGISTRY_PASSWORD}",)
    assert told(project)["deploy.labels.file"].missing == ("${file:notes.txt}",)
    (tmp_path / "notes.txt").write_text("hello")
    found = told(project, env={"REGISTRY_PASSWORD": "x"}.items())
    assert not found["deploy.password"].missing
    assert not found["deploy.labels.file"].missing


def test_tables_in_lists_are_looked_into(project, tmp_path):
    text = """[[hosts]]
name = "one"
token = "plain"
[[hosts]]
token = "${env:NOT_SET}"
key = "${file:gone.pem}"
addresses = ["https://bob:pw@one.example/", "two.example"]
"""
    (tmp_path / "config" / "production.toml").write_text(text)
    hosts = told(project)["hosts"]
    assert hosts.value == [
        {"name": "one", "token": MASK},
        {
            "token": "${env:NOT_SET}",
            "key": "${file:gone.pem}",
            "addresses": [f"https://{MASK}@one.example/", "two.example"],
        },
    ]
    assert hosts.missing == ("${env:NOT_SET}", "${file:gone.pem}")


def test_an_environment_that_is_not_there(project):
    with pytest.raises(InputError, match='no environment "prodction"') as caught:
        told(project, "prodction")
    assert caught.value.hint == 'Did you mean "production"?'


def test_no_configuration_is_none(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "churn"\nversion = "1.0.0"\n')
    assert show(read(tmp_path), "production", {}) == ()


@settings(max_examples=50, deadline=None)
@given(st.text(st.characters(exclude_characters='\\"\x7f', min_codepoint=32), min_size=1))
def test_a_password_is_never_told_whatever_it_is(tmp_path_factory, secret):
    root = tmp_path_factory.mktemp("p")
    (root / "pyproject.toml").write_text('[project]\nname = "churn"\nversion = "1.0.0"\n')
    (root / "config").mkdir()
    text = f'[deploy]\npassword = "x{secret}"\n'
    (root / "config" / "production.toml").write_text(text, encoding="utf-8")
    value = told(read(root))["deploy.password"].value
    assert value == MASK
