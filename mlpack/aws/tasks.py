"""What ``[deploy]`` says of a service of ECS on Fargate, and its task definition."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlpack.aws import journal, releases
from mlpack.aws.calls import Answer
from mlpack.aws.images import Chosen
from mlpack.aws.place import ROLE
from mlpack.aws.policies import Statement, passing, reading_logs
from mlpack.aws.releases import Release
from mlpack.delivery.settings import VARIABLE, Reader
from mlpack.errors import InputError

CONTAINER = "model"
PORT = 8080
USER = "65532:65532"

KEYS = (
    *("cluster", "cpus", "drain_seconds", "env", "log_days", "memory", "public_ip"),
    *("ready_seconds", "replicas", "role", "secret_arns", "security_groups", "service"),
    *("subnets", "target", "target_group", "task_role"),
)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_CLUSTER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,254}")
_SUBNET = re.compile(r"subnet-[0-9a-z]{8,32}")
_GROUP = re.compile(r"sg-[0-9a-z]{8,32}")
_TARGETS = re.compile(
    r"arn:aws[a-z-]*:elasticloadbalancing:[a-z0-9-]+:[0-9]{12}:targetgroup/[A-Za-z0-9-]+/[0-9a-z]+"
)
_SECRET = re.compile(
    r"arn:aws[a-z-]*:(?:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[\w/+=.@-]+(?::[\w.-]*){0,3}"
    r"|ssm:[a-z0-9-]+:[0-9]{12}:parameter/[\w/.-]+)"
)
_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 3653)
_MEGABYTE, _GIGABYTE = 1 << 20, 1024
_SIZES: Mapping[int, Sequence[int]] = {
    256: (512, 1024, 2048),
    512: range(1024, 4097, 1024),
    1024: range(2048, 8193, 1024),
    2048: range(4096, 16385, 1024),
    4096: range(8192, 30721, 1024),
    8192: range(16384, 61441, 4096),
    16384: range(32768, 122881, 8192),
}
"""What Fargate has: MB of memory for each number of CPU units, 1024 of which are a CPU."""


@dataclass(frozen=True)
class Task:
    """What a service and its tasks shall be.

    Attributes:
        service: the service's name, and the family of its task definitions.
        cluster: where it runs.
        role: with which ECS pulls the image, reads secrets and writes the log.
        task_role: that the server runs as; empty for none.
        units: of CPU, 1024 of which are one.
        memory: in MB.
        replicas: tasks.
        subnets, security_groups: that they are in.
        public_ip: give each an address of the internet, by which it pulls its image.
        target_group: that sends requests; empty for none.
        env: variables.
        secrets: variables, by the ARNs of what they are.
        drain_seconds: how long a task may take to end.
        ready_seconds: how long to wait for a rollout.
        log_days: how long lines are kept.
    """

    service: str
    cluster: str
    role: str
    task_role: str
    units: int
    memory: int
    replicas: int
    subnets: tuple[str, ...]
    security_groups: tuple[str, ...]
    public_ip: bool
    target_group: str
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: Mapping[str, str] = field(default_factory=dict)
    drain_seconds: int = 30
    ready_seconds: int = 900
    log_days: int = 30

    @property
    def group(self) -> str:
        """The group of its logs."""
        return f"/ecs/{self.service}"

    @property
    def network(self) -> Answer:
        """As ECS takes it."""
        return {
            "awsvpcConfiguration": {
                "subnets": list(self.subnets),
                "securityGroups": list(self.security_groups),
                "assignPublicIp": "ENABLED" if self.public_ip else "DISABLED",
            }
        }

    def definition(self, image: str, chosen: Chosen, region: str) -> Answer:
        """The task definition of an image, ``REPOSITORY@DIGEST``, without tags."""
        arm = chosen.platform.endswith("arm64")
        container: Answer = {
            "name": CONTAINER,
            "image": image,
            "essential": True,
            "user": USER,
            "readonlyRootFilesystem": True,
            "linuxParameters": {"capabilities": {"drop": ["ALL"]}, "initProcessEnabled": False},
            "portMappings": [{"containerPort": PORT, "protocol": "tcp"}],
            "environment": [{"name": key, "value": self.env[key]} for key in sorted(self.env)],
            "secrets": [
                {"name": key, "valueFrom": self.secrets[key]} for key in sorted(self.secrets)
            ],
            "stopTimeout": self.drain_seconds,
            "logConfiguration": {
                "logDriver": "awslogs",
                "options": {
                    "awslogs-group": self.group,
                    "awslogs-region": region,
                    "awslogs-stream-prefix": CONTAINER,
                },
            },
        }
        if chosen.health:  # ECS does not look at the image's own
            container["healthCheck"] = {
                "command": list(chosen.health),
                "interval": 10,
                "timeout": 5,
                "retries": 3,
                "startPeriod": 60,
            }
        return {
            "family": self.service,
            "requiresCompatibilities": ["FARGATE"],
            "networkMode": "awsvpc",
            "cpu": str(self.units),
            "memory": str(self.memory),
            "executionRoleArn": self.role,
            **({"taskRoleArn": self.task_role} if self.task_role else {}),
            "runtimePlatform": {
                "cpuArchitecture": "ARM64" if arm else "X86_64",
                "operatingSystemFamily": "LINUX",
            },
            "containerDefinitions": [container],
        }

    def settings(self, chosen: Chosen, region: str) -> str:
        """A digest of all that a release has beside its image."""
        return releases.digest_of(
            {
                "definition": self.definition("", chosen, region),
                "network": self.network,
                "replicas": self.replicas,
                "target_group": self.target_group,
            }
        )


def tags_of(release: Release, bundle: str) -> list[Answer]:
    """The tags of a task definition."""
    told = {
        journal.VERSION: release.version,
        journal.DIGEST: release.digest,
        journal.SETTINGS: release.settings,
        journal.BUNDLE: bundle,
        journal.BY: release.by,
    }
    return [{"key": key, "value": journal.plain(value)} for key, value in told.items() if value]


def release_of(number: int, tags: Sequence[Mapping[str, str]]) -> Release:
    """What the tags of a task definition tell of it."""
    told = {each["key"]: each["value"] for each in tags}
    return Release(
        number=number,
        version=told.get(journal.VERSION, ""),
        digest=told.get(journal.DIGEST, ""),
        settings=told.get(journal.SETTINGS, ""),
        by=told.get(journal.BY, ""),
    )


def read(config: Mapping[str, Any]) -> Task:
    """The service that ``[deploy]`` describes.

    Raises:
        InputError: a key is missing or wrong.
    """
    given = Reader(config)
    role = given.needed("role", ROLE, 'role = "arn:aws:iam::123456789012:role/churn-pull"')
    cpus = given.cpus() or 0.5
    units, memory = _size(cpus, given.memory())
    subnets = given.texts("subnets", _SUBNET)
    if not subnets:
        raise InputError("[deploy] has no subnets", hint='subnets = ["subnet-0123456789abcdef0"]')
    secrets = given.table("secret_arns", VARIABLE)
    for name, arn in secrets.items():
        if not _SECRET.fullmatch(arn):
            raise InputError(
                "it is no ARN of a secret of Secrets Manager or of a parameter of Systems Manager",
                where=f"[deploy.secret_arns] {name}",
            )
    env = given.table("env", VARIABLE)
    both = next(iter(sorted(secrets.keys() & env.keys())), None)
    if both is not None:
        raise InputError(f"{both} is a variable and a secret", where="[deploy.env]")
    days = given.number("log_days", 30, 1, _DAYS[-1])
    if days not in _DAYS:
        raise InputError(
            f"CloudWatch does not keep logs for {days} days",
            where="[deploy] log_days",
            hint=f"It keeps them for {', '.join(map(str, _DAYS))} days.",
        )
    return Task(
        service=given.needed("service", _NAME, 'service = "churn"'),
        cluster=given.text("cluster", _CLUSTER, "default"),
        role=role,
        task_role=given.text("task_role", ROLE),
        units=units,
        memory=memory,
        replicas=given.number("replicas", 2, 1, 5000),
        subnets=subnets,
        security_groups=given.texts("security_groups", _GROUP),
        public_ip=given.switch("public_ip", default=False),
        target_group=given.text("target_group", _TARGETS),
        env=env,
        secrets=secrets,
        drain_seconds=given.number("drain_seconds", 30, 2, 120),
        ready_seconds=given.number("ready_seconds", 900, 1, 7200),
        log_days=days,
    )


def _size(cpus: float, memory: int | None) -> tuple[int, int]:
    """CPU units and MB, which Fargate has in some combinations only."""
    units = round(cpus * 1024)
    if units not in _SIZES:
        raise InputError(
            f"Fargate has no {cpus:g} CPUs",
            where="[deploy] cpus",
            hint=f"It has {', '.join(f'{each / 1024:g}' for each in _SIZES)}.",
        )
    sizes = _SIZES[units]
    wanted = sizes[1] if memory is None else memory // _MEGABYTE
    if wanted not in sizes or (memory or 0) % _MEGABYTE:
        known = ", ".join(
            f"{each // _GIGABYTE}g" if each % _GIGABYTE == 0 else f"{each}m" for each in sizes
        )
        raise InputError(
            f"Fargate has no {memory // _MEGABYTE if memory else 0}m with {cpus:g} CPUs",
            where="[deploy] memory",
            hint=f"With {cpus:g} CPUs it has {known}.",
        )
    return units, wanted


def statements(task: Task, partition: str, region: str, account: str) -> Sequence[Statement]:
    """What it takes to roll a service out, beside its image."""
    here = f"{region}:{account}"
    service = f"arn:{partition}:ecs:{here}:service/{task.cluster}/{task.service}"
    family = f"arn:{partition}:ecs:{here}:task-definition/{task.service}:*"
    group = f"arn:{partition}:logs:{here}:log-group:{task.group}"
    cluster = f"arn:{partition}:ecs:{here}:cluster/{task.cluster}"
    inside = {"ArnEquals": {"ecs:cluster": cluster}}
    found = [
        Statement(
            "RollOut",
            [
                *("ecs:CreateService", "ecs:DeleteService", "ecs:DescribeServices"),
                *("ecs:TagResource", "ecs:UntagResource", "ecs:UpdateService"),
            ],
            [service],
        ),
        Statement("Define", ["ecs:RegisterTaskDefinition", "ecs:TagResource"], [family]),
        # ECS knows no resources for these.
        Statement(
            "LookAtDefinitions",
            [
                *("ecs:DeregisterTaskDefinition", "ecs:DescribeTaskDefinition"),
                "ecs:ListTaskDefinitions",
            ],
            ["*"],
        ),
        Statement("LookAtTasks", ["ecs:DescribeTasks", "ecs:ListTasks"], ["*"], inside),
        Statement(
            "LockAndLog",
            [
                *("logs:CreateLogGroup", "logs:CreateLogStream", "logs:DeleteLogStream"),
                *("logs:PutLogEvents", "logs:PutRetentionPolicy"),
            ],
            [group, f"{group}:*"],
        ),
        reading_logs(group),
        passing("ecs-tasks.amazonaws.com", *sorted({task.role, task.task_role} - {""})),
    ]
    if task.target_group:
        found += [
            # Load balancers can be looked at all together only.
            Statement("LookAtTargetGroup", ["elasticloadbalancing:DescribeTargetGroups"], ["*"]),
            Statement(
                "CheckTargets", ["elasticloadbalancing:ModifyTargetGroup"], [task.target_group]
            ),
        ]
    return found
