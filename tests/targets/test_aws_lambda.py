"""A function rolled out against moto; what moto lacks is scripted."""

from __future__ import annotations

import io
import json
from itertools import islice

import pytest
from aws_world import (
    ACCOUNT,
    PUSHING,
    REGION,
    ROLE,
    allowed,
    build,
    denied,
    deploy,
    given,
    invoked,
    live,
    needed,
    refused,
)
from bundling import Remembering

from mlpack.errors import CheckFailedError, InputError, OutsideError
from mlpack.targets.aws_lambda import make


@pytest.fixture
def config():
    return given("aws-lambda", ready_seconds=20)


@pytest.fixture
def world(world):
    world.scripts["lambda", "invoke"] = invoked()
    return world


def canary(target, built, share):
    return target.canary(built, share, Remembering())


def test_a_plan_changes_nothing(target, world, tmp_path):
    actions = target().plan(build(tmp_path))
    assert [action.verb for action in actions] == ["create", "push", "create", "publish", "move"]
    assert world.writes == []
    assert target().status().releases == ()
    assert not target().status().well


def test_the_first_one(target, world, config, tmp_path):
    built = build(tmp_path)
    found = deploy(target(env={"MLPACK_MAX_ROWS": "10"}, memory="2g"), built)
    digest = built.artifacts["image"].digest
    assert found.digest == digest
    assert found.reference.startswith("https://")
    made = world.client("lambda").get_function(FunctionName=config["service"], Qualifier="1")
    assert made["Code"]["ImageUri"] == (
        f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{config['repository']}@{digest}"
    )
    told = made["Configuration"]
    assert (told["PackageType"], told["MemorySize"], told["Timeout"]) == ("Image", 2048, 30)
    assert told["Environment"]["Variables"] == {"MLPACK_MAX_ROWS": "10"}
    assert told["Architectures"] == ["x86_64"]
    status = target().status()
    assert status.well
    assert [(r.release, r.version, r.digest, r.state, r.share) for r in status.releases] == [
        (1, "1.2.0", digest, "live", 100)
    ]
    assert status.reference == found.reference
    event = json.loads(world.asked("invoke")[0]["Payload"])
    assert event["requestContext"]["http"]["path"] == "/readyz"


def test_the_next_one_and_the_way_back_and_forth(target, world, tmp_path):
    deploy(target(), build(tmp_path))
    deploy(target(), build(tmp_path, "1.3.0", b"other"), why="the gate said no")
    assert live(target()) == "1.3.0"
    assert target().rollback(None, Remembering()).releases[0].version == "1.2.0"
    assert target().rollback(None, Remembering()).releases[0].version == "1.3.0"
    assert target().rollback(1, Remembering()).releases[0].version == "1.2.0"
    history = target().history()
    assert [(h.verb, h.release, h.version, h.state) for h in history] == [
        ("deploy", 1, "1.2.0", "live"),
        ("deploy", 2, "1.3.0", "kept"),
        ("rollback", 1, "1.2.0", "live"),
        ("rollback", 2, "1.3.0", "kept"),
        ("rollback", 1, "1.2.0", "live"),
    ]
    assert history[1].why == "the gate said no"
    assert history[1].by
    assert [each.at for each in history] == sorted(each.at for each in history)


def test_other_settings_are_another_version_of_the_same_image(target, tmp_path):
    deploy(target(), build(tmp_path))
    deploy(target(timeout_seconds=60), build(tmp_path))
    assert [r.release for r in target().status().releases] == [2, 1]
    again = target().plan(build(tmp_path))
    assert [a.verb for a in again if a.needed] == ["move"], "version 1 is as good as new"


def test_an_image_for_several_platforms(target, world, config, tmp_path):
    built = build(tmp_path, architectures=("amd64", "arm64"))
    deploy(target(platform="linux/arm64"), built)
    made = world.client("lambda").get_function(FunctionName=config["service"], Qualifier="1")
    assert made["Configuration"]["Architectures"] == ["arm64"]
    assert built.artifacts["image"].digest not in made["Code"]["ImageUri"], "an index is not taken"


def test_a_canary_that_is_promoted(target, tmp_path):
    deploy(target(), build(tmp_path))
    plan = target().plan(build(tmp_path, "1.3.0", b"other"), 10)
    assert plan[-1].what == "10% of the requests"
    canary(target(), build(tmp_path, "1.3.0", b"other"), 10)
    found = target().status()
    assert [(r.version, r.state, r.share) for r in found.releases] == [
        ("1.2.0", "live", 90),
        ("1.3.0", "canary", 10),
    ]
    with pytest.raises(CheckFailedError, match="release 2 is a canary"):
        deploy(target(), build(tmp_path, "1.4.0", b"third"))
    assert target().promote(Remembering()).releases[0].version == "1.3.0"
    history = target().history()
    assert [h.verb for h in history] == ["deploy", "canary", "promote"]
    assert history[1].why == "10 percent"  # a tag's value takes no %
    with pytest.raises(InputError, match="no canary"):
        target().promote(Remembering())


def test_a_canary_that_is_ended(target, tmp_path):
    deploy(target(), build(tmp_path))
    canary(target(), build(tmp_path, "1.3.0", b"other"), 10)
    target().rollback(None, Remembering())
    assert live(target()) == "1.2.0"
    assert [r.state for r in target().status().releases] == ["live", "kept"]
    with pytest.raises(InputError, match="nothing answered before release 1"):
        target().rollback(None, Remembering())


def test_a_version_that_is_not_ready_gets_no_request(target, world, tmp_path):
    deploy(target(), build(tmp_path))
    world.scripts["lambda", "invoke"] = lambda request, real: {
        "StatusCode": 200,
        "FunctionError": "Unhandled",
        "Payload": io.BytesIO(b'{"errorMessage": "signature.json is damaged"}'),
        "LogResult": "bGFzdCB3b3Jkcw==",
    }
    with pytest.raises(OutsideError, match=r"signature\.json is damaged") as caught:
        deploy(target(), build(tmp_path, "1.3.0", b"other"))
    assert caught.value.hint == "last words"
    assert live(target()) == "1.2.0"
    assert [(h.verb, h.release, h.state) for h in target().history()] == [
        ("deploy", 1, "live"),
        ("failed", 2, "failed"),
    ]
    world.scripts["lambda", "invoke"] = invoked(503)
    with pytest.raises(OutsideError, match="/readyz answered 503"):
        deploy(target(), build(tmp_path, "1.3.0", b"other"))
    world.scripts["lambda", "invoke"] = invoked()
    deploy(target(), build(tmp_path, "1.3.0", b"other"))
    assert live(target()) == "1.3.0"


def test_a_version_that_sleeps_is_woken(target, world, tmp_path):
    left = [refused("CodeArtifactUserPendingException"), refused("ResourceConflictException")]

    def waking(request, real):
        if left:
            raise left.pop()
        return invoked()(request, real)

    world.scripts["lambda", "invoke"] = waking
    deploy(target(), build(tmp_path))
    assert live(target()) == "1.2.0"
    assert len(world.waited) == 2


def test_an_update_is_waited_for(target, world, tmp_path):
    states = iter(["Pending", "Pending"])

    def slow(request, real):
        return {**real(**request), "State": next(states, "Active")}

    world.scripts["lambda", "get_function_configuration"] = slow
    deploy(target(), build(tmp_path))
    assert len(world.waited) == 2


def test_an_image_that_lambda_does_not_take(target, world, tmp_path):
    deploy(target(), build(tmp_path))
    world.scripts["lambda", "get_function_configuration"] = lambda request, real: {
        **real(**request),
        "LastUpdateStatus": "Failed",
        "LastUpdateStatusReason": "The image manifest is not supported",
    }
    with pytest.raises(OutsideError, match="image manifest is not supported"):
        deploy(target(), build(tmp_path, "1.3.0", b"other"))
    del world.scripts["lambda", "get_function_configuration"]
    assert live(target()) == "1.2.0"


def test_an_update_that_never_ends(target, world, tmp_path):
    world.scripts["lambda", "get_function_configuration"] = lambda request, real: {
        **real(**request),
        "LastUpdateStatus": "InProgress",
    }
    with pytest.raises(OutsideError, match="not done after 20 seconds") as caught:
        deploy(target(), build(tmp_path))
    assert "again" in caught.value.hint


@pytest.mark.parametrize(
    "operation",
    ["update_function_code", "update_function_configuration", "publish_version", "update_alias"],
)
@pytest.mark.parametrize("code", ["PreconditionFailedException", "ResourceConflictException"])
def test_two_deploys_at_once(target, world, tmp_path, operation, code):
    deploy(target(), build(tmp_path))
    with world.refusing("lambda", operation, code, times=9):
        with pytest.raises(CheckFailedError, match="somebody else deploys"):
            deploy(target(timeout_seconds=60), build(tmp_path, "1.3.0", b"other"))
        assert live(target()) == "1.2.0"


def test_the_revision_that_was_read_is_named(target, world, tmp_path):
    """moto compares none, so that they are sent is all that can be seen."""
    deploy(target(), build(tmp_path))

    def known(request, real):
        return {**real(**request), "RevisionId": "r-1"}

    world.scripts["lambda", "get_function_configuration"] = known
    deploy(target(timeout_seconds=60), build(tmp_path, "1.3.0", b"other"))
    for operation in ("update_function_code", "update_function_configuration", "publish_version"):
        assert world.asked(operation)[-1]["RevisionId"] == "r-1"
    assert world.asked("update_alias")[-1]["RevisionId"]


def test_who_may_call(target, world, config, tmp_path):
    client = world.client("lambda")
    deploy(target(), build(tmp_path))
    where = {"FunctionName": config["service"]}
    assert client.get_function_url_config(**where)["AuthType"] == "AWS_IAM"
    assert [a.verb for a in target(url="public").plan(build(tmp_path)) if a.needed] == ["open"]
    deploy(target(url="public"), build(tmp_path))
    assert client.get_function_url_config(**where)["AuthType"] == "NONE"
    granted = [(r["Action"], r["Principal"]) for r in world.asked("add_permission")]
    assert granted == [("lambda:InvokeFunctionUrl", "*"), ("lambda:InvokeFunction", "*")]
    assert world.asked("add_permission")[1]["InvokedViaFunctionUrl"] is True
    deploy(target(url="none"), build(tmp_path))
    assert target().status().reference.endswith(":live")
    assert world.asked("create_function_url_config")[0]["Qualifier"] == "live"


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (
            denied("iam:PassRole", ROLE),
            rf"the permission iam:PassRole on {ROLE} is missing",
        ),
        ("", "the permission lambda:CreateFunction is missing"),
    ],
)
def test_a_permission_that_is_missing_is_named(target, world, tmp_path, message, said):
    with world.refusing("lambda", "create_function", "AccessDeniedException", message):
        with pytest.raises(OutsideError, match=said) as caught:
            deploy(target(), build(tmp_path))
        assert "--plan --iam" in caught.value.hint
    deploy(target(), build(tmp_path))
    assert live(target()) == "1.2.0"


def test_aws_that_asks_to_slow_down(target, world, tmp_path):
    with world.refusing("lambda", "publish_version", "TooManyRequestsException"):
        with pytest.raises(OutsideError, match="slow down") as caught:
            deploy(target(), build(tmp_path))
        assert "again" in caught.value.hint
    deploy(target(), build(tmp_path))
    assert live(target()) == "1.2.0"


def test_no_repository_and_nobody_asked_for_one(target, world, tmp_path):
    with pytest.raises(InputError, match="no repository") as caught:
        target(create_repository=False).plan(build(tmp_path))
    assert caught.value.hint == "create_repository = true"


def test_logs_of_what_answers(target, world, config, tmp_path):
    with pytest.raises(InputError, match="nothing is deployed"):
        target().logs(10, follow=False)
    deploy(target(), build(tmp_path))
    client = world.client("logs")
    group = f"/aws/lambda/{config['service']}"
    assert list(target().logs(10, follow=False)) == []
    client.create_log_group(logGroupName=group)
    now = 1_795_000_000_000
    for stream in ("2026/11/23/[1]abcdef0123", "2026/11/23/[7]ffffff"):
        client.create_log_stream(logGroupName=group, logStreamName=stream)
        events = [{"timestamp": now + i, "message": f"line {i}\n"} for i in range(3)]
        client.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)
    assert list(target().logs(2, follow=False)) == ["abcdef01 line 1", "abcdef01 line 2"]
    following = target().logs(1, follow=True)
    assert next(following) == "abcdef01 line 2"
    client.put_log_events(
        logGroupName=group,
        logStreamName="2026/11/23/[1]abcdef0123",
        logEvents=[{"timestamp": now + 9, "message": "later"}],
    )
    assert list(islice(following, 1)) == ["abcdef01 later"]


def test_removed(target, world, config, tmp_path):
    deploy(target(), build(tmp_path))
    target().remove(Remembering())
    assert target().status().releases == ()
    assert target().history() == []
    target().remove(Remembering())
    deploy(target(), build(tmp_path))
    assert target().status().well


def test_the_order_of_writes(target, world, tmp_path):
    deploy(target(), build(tmp_path))
    assert world.writes == [
        *("create_repository", "create_function", "publish_version", "create_alias"),
        *("tag_resource", "create_function_url_config"),
    ]
    world.calls.clear()
    deploy(target(timeout_seconds=60), build(tmp_path, "1.3.0", b"other"))
    assert world.writes == [
        *("update_function_code", "update_function_configuration", "publish_version"),
        *("update_alias", "tag_resource"),
    ]


def test_the_policy_is_what_is_called_and_no_more(target, world, tmp_path):
    made = target(url="public")
    deploy(made, build(tmp_path))
    canary(target(timeout_seconds=9), build(tmp_path, "1.3.0", b"other"), 5)
    target().promote(Remembering())
    target().rollback(None, Remembering())
    target().history()
    world.scripts["logs", "describe_log_streams"] = lambda request, real: {
        "logStreams": [{"logStreamName": "x/[1]a"}]
    }
    world.scripts["logs", "get_log_events"] = lambda request, real: {
        "events": [],
        "nextForwardToken": "f",
    }
    list(target().logs(1, follow=False))
    deploy(target(url="none"), build(tmp_path))
    target().remove(Remembering())
    by_itself = {"ecr:GetRepositoryPolicy", "ecr:SetRepositoryPolicy", "iam:PassRole"}
    # It shows a function's tags to those alone who may list them.
    by_itself |= {"lambda:ListTags"}
    tagged = {"lambda:UntagResource"}  # from the thirty-first event on
    assert allowed(made.policy()) == needed(world) | PUSHING | by_itself | tagged


def test_the_policy_names_what_is_meant(config):
    made = make({**config, "region": REGION, "service": "churn"}, {})
    text = json.dumps(made.policy())
    assert f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:churn" in text
    assert [s["Sid"] for s in made.policy()["Statement"] if s["Resource"] == ["*"]] == [
        "LogInToEcr"
    ]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"role": "churn"}, "role"),
        ({"memory": "64m"}, "memory"),
        ({"memory": "11g"}, "memory"),
        ({"memory": "1000k"}, "memory"),
        ({"timeout_seconds": 901}, "timeout_seconds"),
        ({"url": "open"}, "url"),
        ({"service": "a b"}, "service"),
        ({"repository": "UPPER"}, "repository"),
        ({"repository": "team/churn:1"}, "repository"),
        ({"env": {"AWS_REGION": "x"}}, "AWS_REGION"),
        ({"platform": "windows/amd64"}, "platform"),
        ({"region": "eu west"}, "region"),
        ({"endpoint": "ftp://x"}, "endpoint"),
        ({"memry": "1g"}, "memry"),
    ],
)
def test_wrong_configuration(config, more, said):
    with pytest.raises(InputError, match=said):
        make({**config, "region": REGION, **more}, {})


def test_no_region(config, monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InputError, match="names a region"):
        make(config, {})
