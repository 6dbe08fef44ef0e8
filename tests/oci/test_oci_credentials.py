import base64
import json

import pytest

from mlpack.errors import InputError, OutsideError
from mlpack.oci.credentials import (
    Credential,
    docker_config_file,
    from_docker,
    from_environment,
)
from mlpack.process import Completed

BASIC = base64.b64encode(b"alice:se:cret").decode()


@pytest.fixture
def config(tmp_path):
    def write(value):
        (tmp_path / "config.json").write_text(
            value if isinstance(value, str) else json.dumps(value)
        )
        return tmp_path / "config.json"

    return write


def no_helper(*_, **__):
    raise AssertionError("a helper was run")


def helper(answer="{}", code=0, asked=None):
    def run(argv, *, stdin=None, **_):
        if asked is not None:
            asked.append((tuple(argv), stdin))
        return Completed(tuple(argv), code, answer, "")

    return run


def test_the_environment():
    env = {"MLPACK_REGISTRY_USERNAME": "alice", "MLPACK_REGISTRY_PASSWORD": "secret"}
    assert from_environment(env) == Credential("alice", "secret")
    assert from_environment({}) is None
    for name in env:
        with pytest.raises(InputError, match="is not set"):
            from_environment({name: "x"})


def test_a_password_is_never_shown():
    assert "secret" not in repr(Credential("alice", "secret", "secret"))


@pytest.mark.parametrize(
    ("host", "key"),
    [
        ("registry.example:5000", "registry.example:5000"),
        ("registry.example", "https://registry.example"),
        ("docker.io", "https://index.docker.io/v1/"),
        ("docker.io", "docker.io"),
    ],
)
def test_what_docker_login_wrote(config, host, key):
    file = config({"auths": {key: {"auth": BASIC}, "other.example": {}}})
    assert from_docker(host, file, no_helper) == Credential("alice", "se:cret")


def test_an_identity_token(config):
    file = config({"auths": {"r.example": {"auth": BASIC, "identitytoken": "t"}}})
    assert from_docker("r.example", file, no_helper).identity_token == "t"


def test_another_registrys_login_is_not_taken(config):
    file = config({"auths": {"r.example": {"auth": BASIC}}})
    assert from_docker("r.example.evil", file, no_helper) is None
    assert from_docker("docker.io", file, no_helper) is None


@pytest.mark.parametrize("entry", [{}, {"auth": ""}, {"auth": base64.b64encode(b"x:").decode()}])
def test_an_empty_login_is_none(config, entry):
    file = config({"auths": {"r.example": entry}})
    assert from_docker("r.example", file, no_helper) is None


def test_helpers_are_asked(config):
    asked: list = []
    run = helper('{"ServerURL":"x","Username":"bob","Secret":"s"}', asked=asked)
    file = config({"credsStore": "desktop", "credHelpers": {"r.example": "ecr-login"}})
    assert from_docker("r.example", file, run) == Credential("bob", "s")
    assert from_docker("docker.io", file, run) == Credential("bob", "s")
    assert asked == [
        (("docker-credential-ecr-login", "get"), "r.example"),
        (("docker-credential-desktop", "get"), "https://index.docker.io/v1/"),
    ]


def test_a_helpers_token(config):
    file = config({"credsStore": "desktop"})
    found = from_docker("r.example", file, helper('{"Username":"<token>","Secret":"t"}'))
    assert found.identity_token == "t"


def test_a_helper_that_knows_nothing_or_is_not_there(config):
    def absent(*_, **__):
        raise OutsideError("not there")

    file = config({"credsStore": "desktop", "auths": {"r.example": {"auth": BASIC}}})
    assert from_docker("r.example", file, helper(code=1)) == Credential("alice", "se:cret")
    assert from_docker("r.example", file, absent) == Credential("alice", "se:cret")


def test_a_helper_whose_name_is_none(config):
    file = config({"credsStore": "../../bin/sh -c x"})
    with pytest.raises(InputError, match="no name of a credential helper"):
        from_docker("r.example", file, no_helper)


def test_a_helper_that_answers_nonsense(config):
    with pytest.raises(OutsideError, match="did not answer"):
        from_docker("r.example", config({"credsStore": "x"}), helper("nonsense"))


@pytest.mark.parametrize("text", ["", "[]", "{", '{"auths": 3}'])
def test_a_damaged_file(config, text):
    with pytest.raises(InputError, match="no Docker configuration"):
        from_docker("r.example", config(text), no_helper)


def test_a_login_that_cannot_be_read(config):
    file = config({"auths": {"r.example": {"auth": "!!!"}}})
    with pytest.raises(InputError, match="cannot be read"):
        from_docker("r.example", file, no_helper)


def test_no_file(tmp_path):
    assert from_docker("r.example", tmp_path / "config.json", no_helper) is None
    assert docker_config_file({}, tmp_path) == tmp_path / ".docker" / "config.json"
    env = {"DOCKER_CONFIG": "/x"}
    assert docker_config_file(env, tmp_path).as_posix() == "/x/config.json"
