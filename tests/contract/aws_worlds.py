"""The targets of AWS at moto's server; what moto lacks is scripted, as in their own tests."""

from __future__ import annotations

import atexit
import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import aws_world
from aws_services import Fargate, Fleets
from aws_world import READS, ROLE, TOKEN, invoked, moto
from scripted_registry import serve
from worlds import EndedError, World

from mlpack.ports import Built, Target
from mlpack.targets import aws_ecs, aws_lambda, sagemaker

NUMBERS = count(1)
QUIET = ("get_caller_identity", "invoke")
"""What changes nothing, though its name does not say so."""


@dataclass
class Breaking(aws_world.World):
    """AWS, at whose n-th call that changes something the process ends.

    Attributes:
        outer: knows at which.
        dead: whether it has ended: who is dead asks nothing more.
    """

    outer: AmazonWorld | None = None
    dead: bool = False

    def call(self, service: str, operation: str, request, real):
        if self.dead:
            raise EndedError
        if self.outer is None or operation.startswith(READS) or operation in QUIET:
            return super().call(service, operation, request, real)
        try:
            return self.outer.hand(
                lambda: super(Breaking, self).call(service, operation, request, real)
            )
        except EndedError:
            self.dead = True
            raise


@dataclass
class AmazonWorld(World):
    """A service of AWS.

    Attributes:
        aws: where it is.
        config: ``[deploy]``.
        assemble: makes the target.
    """

    aws: Breaking = field(default_factory=lambda: Breaking(""))
    config: dict[str, Any] = field(default_factory=dict)
    assemble: Callable[..., Target] | None = None

    def target(self) -> Target:
        env = {"MLPACK_CACHE": str(self.folder / "cache")}
        assert self.assemble is not None
        return self.assemble(self.config, env, self.aws, self.aws.clock)

    def build(self, folder: Path, version: str) -> Built:
        return aws_world.build(folder, version, version.encode())

    def mend(self) -> None:
        super().mend()
        self.aws.dead = False
        self.aws.time += 7200  # a lock that was forgotten has ended

    def running(self) -> str | None:
        """As a process of its own reads it from AWS."""
        live = [each for each in self.target().status().releases if each.state == "live"]
        return live[0].version if live else None

    def state(self) -> Any:
        return list(self.aws.writes)


@cache
def _endpoint() -> str:
    """moto's server, which ends with this process: each world has names of its own."""
    running = contextlib.ExitStack()
    atexit.register(running.close)
    return running.enter_context(moto())


def _network(endpoint: str) -> Mapping[str, Any]:
    """What a user has before the first deploy: made each time, since others reset moto."""
    world = aws_world.World(endpoint)
    ec2, elb, iam = (world.client(name) for name in ("ec2", "elbv2", "iam"))
    trust = {"Statement": [{"Principal": {"Service": "lambda.amazonaws.com"}}]}
    with contextlib.suppress(iam.exceptions.EntityAlreadyExistsException):
        iam.create_role(RoleName="churn", AssumeRolePolicyDocument=json.dumps(trust))
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.1.0/24")["Subnet"]["SubnetId"]
    number = next(NUMBERS)
    group = ec2.create_security_group(GroupName=f"c-{number}", Description="x", VpcId=vpc)
    world.client("ecs").create_cluster(clusterName="default")
    made = elb.create_target_group(
        Name=f"contract-{number}", TargetType="ip", Protocol="HTTP", Port=8080, VpcId=vpc
    )
    return {
        "subnets": [subnet],
        "security_groups": [group["GroupId"]],
        "target_group": made["TargetGroups"][0]["TargetGroupArn"],
    }


@contextlib.contextmanager
def _world(folder: Path, assemble: Callable[..., Target], **config: Any) -> Iterator[AmazonWorld]:
    number = next(NUMBERS)
    with serve(auth="basic", user="AWS", password=TOKEN) as registry:
        network = _network(_endpoint())
        aws = Breaking(_endpoint(), registry.host)
        given = {
            "service": f"contract-{number}",
            "repository": f"contract/churn-{number}",
            "create_repository": True,
            "role": ROLE,
            "ready_seconds": 120,
            **config,
        }
        if config["target"] == "aws-ecs":
            given |= network
        world = AmazonWorld(folder, aws=aws, config=given, assemble=assemble)
        aws.outer = world
        yield world


@contextlib.contextmanager
def ecs(folder: Path) -> Iterator[World]:
    """A service of ECS."""
    with _world(folder, aws_ecs.assemble, target="aws-ecs") as made:
        Fargate(made.aws).install()
        yield made


@contextlib.contextmanager
def function(folder: Path) -> Iterator[World]:
    """A function."""
    with _world(folder, aws_lambda.assemble, target="aws-lambda") as made:
        made.aws.scripts["lambda", "invoke"] = invoked()
        yield made


@contextlib.contextmanager
def endpoint(folder: Path) -> Iterator[World]:
    """An endpoint of SageMaker."""
    with _world(folder, sagemaker.assemble, target="sagemaker") as made:
        Fleets(made.aws).install()
        yield made


WORLDS = {"aws-ecs": ecs, "aws-lambda": function, "sagemaker": endpoint}
