"""What ``[deploy]`` says of an endpoint of SageMaker."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlpack.aws import releases
from mlpack.aws.calls import Answer
from mlpack.aws.place import ROLE
from mlpack.aws.policies import Statement, passing, reading_logs
from mlpack.delivery.settings import VARIABLE, Reader
from mlpack.errors import InputError

KEYS = (
    *("alarms", "concurrency", "env", "instance", "isolated", "keep", "memory", "mode"),
    *("ready_seconds", "replicas", "role", "security_groups", "service", "shift"),
    *("shift_percent", "shift_seconds", "subnets", "target"),
)

_NAME = re.compile(r"[a-zA-Z0-9](?:-*[a-zA-Z0-9]){0,49}")
_INSTANCE = re.compile(r"ml\.[a-z0-9-]+\.[a-z0-9]+")
_ALARM = re.compile(r"[^\s:][^\x00-\x1f:]{0,254}")
_SUBNET = re.compile(r"subnet-[0-9a-z]{8,32}")
_GROUP = re.compile(r"sg-[0-9a-z]{8,32}")
_GIGABYTE = 1 << 30
_MODES = ("instances", "serverless")
_SHIFTS = {"all": "ALL_AT_ONCE", "canary": "CANARY", "linear": "LINEAR"}
_SIZES = {"canary": "CanarySize", "linear": "LinearStepSize"}
_END_SECONDS = 60
_LEAST_SECONDS, _MOST_SECONDS = 600, 28_800
_INSTANCES_ONLY = ("alarms", "instance", "replicas", "shift", "shift_percent", "shift_seconds")
_SERVERLESS_ONLY = ("concurrency", "memory")


@dataclass(frozen=True)
class Endpoint:
    """What an endpoint shall be.

    Attributes:
        name: its name, with which those of models and configurations begin.
        role: that it runs as.
        instance: the type of its machines; empty without any.
        replicas: machines.
        memory: in GB, without machines.
        concurrency: requests at once, without machines.
        env: variables.
        isolated: the container reaches nobody.
        subnets, security_groups: a network of one's own; none for SageMaker's.
        shift: how the requests move: ``all``, ``canary`` or ``linear``.
        shift_percent: of the machines, at first or at each step.
        shift_seconds: between steps, and after the last one: then an alarm may ring.
        alarms: CloudWatch's; one that rings takes the rollout back.
        keep: releases before the live one that stay.
        ready_seconds: how long to wait for a rollout.
    """

    name: str
    role: str
    instance: str
    replicas: int
    memory: int
    concurrency: int
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    isolated: bool = True
    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    shift: str = "all"
    shift_percent: int = 10
    shift_seconds: int = 60
    alarms: tuple[str, ...] = ()
    keep: int = 5
    ready_seconds: int = 1800

    @property
    def group(self) -> str:
        """The group of its logs."""
        return f"/aws/sagemaker/Endpoints/{self.name}"

    @property
    def rolling(self) -> Answer:
        """How SageMaker shall roll out; without machines it does so by itself."""
        if not self.instance:
            return {}
        routing: Answer = {
            "Type": _SHIFTS[self.shift],
            "WaitIntervalInSeconds": self.shift_seconds,
        }
        if self.shift in _SIZES:
            size = {"Type": "CAPACITY_PERCENT", "Value": self.shift_percent}
            routing[_SIZES[self.shift]] = size
        policy: Answer = {
            "BlueGreenUpdatePolicy": {
                "TrafficRoutingConfiguration": routing,
                "TerminationWaitInSeconds": _END_SECONDS,
                "MaximumExecutionTimeoutInSeconds": min(
                    _MOST_SECONDS, max(_LEAST_SECONDS, self.ready_seconds)
                ),
            }
        }
        if self.alarms:
            policy["AutoRollbackConfiguration"] = {
                "Alarms": [{"AlarmName": name} for name in self.alarms]
            }
        return {"DeploymentConfig": policy}

    def model(self, image: str) -> Answer:
        """A model of an image, as SageMaker takes it, without name and tags."""
        network: Answer = {}
        if self.subnets:
            network["VpcConfig"] = {
                "Subnets": list(self.subnets),
                "SecurityGroupIds": list(self.security_groups),
            }
        return {
            "ExecutionRoleArn": self.role,
            "PrimaryContainer": {"Image": image, "Environment": dict(self.env)},
            "EnableNetworkIsolation": self.isolated,
            **network,
        }

    def variant(self, name: str, model: str) -> Answer:
        """A configuration's variant."""
        found: Answer = {"VariantName": name, "ModelName": model}
        if not self.instance:
            serverless = {"MemorySizeInMB": self.memory * 1024, "MaxConcurrency": self.concurrency}
            return {**found, "ServerlessConfig": serverless}
        return {
            **found,
            "InstanceType": self.instance,
            "InitialInstanceCount": self.replicas,
            "InitialVariantWeight": 1.0,
        }

    def settings(self, platform: str) -> str:
        """A digest of all that a release has beside its image."""
        told = {"model": self.model(""), "variant": self.variant("", ""), "platform": platform}
        return releases.digest_of(told)


def read(config: Mapping[str, Any]) -> Endpoint:
    """The endpoint that ``[deploy]`` describes.

    Raises:
        InputError: a key is missing or wrong.
    """
    given = Reader(config)
    mode = given.choice("mode", _MODES, "instances")
    serverless = mode == "serverless"
    for key in _INSTANCES_ONLY if serverless else _SERVERLESS_ONLY:
        if key in config:
            raise InputError(
                f'mode = "{mode}" has no {key}',
                where=f"[deploy] {key}",
                hint=f'mode = "{_MODES[not serverless]}"',
            )
    memory = given.memory() or 2 * _GIGABYTE
    if memory % _GIGABYTE or not 1 <= memory // _GIGABYTE <= 6:
        raise InputError(
            "SageMaker has 1g to 6g without machines", where="[deploy] memory", hint='memory = "2g"'
        )
    subnets, groups = given.texts("subnets", _SUBNET), given.texts("security_groups", _GROUP)
    if bool(subnets) != bool(groups):
        raise InputError("subnets and security_groups belong together", where="[deploy]")
    shift = given.choice("shift", tuple(_SHIFTS), "all")
    replicas = given.number("replicas", 1, 1, 1000)
    if shift != "all" and replicas < 2:
        raise InputError(
            f'shift = "{shift}" moves machines one after the other, and there is one',
            where="[deploy] replicas",
            hint="replicas = 2",
        )
    return Endpoint(
        name=given.needed("service", _NAME, 'service = "churn"'),
        role=given.needed("role", ROLE, 'role = "arn:aws:iam::123456789012:role/churn"'),
        instance="" if serverless else given.text("instance", _INSTANCE, "ml.m5.large"),
        replicas=replicas,
        memory=memory // _GIGABYTE,
        concurrency=given.number("concurrency", 10, 1, 200),
        env=given.table("env", VARIABLE),
        isolated=given.switch("isolated", default=True),
        subnets=subnets,
        security_groups=groups,
        shift=shift,
        shift_percent=given.number("shift_percent", 10, 1, 50),
        shift_seconds=given.number("shift_seconds", 60, 0, 3600),
        alarms=given.texts("alarms", _ALARM),
        keep=given.number("keep", 5, 1, 100),
        ready_seconds=given.number("ready_seconds", 1800, 1, _MOST_SECONDS),
    )


def statements(
    endpoint: Endpoint, partition: str, region: str, account: str
) -> Sequence[Statement]:
    """What it takes to roll an endpoint out, beside its image."""
    here = f"arn:{partition}:sagemaker:{region}:{account}"
    name = endpoint.name.lower()  # so they stand in ARNs
    things = [
        f"{here}:endpoint/{name}",
        f"{here}:endpoint-config/{name}-*",
        f"{here}:model/{name}-*",
    ]
    group = f"arn:{partition}:logs:{region}:{account}:log-group:{endpoint.group}"
    verbs = [
        *("AddTags", "CreateEndpoint", "CreateEndpointConfig", "CreateModel", "DeleteEndpoint"),
        *("DeleteEndpointConfig", "DeleteModel", "DeleteTags", "DescribeEndpoint"),
        *("DescribeEndpointConfig", "DescribeModel", "ListTags", "UpdateEndpoint"),
    ]
    found = [
        Statement("RollOut", [f"sagemaker:{verb}" for verb in verbs], things),
        # SageMaker knows no resources for these.
        Statement("List", ["sagemaker:ListEndpointConfigs", "sagemaker:ListModels"], ["*"]),
        passing("sagemaker.amazonaws.com", endpoint.role),
        reading_logs(group),
    ]
    if endpoint.alarms:
        arns = [
            f"arn:{partition}:cloudwatch:{region}:{account}:alarm:{name}"
            for name in endpoint.alarms
        ]
        found.append(Statement("LookAtAlarms", ["cloudwatch:DescribeAlarms"], arns))
    return found
