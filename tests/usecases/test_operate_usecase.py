"""A target is asked only for what it can answer."""

from __future__ import annotations

import pytest

from mlpack.cli.wiring import SERVICES, TARGETS
from mlpack.errors import InputError
from mlpack.plugins import load
from mlpack.usecases import operate

SETTINGS = {
    "docker": {"target": "docker", "service": "churn-test"},
    "index": {
        "target": "index",
        "url": "https://pypi.example/upload/",
        "simple": "https://a.example/",
    },
    "registry": {"target": "registry", "repository": "registry.example/team/churn"},
    "s3": {"target": "s3", "bucket": "models", "region": "eu-central-1"},
}
ALL = {"canary", "promote", "rollback", "status", "history", "logs", "remove"}


@pytest.fixture(params=sorted(TARGETS))
def target(request):
    return load(TARGETS[request.param])(SETTINGS[request.param], {})


def test_every_verb_that_it_names_is_there(target):
    assert {"plan", "apply"} <= target.verbs <= {"plan", "apply", *ALL}
    assert all(callable(getattr(target, verb)) for verb in target.verbs)
    assert (target.kind in SERVICES) == (target.verbs >= ALL)


@pytest.mark.parametrize("verb", sorted(ALL))
def test_what_it_does_not_know_is_told(target, verb):
    if verb in target.verbs:
        assert operate.running(target, verb) is target
        return
    with pytest.raises(InputError, match=f"the target {target.kind} has no {verb}") as caught:
        operate.running(target, verb)
    assert caught.value.hint == "It knows deploy alone."
