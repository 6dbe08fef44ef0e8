"""What a refusal of AWS is told as; asked again where it is busy, as botocore does it."""

from __future__ import annotations

import json

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError, NoCredentialsError

from mlpack.aws.calls import RefusedError, Service
from mlpack.aws.place import account_of, caller, place
from mlpack.errors import InputError, OutsideError

KEYS = {"AWS_ACCESS_KEY_ID": "made-up", "AWS_SECRET_ACCESS_KEY": "made-up"}


class Raw:
    """What botocore reads of a response."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: object):
        yield self._body

    def read(self, *_: object) -> bytes:
        return self._body


def answering(monkeypatch, *answers: tuple[int, dict]):
    """A service whose next requests are answered so on their way out; how many were sent."""
    monkeypatch.setattr("time.sleep", lambda _: None)  # botocore's, between its tries
    service = place({"region": "eu-central-1"}, KEYS).service("ecs")
    left, sent = list(answers), []

    def send(request, **_):
        sent.append(request)
        status, body = left.pop(0) if len(left) > 1 else left[0]
        return AWSResponse(request.url, status, {}, Raw(json.dumps(body).encode()))

    service._client.meta.events.register("before-send.ecs", send)
    return service, sent


THROTTLED = (400, {"__type": "ThrottlingException", "message": "Rate exceeded"})
FINE = (200, {"clusterArns": ["a"]})


def test_where_it_is_busy_it_is_asked_again(monkeypatch):
    service, sent = answering(monkeypatch, THROTTLED, THROTTLED, (503, {}), FINE)
    assert service.ask("list_clusters")["clusterArns"] == ["a"]
    assert len(sent) == 4


def test_it_is_not_asked_for_ever(monkeypatch):
    service, sent = answering(monkeypatch, THROTTLED)
    with pytest.raises(RefusedError, match="slow down") as caught:
        service.ask("list_clusters")
    assert caught.value.said == "ThrottlingException"
    assert len(sent) == 8


def test_what_is_wrong_is_not_asked_again(monkeypatch):
    wrong = (400, {"__type": "ClusterNotFoundException", "message": "Cluster not found."})
    service, sent = answering(monkeypatch, wrong)
    with pytest.raises(RefusedError, match=r"Cluster not found\. \(ClusterNotFoundException\)"):
        service.ask("list_services", cluster="x")
    assert len(sent) == 1
    assert service.find("list_services", "ClusterNotFoundException", cluster="x") is None
    assert service.find("list_services", ("Other", "not found"), cluster="x") is None


class Failing:
    class meta:  # noqa: N801 - as boto3 has it
        endpoint_url = "https://ecs.example"

    def __init__(self, error):
        self._error = error

    def create_service(self, **_):
        raise self._error


def refused(code, message=""):
    return ClientError({"Error": {"Code": code, "Message": message}}, "CreateService")


@pytest.mark.parametrize(
    ("error", "said", "hint"),
    [
        (
            refused(
                "AccessDeniedException", "User: x is not authorized to perform: ecs:TagResource"
            ),
            "the permission ecs:TagResource is missing",
            "--plan --iam",
        ),
        (
            refused(
                "AccessDenied", 'x is not authorized to perform: s3:Get on resource: "arn:a:b" with'
            ),
            "the permission s3:Get is missing",
            "--plan --iam",
        ),
        (
            refused("UnauthorizedOperation", "no"),
            "the permission ecs:CreateService is missing",
            "--plan --iam",
        ),
        (refused("ExpiredTokenException", "expired"), "does not take the credentials", "Log in"),
        (refused("UnrecognizedClientException"), "does not take the credentials", "Log in"),
        (NoCredentialsError(), "no credentials", "AWS_PROFILE"),
    ],
)
def test_what_can_be_done_is_told(error, said, hint):
    with pytest.raises(OutsideError, match=said) as caught:
        Service(Failing(error), "ecs").ask("create_service")
    assert hint in caught.value.hint
    assert caught.value.where == "ecs:CreateService"


def test_an_address_that_does_not_answer(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)
    made = place({"region": "eu-central-1", "endpoint": "http://127.0.0.1:9"}, KEYS).service("ecs")
    with pytest.raises(OutsideError, match=r"127\.0\.0\.1:9 does not answer"):
        made.ask("list_clusters")


def test_a_wrong_request_is_told_without_a_traceback():
    made = place({"region": "eu-central-1"}, KEYS).service("ecs")
    with pytest.raises(OutsideError, match="Parameter validation failed"):
        made.ask("create_service")


def test_a_region_can_come_from_the_environment():
    assert place({}, {**KEYS, "AWS_REGION": "eu-west-1"}).region == "eu-west-1"
    assert place({"region": "us-east-1"}, {**KEYS, "AWS_REGION": "eu-west-1"}).region == "us-east-1"
    with pytest.raises(InputError):
        place({"region": 1}, KEYS)


def test_a_profile_that_is_not_there():
    with pytest.raises(OutsideError, match="nobody"):
        place({"region": "eu-west-1"}, {"AWS_PROFILE": "nobody"})


@pytest.mark.parametrize(
    ("arn", "who"),
    [
        ("arn:aws:iam::1:user/alice", "user/alice"),
        ("arn:aws:sts::1:assumed-role/Deploy/a b", "assumed-role/Deploy/a-b"),
        ("", "somebody"),
    ],
)
def test_who_asks(arn, who):
    class Sts:
        def get_caller_identity(self):
            return {"Arn": arn}

    assert caller(Service(Sts(), "sts")) == who


def test_accounts_of_roles():
    role = "arn:aws-cn:iam::123456789012:role/path/churn"
    assert account_of(role) == ("aws-cn", "123456789012")
    assert account_of("churn") == ("aws", "*")
