"""``mlpack deploy ENV --plan --iam``: a policy on standard output, and nothing asked of anybody."""

from __future__ import annotations

import json
import sys

import pytest
import tiny

from mlpack.cli.entry import main


@pytest.fixture
def folder(tmp_path):
    def made(text):
        folder, _ = tiny.project(tmp_path)
        (folder / "config").mkdir(exist_ok=True)
        (folder / "config" / "production.toml").write_text(text)
        return str(folder)

    return made


@pytest.fixture
def run(monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["mlpack", *arguments])
        code = main()
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


S3 = '[deploy]\ntarget = "s3"\nbucket = "models"\nregion = "eu-central-1"\n'


def test_the_policy_alone_is_on_standard_output(run, folder):
    # Nothing was built, and nobody answers: neither is needed.
    text = f'{S3}endpoint = "http://127.0.0.1:1"\n'
    code, out, err = run("deploy", "production", "-C", folder(text), "--plan", "--iam")
    assert code == 0, err
    policy = json.loads(out)
    assert policy["Version"] == "2012-10-17"
    assert {each["Effect"] for each in policy["Statement"]} == {"Allow"}


def test_it_deploys_nothing_by_accident(run, folder):
    code, out, err = run("deploy", "production", "-C", folder(S3), "--iam")
    assert (code, out) == (3, "")
    assert "mlpack deploy production --plan --iam" in err


def test_a_target_without_permissions_of_its_own_says_so(run, folder):
    text = '[deploy]\ntarget = "registry"\nrepository = "registry.example/churn"\n'
    code, out, err = run("deploy", "production", "-C", folder(text), "--plan", "--iam")
    assert (code, out) == (3, "")
    assert "registry has no policy" in err
