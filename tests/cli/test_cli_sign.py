"""`mlpack sign`, from the command line to the files."""

from __future__ import annotations

import json
import sys
import types

import private_sigstore
import pytest
import scripted_registry
from images import SLIM, image_of

from mlpack.bundle import Artifact
from mlpack.cli.entry import main
from mlpack.files import sha256, write
from mlpack.ports import Built
from mlpack.records import encode_build


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Runs a command in a project with a built wheel; exit code, standard output and error."""
    wheel = b"a wheel"
    artifact = Artifact(kind="wheel", file="churn.whl", sha256=sha256(wheel), size=len(wheel))
    built = Built("churn", "1.2.0", "onnx", "l", "b", {"wheel": artifact}, tmp_path / "dist")
    write(tmp_path / "pyproject.toml", '[project]\nname = "churn"\nversion = "1.2.0"\n')
    write(tmp_path / "config" / "production.toml", '[deploy]\ntarget = "s3"\nbucket = "models"\n')
    write(tmp_path / "dist" / "churn.whl", wheel)
    write(tmp_path / "dist" / "build.json", encode_build(built))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COSIGN_PASSWORD", "secret")

    def ran(*arguments):
        monkeypatch.setattr(sys, "argv", ["mlpack", *arguments])
        code = main()
        out, err = capsys.readouterr()
        return code, out, err

    return ran


def test_a_pair_is_made_signs_and_checks(run, tmp_path, monkeypatch):
    code, _, err = run("sign", "--new-key")
    assert code == 0, err
    assert (tmp_path / "cosign.key").stat().st_mode & 0o777 == 0o600
    assert run("sign", "--check", "--key", "cosign.pub")[0] == 1
    code, _, err = run("sign", "--key", "cosign.key")
    assert code == 0
    assert "signed: churn.whl  (churn.whl.sig)" in err
    monkeypatch.delenv("COSIGN_PASSWORD")  # a public key has none
    code, out, _ = run("sign", "--check", "--key", "cosign.pub", "--json")
    assert code == 0
    assert json.loads(out) == [{"what": "churn.whl", "signature": "churn.whl.sig", "fresh": False}]


def test_keys_are_not_overwritten(run, tmp_path):
    (tmp_path / "cosign.pub").write_text("precious")
    code, _, err = run("sign", "--new-key")
    assert code == 3
    assert "not overwritten" in err
    assert not (tmp_path / "cosign.key").exists()


def test_a_pair_goes_into_the_folder_that_is_named(run, tmp_path):
    (tmp_path / "keys").mkdir()
    code, _, err = run("sign", "--new-key", "-C", "keys")
    assert (code, "keys/cosign.key" in err) == (0, True)
    assert sorted(path.name for path in (tmp_path / "keys").iterdir()) == [
        *("cosign.key", "cosign.pub"),
    ]
    assert not (tmp_path / "cosign.key").exists()
    code, _, err = run("sign", "--new-key", "-C", "nowhere")
    assert (code, "no such folder" in err) == (3, True)


def test_a_new_key_without_a_terminal_wants_its_password_in_the_environment(run, monkeypatch):
    monkeypatch.delenv("COSIGN_PASSWORD")
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(isatty=lambda: False))
    code, _, err = run("sign", "--new-key")
    assert code == 3
    assert "the new key needs a password" in err
    assert "export COSIGN_PASSWORD" in err


def test_what_is_missing_is_told(run, monkeypatch):
    code, _, err = run("sign")
    assert (code, "mlpack sign --new-key" in err) == (3, True)
    code, _, err = run("sign", "--key", "nowhere.key")
    assert (code, "cannot be read" in err) == (3, True)
    assert run("sign", "--new-key")[0] == 0
    monkeypatch.setenv("COSIGN_PASSWORD", "wrong")
    code, _, err = run("sign", "--key", "cosign.key")
    assert (code, "the password is not" in err) == (3, True)
    monkeypatch.delenv("COSIGN_PASSWORD")
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(isatty=lambda: False))
    code, _, err = run("sign", "--key", "cosign.key")
    assert (code, "export COSIGN_PASSWORD" in err) == (3, True)


def test_images_are_signed_in_registries_only(run):
    assert run("sign", "--new-key")[0] == 0
    code, _, err = run("sign", "production", "--key", "cosign.key")
    assert code == 3
    assert "production has the target s3" in err


def test_without_the_extra_the_line_that_installs_it_is_told(run, monkeypatch):
    for name in [*sys.modules]:
        if name.partition(".")[0] == "nacl" or name == "mlpack.signers.cosign":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "nacl", None)
    code, _, err = run("sign", "--new-key")
    assert code == 3
    assert 'pip install "mlpack-builder[sign]"' in err


# Without a key


@pytest.fixture
def sigstore(tmp_path):
    with private_sigstore.serve() as running:
        write(tmp_path / "trust.json", json.dumps(running.trust_config()))
        write(tmp_path / "root.json", json.dumps(running.trusted_root()))
        yield running


ALICE = (
    *("--certificate-identity", "alice@example.org"),
    *("--certificate-oidc-issuer", private_sigstore.ISSUER),
)


def test_an_identity_signs_and_is_checked(run, sigstore, tmp_path, monkeypatch):
    monkeypatch.setenv("TOKEN", f"{sigstore.token()}\n")
    asked = ("sign", "--keyless", "--trust-config", "trust.json", "--identity-token")
    code, _, err = run(*asked, "${env:TOKEN}")
    assert code == 0, err
    assert "signed: churn.whl  (churn.whl.sigstore.json)" in err
    assert (tmp_path / "dist" / "churn.whl.sigstore.json").is_file()
    check = ("sign", "--check", "--keyless", "--trusted-root", "root.json")
    code, out, err = run(*check, *ALICE, "--json")
    assert code == 0, err
    assert json.loads(out)[0]["signature"] == "churn.whl.sigstore.json"
    code, _, err = run(*check, *ALICE[:2], "--certificate-oidc-issuer", "https://x.example")
    assert (code, "not signed by this identity: churn.whl" in err) == (1, True)


def test_who_shall_have_signed_must_be_told_whole(run, sigstore):
    for given in (ALICE[:2], ALICE[2:], ()):
        for command in (("sign", "--check"), ("verify",)):
            code, _, err = run(*command, "--keyless", "--trusted-root", "root.json", *given)
            assert (code, "it must be told who shall have" in err) == (3, True)


def test_a_token_does_not_stand_on_the_command_line(run, sigstore):
    token = sigstore.token()
    code, _, err = run("sign", "--keyless", "--identity-token", token)
    assert (code, "stands on the command line" in err, token in err) == (3, True, False)


def test_a_key_and_an_identity_are_not_mixed(run):
    for command in ("sign", "verify"):
        code, _, err = run(command, "--keyless", "--key", "cosign.pub", *ALICE)
        assert (code, "there is no key" in err) == (3, True)
        code, _, err = run(command, *ALICE)
        assert (code, "Add: --keyless" in err) == (3, True)
    assert run("sign", "--keyless", "--new-key")[0] == 3


def test_keyless_without_the_extra(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "sigstore.dsse", None)
    monkeypatch.delitem(sys.modules, "mlpack.signers.keyless", raising=False)
    code, _, err = run("sign", "--check", "--keyless", *ALICE)
    assert (code, "mlpack-builder[keyless]" in err) == (3, True)


@pytest.mark.parametrize("target", ["cloud-run", "registry"])
def test_an_image_is_signed_where_its_target_pushes_it(
    run, sigstore, tmp_path, monkeypatch, target
):
    monkeypatch.setenv("TOKEN", sigstore.token())
    image = image_of(tmp_path, SLIM)
    artifact = Artifact(
        kind="image", file="churn.oci.tar", sha256=sha256(b"tar"), size=3, digest=image.digest,
        image="churn:1.2.0",
    )  # fmt: skip
    built = Built("churn", "1.2.0", "onnx", "l", "b", {"image": artifact}, tmp_path / "dist")
    write(tmp_path / "dist" / "churn.oci.tar", b"tar")
    write(tmp_path / "dist" / "build.json", encode_build(built))
    asked = ("--keyless", "--trust-config", "trust.json", "--identity-token", "${env:TOKEN}")
    with scripted_registry.serve() as registry:
        repository = f'[deploy]\ntarget = "{target}"\nrepository = "{registry.host}/team/churn"\n'
        write(tmp_path / "config" / "production.toml", repository)
        code, _, err = run("sign", "production", *asked)
        assert (code, "mlpack deploy production" in err) == (3, True)  # it is not there yet
        registry.put_image("team/churn", "1.2.0", image)
        code, _, err = run("sign", "production", *asked)
        assert code == 0, err
        assert f"signed: {registry.host}/team/churn@{image.digest}" in err
        good = ("sign", "production", "--check", "--keyless", "--trusted-root", "root.json")
        assert run(*good, *ALICE)[0] == 0
