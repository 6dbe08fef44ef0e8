"""``[tool.mlpack.image]``: what the builder ``docker`` takes, and what it refuses by name."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpack.config import parse_toml
from mlpack.errors import InputError
from mlpack.inspection.settings import read
from mlpack.project import BuildSecret, ImageSettings, PipSettings

FULL = """
[tool.mlpack.image]
base = "docker.io/library/python:3.11-slim"
builder = "docker"
system-packages = ["libgomp1", "libpq5=15.12-0+deb12u2"]
build-packages = ["g++"]

[tool.mlpack.image.pip]
index-url = "https://registry.example/simple"
extra-index-urls = ["https://pypi.org/simple"]
no-binary = ["psycopg2"]
only-binary = [":all:"]
timeout = 60
retries = 3

[tool.mlpack.image.secrets]
netrc = "${file:~/.netrc}"
token = "${env:INDEX_TOKEN}"
"""


def image(text):
    return read(parse_toml(text, "pyproject.toml")["tool"]["mlpack"], text).image


def test_all_of_it_is_read():
    assert image(FULL) == ImageSettings(
        base="docker.io/library/python:3.11-slim",
        builder="docker",
        system_packages=("libgomp1", "libpq5=15.12-0+deb12u2"),
        build_packages=("g++",),
        pip=PipSettings(
            index_url="https://registry.example/simple",
            extra_index_urls=("https://pypi.org/simple",),
            no_binary=("psycopg2",),
            only_binary=(":all:",),
            timeout=60,
            retries=3,
        ),
        secrets=(
            BuildSecret("netrc", "file", "~/.netrc"),
            BuildSecret("token", "env", "INDEX_TOKEN"),
        ),
    )


@pytest.mark.parametrize("key", ["system-packages", "build-packages", "pip", "secrets"])
def test_what_needs_an_engine_is_refused_without_one(key):
    value = "{}" if key in ("pip", "secrets") else '["libgomp1"]'
    with pytest.raises(InputError, match=key) as caught:
        image(f"[tool.mlpack.image]\n{key} = {value}\n")
    assert caught.value.where == "pyproject.toml:2"
    assert caught.value.hint == 'Add to [tool.mlpack.image]: builder = "docker"'


HEAD = '[tool.mlpack.image]\nbuilder = "docker"\n'
PIP = HEAD + "[tool.mlpack.image.pip]\n"
SECRETS = HEAD + "[tool.mlpack.image.secrets]\n"


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        (
            HEAD + 'system-packages = "libgomp1"',
            3,
            "system-packages in [tool.mlpack.image] is a list",
        ),
        (HEAD + "build-packages = [3]", 3, "build-packages in [tool.mlpack.image] is a list"),
        (
            HEAD + 'system-packages = ["a b"]',
            3,
            'system-packages in [tool.mlpack.image]: "a b" is no',
        ),
        (HEAD + "pip = 3", 3, "pip is a table in [tool.mlpack.image]"),
        (PIP + 'index-url = "https://me:pw@a/simple"', 4, "has a user in it"),
        (PIP + "index-url = 3", 4, "index-url in [tool.mlpack.image.pip] is a string"),
        (
            PIP + 'extra-index-urls = ["x"]',
            4,
            'extra-index-urls in [tool.mlpack.image.pip]: "x" is no',
        ),
        (PIP + 'no-binary = ["-r x"]', 4, 'no-binary in [tool.mlpack.image.pip]: "-r x" is no'),
        (PIP + "timeout = true", 4, "timeout in [tool.mlpack.image.pip] is a whole number"),
        (PIP + "retries = -1", 4, "retries in [tool.mlpack.image.pip] is a whole number"),
        (PIP + 'trusted-host = "a"', 4, '[tool.mlpack.image.pip] has no key "trusted-host"'),
        (SECRETS + 'token = "hunter2"', 4, "does not say where the secret is"),
        (SECRETS + 'token = "${env:A B}"', 4, "is no name of an environment variable"),
        (SECRETS + 'token = "${file:}"', 4, "is no path"),
        (SECRETS + 'token = "x${env:A}"', 4, "does not say where the secret is"),
        (SECRETS + "token = 3", 4, "does not say where the secret is"),
        (SECRETS + '"a/b" = "${env:A}"', None, '"a/b" is no name of a secret'),
        (SECRETS + 'mlpack-pip = "${env:A}"', None, "is mlpack's own"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text, line, says):
    with pytest.raises(InputError) as caught:
        image(text)
    assert says in caught.value.what
    assert caught.value.where == ("pyproject.toml" if line is None else f"pyproject.toml:{line}")


def test_a_secret_that_stands_in_the_project_is_not_shown():
    with pytest.raises(InputError) as caught:
        image(SECRETS + 'token = "hunter2"')
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        'index-url = "https://u:hunter2@h/"',
        'index-url = "https://u:@hunter2@h/"',
        'index-url = "https://u@e.example:hunter2"',
        'index-url = "u:hunter2@h/simple"',
        'index-url = "hunter2@h/simple"',
        'index-url = ["https://u:hunter2@h/"]',
        'index-url = {a = "https://u:hunter2@h/"}',
        'extra-index-urls = ["https://pypi.org/simple", "https://u:hunter2@h/"]',
        'extra-index-urls = "https://u:hunter2@h/"',
        'extra-index-urls = [3, "https://u:hunter2@h/"]',
        'no-binary = ["https://u:hunter2@h/"]',
    ],
)
def test_the_password_of_an_index_is_not_shown(line):
    with pytest.raises(InputError) as caught:
        image(f"{PIP}{line}\n")
    error = caught.value
    assert "hunter2" not in f"{error.what} {error.where} {error.hint}"
    assert error.where == "pyproject.toml:4"


# What got into the Dockerfiles of another tool: CVE-2026-33744, -44345 and -44346.
LINES = [
    "x\nRUN id",
    "x\r\nRUN id",
    "x\u2028RUN id",
    "x\x85RUN id",
    "x\x00",
    "x\x1b[2J",
    "\n",
    "x\n",
]


@pytest.mark.parametrize("value", LINES, ids=ascii)
@pytest.mark.parametrize(
    ("setting", "head"),
    [
        ("base", HEAD + "base = {}"),
        ("builder", "[tool.mlpack.image]\nbuilder = {}"),
        ("system-packages", HEAD + "system-packages = [{}]"),
        ("build-packages", HEAD + "build-packages = [{}]"),
        ("index-url", PIP + "index-url = {}"),
        ("extra-index-urls", PIP + "extra-index-urls = [{}]"),
        ("no-binary", PIP + "no-binary = [{}]"),
        ("only-binary", PIP + "only-binary = [{}]"),
        ("tool.mlpack.image.secrets", SECRETS + '{} = "${{env:A}}"'),
    ],
)
def test_a_line_end_or_a_control_character_is_refused_by_the_settings_name(setting, head, value):
    quoted = json.dumps(value)
    with pytest.raises(InputError) as caught:
        image(head.format(quoted))
    assert setting in caught.value.what
    assert len(caught.value.what.splitlines()) == 1


@pytest.mark.parametrize("value", LINES, ids=ascii)
@pytest.mark.parametrize("kind", ["env", "file"])
def test_so_is_one_in_where_a_secret_is(kind, value):
    with pytest.raises(InputError, match="token in"):
        image(SECRETS + f"token = {json.dumps('${' + kind + ':' + value + '}')}")


KEYS = (
    "builder",
    "system-packages",
    "pip",
    "secrets",
    "index-url",
    "no-binary",
    "token",
    "timeout",
)
VALUES = st.recursive(
    st.one_of(st.sampled_from(["docker", "${env:A}", "${file:a\n}"]), st.text(max_size=5))
    | st.integers()
    | st.booleans()
    | st.none(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(KEYS), inner),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(KEYS), VALUES))
def test_whatever_stands_there_is_taken_or_refused(table):
    with contextlib.suppress(InputError):
        found = read({"image": table}, "").image
        for word in (*found.system_packages, *found.pip.no_binary, found.pip.index_url or ""):
            assert len(word.splitlines()) <= 1
            assert word.isascii()
        assert all(len(secret.source.splitlines()) == 1 for secret in found.secrets)
