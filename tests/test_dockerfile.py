"""The Dockerfile, word for word, and that no setting can add a line or a command to it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpack.dockerfile import assigned, check, dockerfile
from mlpack.errors import InputError
from mlpack.project import BuildSecret, ImageSettings, PipSettings

GOLDEN = Path(__file__).parent / "dockerfiles"
BASE = f"docker.io/library/python:3.11-slim@sha256:{'a' * 64}"
PYTHON = "/usr/local/bin/python3.11"
PLAIN = ImageSettings(builder="docker")
EVERYTHING = ImageSettings(
    builder="docker",
    system_packages=("libpq5", "libgomp1=12.2.0-14"),
    build_packages=("g++", "libpq-dev"),
    pip=PipSettings(
        index_url="https://registry.example/simple",
        extra_index_urls=("https://pypi.org/simple",),
        no_binary=("psycopg2",),
        only_binary=("numpy", "pandas"),
        timeout=60,
        retries=3,
    ),
    secrets=(BuildSecret("netrc", "file", "~/.netrc"), BuildSecret("token", "env", "INDEX_TOKEN")),
)


def made(settings=PLAIN, base=BASE, package="churn"):
    return dockerfile(base, PYTHON, package, settings)


def instructions(text):
    """The instructions of a Dockerfile: continued lines joined, comments left out."""
    joined = re.sub(r"\\\n\s*", "", text)
    return [line for line in joined.splitlines() if line and not line.startswith("#")]


@pytest.mark.parametrize(("name", "settings"), [("plain", PLAIN), ("everything", EVERYTHING)])
def test_the_dockerfile_is_this_one(name, settings):
    assert made(settings) == (GOLDEN / name).read_text()


def test_nothing_is_pulled_to_read_it_and_everything_starts_without_a_shell():
    text = made(EVERYTHING)
    assert "syntax" not in text.splitlines()[0]
    for line in instructions(text):
        if line.startswith(("RUN", "ENTRYPOINT", "CMD")) or " CMD " in line:
            argv = json.loads(line[line.index("[") :])
            assert all(isinstance(word, str) for word in argv)
            # The one shell gets the packages as arguments, which it does not read.
            if argv[0] == "/bin/sh":
                assert argv[1] == "-ec"
                assert argv[3:] in (
                    ["-", "libgomp1=12.2.0-14", "libpq5"],
                    ["-", "g++", "libpq-dev"],
                )
                assert "libpq" not in argv[2]


def test_secrets_are_mounted_where_they_are_needed_and_nowhere_else():
    lines = instructions(made(EVERYTHING))
    with_token = [line for line in lines if "id=token" in line]
    assert len(with_token) == 1
    assert '"pip", "install"' in with_token[0]
    assert "INDEX_TOKEN" not in made(EVERYTHING)
    last = lines[max(i for i, line in enumerate(lines) if line.startswith("FROM")) :]
    assert not [line for line in last if "RUN" in line or "secret" in line]


def test_it_ends_as_nobody():
    lines = instructions(made(EVERYTHING))
    assert [line for line in lines if line.startswith("USER")][-1] == "USER 65532:65532"


def test_the_order_of_packages_does_not_matter():
    one = ImageSettings(builder="docker", system_packages=("libb", "liba", "liba"))
    two = replace(one, system_packages=("liba", "libb"))
    assert made(one) == made(two)


def with_value(setting, value):
    """Settings as nobody's reader would make them."""
    if setting in ("system_packages", "build_packages"):
        return replace(PLAIN, **{setting: (value,)})
    if setting == "secret":
        return replace(PLAIN, secrets=(BuildSecret(value, "env", "A"),))
    if setting == "variable":
        return replace(PLAIN, secrets=(BuildSecret("a", "env", value),))
    one = value if setting == "index_url" else (value,)
    return replace(PLAIN, pip=PipSettings(**{setting: one}))


SETTINGS = {
    "system_packages": "system-packages",
    "build_packages": "build-packages",
    "secret": "secrets",
    "variable": "secrets",
    "index_url": "pip.index-url",
    "extra_index_urls": "pip.extra-index-urls",
    "no_binary": "pip.no-binary",
    "only_binary": "pip.only-binary",
}
INJECTIONS = {
    # CVE-2026-33744: a package of the system that is a command as well.
    "CVE-2026-33744 with a semicolon": "curl; id > /tmp/pwned",
    "CVE-2026-33744 with &&": "curl && id > /tmp/pwned #",
    "CVE-2026-33744 with a substitution": "$(id > /tmp/pwned)",
    "CVE-2026-33744 with back quotes": "`id`",
    "CVE-2026-33744 with a line": "curl\nRUN id > /tmp/pwned",
    # CVE-2026-44345: a base image of several lines.
    "CVE-2026-44345": "python:3.11-slim\nRUN id > /tmp/pwned\nFROM python:3.11-slim",
    "CVE-2026-44345 with a carriage return": "python:3.11-slim\rRUN id",
    # CVE-2026-44346: the name of a variable, of several lines.
    "CVE-2026-44346": "FOO\nRUN id > /tmp/pwned\nENV BAR",
    "CVE-2026-44346 with a value": "FOO=1\nRUN id",
    "an end of the list": 'curl"] \nRUN ["id',
    "a continued line": "curl \\\nRUN id",
    "a here-document": "<<EOF",
    "a variable": "${HOME}",
    "a mount's option": "a,target=/etc/passwd",
    "an option of apt-get": "-oDPkg::Pre-Invoke::=id",
    "an option of pip": "--trusted-host=evil.example",
    "a line end of Unicode": "curl\u2028RUN id",
    "a NUL": "curl\x00",
}


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("value", INJECTIONS.values(), ids=INJECTIONS)
def test_an_injection_is_refused_by_the_name_of_its_setting(setting, value):
    with pytest.raises(InputError) as caught:
        made(with_value(setting, value))
    assert caught.value.what.startswith(f"{SETTINGS[setting]} in [tool.mlpack.image]")
    assert len(caught.value.what.splitlines()) == 1


@pytest.mark.parametrize("value", INJECTIONS.values(), ids=INJECTIONS)
def test_a_base_or_a_package_that_injects_is_refused(value):
    with pytest.raises(InputError, match=r"base in \[tool.mlpack.image\]"):
        made(base=value)
    with pytest.raises(InputError, match="import package"):
        made(package=value)


@given(st.sampled_from(sorted(SETTINGS)), st.text())
def test_no_value_adds_an_instruction(setting, value):
    settings = with_value(setting, value)
    try:
        text = made(settings)
    except InputError:
        return
    plain = {line.split()[0] for line in instructions(made())}
    names = [line.split()[0] for line in instructions(text)]
    assert set(names) == plain
    assert len(names) - len(instructions(made())) == (setting.endswith("packages"))
    check(BASE, settings)


@pytest.mark.parametrize("value", ["a\nb", "$HOME", 'a"b', "a\\b", "\u00e4", "\x7f"])
def test_a_variable_of_ours_that_a_dockerfile_would_read_otherwise_is_refused(value):
    with pytest.raises(InputError, match="cannot stand in a Dockerfile"):
        assigned({"NAME": value})
    assert assigned({"A": "1", "B": "x y"}) == 'A="1" B="x y"'
