"""A target is asked only for what it can answer."""

from __future__ import annotations

import pytest

from mlpack.cli.app import app
from mlpack.cli.targets import SERVICES, TARGETS
from mlpack.errors import InputError
from mlpack.plugins import load
from mlpack.usecases import operate

ROLE = "arn:aws:iam::123456789012:role/churn"
RENDERED = {"repository": "registry.example/team/churn", "service": "churn-test"}
SETTINGS = {
    "azure-container-apps": {
        "target": "azure-container-apps",
        "resource_group": "models",
        "environment": "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/m"
        "/providers/Microsoft.App/managedEnvironments/production",
        **RENDERED,
    },
    "cloud-run": {
        "target": "cloud-run",
        "project": "a-project",
        "region": "europe-west1",
        **RENDERED,
    },
    "aws-ecs": {
        "target": "aws-ecs",
        "service": "churn-test",
        "region": "eu-central-1",
        "repository": "churn",
        "role": ROLE,
        "subnets": ["subnet-0123456789abcdef0"],
    },
    "aws-lambda": {
        "target": "aws-lambda",
        "service": "churn-test",
        "region": "eu-central-1",
        "repository": "churn",
        "role": ROLE,
    },
    "docker": {"target": "docker", "service": "churn-test"},
    "fly": {"target": "fly", "region": "fra", **RENDERED},
    "index": {
        "target": "index",
        "url": "https://pypi.example/upload/",
        "simple": "https://a.example/",
    },
    "kubernetes": {
        "target": "kubernetes",
        "repository": "registry.example/team/churn",
        "service": "churn-test",
    },
    "registry": {"target": "registry", "repository": "registry.example/team/churn"},
    "s3": {"target": "s3", "bucket": "models", "region": "eu-central-1"},
    "sagemaker": {
        "target": "sagemaker",
        "service": "churn-test",
        "region": "eu-central-1",
        "repository": "churn",
        "role": ROLE,
    },
}
ALL = {"canary", "promote", "rollback", "status", "history", "logs", "remove"}
MORE = {"counted", "fetch", "policy", "render", "samples"}
"""What some targets can, wherever the model runs."""


@pytest.fixture(params=sorted(TARGETS))
def target(request):
    return load(TARGETS[request.param])(SETTINGS[request.param], {})


def test_every_verb_that_it_names_is_there(target):
    assert {"plan", "apply"} <= target.verbs <= {"plan", "apply", *ALL, *MORE}
    assert all(callable(getattr(target, verb)) for verb in target.verbs)
    assert target.kind in SERVICES or not target.verbs >= ALL


@pytest.mark.parametrize("verb", sorted(ALL | MORE))
def test_what_it_does_not_know_is_told(target, verb):
    if verb in target.verbs:
        assert operate.running(target, verb) is target
        return
    with pytest.raises(InputError, match=f"the target {target.kind} has no {verb}") as caught:
        operate.running(target, verb)
    hint = caught.value.hint
    assert hint.startswith("What there is: mlpack ")
    assert ("mlpack pull" in hint) is ("fetch" in target.verbs)
    # Each is a command that can be typed.
    commands = {each.name or each.callback.__name__ for each in app.registered_commands}
    typed = hint.removeprefix("What there is: ").removesuffix(".").split(", ")
    assert {each.split()[1] for each in typed} <= commands


@pytest.mark.parametrize(
    ("verb", "ask"),
    [
        ("fetch", lambda target: operate.fetch(target, None, None, None)),
        ("policy", operate.policy),
        ("render", lambda target: operate.render(None, target, None)),
    ],
)
def test_who_does_not_know_it_is_not_asked(target, verb, ask):
    if verb not in target.verbs:
        with pytest.raises(InputError, match=f"has no {verb}"):
            ask(target)
