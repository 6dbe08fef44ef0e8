"""The objects: as the golden files have them, and valid for the releases of Kubernetes."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from mlpack.kubernetes import kserve, manifests, pods, written
from mlpack.kubernetes.policy import role
from mlpack.kubernetes.values import Autoscaling, Ingress, Release, Service

GOLDEN = Path(__file__).parent / "golden"
RELEASES = ("1.34", "1.35", "1.36", "1.37")
IMAGE = "registry.example/team/churn@sha256:" + "d" * 64
CUSTOM = {"InferenceService", "ServiceMonitor", "Kustomization"}
"""Kinds that a cluster has only where somebody installed them."""

LEAST = Service(name="churn-production", namespace="models")
MOST = replace(
    LEAST,
    autoscaling=Autoscaling(3, 10, 70),
    cpus=0.5,
    memory=512 << 20,
    env={
        "MLPACK_GRPC_PORT": "9000",
        "MLPACK_MAX_ROWS": "1000",
        "MLPACK_SAMPLE_FILE": "/tmp/samples.jsonl",
        "ODD": "{{ on }}: 1e3 # ☃",
    },
    secrets={"api_keys": "not-to-be-seen"},
    port=8080,
    ingress=Ingress("churn.example.org", "nginx", "churn-tls"),
    monitor=True,
    egress=True,
    pull_secret="registry",
    helm=True,
)
SERVICES = {
    "least": LEAST,
    "most": MOST,
    "kserve": replace(LEAST, mode="kserve", secrets={"api_keys": "x"}),
    "kserve-scaled": replace(LEAST, mode="kserve", autoscaling=Autoscaling(1, 5, 80)),
}


def objects(service, **options):
    return manifests.objects(service, IMAGE, "churn", "1.2.0", **options)


@pytest.fixture(params=sorted(SERVICES))
def rendered(request, tmp_path):
    service = SERVICES[request.param]
    made = objects(service, secret=f"{service.name}-secrets")
    files = written.write(service, made.all, "1.2.0", tmp_path)
    return request.param, {str(each): (tmp_path / each).read_text() for each in files}


def test_what_is_rendered_is_what_was_looked_at(rendered):
    """After a change that is meant: MLPACK_GOLDEN=write, and look at the difference."""
    name, files = rendered
    folder = GOLDEN / name
    if os.environ.get("MLPACK_GOLDEN") == "write":
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
    there = {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert files == there


@pytest.mark.parametrize("release", RELEASES)
def test_every_object_is_valid(rendered, release):
    _, files = rendered
    checked = []
    for path, text in files.items():
        document = yaml.safe_load(text) if not path.startswith("chart/") else {}
        if document and document["kind"] not in CUSTOM:
            kubernetes_validate.validate(document, release, strict=True)
            checked.append(document["kind"])
    assert "ServiceAccount" in checked


@pytest.mark.parametrize("release", RELEASES)
def test_what_is_applied_besides_is_valid(release):
    made = objects(MOST)
    kubernetes_validate.validate(made.secret, release, strict=True)
    kubernetes_validate.validate(role(MOST), release, strict=True)
    live = manifests.numbered(made.workload, 3, 4)
    kubernetes_validate.validate(live, release, strict=True)
    draft = Release(
        number=4, version="1", image=IMAGE, bundle="b", settings="s", replicas=3, at=0,
        workload=made.workload,
    )  # fmt: skip
    kubernetes_validate.validate(manifests.canary(draft, 1), release, strict=True)


def test_the_validation_is_one():
    broken = manifests.numbered(objects(LEAST).workload, 1)
    broken["spec"]["template"]["spec"]["containers"][0]["port"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, RELEASES[-1], strict=True)


def test_yaml_is_read_as_the_values_that_were_written(rendered, tmp_path):
    name, files = rendered
    service = SERVICES[name]
    made = {
        written.file_name(each): each
        for each in objects(service, secret=f"{service.name}-secrets").all
    }
    for path, document in made.items():
        assert yaml.safe_load(files[path]) == document
        # A reader of YAML 1.2 has other words for true, and 1e3 is a number there.
        for line in files[path].splitlines():
            value = line.partition(": ")[2].strip()
            assert value not in {"y", "n", "Y", "N"}
            assert not re.fullmatch(r"[\d.]+[eE]\d+|0o\d+|\d+:\d+", value)


def test_no_secret_is_in_a_file(rendered):
    _, files = rendered
    assert "not-to-be-seen" not in repr(files)
    assert "bm90LXRvLWJlLXNlZW4" not in repr(files)
    assert "secret.yaml" not in files


def helm(text: str, values: dict) -> str:
    """What Helm makes of the few expressions that a chart has."""

    def value(match):
        found = values
        for key in match[1].split("."):
            found = found[key]
        return json.dumps(found)

    text = re.sub(r"\{\{ toJson \.Values\.([\w.]+) \}\}", value, text)
    return text.replace('{{ "{{" }}', "{{")


def test_a_chart_with_its_own_values_is_the_same_objects(rendered):
    name, files = rendered
    if not SERVICES[name].helm:
        assert not any(path.startswith("chart/") for path in files)
        return
    values = yaml.safe_load(files["chart/values.yaml"])
    templates = {path for path in files if path.startswith("chart/templates/")}
    assert len(templates) == 8
    for path in templates:
        plain = yaml.safe_load(files[Path(path).name])
        del plain["metadata"]["namespace"]
        assert yaml.safe_load(helm(files[path], values)) == plain
        others = {**values, "image": "other/image", "minReplicas": 5}
        if path.endswith("/deployment.yaml"):
            assert "other/image" in helm(files[path], others)
    assert yaml.safe_load(files["chart/Chart.yaml"])["appVersion"] == "1.2.0"


def container(service):
    return objects(service).workload["spec"]["template"]["spec"]["containers"][0]


def test_a_pod_meets_the_restricted_standard():
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted"""
    pod = objects(MOST).workload["spec"]["template"]["spec"]
    context = pod["containers"][0]["securityContext"]
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert context["runAsNonRoot"] is True
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert context["runAsUser"] == 65532
    assert context["readOnlyRootFilesystem"] is True
    kinds = {key for volume in pod["volumes"] for key in volume if key != "name"}
    assert kinds <= {"emptyDir", "secret"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["fsGroup"] == 65532


@pytest.mark.parametrize(
    ("env", "grace"),
    [({}, 50), ({"MLPACK_DRAIN_SECONDS": "5", "MLPACK_LINGER_SECONDS": "3"}, 18)],
)
def test_a_pod_has_the_time_that_the_server_takes_to_end(env, grace):
    service = replace(LEAST, env=env)
    pod = objects(service).workload["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] == grace
    told = {each["name"]: each["value"] for each in container(service)["env"]}
    assert told["MLPACK_LINGER_SECONDS"] == env.get("MLPACK_LINGER_SECONDS", "10")


@pytest.mark.parametrize("mode", ["deployment", "kserve"])
@pytest.mark.parametrize(
    ("env", "limit"),
    [
        ({}, "1Gi"),
        ({"MLPACK_SAMPLE_MAX_BYTES": "9000000000"}, "1Gi"),
        ({"MLPACK_SAMPLE_FILE": "/tmp/s"}, "1120Mi"),
        ({"MLPACK_SAMPLE_FILE": "/tmp/s", "MLPACK_SAMPLE_MAX_BYTES": "3221225472"}, "4Gi"),
        ({"MLPACK_SAMPLE_FILE": "/tmp/s", "MLPACK_SAMPLE_MAX_BYTES": "many"}, "1120Mi"),
    ],
)
def test_samples_have_room_beside_what_the_server_writes_else(mode, env, limit):
    made = objects(replace(LEAST, mode=mode, env=env)).workload["spec"]
    pod = made["predictor"] if mode == "kserve" else made["template"]["spec"]
    (volume,) = pod["volumes"]
    assert volume == {"name": "tmp", "emptyDir": {"sizeLimit": limit}}
    (mount,) = pod["containers"][0]["volumeMounts"]
    assert mount == {"name": "tmp", "mountPath": "/tmp"}


def test_a_pod_has_so_long_until_it_is_ready():
    probe = container(replace(LEAST, ready_seconds=61))["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] >= 61
    assert objects(LEAST).workload["spec"]["progressDeadlineSeconds"] == 300


@pytest.mark.parametrize(
    ("size", "written_as"),
    [(1 << 30, "1Gi"), (1536 << 20, "1536Mi"), (100 << 10, "100Ki"), (1000, "1000")],
)
def test_memory_as_the_cluster_writes_it(size, written_as):
    assert pods.memory(size) == written_as


@pytest.mark.parametrize(
    ("number", "written_as"), [(1.0, "1"), (0.5, "500m"), (1.5, "1500m"), (0.0001, "1m")]
)
def test_cpus_as_the_cluster_writes_them(number, written_as):
    assert pods.cpus(number) == written_as


def test_a_secrets_name_tells_of_its_content_and_of_nothing_else():
    one = objects(MOST)
    again = objects(replace(MOST, replicas=7))
    other = objects(replace(MOST, secrets={"api_keys": "other"}))
    names = [each.secret["metadata"]["name"] for each in (one, again, other)]
    assert names[0] == names[1] != names[2]
    assert one.digest != other.digest
    assert objects(LEAST).secret is None


def test_versions_that_are_no_label_become_one():
    made = manifests.objects(LEAST, IMAGE, "churn", "1!1.2.0+local")
    assert made.workload["metadata"]["labels"]["app.kubernetes.io/version"] == "1_1.2.0_local"


@pytest.mark.parametrize(
    ("live", "share", "pods_beside", "true"),
    [(2, 10, 1, 33), (9, 10, 1, 10), (3, 50, 3, 50), (10, 25, 3, 23), (4, 90, 36, 90)],
)
def test_a_canarys_share_is_told_as_it_is(live, share, pods_beside, true):
    assert manifests.beside(live, share) == pods_beside
    assert manifests.true_share(live, pods_beside) == true


def test_a_share_is_put_and_taken_away():
    made = objects(SERVICES["kserve"]).workload
    assert kserve.share_of(made) is None
    assert kserve.share_of(kserve.with_share(made, 0)) == 0
    assert kserve.with_share(kserve.with_share(made, 10), None) == made
    assert kserve.share_of(None) is None
