"""A registry in memory, on a real socket of this machine, that can be told to misbehave."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@dataclass
class Failure:
    """One answer that is given in place of the right one, to the first request that fits."""

    method: str
    path: str
    status: int = 503
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False  # close the connection in the middle of the body


@dataclass
class Request:
    """What came in."""

    method: str
    path: str
    headers: dict[str, str]


@dataclass
class Registry:
    """The state; tests read and change it."""

    auth: str = "none"  # none, basic, token
    user: str = "alice"
    password: str = "secret"
    identity_token: str = "identity"
    anonymous_token: bool = False
    mounts: bool = True
    host: str = ""
    realm: str = ""
    blobs: dict[tuple[str, str], bytes] = field(default_factory=dict)
    manifests: dict[tuple[str, str], tuple[bytes, str]] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    redirect_blobs_to: str = ""
    scopes: list[list[str]] = field(default_factory=list)

    def put(self, repository: str, data: bytes) -> str:
        """Store a blob."""
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self.blobs[repository, digest] = data
        return digest

    def put_image(self, repository: str, tag: str, image: object) -> None:
        """Store an image of `mlpack.oci.values`."""
        for layer in image.layers:
            with layer.open() as stream:
                self.put(repository, stream.read())
        self.put(repository, image.config_bytes)
        self.put_manifest(repository, tag, image.manifest_bytes, MANIFEST)

    def put_manifest(self, repository: str, tag: str, data: bytes, media_type: str) -> None:
        """Store a manifest under its tag and its digest."""
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self.manifests[repository, tag] = self.manifests[repository, digest] = (data, media_type)

    def seen(self, method: str, pattern: str) -> list[Request]:
        """The requests that fit."""
        return [
            item
            for item in self.requests
            if item.method == method and re.search(pattern, item.path)
        ]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: object) -> None:
        pass

    def handle_any(self) -> None:
        state = self.server.state
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        state.requests.append(Request(self.command, self.path, dict(self.headers)))
        for failure in state.failures:
            if failure.method == self.command and re.search(failure.path, self.path):
                state.failures.remove(failure)
                self.fail(failure)
                return
        url = urlsplit(self.path)
        if url.path == "/token":
            self.token(parse_qs(url.query), parse_qs(body.decode()))
        elif self.allowed():
            self.route(url.path, parse_qs(url.query), body)

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = handle_any  # noqa: N815

    def fail(self, failure: Failure) -> None:
        if failure.cut:
            self.send_response(200)
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            self.wfile.write(b"only the beginning")
            self.close_connection = True
            return
        self.reply(failure.status, b"{}", failure.headers)

    def reply(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def basic(self) -> str | None:
        kind, _, value = self.headers.get("Authorization", "").partition(" ")
        return base64.b64decode(value).decode() if kind == "Basic" else None

    def allowed(self) -> bool:
        state = self.server.state
        if state.auth == "none":
            return True
        if state.auth == "basic":
            if self.basic() == f"{state.user}:{state.password}":
                return True
            challenge = 'Basic realm="tests"'
        else:
            if self.headers.get("Authorization") == "Bearer good":
                return True
            repository = re.sub(r"^/v2/(.*)/(?:blobs|manifests)/.*", r"\1", self.path)
            actions = "pull" if self.command in ("GET", "HEAD") else "pull,push"
            challenge = (
                f'Bearer realm="{state.realm}",service="tests",'
                f'scope="repository:{repository}:{actions}"'
            )
        self.reply(401, b"{}", {"WWW-Authenticate": challenge})
        return False

    def token(self, query: dict[str, list[str]], form: dict[str, list[str]]) -> None:
        state = self.server.state
        state.scopes.append(query.get("scope", []) or form.get("scope", []))
        good = (
            state.anonymous_token
            or self.basic() == f"{state.user}:{state.password}"
            or form.get("refresh_token") == [state.identity_token]
        )
        if good:
            self.reply(200, json.dumps({"token": "good", "expires_in": 60}).encode())
        else:
            self.reply(401, b"{}")

    def route(self, path: str, query: dict[str, list[str]], body: bytes) -> None:
        state = self.server.state
        if match := re.fullmatch(r"/v2/(.+)/blobs/uploads/", path):
            self.begin(match[1], query)
        elif match := re.fullmatch(r"/v2/(.+)/blobs/uploads/(\w+)", path):
            digest = state.put(match[1], body)
            self.reply(201 if query.get("digest") == [digest] else 400)
        elif match := re.fullmatch(r"/v2/(.+)/blobs/(sha256:[0-9a-f]+)", path):
            found = state.blobs.get((match[1], match[2]))
            if found is not None and state.redirect_blobs_to and self.command == "GET":
                self.reply(307, b"", {"Location": f"{state.redirect_blobs_to}{path}"})
            else:
                self.reply(404 if found is None else 200, found or b"")
        elif match := re.fullmatch(r"/v2/(.+)/manifests/([\w.:-]+)", path):
            self.manifest(match[1], match[2], body)
        else:
            self.reply(404)

    def begin(self, repository: str, query: dict[str, list[str]]) -> None:
        state = self.server.state
        if "mount" in query and state.mounts:
            found = state.blobs.get((query["from"][0], query["mount"][0]))
            if found is not None:
                state.put(repository, found)
                self.reply(201)
                return
        self.reply(202, b"", {"Location": f"/v2/{repository}/blobs/uploads/abc?state=x"})

    def manifest(self, repository: str, name: str, body: bytes) -> None:
        state = self.server.state
        if self.command == "PUT":
            state.put_manifest(repository, name, body, self.headers["Content-Type"])
            self.reply(201)
            return
        found = state.manifests.get((repository, name))
        if found is None:
            self.reply(404, b"{}")
        else:
            digest = f"sha256:{hashlib.sha256(found[0]).hexdigest()}"
            headers = {"Content-Type": found[1], "Docker-Content-Digest": digest}
            self.reply(200, found[0], headers)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    state: Registry

    def handle_error(self, *_: object) -> None:
        """A client that goes away is nothing to print."""


@contextlib.contextmanager
def serve(tls: ssl.SSLContext | None = None, **state: object) -> Iterator[Registry]:
    """A running registry, with TLS if `tls` is given."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        server.state = Registry(**state)  # type: ignore[arg-type]
        server.state.host = f"127.0.0.1:{server.server_address[1]}"
        server.state.realm = server.state.realm or f"http://{server.state.host}/token"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server.state
        finally:
            server.shutdown()
            thread.join()
