from __future__ import annotations

import pytest

from mlpack.secret_files import secrets_in, suspicion


@pytest.mark.parametrize(
    "name",
    [
        ".env",
        "churn/.env",
        "churn/.env.production",
        "churn/server.pem",
        "churn/keys/id_rsa",
        "churn/id_rsa.old",
        "churn/ID_ED25519",
        "churn/tls.key",
        "churn/credentials.json",
        ".netrc",
        "churn/.pypirc",
        "churn/client_secret_123.json",
    ],
)
def test_names(name):
    assert suspicion(name, b"") is not None


@pytest.mark.parametrize(
    "name",
    ["churn/__init__.py", "churn/key.py", "churn/environment.py", ".env.example", "churn/keys.csv"],
)
def test_ordinary_names(name):
    assert suspicion(name, b"key = 'value'\n") is None


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"KEY = 'AKIAIOSFODNN7EXAMPLE'\n", "an AWS access key"),
        (b"ASIAIOSFODNN7EXAMPLE", "an AWS access key"),
        (b"-----BEGIN PRIVATE KEY-----\nMII", "a private key"),
        (b"x\n-----BEGIN OPENSSH PRIVATE KEY-----\n", "a private key"),
        (b"-----BEGIN RSA PRIVATE KEY-----", "a private key"),
        (b"-----BEGIN PGP PRIVATE KEY BLOCK-----", "a private key"),
        (b"token = 'ghp_" + b"a1" * 18 + b"'", "a GitHub token"),
    ],
)
def test_contents(content, kind):
    assert suspicion("churn/settings.py", content) == kind


@pytest.mark.parametrize(
    "content",
    [
        b"-----BEGIN CERTIFICATE-----",
        b"-----BEGIN PUBLIC KEY-----",
        b"AKIA",
        b"xAKIAIOSFODNN7EXAMPLEx",
        b"SLAVAKIAIOSFODNN7EXAMPLE",
    ],
)
def test_ordinary_contents(content):
    assert suspicion("churn/settings.py", content) is None


def test_all_of_a_tree_are_named():
    tree = {"b/.env": b"", "a.py": b"", "a/id_rsa": b""}
    assert secrets_in(tree) == {"a/id_rsa": "a private key", "b/.env": "an environment file"}
