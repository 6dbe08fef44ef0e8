"""A cluster's API in memory, on a real socket of this machine, that can be told to misbehave.

It keeps objects with versions and generations, speaks server-side apply as far as it is needed here
(what was applied before and is not any more goes away), list, watch, preconditions and logs, and it
plays the controllers: pods of a Deployment or an InferenceService are there at once. A command in a
pod is whatever the test says, over a WebSocket as the API speaks it.
"""

from __future__ import annotations

import contextlib
import copy
import json
import re
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping
from wsproto.utilities import generate_accept_token

PATH = re.compile(
    r"/apis?/(?P<version>.+?)/namespaces/(?P<namespace>[^/]+)/(?P<plural>[^/]+)"
    r"(?:/(?P<name>[^/]+))?(?:/(?P<sub>log|exec|proxy/.+))?"
)
RELEASE = "mlpack.io/release"


Machine = Callable[[str, str, list[str]], subprocess.CompletedProcess]
"""Runs a command in a pod's container."""

MESSAGE = 32 << 10


@dataclass
class Failure:
    """An answer that is given in place of the right one, so many times, to requests that fit."""

    method: str
    plural: str
    status: int
    message: str = "no"
    times: int = 1
    watch: bool = False  # only to those that watch
    there: str = ""  # only once there is an object of this name
    sub: str = ""  # only what is asked of this part of it


@dataclass
class Api:
    """The state; tests read and change it."""

    namespace: str = "models"
    objects: dict[tuple[str, str], dict] = field(default_factory=dict)
    applied: dict[tuple[str, str], dict] = field(default_factory=dict)
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    taken: set[tuple[str, str, str]] = field(default_factory=set)  # group, resource, verb, as RBAC
    patched: list[dict] = field(default_factory=list)  # what was applied, in its order
    failures: list[Failure] = field(default_factory=list)
    sick: set[str] = field(default_factory=set)  # images whose pods crash
    stuck: set[str] = field(default_factory=set)  # images whose pods never become ready
    lags: bool = False  # controllers look at an object only after it was read once
    late: set[tuple[str, str]] = field(default_factory=set)
    hold: bool = False  # pods become ready when `release_pods` is called
    kinds_without: set[str] = field(default_factory=set)  # plurals that are not installed
    metrics: dict[str, str] = field(default_factory=dict)  # what pods tell, by their names
    key: str = ""  # which pods want
    machine: Machine | None = None  # what runs commands in pods
    manner: str = ""  # how what they write is sent: cut, silent, endless, mute, vague or old
    commands: list[tuple[str, str, list[str]]] = field(default_factory=list)
    lines: dict[str, list[str]] = field(default_factory=dict)
    streams: bool = False  # whether lines that are followed do not end
    version: int = 100
    changing: int = 0  # requests that changed something, or would have
    dies_at: int | None = None
    dies_after: bool = False
    dead: bool = False
    host: str = ""
    lock: threading.RLock = field(default_factory=threading.RLock)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def get(self, plural: str, name: str) -> dict | None:
        return self.objects.get((plural, name))

    def names(self) -> set[str]:
        return {f"{plural}/{name}" for plural, name in self.objects if plural != "pods"}

    def put(self, plural: str, name: str, body: dict) -> dict:
        """Store an object, with a new version and, where its spec is another one, generation."""
        key = plural, name
        before = self.objects.get(key)
        self.version += 1
        body = copy.deepcopy(body)
        metadata = body["metadata"]
        metadata["resourceVersion"] = str(self.version)
        metadata["uid"] = f"uid-{name}"
        generation = before["metadata"].get("generation", 0) if before else 0
        other = before is None or before.get("spec") != body.get("spec")
        metadata["generation"] = generation + other
        if before is not None and "status" in before:
            body["status"] = before["status"]
        self.objects[key] = body
        if self.lags and before is not None and "status" in before:
            self.late.add(key)
        else:
            self.controlled(plural, name)
        with self.changed:
            self.changed.notify_all()
        return self.objects[key]

    def merged(self, plural: str, name: str, body: dict) -> dict:
        """What an object is when `body` is applied to it."""
        key = plural, name
        there = copy.deepcopy(self.objects.get(key, {"metadata": {}}))
        without(there, self.applied.get(key, {}), body)
        made = merge(there, body)
        if plural == "deployments":
            made["spec"].setdefault("replicas", 1)
            made["spec"]["template"]["spec"].setdefault("restartPolicy", "Always")
        return made

    def remove(self, plural: str, name: str) -> None:
        self.objects.pop((plural, name), None)
        self.applied.pop((plural, name), None)
        if plural in ("deployments", "inferenceservices"):
            for key in [key for key, pod in self.objects.items() if pod.get("owner") == name]:
                del self.objects[key]
        self.version += 1
        with self.changed:
            self.changed.notify_all()

    def controlled(self, plural: str, name: str) -> None:
        if plural == "deployments":
            self._deployment(self.objects[plural, name])
        elif plural == "inferenceservices":
            self._inference_service(self.objects[plural, name])

    def catch_up(self, plural: str, name: str) -> None:
        """Let the controllers see what they have not seen yet."""
        if (plural, name) in self.late:
            self.late.discard((plural, name))
            self.version += 1
            self.objects[plural, name]["metadata"]["resourceVersion"] = str(self.version)
            self.controlled(plural, name)

    def _deployment(self, there: dict) -> None:
        spec, metadata = there["spec"], there["metadata"]
        container = spec["template"]["spec"]["containers"][0]
        image = container["image"]
        wanted = spec["replicas"]
        well = image not in self.sick | self.stuck and not self.hold
        labels = spec["template"]["metadata"]["labels"]
        before = [k for k, pod in self.objects.items() if pod.get("owner") == metadata["name"]]
        if well:
            for key in before:
                del self.objects[key]
        else:  # the old ones go on: maxUnavailable is 0; of the new ones there is one
            for key in before:
                if self.objects[key]["metadata"]["labels"][RELEASE] == labels[RELEASE]:
                    del self.objects[key]
        old = sum(pod.get("owner") == metadata["name"] for pod in self.objects.values())
        for index in range(wanted if well else 1):
            self.pod(metadata["name"], f"{labels[RELEASE]}-{index}", labels, {}, container)
        if well:
            counts = {"replicas": wanted, "updatedReplicas": wanted, "availableReplicas": wanted}
        else:
            counts = {"replicas": old + 1, "updatedReplicas": 1, "availableReplicas": old}
        there["status"] = {"observedGeneration": metadata["generation"], **counts}
        if image in self.stuck:
            there["status"]["conditions"] = [
                {
                    "type": "Progressing",
                    "status": "False",
                    "reason": "ProgressDeadlineExceeded",
                    "message": "ReplicaSet has timed out progressing.",
                }
            ]

    def _inference_service(self, there: dict) -> None:
        metadata, predictor = there["metadata"], there["spec"]["predictor"]
        container = predictor["containers"][0]
        number = metadata["annotations"][RELEASE]
        status = there.get("status") or {"components": {"predictor": {}}}
        mine = status["components"]["predictor"]
        mine["latestCreatedRevision"] = f"{metadata['name']}-{number}"
        told = {"serving.kserve.io/inferenceservice": metadata["name"]}
        well = container["image"] not in self.sick
        kept = {number}
        if predictor.get("canaryTrafficPercent") is not None or not well:
            kept.add(mine.get("latestRolledoutRevision", "").rpartition("-")[2])
        else:
            mine["latestRolledoutRevision"] = mine["latestCreatedRevision"]
        for key, pod in list(self.objects.items()):
            if pod.get("owner") == metadata["name"] and key[1].split("-")[-2] not in kept:
                del self.objects[key]
        for index in range(predictor["minReplicas"]):
            self.pod(metadata["name"], f"{number}-{index}", told, {RELEASE: number}, container)
        if well:
            mine["latestReadyRevision"] = mine["latestCreatedRevision"]
        status["conditions"] = [{"type": "Ready", "status": str(well)}]
        status["observedGeneration"] = metadata["generation"]
        there["status"] = status

    def pod(
        self, owner: str, suffix: str, labels: dict, annotations: dict, container: dict
    ) -> None:
        name, image = f"{owner}-{suffix}", container["image"]
        sick = image in self.sick
        ready = not sick and image not in self.stuck and not self.hold
        waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}
        self.version += 1
        metadata = {"name": name, "labels": dict(labels), "annotations": dict(annotations)}
        self.objects["pods", name] = {
            "kind": "Pod",
            "owner": owner,
            "image": image,
            # Somebody's own stands beside it, as meshes and Knative have theirs.
            "spec": {"containers": [{"name": "proxy", "image": "mesh"}, copy.deepcopy(container)]},
            "metadata": {**metadata, "resourceVersion": str(self.version)},
            "status": {
                "phase": "Running",
                "conditions": [{"type": "Ready", "status": str(ready)}],
                "containerStatuses": [{"state": waiting if sick else {"running": {}}}],
            },
        }

    def release_pods(self) -> None:
        """Let what is held become ready."""
        self.hold = False
        for plural, name in list(self.objects):
            if plural == "deployments":
                there = self.objects[plural, name]
                self.version += 1
                there["metadata"]["resourceVersion"] = str(self.version)
                self.controlled(plural, name)
        with self.changed:
            self.changed.notify_all()


def without(there: dict, before: dict, now: dict) -> None:
    """Take out of `there` what `before` had and `now` has not."""
    for key, value in before.items():
        if key not in now:
            there.pop(key, None)
        elif isinstance(value, dict) and isinstance(there.get(key), dict):
            without(there[key], value, now[key])


def merge(there: dict, over: dict) -> dict:
    made = dict(there)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(made.get(key), dict)
        made[key] = merge(made[key], value) if both else copy.deepcopy(value)
    return made


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # a head and its body go together, or each waits for the other's receipt
    disable_nagle_algorithm = True
    api: Api

    def log_message(self, *_: object) -> None:
        pass

    def reply(self, status: int, body: object) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def refuse(self, status: int, message: str) -> None:
        self.reply(status, {"kind": "Status", "status": "Failure", "message": message})

    def cut(self) -> None:
        self.close_connection = True
        self.connection.shutdown(2)

    def handle_any(self) -> None:
        api = self.api
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length) or b"null")
        url = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        found = PATH.fullmatch(url.path)
        if api.dead:
            self.cut()
        elif found is None or found["namespace"] != api.namespace:
            name = found["namespace"] if found else ""
            self.refuse(404, f'namespaces "{name}" not found')
        elif found["plural"] in api.kinds_without:
            self.refuse(404, "the server could not find the requested resource")
        else:
            plural, name, sub = found["plural"], found["name"] or "", found["sub"] or ""
            group = found["version"].rpartition("/")[0]
            resource = "/".join(filter(None, (plural, sub.partition("/")[0])))
            with api.lock:
                api.taken |= {(group, resource, each) for each in self.verbs(plural, name, query)}
                if sub == "exec":  # which 1.35 asks of a WebSocket too
                    api.taken.add((group, resource, "create"))
            self.answered(plural, name, sub, query, body)

    def verbs(self, plural: str, name: str, query: dict) -> set[str]:
        """What RBAC wants for it: https://kubernetes.io/docs/reference/access-authn-authz/"""
        if self.command == "GET":
            return {"watch" if query.get("watch") else "get" if name else "list"}
        found = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
        # What is applied and is not there is created.
        new = self.command == "PATCH" and self.api.get(plural, name) is None
        return {found[self.command], *(["create"] if new else [])}

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815

    def answered(self, plural: str, name: str, sub: str, query: dict, body: dict) -> None:
        api, method = self.api, self.command
        with api.lock:
            called = name or (body or {}).get("metadata", {}).get("name", "")
            api.requests.append((method, plural, f"{called}/exec" if sub == "exec" else called))
        self.quiet = False
        if method != "GET" and query.get("dryRun") != "All":
            api.changing += 1
            if api.changing - 1 == api.dies_at:
                self.quiet = True
                if api.dies_after:
                    with api.lock:
                        self.served(method, plural, name, query, body)
                api.dead = True
                self.cut()
                return
        if self.failed(plural, query, sub):
            return
        if query.get("watch"):
            self.watch(plural, query)
        elif sub == "log":
            self.log(name, query)
        elif sub == "exec":
            self.run(name)
        elif sub == "proxy/metrics":
            pod, _, port = name.partition(":")
            right = port == "8080" and self.headers.get("X-API-Key", "") == api.key
            self.reply(200 if right else 401, api.metrics.get(pod, "").encode())
        else:
            with api.lock:
                self.served(method, plural, name, query, body)

    def failed(self, plural: str, query: dict, sub: str) -> bool:
        """Whether a failure that is asked for was answered."""
        for each in self.api.failures:
            if (
                (each.method, each.plural) == (self.command, plural)
                and each.times
                and (not each.sub or each.sub == sub)
                and (not each.watch or query.get("watch"))
                and (not each.there or self.api.get(plural, each.there))
            ):
                each.times -= 1
                if each.status:
                    self.refuse(each.status, each.message)
                else:
                    self.cut()
                return True
        return False

    def send(self, status: int, body: object) -> None:
        if not self.quiet:
            self.reply(status, body)

    def served(self, method: str, plural: str, name: str, query: dict, body: dict) -> None:
        there = self.api.get(plural, name)
        if method == "GET" and not name:
            version = {"resourceVersion": str(self.api.version)}
            self.send(200, {"items": self.selected(plural, query), "metadata": version})
        elif method == "POST":
            name = body["metadata"]["name"]
            if self.api.get(plural, name) is not None:
                self.send(409, {"message": "already exists"})
            else:
                self.send(201, self.api.put(plural, name, body))
        elif method == "PATCH":
            self.apply(plural, name, query, body)
        elif there is None:
            self.send(404, {"message": f'{plural} "{name}" not found'})
        elif method == "GET":
            self.send(200, there)
            self.api.catch_up(plural, name)
        else:
            self.exchange(method, plural, name, body)

    def apply(self, plural: str, name: str, query: dict, body: dict) -> None:
        api, there = self.api, self.api.get(plural, name)
        made = api.merged(plural, name, body)
        if plural == "deployments" and not selected_by(made, there):
            self.send(422, {"message": "`selector` does not match template `labels`, or changes"})
            return
        if query.get("dryRun") == "All":
            self.send(200, made)
            return
        api.applied[plural, name] = copy.deepcopy(body)
        api.patched.append(body)
        if there is not None and comparable(there) == comparable(made):
            self.send(200, there)  # nothing is another: no new version
        else:
            self.send(201 if there is None else 200, api.put(plural, name, made))

    def exchange(self, method: str, plural: str, name: str, body: dict) -> None:
        """Replace or delete an object, if it is of the version that is meant."""
        api = self.api
        version = api.get(plural, name)["metadata"]["resourceVersion"]
        told = (body or {}).get("metadata" if method == "PUT" else "preconditions", {})
        if told.get("resourceVersion", version) != version:
            self.send(409, {"message": "the object has been modified"})
        elif method == "PUT":
            self.send(200, api.put(plural, name, body))
        else:
            api.remove(plural, name)
            self.send(200, {"kind": "Status", "status": "Success"})

    def selected(self, plural: str, query: dict) -> list[dict]:
        labels = dict(pair.split("=") for pair in query.get("labelSelector", "").split(",") if pair)
        fields = dict(pair.split("=") for pair in query.get("fieldSelector", "").split(",") if pair)
        return [
            each
            for (kind, _), each in self.api.objects.items()
            if kind == plural
            and labels.items() <= (each["metadata"].get("labels") or {}).items()
            and all(at(each, path) == value for path, value in fields.items())
        ]

    def watch(self, plural: str, query: dict) -> None:
        """Objects that are newer than the version, as they become so."""
        api = self.api
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        until = time.monotonic() + min(int(query["timeoutSeconds"]), 5)
        while time.monotonic() < until and not api.dead:
            with api.lock:
                newer = [
                    each
                    for each in self.selected(plural, query)
                    if int(each["metadata"]["resourceVersion"]) > int(query["resourceVersion"])
                ]
            if newer:
                self.chunk(json.dumps({"type": "MODIFIED", "object": newer[0]}).encode() + b"\n")
                break
            with api.changed:
                api.changed.wait(0.02)
        self.chunk(b"")

    def log(self, name: str, query: dict) -> None:
        lines = self.api.lines.get(name, [])
        if query.get("previous") == "true":
            lines = self.api.lines.get(f"{name} before", [])
        if self.api.get("pods", name) is None:
            self.refuse(404, f'pods "{name}" not found')
            return
        told = lines[-int(query["tailLines"]) :] if int(query["tailLines"]) else []
        data = "".join(f"{line}\n" for line in told).encode()
        if query.get("follow") != "true":
            self.reply(200, data)
            return
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if data:
            self.chunk(data)
        while self.api.streams:
            time.sleep(0.02)
        self.chunk(b"")

    def run(self, name: str) -> None:
        """A command in a container: https://kubernetes.io/docs/reference/using-api/websockets/"""
        api, query = self.api, parse_qs(urlsplit(self.path).query, keep_blank_values=True)
        protocols = self.headers.get("Sec-WebSocket-Protocol", "").replace(" ", "").split(",")
        key = self.headers.get("Sec-WebSocket-Key")
        there = api.get("pods", name)
        if self.headers.get("Upgrade", "").lower() != "websocket" or key is None:
            self.refuse(400, "Upgrade request required")
        elif self.headers.get("Authorization") != "Bearer token":
            self.refuse(401, "Unauthorized")
        elif there is None:
            self.refuse(404, f'pods "{name}" not found')
        elif query["container"][0] not in [each["name"] for each in there["spec"]["containers"]]:
            self.refuse(400, f"container {query['container'][0]} is not valid for pod {name}")
        else:
            self.send_response(101)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            self.send_header("Sec-WebSocket-Accept", generate_accept_token(key.encode()).decode())
            if api.manner != "old":
                assert "v4.channel.k8s.io" in protocols
                self.send_header("Sec-WebSocket-Protocol", "v4.channel.k8s.io")
            self.end_headers()
            self.close_connection = True
            assert query.get("stdout") == ["true"]
            api.commands.append((name, query["container"][0], query["command"]))
            self.channels(api.machine(*api.commands[-1]))

    def channels(self, done: subprocess.CompletedProcess) -> None:
        socket, manner = Connection(ConnectionType.SERVER), self.api.manner

        def say(channel: int, data: bytes, *, whole: bool = True) -> None:
            first = BytesMessage(data=bytes([channel]) + data, message_finished=whole)
            self.wfile.write(socket.send(first))
            if not whole:  # a message may come in several frames
                self.wfile.write(socket.send(BytesMessage(data=b"", message_finished=True)))
            self.wfile.flush()

        for channel in (1, 2, 3):  # as the API does, before anything is written
            say(channel, b"")
        while manner in ("silent", "endless") and not self.api.dead:
            if manner == "endless":
                say(1, b"x" * MESSAGE)
            time.sleep(0.01)
        for start in range(0, len(done.stdout), MESSAGE):
            say(1, done.stdout[start : start + MESSAGE], whole=start > 0)
            self.wfile.write(socket.send(Ping(payload=b"there?")))
        if done.stderr:
            say(2, done.stderr)
        if manner == "cut":
            self.cut()
            return
        status: dict = {"kind": "Status", "status": "Success", "metadata": {}}
        if done.returncode:
            cause = {"reason": "ExitCode", "message": str(done.returncode)}
            status |= {
                "status": "Failure",
                "reason": "NonZeroExitCode",
                "message": f"command terminated with non-zero exit code: {done.returncode}",
                "details": {"causes": [cause]},
            }
        if manner != "mute":
            say(3, b"[" if manner == "vague" else json.dumps(status).encode())
        self.wfile.write(socket.send(CloseConnection(code=1000)))
        self.wfile.flush()
        while self.rfile.read1():  # what the other side still says; else the end would be a reset
            pass

    def chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()


def comparable(there: dict) -> dict:
    made = {key: value for key, value in there.items() if key != "status"}
    made["metadata"] = {
        key: value
        for key, value in there["metadata"].items()
        if key not in ("resourceVersion", "generation", "uid")
    }
    return made


def selected_by(made: dict, there: dict | None) -> bool:
    """Whether a Deployment's selector fits its pods, and is what it was."""
    selector = made["spec"]["selector"]["matchLabels"]
    labels = made["spec"]["template"]["metadata"]["labels"]
    before = there["spec"]["selector"]["matchLabels"] if there else selector
    return selector.items() <= labels.items() and before == selector


def at(there: dict, path: str) -> object:
    for key in path.split("."):
        there = there.get(key) or {}
    return there


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        pass  # connections that were cut


@contextlib.contextmanager
def serve(tls: ssl.SSLContext | None = None, **state: object) -> Iterator[Api]:
    """An API that answers as long as this is open; with `tls` by https."""
    api = Api(**state)
    handler = type("Bound", (Handler,), {"api": api})
    with Server(("127.0.0.1", 0), handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        api.host = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield api
        finally:
            server.shutdown()


def kubeconfig(api: Api) -> dict:
    """A kubeconfig for it."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": api.host}}],
        "users": [{"name": "test", "user": {"token": "token"}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    }
