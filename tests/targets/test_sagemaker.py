"""An endpoint rolled out against moto; updates, which moto lacks, are scripted."""

from __future__ import annotations

import json

import pytest
from aws_services import Fleets
from aws_world import (
    ACCOUNT,
    PUSHING,
    REGION,
    allowed,
    build,
    denied,
    deploy,
    given,
    live,
    needed,
)
from botocore.validate import ParamValidator
from bundling import Remembering

from mlpack.errors import CheckFailedError, InputError, OutsideError
from mlpack.targets.sagemaker import make


@pytest.fixture
def fleets(world):
    made = Fleets(world)
    made.install()
    return made


@pytest.fixture
def config():
    return given("sagemaker")


@pytest.fixture
def target(target, fleets):
    return target


def test_a_plan_changes_nothing(target, world, tmp_path):
    actions = target().plan(build(tmp_path))
    assert [a.verb for a in actions] == ["create", "push", "configure", "create", "move"]
    assert world.writes == []
    assert target().status().releases == ()


def test_the_first_one(target, world, config, tmp_path):
    built = build(tmp_path)
    found = deploy(target(env={"MLPACK_MAX_ROWS": "10"}, replicas=2), built)
    digest, name = built.artifacts["image"].digest, config["service"]
    assert found.digest == digest
    assert found.reference.endswith(f"/endpoints/{name}/invocations")
    client = world.client("sagemaker")
    model = client.describe_model(ModelName=f"{name}-1")
    assert model["PrimaryContainer"]["Image"].endswith(f"{config['repository']}@{digest}")
    assert model["PrimaryContainer"]["Environment"] == {"MLPACK_MAX_ROWS": "10"}
    assert world.asked("create_model")[0]["EnableNetworkIsolation"] is True
    [variant] = client.describe_endpoint_config(EndpointConfigName=f"{name}-1")[
        "ProductionVariants"
    ]
    assert (variant["InstanceType"], variant["InitialInstanceCount"]) == ("ml.m5.large", 2)
    status = target().status()
    assert status.well
    assert [
        (r.release, r.version, r.digest, r.state, r.share, r.running) for r in status.releases
    ] == [(1, "1.2.0", digest, "live", 100, 2)]


def test_without_machines(target, world, config, fleets, tmp_path):
    made = {"mode": "serverless", "memory": "4g", "concurrency": 20}
    deploy(target(**made), build(tmp_path))
    [variant] = world.asked("create_endpoint_config")[0]["ProductionVariants"]
    assert variant["ServerlessConfig"] == {"MemorySizeInMB": 4096, "MaxConcurrency": 20}
    assert "InstanceType" not in variant
    deploy(target(**made), build(tmp_path, "1.3.0", b"other"))
    assert "DeploymentConfig" not in fleets.updates[0]
    assert target(**made).status().well


def test_the_next_one_and_the_way_back(target, tmp_path):
    deploy(target(), build(tmp_path))
    deploy(target(), build(tmp_path, "1.3.0", b"other"), why="the gate said no")
    assert live(target()) == "1.3.0"
    assert target().rollback(None, Remembering()).releases[0].version == "1.2.0"
    assert target().rollback(2, Remembering()).releases[0].version == "1.3.0"
    assert [(h.verb, h.release, h.version, h.state, h.why) for h in target().history()] == [
        ("deploy", 1, "1.2.0", "kept", ""),
        ("deploy", 2, "1.3.0", "live", "the gate said no"),
        ("rollback", 1, "1.2.0", "kept", ""),
        ("rollback", 2, "1.3.0", "live", ""),
    ]
    with pytest.raises(InputError, match="no release 9"):
        target().rollback(9, Remembering())


def models_of(world, name) -> set[str]:
    """The models of an endpoint; moto lists those of all."""
    found = world.client("sagemaker").list_models(MaxResults=100)["Models"]
    names = {each["ModelName"] for each in found}
    return {each for each in names if each.rpartition("-")[0] == name}


def alarm(world, name):
    world.client("cloudwatch").put_metric_alarm(
        AlarmName=name,
        MetricName="Invocation5XXErrors",
        Namespace="AWS/SageMaker",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )


def test_how_the_requests_move_and_which_alarms_take_them_back(target, world, fleets, tmp_path):
    deploy(target(), build(tmp_path))
    assert "DeploymentConfig" not in world.asked("create_endpoint")[0]
    alarm(world, "sm-errors")
    more = {"alarms": ["sm-errors"], "shift": "canary", "shift_percent": 20, "replicas": 4}
    deploy(target(**more, shift_seconds=300), build(tmp_path, "1.3.0", b"other"))
    told = fleets.updates[0]["DeploymentConfig"]
    assert told["AutoRollbackConfiguration"] == {"Alarms": [{"AlarmName": "sm-errors"}]}
    policy = told["BlueGreenUpdatePolicy"]
    assert policy["TrafficRoutingConfiguration"] == {
        "Type": "CANARY",
        "WaitIntervalInSeconds": 300,
        "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 20},
    }
    assert policy["MaximumExecutionTimeoutInSeconds"] == 600
    with pytest.raises(InputError, match="no alarm other"):
        target(alarms=["sm-errors", "other"]).plan(build(tmp_path))


def test_the_updates_are_what_boto3_takes(world, target, fleets, tmp_path):
    """moto has no UpdateEndpoint; whether requests are well formed, botocore's model says."""
    deploy(target(), build(tmp_path))
    for shift in ("all", "canary", "linear"):
        deploy(target(shift=shift, replicas=2, env={"A": shift}), build(tmp_path))
    client = world.client("sagemaker")
    model = client.meta.service_model.operation_model("UpdateEndpoint").input_shape
    assert len(fleets.updates) == 3
    for update in fleets.updates:
        assert not ParamValidator().validate(update, model).has_errors()


def test_an_alarm_that_rings_takes_it_back(target, fleets, config, world, tmp_path):
    deploy(target(), build(tmp_path))
    fleets.bad = {2}
    logs = world.client("logs")
    where = {
        "logGroupName": f"/aws/sagemaker/Endpoints/{config['service']}",
        "logStreamName": "live/i-1",
    }
    logs.create_log_group(logGroupName=where["logGroupName"])
    logs.create_log_stream(**where)
    event = {"timestamp": int(world.time * 1000), "message": "signature.json is damaged"}
    logs.put_log_events(**where, logEvents=[event])
    with pytest.raises(OutsideError, match="went back to the version before") as caught:
        deploy(target(), build(tmp_path, "1.3.0", b"other"))
    assert caught.value.hint == "signature.json is damaged"
    assert live(target()) == "1.2.0"
    assert [(h.verb, h.release) for h in target().history()] == [("deploy", 1), ("failed", 2)]
    fleets.bad = set()
    deploy(target(), build(tmp_path, "1.3.0", b"other"))
    assert live(target()) == "1.3.0"
    assert target().status().releases[0].release == 2, "what was made is taken again"


def test_a_first_one_that_fails_is_made_anew(target, fleets, tmp_path):
    fleets.bad = {1}
    with pytest.raises(OutsideError, match="ping health check"):
        deploy(target(), build(tmp_path))
    status = target().status()
    assert not status.well
    assert [r.state for r in status.releases] == ["failed"]
    with pytest.raises(InputError, match="nothing is deployed"):
        target().rollback(None, Remembering())
    deploy(target(), build(tmp_path, "1.2.1", b"repaired"))
    assert live(target()) == "1.2.1"


def test_one_that_takes_too_long_is_waited_for_again(target, fleets, tmp_path):
    deploy(target(), build(tmp_path))
    fleets.slow = 30
    second = build(tmp_path, "1.3.0", b"other")
    with pytest.raises(OutsideError, match="not done after 120 seconds") as caught:
        deploy(target(), second)
    assert "again" in caught.value.hint
    found = target().status()
    assert [(r.version, r.state) for r in found.releases] == [
        ("1.2.0", "live"),
        ("1.3.0", "canary"),
    ]
    with pytest.raises(CheckFailedError, match="somebody else deploys"):
        deploy(target(), build(tmp_path, "1.4.0", b"third"))
    with pytest.raises(CheckFailedError, match="somebody else deploys"):
        target().rollback(None, Remembering())
    deploy(target(ready_seconds=1000), second)
    assert live(target()) == "1.3.0"
    assert len(fleets.updates) == 1


@pytest.mark.parametrize("operation", ["create_model", "create_endpoint_config"])
def test_two_deploys_that_take_the_same_number(target, world, tmp_path, operation):
    deploy(target(), build(tmp_path))
    said = "Cannot create already existing model"
    with (
        world.refusing("sagemaker", operation, "ValidationException", said),
        pytest.raises(CheckFailedError, match="somebody else deploys"),
    ):
        deploy(target(), build(tmp_path, "1.3.0", b"other"))
    deploy(target(), build(tmp_path, "1.3.0", b"other"))
    assert live(target()) == "1.3.0"


def test_two_deploys_at_once(target, world, fleets, tmp_path):
    deploy(target(), build(tmp_path))
    others = build(tmp_path, "1.4.0", b"third")

    def meanwhile(request, real):
        world.scripts["sagemaker", "update_endpoint"] = fleets.update_endpoint
        deploy(target(), others)
        return fleets.update_endpoint(request, real)

    world.scripts["sagemaker", "update_endpoint"] = meanwhile
    deploy(target(), build(tmp_path, "1.3.0", b"other"))
    assert [(h.verb, h.version) for h in target().history()] == [
        ("deploy", "1.2.0"),
        ("deploy", "1.4.0"),
        ("deploy", "1.3.0"),
    ]


def test_what_is_too_old_goes(target, world, config, tmp_path):
    for number in range(5):
        deploy(target(keep=2), build(tmp_path, f"1.{number}.0", b"%d" % number))
    client = world.client("sagemaker")
    name = config["service"]
    configs = client.list_endpoint_configs(NameContains=name)["EndpointConfigs"]
    expected = {f"{name}-{number}" for number in (3, 4, 5)}
    assert {each["EndpointConfigName"] for each in configs} == expected
    assert models_of(world, name) == expected
    with pytest.raises(InputError, match="no release 1"):
        target().rollback(1, Remembering())


def test_the_order_of_writes(target, world, tmp_path):
    deploy(target(), build(tmp_path))
    assert world.writes == [
        *("create_repository", "create_model", "create_endpoint_config", "create_endpoint"),
        "add_tags",
    ]
    world.calls.clear()
    deploy(target(), build(tmp_path, "1.3.0", b"other"))
    assert world.writes == ["create_model", "create_endpoint_config", "update_endpoint", "add_tags"]


def test_a_permission_that_is_missing_is_named(target, world, tmp_path):
    message = denied("sagemaker:CreateModel", "arn:x")
    with (
        world.refusing("sagemaker", "create_model", "AccessDeniedException", message),
        pytest.raises(OutsideError, match="sagemaker:CreateModel on arn:x is missing") as caught,
    ):
        deploy(target(), build(tmp_path))
    assert "--plan --iam" in caught.value.hint
    with (
        world.refusing("sagemaker", "create_endpoint_config", "ThrottlingException"),
        pytest.raises(OutsideError, match="slow down"),
    ):
        deploy(target(), build(tmp_path))
    deploy(target(), build(tmp_path))
    assert live(target()) == "1.2.0"


def test_logs_of_what_answers(target, world, config, tmp_path):
    with pytest.raises(InputError, match="nothing is deployed"):
        target().logs(1, follow=False)
    deploy(target(), build(tmp_path))
    assert list(target().logs(5, follow=False)) == []
    client = world.client("logs")
    group = f"/aws/sagemaker/Endpoints/{config['service']}"
    client.create_log_group(logGroupName=group)
    client.create_log_stream(logGroupName=group, logStreamName="live/i-12345678")
    now = int(world.time * 1000)
    events = [{"timestamp": now + i, "message": f"line {i}\n"} for i in range(3)]
    client.put_log_events(logGroupName=group, logStreamName="live/i-12345678", logEvents=events)
    assert list(target().logs(2, follow=False)) == ["i-123456 line 1", "i-123456 line 2"]


def test_removed(target, world, config, tmp_path):
    deploy(target(), build(tmp_path))
    deploy(target(), build(tmp_path, "1.3.0", b"other"))
    target().remove(Remembering())
    assert target().status().releases == ()
    assert models_of(world, config["service"]) == set()
    target().remove(Remembering())
    deploy(target(), build(tmp_path))
    assert live(target()) == "1.2.0"


def test_the_policy_is_what_is_called_and_no_more(target, world, tmp_path):
    alarm(world, "sm-policy")
    more = {"alarms": ["sm-policy"], "keep": 1}
    made = target(**more)
    deploy(made, build(tmp_path))
    deploy(target(**more), build(tmp_path, "1.3.0", b"other"))
    deploy(target(**more), build(tmp_path, "1.4.0", b"third"))
    target(**more).rollback(None, Remembering())
    target().history()
    world.scripts["logs", "describe_log_streams"] = lambda request, real: {
        "logStreams": [{"logStreamName": "live/i-1"}]
    }
    world.scripts["logs", "get_log_events"] = lambda request, real: {
        "events": [],
        "nextForwardToken": "f",
    }
    list(target().logs(1, follow=False))
    target().endpoints.image(1)  # as fetching does
    target().remove(Remembering())
    assert allowed(made.policy()) == needed(world) | PUSHING | {
        "iam:PassRole",
        "sagemaker:DeleteTags",  # from the thirty-first event on
    }


def test_the_policy_names_what_is_meant(config):
    made = make({**config, "region": REGION, "service": "Churn"}, {})
    text = json.dumps(made.policy())
    assert f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:endpoint/churn" in text
    wide = {s["Sid"] for s in made.policy()["Statement"] if s["Resource"] == ["*"]}
    assert wide == {"LogInToEcr", "List"}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"mode": "async"}, "mode"),
        ({"mode": "serverless", "instance": "ml.m5.large"}, "has no instance"),
        ({"mode": "serverless", "alarms": ["a"]}, "has no alarms"),
        ({"memory": "2g"}, "has no memory"),
        ({"mode": "serverless", "memory": "7g"}, "memory"),
        ({"mode": "serverless", "concurrency": 201}, "concurrency"),
        ({"instance": "m5.large"}, "instance"),
        ({"shift": "canary"}, "replicas"),
        ({"shift": "half"}, "shift"),
        ({"shift_percent": 51}, "shift_percent"),
        ({"subnets": ["subnet-0123456789abcdef0"]}, "belong together"),
        ({"alarms": "a"}, "alarms"),
        ({"role": "x"}, "role"),
        ({"service": "a_b"}, "service"),
        ({"service": "a" * 51}, "service"),
        ({"isolated": "yes"}, "isolated"),
        ({"instanc": "ml.m5.large"}, "instanc"),
    ],
)
def test_wrong_configuration(config, more, said):
    with pytest.raises(InputError, match=said):
        make({**config, "region": REGION, **more}, {})
