"""AWS as these tests have it: moto, a real registry behind ECR, containers like Lambda's."""

from __future__ import annotations

import base64
import http.client
import json
import re
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
from lambda_api import RuntimeApi
from moto.server import ThreadedMotoServer

REGION = "eu-central-1"
ROLE = "arn:aws:iam::123456789012:role/penguins"
KEYS = {"AWS_ACCESS_KEY_ID": "made-up", "AWS_SECRET_ACCESS_KEY": "made-up"}

_INVOKED = re.compile(r"/2015-03-31/functions/([^/]+)/invocations")
_LEFT_OUT = ("transfer-encoding", "content-length", "connection", "date", "server")


class Cloud:
    """What stands before moto.

    Attributes:
        url: the address of all services.
        registry: behind ECR.
        engine: runs what Lambda would.
        image: the name of the built image in it.
    """

    def __init__(self, moto: tuple[str, int], registry, engine, image: str) -> None:
        self.moto, self.registry, self.engine, self.image = moto, registry, engine, image
        self.url = ""
        self._stack = ExitStack()
        self._functions: dict[str, RuntimeApi] = {}
        self._lock = threading.Lock()

    def client(self, name: str):
        keys = {key.lower(): value for key, value in KEYS.items()}
        return boto3.client(name, region_name=REGION, endpoint_url=self.url, **keys)

    def authorization(self) -> bytes:
        """What ECR hands out."""
        login = f"{self.registry.username}:{self.registry.password}"
        token = base64.b64encode(login.encode()).decode()
        endpoint = f"http://{self.registry.host}"
        found = {"authorizationToken": token, "expiresAt": 1.8e9, "proxyEndpoint": endpoint}
        return json.dumps({"authorizationData": [found]}).encode()

    def invoke(self, name: str, qualifier: str, event: object) -> tuple[object, bool]:
        """Ask a version of a function: a container like Lambda's, started by the first one.

        Returns:
            What it answers, and whether it failed.
        """
        found = self.client("lambda").get_function(FunctionName=name, Qualifier=qualifier)
        variables = found["Configuration"].get("Environment", {}).get("Variables", {})
        key = json.dumps([found["Code"]["ImageUri"], variables], sort_keys=True)
        with self._lock:
            if key not in self._functions:
                self._functions[key] = self._start(variables)
            api = self._functions[key]
            api.send(event)
            path, kind, told = api.told()
            return told, bool(kind) or not path.endswith("/response")

    def _start(self, variables: dict[str, str]) -> RuntimeApi:
        api = self._stack.enter_context(RuntimeApi())
        container = self.engine.containers.run(
            self.image,
            detach=True,
            network_mode="host",
            read_only=True,
            tmpfs={"/tmp": "size=16m"},
            user="993:990",  # as Lambda's, and not the image's
            cap_drop=["ALL"],
            environment={**variables, "AWS_LAMBDA_RUNTIME_API": api.address},
        )
        self._stack.callback(container.remove, force=True)
        return api

    def close(self) -> None:
        self._stack.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cloud: Cloud

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        target = self.headers.get("X-Amz-Target", "")
        parts = urllib.parse.urlsplit(self.path)
        invoked = _INVOKED.fullmatch(parts.path)
        if target.endswith(".GetAuthorizationToken"):
            kind = {"Content-Type": "application/x-amz-json-1.1"}
            self._send(200, kind, self.cloud.authorization())
        elif invoked is not None:
            qualifier = urllib.parse.parse_qs(parts.query)["Qualifier"][0]
            answer, failed = self.cloud.invoke(invoked[1], qualifier, json.loads(body))
            headers = {"X-Amz-Function-Error": "Unhandled"} if failed else {}
            self._send(200, headers, json.dumps(answer).encode())
        else:
            connection = http.client.HTTPConnection(*self.cloud.moto)
            connection.request(self.command, self.path, body, dict(self.headers))
            answer = connection.getresponse()
            kept = {k: v for k, v in answer.getheaders() if k.lower() not in _LEFT_OUT}
            self._send(answer.status, kept, answer.read())
            connection.close()

    def __getattr__(self, name: str):
        if name.startswith("do_"):
            return self._answer
        raise AttributeError(name)

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextmanager
def serve(registry, engine, image: str) -> Iterator[Cloud]:
    """A cloud that answers."""
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    cloud = Cloud(moto.get_host_and_port(), registry, engine, image)
    handler = type("Handler", (_Handler,), {"cloud": cloud})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        cloud.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        trust = {"Statement": [{"Principal": {"Service": "lambda.amazonaws.com"}}]}
        cloud.client("iam").create_role(
            RoleName=ROLE.rpartition("/")[2], AssumeRolePolicyDocument=json.dumps(trust)
        )
        try:
            yield cloud
        finally:
            cloud.close()
            server.shutdown()
            moto.stop()
