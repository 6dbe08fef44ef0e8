"""The SDK and the program of Docker are given the same engine."""

from __future__ import annotations

import json

import pytest

from mlpack.docker_host import environment
from mlpack.errors import OutsideError
from mlpack.process import Completed

# What `docker context inspect` of Docker 20.10 and 28 writes.
CONTEXT = {
    "Name": "far",
    "Metadata": {"StackOrchestrator": "swarm"},
    "Endpoints": {"docker": {"Host": "tcp://far:2376", "SkipTLSVerify": False}},
    "TLSMaterial": {},
    "Storage": {"MetadataPath": "/home/me/meta/a", "TLSPath": "/home/me/tls/a"},
}


def docker(stdout, code=0):
    asked = []

    def run(argv, *, env, timeout):
        asked.append((list(argv), dict(env), timeout))
        return Completed(tuple(argv), code, stdout, "")

    run.asked = asked
    return run


def answer(**change):
    return json.dumps([{**CONTEXT, **change}])


def test_the_context_of_the_program_names_the_engine():
    program = docker(answer())
    found = environment(program, {"PATH": "/bin", "DOCKER_HOST": ""})
    assert found == {"PATH": "/bin", "DOCKER_HOST": "tcp://far:2376"}
    assert [argv for argv, _, _ in program.asked] == [["docker", "context", "inspect"]]


@pytest.mark.parametrize(("skip", "verify"), [(False, "1"), (True, "")])
def test_its_certificates_go_along(skip, verify):
    endpoint = {"docker": {"Host": "tcp://far:2376", "SkipTLSVerify": skip}}
    material = {"docker": ["ca.pem", "cert.pem", "key.pem"]}
    found = environment(docker(answer(Endpoints=endpoint, TLSMaterial=material)), {})
    assert found == {
        "DOCKER_HOST": "tcp://far:2376",
        "DOCKER_CERT_PATH": "/home/me/tls/a/docker",
        "DOCKER_TLS_VERIFY": verify,
        "DOCKER_TLS": "1",
    }


def test_what_names_an_engine_is_not_asked_about():
    program = docker(answer())
    env = {"DOCKER_HOST": "tcp://there"}
    assert environment(program, env) == env
    assert not program.asked


@pytest.mark.parametrize(
    "stdout",
    [
        "",
        "context: no such command",
        "{}",
        "[]",
        "[{}, {}]",
        '[{"Endpoints": 3}]',
        answer(Endpoints={}),
        answer(Endpoints={"docker": {}}),
        "\udc80",
        '[{"A": ' + "[" * 200_000,
    ],
)
def test_a_program_that_says_nothing_changes_nothing(stdout):
    assert environment(docker(stdout, code=1), {"A": "b"}) == {"A": "b"}


def test_without_the_program_nothing_changes():
    def missing(argv, **more):
        raise OutsideError("docker is not there")

    assert environment(missing, {"A": "b"}) == {"A": "b"}


@pytest.mark.parametrize("content", [None, "{}", '{"auths": {}}', '{"currentContext": "default"}'])
def test_the_default_context_needs_no_program(tmp_path, content):
    program = docker(answer())
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    env = {"DOCKER_CONFIG": str(tmp_path)}
    assert environment(program, env) == env
    assert not program.asked


@pytest.mark.parametrize(
    ("content", "more"),
    [
        ('{"currentContext": "far"}', {}),
        ("{}", {"DOCKER_CONTEXT": "far"}),
        ("no JSON", {}),
        ("[" * 200_000, {}),
        ('{"currentContext": 3}', {}),
    ],
)
def test_a_context_that_may_be_another_is_asked_for(tmp_path, content, more):
    folder = tmp_path / ".docker"
    folder.mkdir()
    (folder / "config.json").write_text(content)
    env = {"HOME": str(tmp_path), **more}
    assert environment(docker(answer()), env) == {**env, "DOCKER_HOST": "tcp://far:2376"}
