"""moto's server behind boto3's clients, with a hand on every call: to see, answer or break it."""

from __future__ import annotations

import contextlib
import io
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from bundling import Remembering
from images import SLIM, image_of
from moto.server import ThreadedMotoServer

from mlpack.aws.calls import Service
from mlpack.bundle import Artifact
from mlpack.delivery.clock import Clock
from mlpack.oci.archive import write_archive
from mlpack.oci.values import Healthcheck, make_multi_image
from mlpack.ports import Built, Deployment

REGION = "eu-central-1"
ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/churn"
TOKEN = f"{ACCOUNT}-auth-token"
"""The password that moto's ECR hands out, for the user AWS."""

READS = ("get_", "list_", "describe_", "head_", "filter_", "batch_get_")


class KilledError(BaseException):
    """The process ended here."""


def refused(code: str, message: str = "", operation: str = "") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


@cache
def _connected(name: str, region: str, endpoint: str) -> Any:
    """A client of boto3, which takes long to make, and remembers nothing."""
    return boto3.client(
        name,
        region_name=region,
        endpoint_url=endpoint,
        aws_access_key_id="made-up",
        aws_secret_access_key="made-up",
        config=Config(retries={"total_max_attempts": 1}),
    )


class _Client:
    """A client of boto3 whose calls pass by the world."""

    def __init__(self, client, name: str, world: World) -> None:
        self._client, self._name, self._world = client, name, world
        self.meta = client.meta

    def __getattr__(self, operation: str):
        real = getattr(self._client, operation)
        return lambda **request: self._world.call(self._name, operation, request, real)

    def get_paginator(self, operation: str):
        real = self._client.get_paginator(operation).paginate

        def paginate(**request):
            return self._world.call(self._name, operation, request, real)

        return SimpleNamespace(paginate=paginate)


@dataclass
class World:
    """AWS as one test has it.

    Attributes:
        endpoint: moto's.
        registry: the address of the registry behind ECR.
        calls: what was asked: service, operation, request.
        scripts: what is answered instead: is given the request and the real call.
        broken: number and side (``before`` or ``after``) of the call at which the process ends.
    """

    endpoint: str
    registry: str = ""
    region: str = REGION
    calls: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    scripts: dict[tuple[str, str], Callable] = field(default_factory=dict)
    broken: tuple[int, str] | None = None
    time: float = field(default_factory=time.time)
    waited: list[float] = field(default_factory=list)

    def client(self, name: str):
        return _connected(name, self.region, self.endpoint)

    def service(self, name: str, seconds: int = 60) -> Service:
        """As a `Place` has it."""
        return Service(_Client(self.client(name), name, self), name)

    @property
    def clock(self) -> Clock:
        def sleep(seconds: float) -> None:
            self.waited.append(seconds)
            self.time += seconds

        return Clock(now=lambda: self.time, sleep=sleep)

    def call(self, service: str, operation: str, request, real):
        self.time += 1
        self.calls.append((service, operation, request))
        number = len(self.calls)
        at, side = self.broken or (0, "")
        # Who is dead asks nothing more, whatever stands in its finally.
        if self.broken and (number > at or (number == at and side == "before")):
            raise KilledError
        script = self.scripts.get((service, operation))
        try:
            answer = script(request, real) if script else real(**request)
        finally:
            if number == at:
                raise KilledError
        if (service, operation) == ("ecr", "get_authorization_token") and not script:
            answer["authorizationData"][0]["proxyEndpoint"] = f"http://{self.registry}"
        return answer

    def asked(self, *operations: str) -> list[dict[str, Any]]:
        return [request for _, name, request in self.calls if name in operations]

    @property
    def writes(self) -> list[str]:
        return [
            name
            for _, name, _ in self.calls
            if not name.startswith(READS) and name not in ("invoke", "get_caller_identity")
        ]

    @contextlib.contextmanager
    def refusing(self, service: str, operation: str, code: str, message: str = "", times: int = 1):
        """The next calls are refused."""
        left = times

        def script(request, real):
            nonlocal left
            if left:
                left -= 1
                raise refused(code, message, operation.title().replace("_", ""))
            return real(**request)

        before = self.scripts.get((service, operation))
        self.scripts[service, operation] = script
        try:
            yield
        finally:
            self.scripts.pop((service, operation))
            if before is not None:
                self.scripts[service, operation] = before


@contextlib.contextmanager
def moto() -> Iterator[str]:
    """moto's server, on a free port; its state is the process's."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def make_network(world: World, name: str, *kinds: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Subnets and groups as ``[deploy]`` has them, and target groups of some kinds."""
    ec2, elb = world.client("ec2"), world.client("elbv2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName=name, Description="x", VpcId=vpc)["GroupId"]
    world.client("ecs").create_cluster(clusterName="default")
    made = {"Protocol": "HTTP", "Port": 8080, "VpcId": vpc}
    targets = {}
    for kind in kinds:
        answer = elb.create_target_group(Name=f"{name}-{kind}", TargetType=kind, **made)
        targets[kind] = answer["TargetGroups"][0]["TargetGroupArn"]
    return {"subnets": [subnet], "security_groups": [group]}, targets


def make_role(endpoint: str) -> None:
    """See to it that there is the role that functions have, which moto wants."""
    iam = World(endpoint).client("iam")
    trust = {"Statement": [{"Principal": {"Service": "lambda.amazonaws.com"}}]}
    with contextlib.suppress(iam.exceptions.EntityAlreadyExistsException):
        iam.create_role(RoleName="churn", AssumeRolePolicyDocument=json.dumps(trust))


def build(
    folder: Path, version: str = "1.2.0", content: bytes = b"model", architectures=("amd64",)
) -> Built:
    """An image as `mlpack build` leaves it."""
    folder = folder / f"{version}-{content.decode()}"
    folder.mkdir(exist_ok=True, parents=True)
    start = ("/usr/local/bin/python3", "-m", "churn")
    images = [
        image_of(
            folder,
            {**SLIM, architecture: b""},
            {"app/lib/model": content},
            architecture=architecture,
            entrypoint=start,
            cmd=("serve",),
            healthcheck=Healthcheck(test=("CMD", *start, "health")),
        )
        for architecture in architectures
    ]
    image = images[0] if len(images) == 1 else make_multi_image(images, {})
    file = folder / f"churn-{version}.oci.tar"
    written = write_archive(image, file, "churn", version)
    artifact = Artifact(
        kind="image",
        file=file.name,
        sha256=written.sha256,
        size=written.size,
        digest=image.digest,
        image=f"churn:{version}",
    )
    return Built("churn", version, "onnx", "l", "b" * 64, {"image": artifact}, folder)


NUMBERS = count(1)


def given(kind: str, **more: Any) -> dict[str, Any]:
    """``[deploy]`` of a service that nobody else has."""
    number = next(NUMBERS)
    return {
        "target": kind,
        "service": f"{kind}-{number}-x",
        "repository": f"{kind}/churn-{number}",
        "create_repository": True,
        "role": ROLE,
        "ready_seconds": 120,
        **more,
    }


def deploy(target: Any, built: Built, why: str = "") -> Deployment:
    """Roll out."""
    return target.apply(built, Remembering(), why=why)


def live(target: Any) -> str:
    """The version that answers all requests."""
    first = target.status().releases[0]
    assert (first.state, first.share) == ("live", 100)
    return first.version


def denied(action: str, resource: str) -> str:
    """What AWS says to who may not do something."""
    who = f"User: arn:aws:iam::{ACCOUNT}:user/a is not authorized to perform: {action}"
    because = f"because no identity-based policy allows the {action} action"
    return f"{who} on resource: {resource} {because}"


def invoked(status: int = 200, **more: Any):
    """What `invoke` of a function answers."""
    payload = json.dumps({"statusCode": status, **more}).encode()

    def script(request, real):
        return {"StatusCode": 200, "Payload": io.BytesIO(payload)}

    return script


def allowed(policy) -> set[str]:
    """The actions that a policy allows."""
    return {action for each in policy["Statement"] for action in each["Action"]}


PUSHING = {
    *("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload"),
    *("ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload", "ecr:PutImage"),
    "ecr:UploadLayerPart",
}
"""What takes permissions at ECR's registry, whose calls are not AWS's."""
PREFIXES = {"elbv2": "elasticloadbalancing"}
CALLED = {"lambda:Invoke": "lambda:InvokeFunction"}
FREE = {"sts:GetCallerIdentity"}


def needed(world: World) -> set[str]:
    """The permissions that the calls of a world take."""
    found = set()
    for service, operation, _ in world.calls:
        name = "".join(word.title() for word in operation.split("_"))
        action = f"{PREFIXES.get(service, service)}:{name}"
        found.add(CALLED.get(action, action))
    return found - FREE
