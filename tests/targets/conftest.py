"""AWS for the tests of its targets: each module has a `config`, which says what is assembled."""

from __future__ import annotations

import aws_world
import pytest
from scripted_registry import serve

from mlpack.targets import aws_ecs, aws_lambda, sagemaker

TARGETS = {"aws-ecs": aws_ecs, "aws-lambda": aws_lambda, "sagemaker": sagemaker}


@pytest.fixture(scope="module")
def endpoint():
    """moto's server."""
    with aws_world.moto() as found:
        aws_world.make_role(found)
        yield found


@pytest.fixture
def world(endpoint):
    """AWS, with a registry behind ECR."""
    with serve(auth="basic", user="AWS", password=aws_world.TOKEN) as registry:
        yield aws_world.World(endpoint, registry.host)


@pytest.fixture
def target(world, config, tmp_path):
    """Makes the target, as each process has its own."""

    def made(**more):
        env = {"MLPACK_CACHE": str(tmp_path / "cache")}
        assemble = TARGETS[config["target"]].assemble
        return assemble({**config, **more}, env, world, world.clock)

    return made
