from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from bundling import Remembering

from mlpack.errors import InputError, OutsideError
from mlpack.ports import Action, Built, Deployment, Reporter
from mlpack.usecases.deploy import deploy, plan


@dataclass
class Shelf:
    """A target that holds versions in memory."""

    kind = "shelf"
    verbs = frozenset({"plan", "apply"})
    held: dict[str, str] = field(default_factory=dict)
    broken: bool = False

    def plan(self, built: Built) -> Sequence[Action]:
        there = self.held.get(built.version)
        if there not in (None, built.bundle):
            raise InputError("there already", hint="mlpack version patch")
        return [Action("put", built.version, needed=there is None)]

    def apply(self, built: Built, reporter: Reporter, *, why: str = "") -> Deployment:
        actions = tuple(self.plan(built))
        if self.broken:
            raise OutsideError("the shelf broke")
        reporter.note("putting")
        self.held[built.version] = built.bundle
        return Deployment(self.kind, f"shelf/{built.version}", f"sha256:{built.bundle}", actions)


@pytest.fixture
def built(tmp_path: Path) -> Built:
    return Built("churn", "1.2.0", "onnx", "lock", "b" * 64, {}, tmp_path)


def test_a_plan_changes_nothing(built):
    shelf = Shelf()
    found = plan(built, shelf)
    assert (found.target, found.changes) == ("shelf", True)
    assert shelf.held == {}
    assert list(built.dist.iterdir()) == []


def test_a_deployment_is_written_down(built):
    reporter = Remembering()
    deployment = deploy(built, Shelf(), "production", reporter)
    assert deployment.reference == "shelf/1.2.0"
    assert reporter.told == ["putting"]
    assert json.loads((built.dist / "deployment-production.json").read_text()) == {
        "format": 1,
        "environment": "production",
        "name": "churn",
        "version": "1.2.0",
        "target": "shelf",
        "reference": "shelf/1.2.0",
        "digest": f"sha256:{'b' * 64}",
        "bundle": "b" * 64,
        "applied": True,
    }


def test_deploying_again_changes_nothing(built):
    shelf = Shelf()
    deploy(built, shelf, "production", Remembering())
    first = (built.dist / "deployment-production.json").read_bytes()
    assert not plan(built, shelf).changes
    deploy(built, shelf, "production", Remembering())
    assert (built.dist / "deployment-production.json").read_bytes() == first


@pytest.mark.parametrize(
    "shelf", [Shelf(broken=True), Shelf(held={"1.2.0": "other"})], ids=["broken", "other"]
)
def test_a_deployment_that_fails_is_not_written_down(built, shelf):
    with pytest.raises((InputError, OutsideError)):
        deploy(built, shelf, "production", Remembering())
    assert list(built.dist.iterdir()) == []


@pytest.mark.parametrize("environment", ["../x", "", "a/b", "-x", "a\nb", "a b"])
def test_a_hostile_environment_is_refused_before_anything_is_done(built, environment):
    shelf = Shelf()
    with pytest.raises(InputError, match="not an environment's name"):
        deploy(built, shelf, environment, Remembering())
    assert shelf.held == {}
