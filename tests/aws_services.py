"""What moto lacks of ECS and SageMaker, scripted: that something runs, and becomes ready or not."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from itertools import count

from aws_world import ACCOUNT, REGION, World, refused

NOW = datetime(2026, 11, 23, tzinfo=timezone.utc)
STOPPED = "Task failed container health checks"
REASON = "The primary container did not pass the ping health check."


@dataclass
class Fargate:
    """Rolls services out as ECS does, as far as the answers show it.

    Attributes:
        bad: the revisions whose tasks never become ready.
        slow: after how many looks something comes of a deployment.
        breaks: whether the circuit breaker is what ends a bad one.
    """

    world: World
    bad: set[int] = field(default_factory=set)
    slow: int = 2
    breaks: bool = True
    parts: dict[str, list[dict]] = field(default_factory=dict)
    events: list[dict] = field(default_factory=list)
    numbers: count = field(default_factory=lambda: count(1))

    def install(self) -> None:
        for operation in ("create_service", "update_service", "describe_services"):
            self.world.scripts["ecs", operation] = getattr(self, operation)
        self.world.scripts["ecs", "list_tasks"] = self.list_tasks
        self.world.scripts["ecs", "describe_tasks"] = self.describe_tasks

    def _begin(self, name: str, definition: str, state: str = "IN_PROGRESS") -> None:
        others = [{**each, "status": "ACTIVE"} for each in self.parts.get(name, [])]
        number = int(definition.rpartition(":")[2])
        new = {
            "id": f"ecs-svc/{next(self.numbers)}",
            "status": "PRIMARY",
            "taskDefinition": f"arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/{name}:{number}",
            "rolloutState": state,
            "rolloutStateReason": f"ECS deployment {state}",
            "looks": 0,
        }
        self.parts[name] = [new, *[each for each in others if each["rolloutState"] == "COMPLETED"]]

    def create_service(self, request, real):
        self._begin(request["serviceName"], request["taskDefinition"])
        return real(**request)

    def update_service(self, request, real):
        name, parts = request["service"], self.parts[request["service"]]
        definition = request.get("taskDefinition")
        changed = definition and not parts[0]["taskDefinition"].endswith(definition)
        if changed or request.get("forceNewDeployment"):
            self._begin(name, definition or parts[0]["taskDefinition"])
        return real(**request)

    def _advance(self, name: str) -> None:
        first, *others = self.parts[name]
        first["looks"] += 1
        number = int(first["taskDefinition"].rpartition(":")[2])
        if first["rolloutState"] != "IN_PROGRESS" or first["looks"] < self.slow:
            return
        if number not in self.bad:
            self.parts[name] = [{**first, "rolloutState": "COMPLETED"}]
            return
        message = f"(service {name}) deployment failed: tasks failed to start."
        self.events.insert(0, {"id": "e", "createdAt": NOW, "message": message})
        if not self.breaks:
            return
        failed = {**first, "rolloutState": "FAILED", "rolloutStateReason": "tasks failed to start."}
        if others:
            self.parts[name] = others
            self._begin(name, others[0]["taskDefinition"], "COMPLETED")
            self.parts[name] = self.parts[name][:1]
        else:
            self.parts[name] = [failed]

    def describe_services(self, request, real):
        answer = real(**request)
        for service in answer["services"]:
            name = service["serviceName"]
            if service["status"] != "ACTIVE":
                self.parts.pop(name, None)
                continue
            self._advance(name)
            desired = service["desiredCount"]
            service["events"] = self.events
            service["deployments"] = [
                {
                    **{key: value for key, value in part.items() if key != "looks"},
                    "desiredCount": desired if part["status"] == "PRIMARY" else 0,
                    "runningCount": desired if part["rolloutState"] == "COMPLETED" else 0,
                }
                for part in self.parts[name]
            ]
        return answer

    def list_tasks(self, request, real):
        tasks = f"arn:aws:ecs:{REGION}:{ACCOUNT}:task/default"
        return {"taskArns": [f"{tasks}/{request['desiredStatus'].lower()}"]}

    def describe_tasks(self, request, real):
        bad = max(self.bad, default=0)
        return {
            "tasks": [
                {
                    "taskArn": arn,
                    "taskDefinitionArn": f"arn:aws:ecs:x:1:task-definition/s:{bad}",
                    "stoppedReason": STOPPED,
                    "containers": [{"exitCode": 3, "reason": "OutOfMemoryError"}],
                }
                for arn in request["tasks"]
            ]
        }


@dataclass
class Fleets:
    """Rolls endpoints out as SageMaker does, as far as the answers show it.

    Attributes:
        bad: the configurations that never become well.
        slow: after how many looks something comes of an update.
        pending: by endpoint, what it was told to be, and how often it was looked at since.
        live: by endpoint, the configuration that answers.
        updates: what was asked for.
    """

    world: World
    bad: set[int] = field(default_factory=set)
    slow: int = 2
    pending: dict[str, tuple[str, int]] = field(default_factory=dict)
    live: dict[str, str] = field(default_factory=dict)
    updates: list[dict] = field(default_factory=list)

    def install(self) -> None:
        for operation in ("create_endpoint", "update_endpoint", "describe_endpoint"):
            self.world.scripts["sagemaker", operation] = getattr(self, operation)
        self.world.scripts["sagemaker", "delete_endpoint"] = self.delete_endpoint

    def create_endpoint(self, request, real):
        answer = real(**request)
        self.live.pop(request["EndpointName"], None)
        self.pending[request["EndpointName"]] = (request["EndpointConfigName"], 0)
        return answer

    def update_endpoint(self, request, real):
        name = request["EndpointName"]
        if name in self.pending:
            raise refused("ValidationException", f"Cannot update in-progress endpoint {name}.")
        self.updates.append(request)
        self.pending[name] = (request["EndpointConfigName"], 0)
        return {"EndpointArn": "arn"}

    def delete_endpoint(self, request, real):
        for known in (self.pending, self.live):
            known.pop(request["EndpointName"], None)
        return real(**request)

    def describe_endpoint(self, request, real):
        answer, name = real(**request), request["EndpointName"]
        if name in self.pending:
            wanted, looks = self.pending[name]
            if looks < self.slow:
                self.pending[name] = (wanted, looks + 1)
                first = name not in self.live
                answer["EndpointStatus"] = "Creating" if first else "Updating"
                answer["EndpointConfigName"] = wanted if first else self.live[name]
                if not first:
                    answer["PendingDeploymentSummary"] = {"EndpointConfigName": wanted}
                return answer
            del self.pending[name]
            if int(wanted.rpartition("-")[2]) not in self.bad:
                self.live[name] = wanted
            elif name not in self.live:
                return {**answer, "EndpointStatus": "Failed", "FailureReason": REASON}
        if name not in self.live:
            return {**answer, "EndpointStatus": "Failed", "FailureReason": REASON}
        return {**answer, "EndpointStatus": "InService", "EndpointConfigName": self.live[name]}
