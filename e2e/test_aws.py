"""From a project to a function: its image in a real registry, and in containers like Lambda's."""

from __future__ import annotations

import json

import pytest
from bundling import Remembering
from cloud import KEYS, REGION, ROLE, serve
from environments import built_penguins, run
from lambda_api import event

from mlpack.targets.aws_lambda import make

ROW = {
    "island": "Biscoe",
    "bill_length_mm": 50.0,
    "bill_depth_mm": 16.3,
    "flipper_length_mm": 220.0,
    "body_mass_g": 5000.0,
    "sex": "male",
}


class Project:
    """The penguins, and the cloud that they are deployed to."""

    def __init__(self, environment, root, cloud) -> None:
        self.environment, self.root, self.cloud = environment, root, cloud
        self.settings = {
            "target": "aws-lambda",
            "endpoint": cloud.url,
            "region": REGION,
            "repository": "functions/penguins",
            "create_repository": True,
            "role": ROLE,
            "url": "public",
        }

    def configure(self, **env: str) -> None:
        lines = [f"{key} = {json.dumps(value)}" for key, value in self.settings.items()]
        lines += ["[deploy.env]", *(f"{key} = {json.dumps(value)}" for key, value in env.items())]
        text = "\n".join(["[deploy]", *lines])
        (self.root / "config" / "production.toml").write_text(text + "\n")

    def mlpack(self, command, *options, code=0):
        words = (command, "production", *options)
        return self.environment.run("mlpack", *words, cwd=self.root, env=KEYS, code=code)

    def releases(self):
        found = json.loads(self.mlpack("status", "--json").stdout)["releases"]
        return [(each["release"], each["state"], each["share"]) for each in found]

    def predict(self, version: int):
        """What a version answers to a row, through its container."""
        asked = event(body=json.dumps(ROW))
        told, _ = self.cloud.invoke("penguins-production", str(version), asked)
        return told["statusCode"], json.loads(told["body"])


@pytest.fixture(scope="module")
def project(base, registry, engine, tmp_path_factory):
    environment, root = built_penguins(tmp_path_factory.mktemp("aws"), base)
    artifact = json.loads((root / "dist" / "build.json").read_text())["artifacts"]["image"]
    run("docker", "load", "--input", root / "dist" / artifact["file"])
    with serve(registry, engine, artifact["image"]) as cloud:
        yield Project(environment, root, cloud)
    engine.images.remove(artifact["image"], force=True)


def test_the_whole_story_of_a_function(project, registry, tmp_path):
    project.configure()
    policy = json.loads(project.mlpack("deploy", "--plan", "--iam").stdout)
    assert "arn:aws:lambda:eu-central-1:123456789012:function:penguins-production" in str(policy)
    plan = project.mlpack("deploy", "--plan", "--exit-code", code=1)
    assert "from nothing" in plan.stderr

    digest = project.mlpack("deploy").stdout.strip()
    assert project.releases() == [(1, "live", 100)]
    status, told = project.predict(1)
    assert (status, told["predictions"][0]["label"]) == (200, "Gentoo")
    assert "Up to date" in project.mlpack("deploy", "--plan", "--exit-code").stderr

    # The gate fetches what runs out of the registry, and finds the same model.
    project.configure(MLPACK_MAX_ROWS="0")
    failed = project.mlpack("deploy", code=4)
    assert "version 2 is not ready: MLPACK_MAX_ROWS is '0'" in failed.stderr
    assert project.releases()[0] == (1, "live", 100)

    project.configure(MLPACK_API_KEYS="sesame")
    project.mlpack("deploy", "--canary", "20")
    assert project.releases()[:2] == [(1, "live", 80), (3, "canary", 20)]
    assert project.predict(3)[0] == 401
    project.mlpack("promote")
    assert project.releases()[0] == (3, "live", 100)
    project.mlpack("rollback")
    assert project.releases()[0] == (1, "live", 100)
    history = json.loads(project.mlpack("history", "--json").stdout)
    assert [(each["verb"], each["release"]) for each in history] == [
        ("deploy", 1),
        ("failed", 2),
        ("canary", 3),
        ("promote", 3),
        ("rollback", 1),
    ]

    target = make({**project.settings, "service": "penguins-production"}, KEYS)
    there = target.fetch(None, tmp_path / "there", Remembering())
    assert (there.digest, there.release) == (digest, 1)
    assert (tmp_path / "there" / "lib" / "penguins").is_dir()

    project.mlpack("remove", "--yes")
    assert json.loads(project.mlpack("status", "--json", code=1).stdout)["releases"] == []
