"""A Docker host behind ssh: rolled out under load, gone back, broken off, and killed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import docker
import pytest
from environments import (
    ROOT,
    built_penguins,
    copied,
    damage,
    free_port,
    missing,
    post,
    run,
    wait_ready,
)
from load import Load

BRIDGE = "mlpack-tests"
PROXY = "debian-bookworm-haproxy:12"
ROW = {
    "island": "Biscoe",
    "bill_length_mm": 50.0,
    "bill_depth_mm": 16.3,
    "flipper_length_mm": 220.0,
    "body_mass_g": 5000.0,
    "sex": "male",
}


@pytest.fixture(scope="module")
def haproxy(tmp_path_factory):
    """A root of Debian with HAProxy."""
    given = os.environ.get("MLPACK_HAPROXY_ROOT")
    if given is not None:
        return given
    if shutil.which("mmdebstrap") is None or os.geteuid() != 0:
        missing("a root of Debian is made as root with mmdebstrap: apt-get install mmdebstrap")
    made = tmp_path_factory.mktemp("haproxy") / "root.tar"
    run(sys.executable, ROOT / "scripts" / "debian_apt.py", made, "haproxy")
    return made


class Engine:
    """An engine of these tests' own, which may be killed.

    Attributes:
        socket: its path.
        client: talks to it.
    """

    def __init__(self, program, folder):
        self.socket = folder / "docker.sock"
        self._folder = folder
        self._command = [program, "--data-root", folder / "data", "--exec-root", folder / "run"]
        self._command += ["--pidfile", folder / "pid", "--host", f"unix://{self.socket}"]
        self._command += ["--containerd", folder / "containerd" / "socket"]
        # A bridge and addresses of its own: by default it would take those of the other engine.
        self._command += ["--bridge", BRIDGE]
        self._command += ["--default-address-pool", "base=10.214.0.0/16,size=24"]
        subprocess.run(["ip", "link", "delete", BRIDGE], capture_output=True, check=False)
        run("ip", "link", "add", BRIDGE, "type", "bridge")
        run("ip", "address", "add", "10.213.0.1/24", "dev", BRIDGE)
        run("ip", "link", "set", BRIDGE, "up")
        self.start()

    def start(self):
        """Start it, and wait until it answers.

        An engine that starts again after it lost its power removes the bridge of the other one,
        whatever it is told to use itself: that is made again as it was.
        """
        address = _address("docker0")
        self._start()
        if address and not _address("docker0"):
            run("ip", "link", "add", "docker0", "type", "bridge")
            run("ip", "address", "add", address, "dev", "docker0")
            run("ip", "link", "set", "docker0", "up")

    def _start(self):
        (self._folder / "pid").unlink(missing_ok=True)
        containerd = self._folder / "containerd"
        containerd.mkdir(exist_ok=True)
        words = ["--root", containerd / "root", "--state", containerd / "state"]
        log = self._folder / "log"
        with log.open("ab") as out:
            self._containerd = subprocess.Popen(
                ["containerd", *words, "--address", containerd / "socket"], stdout=out, stderr=out
            )
            self._process = subprocess.Popen(self._command, stdout=out, stderr=out)
        for _ in range(150):
            with contextlib.suppress(docker.errors.DockerException):
                self.client = docker.DockerClient(base_url=f"unix://{self.socket}", timeout=60)
                self.client.ping()
                return
            time.sleep(0.2)
        pytest.fail(f"dockerd did not start: {log.read_text()[-2000:]}")

    def lose_power(self):
        """End it and all that it runs at once, without a word to anybody."""
        pids = [each.attrs["State"]["Pid"] for each in self.client.containers.list()]
        self.client.close()
        for process in (self._process, self._containerd):
            process.kill()
            process.wait()
        run("pkill", "-9", "-f", f"containerd-shim.*{self._folder}")
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def stop(self):
        """End it, and remove what it had."""
        for each in self.client.containers.list(all=True):
            each.remove(force=True)
        self.client.close()
        for process in (self._process, self._containerd):
            process.terminate()
            process.wait()
        run("ip", "link", "delete", BRIDGE)
        # What one that was killed had mounted stays so.
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for place in reversed([each for each in mounts if each.startswith(str(self._folder))]):
            subprocess.run(["umount", "-l", place], check=False)
        shutil.rmtree(self._folder, ignore_errors=True)


def _address(device):
    """The address of a device, such as ``172.17.0.1/16``; empty where there is no device."""
    words = ["ip", "-4", "-oneline", "address", "show", "dev", device]
    told = subprocess.run(words, capture_output=True, text=True, check=False).stdout.split()
    return told[told.index("inet") + 1] if "inet" in told else ""


@pytest.fixture(scope="module")
def engine(haproxy, tmp_path_factory):
    """An engine that has Debian's HAProxy, under a name that says what it is."""
    program = shutil.which("dockerd", path="/usr/sbin:/usr/bin")
    if program is None or shutil.which("ip") is None or os.geteuid() != 0:
        missing("no dockerd, no ip, or not root: apt-get install docker.io iproute2")
    made = Engine(program, tmp_path_factory.mktemp("engine"))
    run("docker", "-H", f"unix://{made.socket}", "import", haproxy, PROXY)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def ssh(tmp_path_factory):
    """An sshd on loopback; its port, and a folder whose ``ssh`` knows the key and the host."""
    program, keygen = shutil.which("sshd", path="/usr/sbin"), shutil.which("ssh-keygen")
    if program is None or keygen is None or os.geteuid() != 0:
        missing("no sshd, or not root: apt-get install openssh-server")
    folder, port = tmp_path_factory.mktemp("ssh"), free_port()
    for name in ("host", "user"):
        run(keygen, "-q", "-t", "ed25519", "-N", "", "-f", folder / name)
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile none\n"
        f"AuthorizedKeysFile {folder}/user.pub\nStrictModes no\nUsePAM no\n"
        "PasswordAuthentication no\nPermitRootLogin prohibit-password\nMaxStartups 100\n"
    )
    host = (folder / "host.pub").read_text()
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {host}")
    (folder / "config").write_text(
        f"Host *\n  IdentityFile {folder}/user\n  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {folder}/known_hosts\n  StrictHostKeyChecking yes\n"
    )
    (folder / "bin").mkdir()
    script = folder / "bin" / "ssh"
    script.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {folder}/config "$@"\n')
    script.chmod(0o755)
    Path("/run/sshd").mkdir(exist_ok=True)
    log = (folder / "log").open("wb")
    process = subprocess.Popen([program, "-D", "-e", "-f", folder / "sshd_config"], stderr=log)
    yield port, folder / "bin"
    process.terminate()
    process.wait()
    log.close()


class Project:
    """The penguins, built, and deployed to a host."""

    def __init__(self, environment, root, port, host, path=None):
        self.environment, self.root, self.port, self.host = environment, root, port, host
        self.path = {"PATH": f"{path}{os.pathsep}{os.environ['PATH']}"} if path else {}

    def configure(self, *, replicas=2, env=None, **settings):
        """Write ``[deploy]``."""
        given = {
            "target": "docker",
            "host": self.host,
            "port": self.port,
            "proxy": PROXY,
            "address": "127.0.0.1",
            "replicas": replicas,
            "memory": "512m",
            "drain_seconds": 5,
            "ready_seconds": 60,
            **settings,
        }
        lines = [f"{key} = {json.dumps(value)}" for key, value in given.items()]
        lines += ["[deploy.env]", *(f'{key} = "{value}"' for key, value in (env or {}).items())]
        self.env = env or {}
        text = "\n".join(["[deploy]", *lines])
        (self.root / "config" / "production.toml").write_text(text + "\n")

    def mlpack(self, command, *options, code=0):
        """Run a command of production."""
        words = (command, "production", *options)
        return self.environment.run("mlpack", *words, cwd=self.root, env={**self.path}, code=code)

    def status(self, code=0):
        """What runs, by state."""
        found = json.loads(self.mlpack("status", "--json", code=code).stdout)
        return {each["state"]: each for each in found["releases"]}


@pytest.fixture(scope="module")
def built(base, tmp_path_factory):
    """The penguins, and the environment that built them."""
    return built_penguins(tmp_path_factory.mktemp("docker-target"), base)


@pytest.fixture(scope="module")
def project(built, engine, ssh):
    """Deployed once, over ssh, to an engine that knew nothing of it."""
    environment, root = built
    port, path = ssh
    host = f"ssh://root@127.0.0.1:{port}{engine.socket}"
    made = Project(environment, root, free_port(), host, path)
    made.configure()
    plan = made.mlpack("deploy", "--plan", "--exit-code", code=1)
    assert "from nothing" in plan.stderr
    made.mlpack("deploy")
    yield made
    made.mlpack("remove", "--yes")
    labels = {"label": "io.mlpack.service=penguins-production"}
    assert engine.client.containers.list(all=True, filters=labels) == []
    assert engine.client.volumes.list(filters=labels) == []
    assert engine.client.networks.list(filters=labels) == []


def test_it_answers_and_the_containers_may_do_nothing_more(project, engine):
    told = post(f"http://127.0.0.1:{project.port}/predict", ROW)
    assert told["predictions"][0]["label"] == "Gentoo" if "predictions" in told else told
    assert project.status()["live"]["running"] == 2
    filters = {"label": "io.mlpack.role=replica"}
    for container in engine.client.containers.list(filters=filters):
        host = container.attrs["HostConfig"]
        assert host["ReadonlyRootfs"]
        assert host["CapDrop"] == ["ALL"]
        assert host["Memory"] == 512 << 20
        assert host["PortBindings"] in (None, {})
        assert container.attrs["Config"]["User"] == "65532:65532"
    assert "is there" in project.mlpack("deploy", "--plan", "--exit-code").stderr


def test_ten_deploys_and_five_ways_back_lose_no_request(project):
    last = project.status()["live"]["release"]
    with Load(project.port, ROW) as load:
        for number in range(10):
            project.configure(env={"MLPACK_MAX_ROWS": str(1000 + number)})
            project.mlpack("deploy")
            if number % 2:
                project.mlpack("rollback")
    assert load.lost == []
    assert load.answered > 150 * load.seconds
    history = json.loads(project.mlpack("history", "--json").stdout)
    assert [each["verb"] for each in history[-15:]] == ["deploy", "deploy", "rollback"] * 5
    status = project.status()
    assert status["live"]["release"] == last + 9
    assert set(status) == {"live"}, "what one went back from is gone"


def test_the_gate_stops_a_worse_model_unless_it_is_forced(project, base, tmp_path):
    before = project.status()["live"]
    root = copied(project.root, tmp_path / "shuffled")
    (root / "pyproject.toml").write_text(
        (root / "pyproject.toml").read_text().replace('version = "0.1.0"', 'version = "0.2.0"')
    )
    damage(root, 'found["species"] = found["species"].sample(frac=1, random_state=1).array')
    worse = Project(project.environment, root, project.port, project.host)
    worse.path = project.path
    worse.configure(env={"MLPACK_SAMPLE_FILE": "/tmp/samples.jsonl", "MLPACK_SAMPLE_RATE": "1"})
    for words in (["lock"], ["train"], ["build", "--base", f"archive:{base}", "--no-load"]):
        project.environment.mlpack(*words, cwd=root)
    stopped = worse.mlpack("deploy", code=1).stderr
    assert "the gate stopped it: " in stopped
    assert "accuracy: on training's own held-out rows it was" in stopped
    assert (root / "dist" / "gate-production.html").is_file()
    assert project.status()["live"]["release"] == before["release"]
    worse.mlpack("deploy", "--force", "a test of the way back")
    assert json.loads(project.mlpack("history", "--json").stdout)[-1]["why"] == (
        "a test of the way back"
    )
    # What answers badly is brought back, in its own versions, with what it was asked.
    post(f"http://127.0.0.1:{project.port}/predict", ROW)
    pulled = json.loads(worse.mlpack("pull", "--json").stdout)
    assert (pulled["version"], pulled["exact"]) == ("0.2.0", True)
    deadline = time.monotonic() + 10
    while not pulled["rows"] and time.monotonic() < deadline:
        time.sleep(0.5)
        pulled = json.loads(worse.mlpack("pull", "--json").stdout)
    words = (pulled["python"], "-m", "penguins", "replay", pulled["samples"])
    assert " 0 answered otherwise" in run(*words, cwd=pulled["library"]).stdout
    project.mlpack("rollback")
    assert project.status()["live"]["version"] == "0.1.0"


def test_a_canary_is_watched_and_gets_all_requests_or_none(project):
    sampling = {"MLPACK_SAMPLE_FILE": "/tmp/samples.jsonl", "MLPACK_SAMPLE_RATE": "0.2"}
    project.configure(env=sampling)
    project.mlpack("deploy")
    live = project.status()["live"]["release"]
    with Load(project.port, ROW) as load:
        project.configure(env={**sampling, "MLPACK_MAX_ROWS": "78"})
        told = json.loads(
            project.mlpack("deploy", "--canary", "30", "--for", "0.2", "--json").stdout
        )
        assert (told["promoted"], told["live"]["failed"], told["canary"]["failed"]) == (True, 0, 0)
        assert told["canary"]["requests"] > 100
        assert told["copied"] > 50
        shadow = json.loads(project.mlpack("shadow", "--for", "0.1", "--json").stdout)
        assert (shadow["stopped"], shadow["changed"]["changed"]) == (False, 0)
    assert load.lost == []
    assert project.status()["live"]["release"] == live + 1
    with Load(project.port, ROW):
        # It refuses everybody: its callers have no key.
        project.configure(env={**sampling, "MLPACK_API_KEYS": "a-key-that-nobody-has-0123456789"})
        words = ("deploy", "--canary", "30", "--for", "5", "--json")
        told = json.loads(project.mlpack(*words, code=1).stdout)
    assert (told["promoted"], told["ended"]) == (False, True)
    assert told["findings"][0]["where"] == "errors"
    assert told["seconds"] < 60
    assert project.status()["live"]["release"] == live + 1


def test_what_never_becomes_ready_gets_no_request(project):
    before = project.status()["live"]
    project.configure(env={"MLPACK_API_KEYS_FILE": "/no/such/file"})
    with Load(project.port, ROW) as load:
        failed = project.mlpack("deploy", code=4)
    assert load.lost == []
    assert f"release {before['release']} goes on" in failed.stderr
    assert "no such file" in failed.stderr.lower(), "its own last words"
    assert project.status()["live"] == {**before, "healthy": project.status()["live"]["healthy"]}
    assert json.loads(project.mlpack("history", "--json").stdout)[-1]["verb"] == "failed"


def test_a_canary_gets_its_share_and_then_all(project, engine):
    live = project.status()["live"]["release"]
    project.configure(env={"MLPACK_MAX_ROWS": "77"})
    with Load(project.port, ROW) as load:
        project.mlpack("deploy", "--canary", "20")
        status = project.status()
        assert (status["live"]["share"], status["canary"]["share"]) == (80, 20)
        assert project.mlpack("deploy", code=1).stderr.count("is a canary with 20%") == 1
        time.sleep(3)
        asked = {state: _asked(engine, status[state]["release"]) for state in ("live", "canary")}
        ended = status["canary"]["release"]
        project.mlpack("rollback")
        assert project.status()["live"]["release"] == live
        project.mlpack("deploy", "--canary", "20")
        project.mlpack("promote")
    assert load.lost == []
    assert 0.05 < asked["canary"] / (asked["live"] + asked["canary"]) < 0.4
    assert project.status()["live"]["release"] == ended + 1


def _asked(engine, release):
    """How many predictions the containers of a release have been asked for in two seconds."""
    since = int(time.time()) - 2
    filters = {"name": f"penguins-production-{release}-"}
    found = engine.client.containers.list(filters=filters)
    return sum(each.logs(since=since).count(b'"path":"/predict"') for each in found)


def test_broken_off_anywhere_the_next_deploy_goes_on(project, engine):
    live = project.status()["live"]["release"]
    for seconds in (0.6, 2.0, 3.5):
        project.configure(env={"MLPACK_MAX_ROWS": str(int(seconds * 1000))})
        command = [project.environment.bin / "mlpack", "deploy", "production"]
        process = subprocess.Popen(
            command, cwd=project.root, env={**os.environ, **project.path}, stderr=subprocess.PIPE
        )
        time.sleep(seconds)
        process.kill()
        process.communicate()
        assert project.status()["live"]["running"] == 2
        assert "is at penguins-production" in _unlocked(project, engine)
    project.mlpack("deploy")
    status = project.status()
    assert status["live"]["release"] > live
    assert set(status) <= {"live", "kept"}


def _unlocked(project, engine):
    """Nobody else can deploy while the lock is held; then it goes, as when its time is over."""
    try:
        engine.client.containers.get("penguins-production-lock")
    except docker.errors.NotFound:
        return "it was not there yet: nobody is at penguins-production"
    told = project.mlpack("deploy", code=1).stderr
    engine.client.api.remove_container("penguins-production-lock", force=True)
    return told


def test_a_port_that_is_taken_changes_nothing_and_a_free_one_moves_the_proxy(project):
    url = f"http://127.0.0.1:{project.port}"
    live = project.status()["live"]["release"]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        project.configure(port=taken.getsockname()[1], env=project.env)
        refused = project.mlpack("deploy", code=3)
    assert "port is taken" in refused.stderr
    wait_ready(url)
    free = free_port()
    project.configure(port=free, env=project.env)
    assert "move" in project.mlpack("deploy", "--plan", "--exit-code", code=1).stderr
    project.mlpack("deploy")
    project.port = free
    assert post(f"http://127.0.0.1:{free}/predict", ROW)
    assert project.status()["live"]["release"] == live


def test_a_first_deploy_that_is_refused_leaves_nothing(project, engine):
    env = project.env
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        project.configure(service="penguins-first", port=taken.getsockname()[1])
        assert "port is taken" in project.mlpack("deploy", code=3).stderr
    assert "mlpack deploy production" in project.mlpack("status", code=1).stderr
    labels = {"label": "io.mlpack.service=penguins-first"}
    assert engine.client.containers.list(all=True, filters=labels) == []
    assert engine.client.volumes.list(filters=labels) == []
    assert engine.client.networks.list(filters=labels) == []
    project.configure(service="penguins-first", proxy="registry.invalid/haproxy:1")
    assert "was not there" in project.mlpack("remove", "--yes").stderr
    project.configure(env=env)


def test_samples_have_room_in_a_container(project, engine):
    project.configure(env={"MLPACK_SAMPLE_FILE": "/tmp/samples.jsonl"})
    project.mlpack("deploy")
    name = f"penguins-production-{project.status()['live']['release']}-1"
    script = "import os; found = os.statvfs('/tmp'); print(found.f_blocks * found.f_frsize >> 20)"
    container = engine.client.containers.get(name)
    python = container.attrs["Config"]["Entrypoint"][0]
    assert container.exec_run([python, "-c", script]).output == b"160\n"


def test_what_the_proxy_never_heard_of_it_hears_from_the_next_command(project, engine):
    """As when a deploy ends between the file and the reload."""
    project.configure(env={"MLPACK_MAX_ROWS": "4321"})
    project.mlpack("deploy")
    proxy = engine.client.containers.get("penguins-production-proxy")
    script = (
        "sed 's/string \"/string \"un/' /etc/mlpack/haproxy.cfg > /etc/mlpack/next.cfg && "
        "mv /etc/mlpack/next.cfg /etc/mlpack/haproxy.cfg"
    )
    assert proxy.exec_run(["sh", "-c", script], user="0:0").exit_code == 0
    since = int(time.time())
    project.mlpack("deploy")
    assert b"Loading success" in proxy.logs(since=since), "it was read again"


def test_logs_of_what_answers(project):
    told = project.mlpack("logs", "-n", "5").stdout.splitlines()
    release = project.status()["live"]["release"]
    assert {line.split()[0] for line in told} == {f"{release}-1", f"{release}-2"}
    follow = subprocess.Popen(
        [project.environment.bin / "mlpack", "logs", "production", "-f", "-n", "0"],
        cwd=project.root,
        env={**os.environ, **project.path},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert follow.stdout.readline(), "the proxy looks every second whether they are ready"
    post(f"http://127.0.0.1:{project.port}/predict", ROW)
    assert any('"path":"/predict"' in line for line in islice(follow.stdout, 100))
    follow.kill()
    follow.wait()


def test_a_machine_that_loses_its_power_serves_again(project, engine):
    live = project.status()["live"]["release"]
    engine.lose_power()
    engine.start()
    wait_ready(f"http://127.0.0.1:{project.port}")
    assert post(f"http://127.0.0.1:{project.port}/predict", ROW)
    assert project.status()["live"]["release"] == live
