"""A service of ECS: task definitions that stay as they were, and which of them runs.

ECS itself rolls out: it starts new tasks beside the old ones, and goes back when they keep failing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlpack.aws import logs, tasks
from mlpack.aws.calls import Answer, Service
from mlpack.aws.parts import Part, Seen
from mlpack.aws.releases import Release
from mlpack.aws.tasks import CONTAINER, PORT, Task
from mlpack.aws.waiting import until
from mlpack.delivery.clock import Clock
from mlpack.errors import InputError, OutsideError

_NO_CLUSTER = "ClusterNotFoundException"
_NO_DEFINITION = ("ClientException", "Unable to describe task definition")
_STARTING = 60
_PAUSE = 5.0
_EVENTS, _TASKS, _WORDS = 5, 3, 20
_CHECK: Mapping[str, Any] = {
    "HealthCheckProtocol": "HTTP",
    "HealthCheckPort": "traffic-port",
    "HealthCheckPath": "/readyz",
    "HealthCheckIntervalSeconds": 10,
    "HealthCheckTimeoutSeconds": 5,
    "HealthyThresholdCount": 2,
    "UnhealthyThresholdCount": 3,
}
_ROLLING = {
    "deploymentCircuitBreaker": {"enable": True, "rollback": True},
    "minimumHealthyPercent": 100,
    "maximumPercent": 200,
}


class Services:
    """One service at ECS."""

    def __init__(
        self, ecs: Service, elb: Service, cloudwatch: Service, task: Task, clock: Clock
    ) -> None:
        """A service that need not be there."""
        self._ecs = ecs
        self._elb = elb
        self._logs = cloudwatch
        self._task = task
        self._clock = clock

    def look(self) -> Seen:
        """What is there.

        Raises:
            InputError: there is no such cluster.
        """
        service = self._service()
        if service is None or service["status"] != "ACTIVE":
            return Seen()
        parts = [
            Part(
                identity=str(each["id"]),
                number=_number(each["taskDefinition"]),
                primary=each["status"] == "PRIMARY",
                state=str(each.get("rolloutState", "")),
                reason=str(each.get("rolloutStateReason", "")),
                desired=int(each["desiredCount"]),
                running=int(each["runningCount"]),
            )
            for each in service["deployments"]
        ]
        return Seen(
            arn=str(service["serviceArn"]),
            tags={each["key"]: each["value"] for each in service.get("tags", ())},
            parts=tuple(sorted(parts, key=lambda part: not part.primary)),
            desired=int(service["desiredCount"]),
            events=tuple((each["createdAt"], str(each["message"])) for each in service["events"]),
        )

    def _service(self) -> Answer | None:
        found = self._ecs.find(
            "describe_services",
            _NO_CLUSTER,
            cluster=self._task.cluster,
            services=[self._task.service],
            include=["TAGS"],
        )
        if found is None:
            raise InputError(
                f"there is no cluster {self._task.cluster}",
                where="[deploy] cluster",
                hint=f"aws ecs create-cluster --cluster-name {self._task.cluster}",
            )
        return next(iter(found["services"]), None)

    def check(self) -> bool:
        """Whether the target group asks for what is ready.

        Raises:
            InputError: there is none, or its targets are no addresses.
        """
        if not self._task.target_group:
            return True
        where = "[deploy] target_group"
        found = self._elb.find(
            "describe_target_groups",
            "TargetGroupNotFound",
            TargetGroupArns=[self._task.target_group],
        )
        if not found or not found["TargetGroups"]:
            raise InputError("there is no such target group", where=where)
        group = found["TargetGroups"][0]
        if group.get("TargetType") != "ip":
            raise InputError(
                f"its targets are of the type {group.get('TargetType')}, and Fargate's are ip",
                where=where,
            )
        return all(group.get(key) == value for key, value in _CHECK.items())

    def prepare(self) -> None:
        """Make the group of logs, and let the target group ask for what is ready."""
        made = self._logs.find(
            "create_log_group", "ResourceAlreadyExistsException", logGroupName=self._task.group
        )
        if made is not None:
            self._logs.ask(
                "put_retention_policy",
                logGroupName=self._task.group,
                retentionInDays=self._task.log_days,
            )
        if not self.check():
            self._elb.ask(
                "modify_target_group",
                TargetGroupArn=self._task.target_group,
                Matcher={"HttpCode": "200"},
                **_CHECK,
            )

    def release(self, number: int = 0) -> tuple[Release, Answer] | None:
        """A task definition, by default the last one; None where there is no active one.

        Returns:
            What is known of it, and itself.
        """
        name = f"{self._task.service}:{number}" if number else self._task.service
        found = self._ecs.find(
            "describe_task_definition", _NO_DEFINITION, taskDefinition=name, include=["TAGS"]
        )
        if found is None or found["taskDefinition"].get("status") != "ACTIVE":
            return None
        definition = found["taskDefinition"]
        return tasks.release_of(int(definition["revision"]), found.get("tags", ())), definition

    def register(self, definition: Answer, tags: list[Answer]) -> int:
        """A new revision; its number."""
        made = self._ecs.ask("register_task_definition", **definition, tags=tags)
        return int(made["taskDefinition"]["revision"])

    def run(self, number: int, seen: Seen, *, count: bool = False) -> None:
        """Let the service be of a revision: ECS begins to roll out.

        Args:
            number: the revision.
            seen: what is there.
            count: let it have as many tasks as it shall; else what scales it has the say.
        """
        task = self._task
        common = {
            "cluster": task.cluster,
            "taskDefinition": f"{task.service}:{number}",
            "networkConfiguration": task.network,
            "deploymentConfiguration": _ROLLING,
        }
        balanced: Answer = {}
        if task.target_group:
            balanced = {
                "loadBalancers": [
                    {
                        "targetGroupArn": task.target_group,
                        "containerName": CONTAINER,
                        "containerPort": PORT,
                    }
                ],
                "healthCheckGracePeriodSeconds": _STARTING,
            }
        if seen.arn:
            more: Answer = {"desiredCount": task.replicas} if count or not seen.desired else {}
            if seen.wanted is not None and seen.wanted.number == number:
                more["forceNewDeployment"] = True  # it would stay the one that failed
            self._ecs.ask("update_service", service=task.service, **more, **common, **balanced)
            return
        self._drained()
        self._ecs.ask(
            "create_service",
            serviceName=task.service,
            desiredCount=task.replicas,
            launchType="FARGATE",
            enableECSManagedTags=True,
            **common,
            **balanced,
        )

    def _drained(self) -> None:
        """Wait until a service of this name that was deleted is gone."""

        def gone() -> bool | None:
            service = self._service()
            return True if service is None or service["status"] != "DRAINING" else None

        if until(gone, self._clock, self._task.ready_seconds, _PAUSE) is None:
            raise OutsideError("the service that was deleted is still there", self._task.service)

    def steady(self, number: int) -> None:
        """Wait until a revision runs.

        Raises:
            OutsideError: it does not; ECS's reasons and the last lines of its log are told.
        """
        begun: list[str] = []

        def look() -> tuple[bool, str] | None:
            seen = self.look()
            mine = [
                part
                for part in seen.parts
                if part.number == number and (not begun or part.identity == begun[0])
            ]
            if not mine:
                return False, "ECS went back to the version before" if seen.parts else "it is gone"
            if not begun:
                begun.append(mine[0].identity)
            if mine[0].state == "FAILED":
                return False, mine[0].reason
            return (True, "") if mine[0].state == "COMPLETED" else None

        found = until(look, self._clock, self._task.ready_seconds, _PAUSE)
        if found is None:
            found = False, f"it does not run after {self._task.ready_seconds} seconds"
        well, why = found
        if not well:
            raise OutsideError(
                f"revision {number} does not become ready: {why}",
                where=self._task.service,
                hint=self._reasons(number) or None,
            )

    def back(self, number: int, seen: Seen) -> None:
        """After a failed rollout: the revision before, unless ECS went there by itself.

        Args:
            number: the revision that failed.
            seen: what was there before it; where nothing answered, nothing runs.
        """
        now = self.look()
        if now.wanted is None or now.wanted.number != number:
            return
        change: Answer = {}
        if seen.live not in (0, number):
            change["taskDefinition"] = f"{self._task.service}:{seen.live}"
        if not seen.live or not seen.desired:
            change["desiredCount"] = 0
        if change:  # else older tasks of the same revision answer, and go on
            where = {"cluster": self._task.cluster, "service": self._task.service}
            self._ecs.ask("update_service", **where, **change)

    def _reasons(self, number: int) -> str:
        """Why tasks of a revision ended, what ECS tells of the service, and the last lines."""
        told = []
        stopped = self._stopped(number)
        for task in stopped[:_TASKS]:
            reasons = [str(task.get("stoppedReason", ""))]
            for container in task.get("containers", ()):
                if "exitCode" in container:
                    reasons.append(f"exit code {container['exitCode']}")
                reasons.append(str(container.get("reason", "")))
            told.append("; ".join(filter(None, reasons)))
        told += [message for _, message in self.look().events[:_EVENTS]]
        for task in stopped[:1]:
            identity = str(task["taskArn"]).rpartition("/")[2]
            stream = f"{CONTAINER}/{CONTAINER}/{identity}"
            found = self._logs.find(
                "get_log_events",
                logs.ABSENT,
                logGroupName=self._task.group,
                logStreamName=stream,
                startFromHead=False,
                limit=_WORDS,
            )
            told += [str(each["message"]).rstrip() for each in (found or {}).get("events", ())]
        return "\n".join(dict.fromkeys(filter(None, told)))

    def _stopped(self, number: int) -> Sequence[Answer]:
        found = self._tasks("STOPPED")
        return [each for each in found if _number(each["taskDefinitionArn"]) == number]

    def _tasks(self, status: str) -> Sequence[Answer]:
        where = {"cluster": self._task.cluster}
        arns = self._ecs.ask(
            "list_tasks", serviceName=self._task.service, desiredStatus=status, **where
        )["taskArns"]
        if not arns:
            return []
        found: list[Answer] = self._ecs.ask("describe_tasks", tasks=arns, **where)["tasks"]
        return found

    def streams(self) -> Sequence[str]:
        """The streams of the logs of the tasks that run."""
        return sorted(
            f"{CONTAINER}/{CONTAINER}/{str(each['taskArn']).rpartition('/')[2]}"
            for each in self._tasks("RUNNING")
        )

    def tag(self, arn: str, put: Mapping[str, str], take: Sequence[str]) -> None:
        """Write tags and take others away."""
        made = [{"key": key, "value": value} for key, value in put.items()]
        self._ecs.ask("tag_resource", resourceArn=arn, tags=made)
        if take:
            self._ecs.ask("untag_resource", resourceArn=arn, tagKeys=list(take))

    def revisions(self) -> Sequence[int]:
        """The active task definitions of this service."""
        found = self._ecs.pages(
            "list_task_definitions", "taskDefinitionArns", familyPrefix=self._task.service
        )
        named = [str(arn).rpartition("/")[2].partition(":") for arn in found]
        return sorted(int(number) for name, _, number in named if name == self._task.service)

    def remove(self) -> int:
        """Delete the service and its task definitions; how many revisions those were."""
        where = {"cluster": self._task.cluster, "service": self._task.service}
        if self.look().arn:
            self._ecs.ask("delete_service", force=True, **where)
        self._drained()
        numbers = self.revisions()
        for number in numbers:
            name = f"{self._task.service}:{number}"
            self._ecs.ask("deregister_task_definition", taskDefinition=name)
        return len(numbers)


def _number(arn: str) -> int:
    """The revision that a task definition's ARN ends with."""
    return int(str(arn).rpartition(":")[2])
