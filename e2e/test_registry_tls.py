"""A registry behind a private authority and a password: deployed to, gone on from, and refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from environments import built_penguins, missing, run

from conftest import running_registry


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A certificate authority of nobody else's, and a certificate for loopback by it."""
    openssl = shutil.which("openssl")
    if openssl is None:
        missing("openssl is not there: apt-get install openssl")
    folder = tmp_path_factory.mktemp("authority")
    key = ("-newkey", "rsa:2048", "-noenc", "-days", "2")
    run(
        *(openssl, "req", "-x509", *key, "-subj", "/CN=a private authority"),
        *("-keyout", folder / "ca.key", "-out", folder / "ca.pem"),
    )
    run(
        *(openssl, "req", *key[:3], "-subj", "/CN=127.0.0.1"),
        *("-keyout", folder / "key.pem", "-out", folder / "request.pem"),
    )
    (folder / "names").write_text("subjectAltName = IP:127.0.0.1\n")
    run(
        *(openssl, "x509", "-req", "-in", folder / "request.pem", "-days", "2"),
        *("-CA", folder / "ca.pem", "-CAkey", folder / "ca.key", "-CAcreateserial"),
        *("-extfile", folder / "names", "-out", folder / "certificate.pem"),
    )
    return folder


@pytest.fixture(scope="module")
def private(authority, tmp_path_factory):
    """The registry."""
    certificate = authority / "certificate.pem", authority / "key.pem"
    with running_registry(tmp_path_factory.mktemp("private"), certificate) as found:
        yield found


@pytest.fixture(scope="module")
def project(base, tmp_path_factory):
    """The penguins, built, and the environment that built them."""
    return built_penguins(tmp_path_factory.mktemp("private-project"), base)


def configure(root: Path, registry, ca_file: Path | None) -> None:
    """Write ``[deploy]``."""
    lines = [
        "[deploy]",
        'target = "registry"',
        f'repository = "{registry.host}/team/penguins"',
        'channel = "production"',
    ]
    # On this machine a registry has no TLS unless somebody says so.
    lines += [f"ca_file = {json.dumps(str(ca_file))}"] if ca_file else ["insecure = false"]
    (root / "config" / "production.toml").write_text("\n".join(lines) + "\n")


def test_from_the_first_push_to_the_gate(project, private, authority):
    environment, root = project
    configure(root, private, authority / "ca.pem")
    login = private.environment()
    words = ("deploy", "production")
    told = environment.mlpack(*words, cwd=root, env=login)
    assert told.stdout.startswith("sha256:")
    assert "Up to date." in environment.mlpack(*words, "--plan", cwd=root, env=login).stderr
    pulled = environment.mlpack("pull", "production", "--json", cwd=root, env=login)
    assert json.loads(pulled.stdout)["exact"]


def test_who_is_not_known_is_refused(project, private, authority):
    environment, root = project
    configure(root, private, None)
    told = environment.mlpack("deploy", "production", cwd=root, env=private.environment(), code=4)
    assert "certificate" in told.stderr.lower()
    configure(root, private, authority / "ca.pem")
    wrong = private.environment("another-password")
    told = environment.mlpack("deploy", "production", cwd=root, env=wrong, code=4)
    assert "another-password" not in told.stderr
    assert "401" in told.stderr or "login" in told.stderr.lower()
