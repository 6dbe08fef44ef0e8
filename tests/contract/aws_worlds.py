"""The targets of AWS at moto's server; what moto lacks is scripted, as in their own tests."""

from __future__ import annotations

import atexit
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import aws_world
from aws_services import Fargate, Fleets
from aws_world import READS, TOKEN, allowed, invoked, moto, needed
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
        other: of it, in another deploy.
        assemble: makes the target.
        listed: what there is of a service; is given what makes clients, and its name.
        images: the registry.
    """

    aws: Breaking = field(default_factory=lambda: Breaking(""))
    config: dict[str, Any] = field(default_factory=dict)
    other: dict[str, Any] = field(default_factory=dict)
    assemble: Callable[..., Target] | None = None
    listed: Callable[[Callable[[str], Any], str], Any] | None = None
    images: Any = None

    def target(self) -> Target:
        env = {"MLPACK_CACHE": str(self.folder / "cache")}
        assert self.assemble is not None
        return self.assemble(self.config, env, self.aws, self.aws.clock)

    @staticmethod
    def build(folder: Path, version: str) -> Built:
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

    def otherwise(self) -> None:
        self.config |= self.other

    def there(self) -> Any:
        assert self.listed is not None
        return self.listed(self.aws.client, self.config["service"])

    def shape(self) -> Any:
        pushed = [{name for _, name in kind} for kind in (self.images.manifests, self.images.blobs)]
        return self.there(), pushed


@cache
def _endpoint() -> str:
    """moto's server, which ends with this process: each world has names of its own."""
    running = contextlib.ExitStack()
    atexit.register(running.close)
    return running.enter_context(moto())


@contextlib.contextmanager
def _world(
    folder: Path, assemble: Callable[..., Target], listed: Callable[..., Any], **config: Any
) -> Iterator[AmazonWorld]:
    with serve(auth="basic", user="AWS", password=TOKEN) as registry:
        aws, given = Breaking(_endpoint(), registry.host), aws_world.given(**config)
        world = AmazonWorld(
            folder, aws=aws, config=given, assemble=assemble, listed=listed, images=registry
        )
        aws.outer = world
        yield world
        # Whatever was broken off, resumed and cleaned up: the printed policy is enough for it.
        missing = needed(aws) - allowed(world.target().policy())
        assert not missing, missing


def _revisions(client: Callable[[str], Any], service: str) -> Any:
    """The revisions, and the one that runs. Locks end by themselves: the next one takes them."""
    found = client("ecs").list_task_definitions(familyPrefix=service)["taskDefinitionArns"]
    services = client("ecs").describe_services(services=[service])["services"]
    running = [
        (each["taskDefinition"].rpartition(":")[2], each["desiredCount"])
        for each in services
        if each["status"] != "INACTIVE"  # ECS tells of what was deleted, too
    ]
    return [arn.rpartition(":")[2] for arn in found], running


def _versions(client: Callable[[str], Any], service: str) -> Any:
    """The versions, what the alias says, and who may call it; None without a function."""
    name, asked = {"FunctionName": service}, client("lambda")
    pages = asked.get_paginator("list_functions").paginate()
    if service not in {each["FunctionName"] for page in pages for each in page["Functions"]}:
        return None
    found = asked.list_versions_by_function(**name)["Versions"]
    alias = asked.get_alias(**name, Name="live")
    url = asked.get_function_url_config(**name)["AuthType"]
    return [each["Version"] for each in found], alias["FunctionVersion"], url


def _configurations(client: Callable[[str], Any], service: str) -> Any:
    """How many endpoints and configurations; each of these has its model, if not each number."""
    found = []
    for operation, key, name in (
        ("list_endpoint_configs", "EndpointConfigs", "EndpointConfigName"),
        ("list_models", "Models", "ModelName"),
    ):
        pages = client("sagemaker").get_paginator(operation).paginate()
        names = [each[name] for page in pages for each in page[key]]
        found.append({each for each in names if each.rpartition("-")[0] == service})
    configurations, models = found
    endpoints = client("sagemaker").list_endpoints(NameContains=service)["Endpoints"]
    answering = sum(each["EndpointName"] == service for each in endpoints)
    return answering, len(configurations), models == configurations


@contextlib.contextmanager
def ecs(folder: Path) -> Iterator[World]:
    """A service of ECS."""
    # Made each time, since others reset moto.
    name = f"contract-{next(NUMBERS)}"
    network, targets = aws_world.make_network(aws_world.World(_endpoint()), name, "ip")
    config = {**network, "target_group": targets["ip"]}
    with _world(folder, aws_ecs.assemble, _revisions, kind="aws-ecs", **config) as made:
        Fargate(made.aws).install()
        yield made


@contextlib.contextmanager
def function(folder: Path) -> Iterator[World]:
    """A function, whose settings are changed by a call of their own."""
    aws_world.make_role(_endpoint())
    with _world(folder, aws_lambda.assemble, _versions, kind="aws-lambda") as made:
        made.aws.scripts["lambda", "invoke"] = invoked()
        made.other["timeout_seconds"] = 60
        yield made


@contextlib.contextmanager
def endpoint(folder: Path) -> Iterator[World]:
    """An endpoint of SageMaker."""
    with _world(folder, sagemaker.assemble, _configurations, kind="sagemaker") as made:
        Fleets(made.aws).install()
        yield made


WORLDS = {"aws-ecs": ecs, "aws-lambda": function, "sagemaker": endpoint}
