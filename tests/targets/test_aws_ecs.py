"""A service rolled out against moto; that tasks run, or do not, is scripted: moto starts none."""

from __future__ import annotations

import json
from itertools import islice

import pytest
from aws_services import STOPPED, Fargate
from aws_world import (
    ACCOUNT,
    PUSHING,
    REGION,
    ROLE,
    KilledError,
    World,
    allowed,
    build,
    denied,
    deploy,
    given,
    live,
    make_network,
    needed,
)
from bundling import Remembering

from mlpack.errors import CheckFailedError, InputError, OutsideError
from mlpack.targets.aws_ecs import make


@pytest.fixture(scope="module")
def network(endpoint):
    """A network in moto, and target groups in it."""
    return make_network(World(endpoint), "ecs", "ip", "instance")


@pytest.fixture
def fargate(world):
    made = Fargate(world)
    made.install()
    return made


@pytest.fixture
def config(network):
    more, targets = network
    return given("aws-ecs", target_group=targets["ip"], **more)


@pytest.fixture
def target(target, fargate):
    return target


SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:churn-AbCdEf:keys::"


def check_elsewhere(target, world):
    """Let the target group ask for what a deploy has to change."""
    arn = target().task.target_group
    world.client("elbv2").modify_target_group(TargetGroupArn=arn, HealthCheckPath="/other")


def test_a_plan_changes_nothing(target, world, tmp_path):
    actions = target().plan(build(tmp_path))
    assert [action.verb for action in actions] == [
        "create", "push", "define", "check", "create", "start", "move",
    ]  # fmt: skip
    assert world.writes == []
    assert target().status().releases == ()


def test_the_first_one(target, world, config, tmp_path):
    built = build(tmp_path)
    made = target(env={"MLPACK_MAX_ROWS": "10"}, secret_arns={"MLPACK_API_KEYS": SECRET}, cpus=1)
    found = deploy(made, built)
    digest = built.artifacts["image"].digest
    assert (found.digest, found.reference) == (digest, f"default/{config['service']}")
    client = world.client("ecs")
    told = client.describe_task_definition(taskDefinition=config["service"])["taskDefinition"]
    assert (told["cpu"], told["memory"], told["networkMode"]) == ("1024", "3072", "awsvpc")
    assert told["requiresCompatibilities"] == ["FARGATE"]
    assert told["runtimePlatform"]["cpuArchitecture"] == "X86_64"
    [container] = told["containerDefinitions"]
    assert container["image"].endswith(f"{config['repository']}@{digest}")
    assert container["readonlyRootFilesystem"] is True
    assert container["user"] == "65532:65532"
    assert container["linuxParameters"]["capabilities"] == {"drop": ["ALL"]}
    assert container["environment"] == [{"name": "MLPACK_MAX_ROWS", "value": "10"}]
    assert container["secrets"] == [{"name": "MLPACK_API_KEYS", "valueFrom": SECRET}]
    assert container["healthCheck"]["command"][-1] == "health"
    assert container["logConfiguration"]["options"]["awslogs-group"] == f"/ecs/{config['service']}"
    [service] = client.describe_services(services=[config["service"]])["services"]
    assert (service["launchType"], service["desiredCount"]) == ("FARGATE", 2)
    assert service["loadBalancers"][0]["targetGroupArn"] == config["target_group"]
    assert service["loadBalancers"][0]["containerPort"] == 8080
    rolling = world.asked("create_service")[0]["deploymentConfiguration"]
    assert rolling["deploymentCircuitBreaker"] == {"enable": True, "rollback": True}
    assert (rolling["minimumHealthyPercent"], rolling["maximumPercent"]) == (100, 200)
    [group] = world.client("elbv2").describe_target_groups(
        TargetGroupArns=[config["target_group"]]
    )["TargetGroups"]
    assert (group["HealthCheckPath"], group["HealthCheckProtocol"]) == ("/readyz", "HTTP")
    status = target().status()
    assert status.well
    assert [(r.release, r.version, r.state, r.share, r.running) for r in status.releases] == [
        (1, "1.2.0", "live", 100, 2)
    ]


def test_the_next_one_and_the_way_back(target, world, config, tmp_path):
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


def test_a_number_of_tasks_that_something_else_chose_is_left(target, world, config, tmp_path):
    deploy(target(), build(tmp_path))
    world.client("ecs").update_service(service=config["service"], desiredCount=7)
    deploy(target(), build(tmp_path, "1.3.0", b"other"))
    assert target().status().releases[0].replicas == 7
    deploy(target(replicas=3), build(tmp_path, "1.3.0", b"other"))
    assert target().status().releases[0].replicas == 3


def test_a_version_that_never_becomes_ready(target, world, fargate, config, tmp_path):
    deploy(target(), build(tmp_path))
    fargate.bad = {2}
    client = world.client("logs")
    where = {"logGroupName": f"/ecs/{config['service']}"}
    where["logStreamName"] = "model/model/stopped"
    client.create_log_stream(**where)
    client.put_log_events(
        **where,
        logEvents=[{"timestamp": 1_795_000_000_000, "message": "signature.json is damaged"}],
    )
    with pytest.raises(OutsideError, match="went back to the version before") as caught:
        deploy(target(), build(tmp_path, "1.3.0", b"other"))
    lines = caught.value.hint.splitlines()
    assert lines[0] == f"{STOPPED}; exit code 3; OutOfMemoryError"
    assert "deployment failed" in lines[1]
    assert lines[-1] == "signature.json is damaged"
    assert live(target()) == "1.2.0"
    assert target().status().well
    assert [(h.verb, h.release) for h in target().history()] == [("deploy", 1), ("failed", 2)]
    fargate.bad = set()
    deploy(target(), build(tmp_path, "1.3.0", b"other"))
    assert live(target()) == "1.3.0"


def test_one_that_takes_too_long_is_taken_back(target, world, fargate, config, tmp_path):
    deploy(target(), build(tmp_path))
    fargate.bad, fargate.breaks = {2}, False
    with pytest.raises(OutsideError, match="does not run after 120 seconds"):
        deploy(target(), build(tmp_path, "1.3.0", b"other"))
    assert world.asked("update_service")[-1]["taskDefinition"] == f"{config['service']}:1"
    target().status()
    assert live(target()) == "1.2.0"


def test_a_first_one_that_never_becomes_ready_does_not_go_on_trying(target, fargate, tmp_path):
    fargate.bad = {1}
    with pytest.raises(OutsideError, match="tasks failed to start"):
        deploy(target(), build(tmp_path))
    status = target().status()
    assert not status.well
    assert [(r.state, r.replicas) for r in status.releases] == [("failed", 0)]
    assert [h.verb for h in target().history()] == ["failed"]
    fargate.bad = set()
    deploy(target(), build(tmp_path))
    assert live(target()) == "1.2.0"
    assert target().status().releases[0].replicas == 2


def test_one_that_answers_already_goes_on_where_it_cannot_be_rolled_out_again(
    target, world, fargate, tmp_path
):
    """Somebody was broken off on the way back, and the next one wants what still answers."""
    second = build(tmp_path, "1.3.0", b"other")
    deploy(target(), build(tmp_path))
    deploy(target(), second)

    def killed(request, real):
        real(**request)
        world.broken = (len(world.calls), "after")

    fargate.slow = 1000
    update = world.scripts["ecs", "update_service"]
    world.scripts["ecs", "update_service"] = lambda request, real: killed(
        request, lambda **given: update(given, real)
    )
    with pytest.raises(KilledError):
        target().rollback(None, Remembering())
    world.scripts["ecs", "update_service"], world.broken = update, None
    assert target().status().releases[0].version == "1.3.0"
    world.time += 1000
    with pytest.raises(OutsideError, match="does not run after"):
        deploy(target(), second)
    found = target().status().releases[0]
    assert (found.version, found.state, found.replicas) == ("1.3.0", "live", 2)


def test_a_service_that_was_put_to_sleep_sleeps_on(target, world, fargate, config, tmp_path):
    deploy(target(), build(tmp_path))
    world.client("ecs").update_service(service=config["service"], desiredCount=0)
    fargate.bad, fargate.breaks = {2}, False
    with pytest.raises(OutsideError, match="does not run after"):
        deploy(target(), build(tmp_path, "1.3.0", b"other"))
    told = world.asked("update_service")[-1]
    assert told["taskDefinition"].endswith(":1")
    assert told["desiredCount"] == 0


def test_while_it_rolls_both_are_shown(target, fargate, tmp_path):
    deploy(target(), build(tmp_path))
    fargate.slow = 1000
    with pytest.raises(OutsideError):
        deploy(target(ready_seconds=1), build(tmp_path, "1.3.0", b"other"))
    fargate._begin(target().task.service, "x:2")
    found = target().status()
    assert [(r.version, r.state) for r in found.releases][:2] == [
        ("1.2.0", "live"),
        ("1.3.0", "canary"),
    ]


def test_two_deploys_at_once(target, world, tmp_path):
    first, second = build(tmp_path), build(tmp_path, "1.3.0", b"other")
    deploy(target(), first)
    met = []

    def meanwhile(request, real):
        del world.scripts["ecs", "register_task_definition"]
        with pytest.raises(CheckFailedError, match="deploys at this moment") as caught:
            deploy(target(), second)
        met.append(caught.value.hint)
        return real(**request)

    world.scripts["ecs", "register_task_definition"] = meanwhile
    deploy(target(), second)
    assert "7 minutes" in met[0]
    assert [h.release for h in target().history()] == [1, 2]
    world.calls.clear()
    deploy(target(cpus=1), second)
    assert len(world.asked("delete_log_stream")) == 1


def test_a_lock_that_was_forgotten_ends(target, world, config, tmp_path):
    deploy(target(), build(tmp_path))
    second = build(tmp_path, "1.3.0", b"other")

    def killed(request, real):
        world.broken = (len(world.calls), "before")
        raise KilledError

    world.scripts["ecs", "register_task_definition"] = killed
    with pytest.raises(KilledError):
        deploy(target(), second)
    del world.scripts["ecs", "register_task_definition"]
    world.broken = None
    with pytest.raises(CheckFailedError, match="deploys at this moment"):
        deploy(target(), second)
    world.time += 120 + 301
    deploy(target(), second)
    assert live(target()) == "1.3.0"
    left = world.client("logs").describe_log_streams(
        logGroupName=f"/ecs/{config['service']}", logStreamNamePrefix="mlpack/lock/"
    )
    assert left["logStreams"] == []


def test_the_order_of_writes(target, world, tmp_path):
    check_elsewhere(target, world)
    deploy(target(), build(tmp_path))
    assert world.writes == [
        *("create_repository", "create_log_group", "put_retention_policy", "modify_target_group"),
        *("create_log_stream", "put_log_events", "register_task_definition", "create_service"),
        *("tag_resource", "delete_log_stream"),
    ]
    world.calls.clear()
    deploy(target(), build(tmp_path, "1.3.0", b"other"))
    assert world.writes == [
        *("create_log_group", "create_log_stream", "put_log_events", "register_task_definition"),
        *("update_service", "tag_resource", "delete_log_stream"),
    ]


def test_a_target_group_is_looked_at_before_anything_is_done(target, world, network, tmp_path):
    with pytest.raises(InputError, match="of the type instance"):
        deploy(target(target_group=network[1]["instance"]), build(tmp_path))
    gone = network[1]["ip"][:-8] + "nobodys0"
    with pytest.raises(InputError, match="no such target group"):
        target(target_group=gone).plan(build(tmp_path))
    assert world.writes == []


def test_without_a_target_group(target, world, tmp_path):
    deploy(target(target_group=""), build(tmp_path))
    assert "loadBalancers" not in world.asked("create_service")[0]
    assert target().status().well


def test_no_cluster(target, tmp_path):
    with pytest.raises(InputError, match="no cluster other") as caught:
        target(cluster="other").plan(build(tmp_path))
    assert "create-cluster" in caught.value.hint


def test_a_permission_that_is_missing_is_named(target, world, tmp_path):
    message = denied("iam:PassRole", ROLE)
    with (
        world.refusing("ecs", "register_task_definition", "ClientException", message),
        pytest.raises(OutsideError, match=f"permission iam:PassRole on {ROLE} is missing"),
    ):
        deploy(target(), build(tmp_path))
    with (
        world.refusing("ecs", "create_service", "ThrottlingException"),
        pytest.raises(OutsideError, match="slow down"),
    ):
        deploy(target(), build(tmp_path))
    deploy(target(), build(tmp_path))
    assert [(h.verb, h.release) for h in target().history()] == [("deploy", 1)]


def test_logs_of_the_tasks_that_run(target, world, config, tmp_path):
    with pytest.raises(InputError, match="nothing is deployed"):
        target().logs(1, follow=False)
    deploy(target(), build(tmp_path))
    where = {"logGroupName": f"/ecs/{config['service']}", "logStreamName": "model/model/running"}
    client = world.client("logs")
    client.create_log_stream(**where)
    events = [{"timestamp": 1_795_000_000_000 + i, "message": f"line {i}"} for i in range(3)]
    client.put_log_events(**where, logEvents=events)
    assert list(target().logs(2, follow=False)) == ["running line 1", "running line 2"]
    following = target().logs(0, follow=True)
    later = [{"timestamp": 1_795_000_000_009, "message": "later"}]

    def put(request, real):
        del world.scripts["logs", "get_log_events"]
        answer = real(**request)
        client.put_log_events(**where, logEvents=later)
        return answer

    world.scripts["logs", "get_log_events"] = put
    assert list(islice(following, 1)) == ["running later"]


def test_removed(target, world, config, tmp_path):
    deploy(target(), build(tmp_path))
    deploy(target(), build(tmp_path, "1.3.0", b"other"))
    target().remove(Remembering())
    assert target().status().releases == ()
    active = world.client("ecs").list_task_definitions(familyPrefix=config["service"])
    assert active["taskDefinitionArns"] == []
    target().remove(Remembering())
    deploy(target(), build(tmp_path))
    assert live(target()) == "1.2.0"


def test_the_policy_is_what_is_called_and_no_more(target, world, fargate, tmp_path):
    made = target()
    check_elsewhere(target, world)
    deploy(made, build(tmp_path))
    fargate.bad = {2}
    with pytest.raises(OutsideError):
        deploy(target(), build(tmp_path, "1.3.0", b"other"))
    fargate.bad = set()
    deploy(target(), build(tmp_path, "1.3.0", b"other"))
    target().rollback(None, Remembering())
    target().history()
    list(target().logs(1, follow=False))
    target().remove(Remembering())
    assert allowed(made.policy()) == needed(world) | PUSHING | {
        "iam:PassRole",
        "ecs:UntagResource",  # from the thirty-first event on
    }


def test_the_policy_names_what_is_meant(config):
    made = make({**config, "region": REGION, "service": "churn", "cluster": "main"}, {})
    text = json.dumps(made.policy())
    assert f"arn:aws:ecs:{REGION}:{ACCOUNT}:service/main/churn" in text
    wide = {s["Sid"] for s in made.policy()["Statement"] if s["Resource"] == ["*"]}
    assert wide == {"LogInToEcr", "LookAtDefinitions", "LookAtTasks", "LookAtTargetGroup"}


def test_the_roles_are_passed_in_one_statement(config):
    """IAM takes each Sid once."""
    roles = [f"{ROLE}-own", ROLE]
    made = make({**config, "region": REGION, "task_role": roles[0]}, {})
    statements = made.policy()["Statement"]
    sids = [each["Sid"] for each in statements]
    assert len(sids) == len(set(sids))
    [passing] = [each for each in statements if each["Action"] == ["iam:PassRole"]]
    assert passing["Resource"] == sorted(roles)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"cpus": 0.3}, "no 0.3 CPUs"),
        ({"cpus": 1, "memory": "1g"}, "no 1024m with 1 CPUs"),
        ({"cpus": 0.25, "memory": "3g"}, "0.25 CPUs"),
        ({"memory": "1000k"}, "memory"),
        ({"subnets": []}, "subnets"),
        ({"subnets": ["net-1"]}, "subnets"),
        ({"subnets": "subnet-12345678"}, "subnets"),
        ({"security_groups": ["x"]}, "security_groups"),
        ({"target_group": "churn"}, "target_group"),
        ({"secret_arns": {"A": "hunter2"}}, "secret_arns"),
        ({"secret_arns": {"A": SECRET}, "env": {"A": "1"}}, "a variable and a secret"),
        ({"replicas": 0}, "replicas"),
        ({"log_days": 2}, "log_days"),
        ({"drain_seconds": 121}, "drain_seconds"),
        ({"role": "x"}, "role"),
        ({"task_role": "x"}, "task_role"),
        ({"cluster": "a b"}, "cluster"),
        ({"service": "a b"}, "service"),
        ({"replica": 2}, "replica"),
    ],
)
def test_wrong_configuration(config, more, said):
    with pytest.raises(InputError, match=said) as caught:
        make({**config, "region": REGION, **more}, {})
    assert "hunter2" not in str(caught.value)
