"""Samples from a cluster: the real client, the real script, and files that a real server wrote.

A pod's ``/tmp`` is a folder here, and its Python the one of the tests: a command in a pod runs, as
a process of its own, and what it writes goes through the API's protocol.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import scripted_cluster
import scripted_registry
import yaml
from bundling import Remembering, make_project, onnx_bundle
from canaries import Environments
from images import SLIM, image_of
from scripted_cluster import Failure, kubeconfig

from mlpack.bundle import Artifact
from mlpack.delivery.clock import Clock
from mlpack.delivery.served import Served
from mlpack.delivery.unpacked import found
from mlpack.errors import OutsideError
from mlpack.files import write_tree
from mlpack.gate.answers import clean
from mlpack.gate.limits import Limits
from mlpack.kubernetes import sampling
from mlpack.kubernetes.cluster import NotAllowedError
from mlpack.oci.archive import write_archive
from mlpack.ports import Built
from mlpack.process import run
from mlpack.runtime.samples import Sample, Writer, packed, read
from mlpack.targets.kubernetes import make
from mlpack.usecases.compare import version
from mlpack.usecases.pull import pull
from mlpack.usecases.shadow import shadow
from mlpack.usecases.trial import Watch
from mlpack.wheelfile import installed

NAME = "churn-test"
PYTHON = "/usr/local/bin/python3"
FILE = "/tmp/samples.jsonl"
ON = {"MLPACK_SAMPLE_FILE": FILE, "MLPACK_SAMPLE_RATE": "1"}
ROWS = 60
ENVIRON = {"PATH": "/usr/bin:/bin"}


@dataclass
class Machines:
    """What runs commands in pods: each has a folder for its ``/tmp``."""

    root: Path
    python: str = sys.executable
    folders: dict[str, Path] = field(default_factory=dict)

    def tmp(self, pod: str) -> Path:
        made = self.folders.setdefault(pod, self.root / pod)
        made.mkdir(parents=True, exist_ok=True)
        return made

    def __call__(self, pod, container, command):
        assert command[0] == PYTHON
        here = [word.replace("/tmp/", f"{self.tmp(pod)}/", 1) for word in command[1:]]
        return subprocess.run([self.python, *here], capture_output=True, check=False)


@dataclass
class Cluster:
    api: scripted_cluster.Api
    registry: scripted_registry.Registry
    folder: Path
    machines: Machines

    def target(self, env=ON, **config):
        file = self.folder / "kubeconfig"
        file.write_text(json.dumps(kubeconfig(self.api)))
        settings = {
            "target": "kubernetes",
            "repository": f"{self.registry.host}/team/churn",
            "service": NAME,
            "namespace": "models",
            "kubeconfig": str(file),
            "env": dict(env),
            **config,
        }
        time = [1_800_000_000.0]
        clock = Clock(lambda: time[0], lambda more: time.__setitem__(0, time[0] + more))
        env = {"MLPACK_CACHE": str(self.folder / "cache")}
        return replace(make(settings, env), clock=clock, who="me@here")

    def built(self, name="1.2.0", factor=2.0, entrypoint=(PYTHON, "-m", "churn")) -> Built:
        folder = self.folder / f"dist-{name}"
        folder.mkdir()
        bundle = onnx_bundle(make_project(version=name), factor=factor)
        model = {f"app/lib/{path}": data for path, data in installed(bundle).items()}
        image = image_of(folder, SLIM, model, entrypoint=entrypoint)
        done = write_archive(image, folder / "churn.oci.tar", "churn", name)
        artifact = Artifact(
            kind="image", file="churn.oci.tar", sha256=done.sha256, size=done.size,
            digest=image.digest, image=f"churn:{name}",
        )  # fmt: skip
        return Built("churn", name, "onnx", "lock", bundle.digest, {"image": artifact}, folder)


@pytest.fixture
def cluster(tmp_path):
    machines = Machines(tmp_path / "pods")
    with scripted_cluster.serve(machine=machines) as api, scripted_registry.serve() as registry:
        yield Cluster(api, registry, tmp_path, machines)


def write(path: Path, *answers: bytes, most=100_000_000) -> list[Sample]:
    """What the runtime's own writer writes for some answers."""
    writer = Writer(path, most)
    made = []
    for number, answer in enumerate(answers):
        text, in_base64 = packed(answer)
        one = Sample(
            time="2026-11-22T00:00:00Z", request_id=f"{path.parent.name}-{number}", method="POST",
            path="/predict", body="☃", status=200, answer=text, answer_base64=in_base64,
            model="churn", version="1.2.0", sha256="0" * 64,
        )  # fmt: skip
        made.append(one)
        writer.add(len(answer), lambda one=one: one)
    writer.close()
    assert (writer.written, writer.dropped) == (len(answers), 0)
    return made


def lines(said: bytes, folder: Path) -> list[Sample]:
    """The samples among lines, as a server's `replay` reads them: each line has to be one."""
    file = folder / "brought.jsonl"
    file.write_bytes(said)
    return list(read(file))


@pytest.mark.parametrize("mode", ["deployment", "kserve"])
def test_the_samples_of_all_ready_pods_come_byte_by_byte(cluster, mode):
    target = cluster.target(mode=mode)
    assert target.samples(None) == b""
    target.apply(cluster.built(), Remembering())
    wanted = []
    for number in range(2):
        path = cluster.machines.tmp(f"{NAME}-1-{number}") / "samples.jsonl"
        # Three files of it, larger than a message of the protocol, and all bytes that there are.
        answers = [bytes(range(256)) * 40] * 3 + ["ß☃🦊".encode() * 5000] * 4
        wanted += write(path, *answers, most=400_000)
        assert path.with_name("samples.jsonl.2").exists()
    assert lines(target.samples(None), cluster.folder) == wanted
    assert target.samples(1) == target.samples(None)
    containers = {container for _, container, _ in cluster.api.commands}
    assert containers == {"server" if mode == "deployment" else "kserve-container"}
    assert target.samples(9) == b""


def test_of_the_last_bytes_every_pod_gives_its_own(cluster):
    target = cluster.target()
    target.apply(cluster.built(), Remembering())
    paths = [cluster.machines.tmp(f"{NAME}-1-{n}") / "samples.jsonl" for n in range(2)]
    for path in paths:
        write(path, *[b"%d" % number for number in range(50)])
    said = target.samples(1, 1000)
    last = [path.read_bytes()[-1000:] for path in paths]
    assert said == b"".join(last)
    assert target.samples(1, 0) == b""


def test_half_a_line_of_one_pod_does_not_spoil_the_next_ones(cluster):
    target = cluster.target()
    target.apply(cluster.built(), Remembering())
    one, two = (cluster.machines.tmp(f"{NAME}-1-{n}") / "samples.jsonl" for n in range(2))
    wanted = write(one, b"a") + write(two, b"b")
    with one.open("ab") as stream:
        stream.write(b'{"time": "2026')
    assert lines(target.samples(None), cluster.folder) == wanted


def test_where_samples_are_not_switched_on_no_command_is_run(cluster):
    target = cluster.target(env={})
    target.apply(cluster.built(), Remembering())
    assert target.samples(None) == b""
    assert cluster.api.commands == []
    rules = [each for each in target.policy()["rules"] if "pods/exec" in each["resources"]]
    assert rules == []


def test_it_is_the_pods_own_setting_that_counts(cluster):
    cluster.target().apply(cluster.built(), Remembering())
    write(cluster.machines.tmp(f"{NAME}-1-0") / "samples.jsonl", b"a")
    assert cluster.target(env={}).samples(None).count(b"\n") == 1


def test_where_nothing_was_sampled_yet_nothing_comes(cluster):
    target = cluster.target()
    target.apply(cluster.built(), Remembering())
    assert target.samples(None) == b""
    assert len(cluster.api.commands) == 2


def test_a_pod_that_is_not_ready_is_not_asked(cluster):
    target = cluster.target()
    target.apply(cluster.built(), Remembering())
    pod = cluster.api.get("pods", f"{NAME}-1-0")
    pod["status"]["conditions"] = [{"type": "Ready", "status": "False"}]
    target.samples(None)
    assert [name for name, _, _ in cluster.api.commands] == [f"{NAME}-1-1"]


def test_what_is_not_allowed_is_named_with_the_rule_that_is_missing(cluster):
    target = cluster.target()
    target.apply(cluster.built(), Remembering())
    told = 'pods "x" is forbidden: User "ci" cannot create resource "pods/exec"'
    cluster.api.failures = [Failure("GET", "pods", 403, told, times=9, sub="exec")]
    with pytest.raises(NotAllowedError) as caught:
        target.samples(None)
    assert caught.value.what == f"the cluster does not allow it: {told}"
    (line,) = [each for each in caught.value.hint.splitlines() if each.startswith("- ")]
    assert yaml.safe_load(line) == [target.policy()["rules"][-1]]


def test_a_pod_that_goes_meanwhile_takes_its_samples_along(cluster):
    target = cluster.target()
    target.apply(cluster.built(), Remembering())
    write(cluster.machines.tmp(f"{NAME}-1-1") / "samples.jsonl", b"a")
    inside = cluster.api.machine

    def ends(pod, container, command):
        if pod == f"{NAME}-1-0":
            del cluster.api.objects["pods", pod]
            cluster.api.manner = "cut"
        else:
            cluster.api.manner = ""
        return inside(pod, container, command)

    cluster.api.machine = ends
    assert target.samples(None).count(b"\n") == 1
    del cluster.api.objects["pods", f"{NAME}-1-1"]
    assert target.samples(None) == b""


@pytest.mark.parametrize(
    ("manner", "told"),
    [
        ("cut", "does not answer"),
        ("mute", "broke off"),
        ("vague", "cannot be understood"),
        ("endless", "wrote more than the 100 bytes"),
        ("old", "does not answer: Invalid WebSocket Header"),
    ],
)
def test_an_answer_that_is_not_whole_is_told_and_not_taken(cluster, manner, told):
    target = cluster.target()
    target.apply(cluster.built(), Remembering())
    write(cluster.machines.tmp(f"{NAME}-1-0") / "samples.jsonl", b"a")
    cluster.api.manner = manner
    with pytest.raises(OutsideError, match=told):
        target.samples(None, 100)
    cluster.api.manner = ""


def test_what_the_command_said_is_told_where_it_fails(cluster):
    target = cluster.target()
    target.apply(cluster.built(), Remembering())
    cluster.api.machine = lambda *_: subprocess.CompletedProcess([], 1, b"half", b"no such file\n")
    with pytest.raises(OutsideError, match="the command failed: command terminated") as caught:
        target.samples(None)
    assert (caught.value.where, caught.value.hint) == (f"pod {NAME}-1-0", "no such file")


def test_a_busy_cluster_is_asked_again_and_others_errors_are_told(cluster):
    target = cluster.target()
    target.apply(cluster.built(), Remembering())
    write(cluster.machines.tmp(f"{NAME}-1-0") / "samples.jsonl", b"a")
    client = target.connect()
    target = replace(target, connect=lambda: replace(client, sleep=lambda _: None))
    cluster.api.failures = [Failure("GET", "pods", 429, "later", times=2, sub="exec")]
    assert target.samples(None).count(b"\n") == 1
    cluster.api.failures = [Failure("GET", "pods", 500, "container not found", sub="exec")]
    with pytest.raises(OutsideError, match="refuses it: container not found") as caught:
        target.samples(None)
    assert caught.value.where == f"pod {NAME}-1-0"
    cluster.api.failures = [Failure("GET", "pods", 0, sub="exec")]
    with pytest.raises(OutsideError, match="does not answer"):
        target.samples(None)


def test_of_each_pod_so_much_is_asked_and_no_more(cluster):
    target = cluster.target()
    target.apply(cluster.built(), Remembering())
    target.samples(None)
    target.samples(None, 1 << 40)
    target.samples(None, 7)
    asked = [int(command[-1]) for _, _, command in cluster.api.commands]
    assert asked == [sampling.MOST] * 4 + [7] * 2


def test_an_image_that_starts_otherwise_has_no_samples_that_can_be_read(cluster):
    target = cluster.target()
    target.apply(cluster.built(entrypoint=None), Remembering())
    assert target.samples(None) == b""
    assert cluster.api.commands == []


def asked(cluster: Cluster, into: Path, pod: str, factor: float = 2.0) -> None:
    """Let the live model's own server answer requests, and write its samples into a pod."""
    write_tree(into / "lib", installed(onnx_bundle(make_project(version="1.2.0"), factor=factor)))
    model = found(into)
    file = cluster.machines.tmp(pod) / "samples.jsonl"
    env = clean(ENVIRON) | ON | {"MLPACK_SAMPLE_FILE": str(file)}
    with Served(model, Path(sys.executable), env) as server:
        for number in range(ROWS):
            body = json.dumps({"instances": [{"size": float(number)}]}).encode()
            status, _ = server.post("/predict", body)
            assert status == 200
    assert file.read_bytes().count(b"\n") == ROWS


@pytest.mark.parametrize(("factor", "well"), [(2.0, True), (-3.0, False)])
def test_a_watched_canary_is_judged_by_what_it_answers_to_the_live_ones_requests(
    cluster, factor, well
):
    target = cluster.target()
    target.apply(cluster.built(), Remembering())
    target.canary(cluster.built("1.3.0", factor), 30, Remembering())
    asked(cluster, cluster.folder / "live", f"{NAME}-1-0")
    seconds = [0.0]

    def sleep(more):
        seconds[0] += more
        for pod in (f"{NAME}-1-0", f"{NAME}-1-1", f"{NAME}-canary-2-0"):
            count = int(seconds[0] * 100)
            labels = 'route="/predict",status="200"'
            cluster.api.metrics[pod] = f"mlpack_requests_total{{{labels}}} {count}\n"

    sleep(0)
    clock = Clock(lambda: seconds[0], sleep)
    scratch = cluster.folder / "canary"
    watch = Watch(target, Limits(), clock, ENVIRON, scratch, Environments())
    result = watch.canary(10, Remembering())
    assert (result.promoted, result.ended, result.copied) == (well, not well, ROWS)
    stops = {each.check for each in result.findings if each.verdict == "stop"}
    assert stops <= {"predictions", "outputs"}
    assert bool(stops) != well
    live = {each.release for each in target.status().releases if each.state == "live"}
    assert live == ({2} if well else {1})


def test_a_shadow_is_asked_what_the_cluster_is_asked(cluster):
    target = cluster.target()
    target.apply(cluster.built(), Remembering())
    asked(cluster, cluster.folder / "live", f"{NAME}-1-0")
    write_tree(cluster.folder / "new" / "lib", installed(onnx_bundle(make_project(), factor=-3.0)))
    report = shadow(
        target,
        version(found(cluster.folder / "live"), "test"),
        version(found(cluster.folder / "new"), "dist"),
        5,
        Limits(),
        clock=Clock(iter(range(0, 1000, 5)).__next__, lambda _: None),
        environ=ENVIRON,
        environments=Environments(),
        reporter=Remembering(),
    )
    assert (report.rows, bool(report.stops)) == (ROWS, True)


def test_what_is_pulled_can_be_asked_again(cluster):
    target = cluster.target()
    target.apply(cluster.built(), Remembering())
    asked(cluster, cluster.folder / "live", f"{NAME}-1-0")
    there = pull(
        target, None, cluster.folder / "here", environments=Environments(), reporter=Remembering()
    )
    assert (there.version, there.release, there.rows) == ("1.2.0", 1, ROWS)
    again = [str(there.python), "-m", there.package, "replay", str(there.samples)]
    done = run(again, cwd=there.library)
    assert done.code == 0, done.stderr
