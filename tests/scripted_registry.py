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
    taken: int | None = None  # take so many bytes of what is sent, then close the connection


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
    together: threading.Barrier | None = None  # where blobs wait for each other
    api: bool = False  # whether it has the referrers API, and how many it lists at once
    page: int = 100
    scopes: list[list[str]] = field(default_factory=list)
    uploads: dict[str, bytes] = field(default_factory=dict)
    largest_body: int = 1 << 40  # a larger one is answered with 413, as what stands before it does
    least_chunk: int = 0  # what it demands of all chunks but the last
    forgets: bool = False  # uploads whose connection broke off
    changing: int = 0  # requests that changed something, or would have
    dies_at: int | None = None  # at which of them it dies
    dies_after: bool = False  # when it has done what was asked
    dead: bool = False

    def put(self, repository: str, data: bytes) -> str:
        """Store a blob."""
        if self.together is not None:
            self.together.wait()
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
        if self.command in ("PUT", "POST", "PATCH"):
            state.changing += 1
            state.dead = state.dead or (
                state.changing - 1 == state.dies_at and not state.dies_after
            )
        if state.dead:
            self.close_connection = True
            return
        if length > state.largest_body:
            self.reply(413)
            return
        for failure in state.failures:
            if failure.method == self.command and re.search(failure.path, self.path):
                state.failures.remove(failure)
                self.fail(failure, body)
                return
        url = urlsplit(self.path)
        if url.path == "/token":
            self.token(parse_qs(url.query), parse_qs(body.decode()))
        elif self.allowed():
            self.route(url.path, parse_qs(url.query), body)

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = handle_any  # noqa: N815

    def fail(self, failure: Failure, body: bytes) -> None:
        if failure.taken is not None:
            name = re.sub(r".*/uploads/(\w+).*", r"\1", self.path)
            state = self.server.state
            state.uploads[name] += body[: failure.taken]
            if state.forgets:
                del state.uploads[name]
            self.close_connection = True
        elif failure.cut:
            self.send_response(200)
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            self.wfile.write(b"only the beginning")
            self.close_connection = True
        else:
            self.reply(failure.status, b"{}", failure.headers)

    def reply(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        state = self.server.state
        if self.command in ("PUT", "POST", "PATCH") and state.changing - 1 == state.dies_at:
            state.dead = True  # it is done, and nobody hears of it
            self.close_connection = True
            return
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
            self.upload(match[1], match[2], query, body)
        elif match := re.fullmatch(r"/v2/(.+)/blobs/(sha256:[0-9a-f]+)", path):
            found = state.blobs.get((match[1], match[2]))
            if found is not None and state.redirect_blobs_to and self.command == "GET":
                self.reply(307, b"", {"Location": f"{state.redirect_blobs_to}{path}"})
            else:
                self.reply(404 if found is None else 200, found or b"")
        elif match := re.fullmatch(r"/v2/(.+)/manifests/([\w.:-]+)", path):
            self.manifest(match[1], match[2], body)
        elif state.api and (match := re.fullmatch(r"/v2/(.+)/referrers/(sha256:\w+)", path)):
            self.referrers(match[1], match[2], int(query.get("from", ["0"])[0]))
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
        name = f"abc{len(state.uploads)}"
        state.uploads[name] = b""
        self.far(202, repository, name)

    def far(self, status: int, repository: str, name: str) -> None:
        """How far an upload is. Its place is another each time, as that of real ones is."""
        state = self.server.state
        size = len(state.uploads[name])
        headers = {
            "Location": f"/v2/{repository}/blobs/uploads/{name}?state={size}",
            "Range": f"0-{max(size - 1, 0)}",
        }
        if state.least_chunk:
            headers["OCI-Chunk-Min-Length"] = str(state.least_chunk)
        self.reply(status, b"", headers)

    def upload(self, repository: str, name: str, query: dict[str, list[str]], body: bytes) -> None:
        state = self.server.state
        there = state.uploads.get(name)
        if there is None:
            self.reply(404)
        elif query.get("state") != [str(len(there))] and self.command != "GET":
            self.reply(416)
        elif self.command == "GET":
            self.far(204, repository, name)
        elif self.command == "PATCH":
            begin, _, end = self.headers["Content-Range"].partition("-")
            if int(begin) != len(there) or int(end) - int(begin) + 1 != len(body):
                self.reply(416)
            else:
                state.uploads[name] = there + body
                self.far(202, repository, name)
        else:
            digest = f"sha256:{hashlib.sha256(there + body).hexdigest()}"
            if query.get("digest") == [digest]:
                state.put(repository, there + body)
            self.reply(201 if query.get("digest") == [digest] else 400)

    def manifest(self, repository: str, name: str, body: bytes) -> None:
        state = self.server.state
        if self.command == "PUT":
            state.put_manifest(repository, name, body, self.headers["Content-Type"])
            subject = json.loads(body).get("subject")
            known = state.api and subject is not None
            self.reply(201, b"", {"OCI-Subject": subject["digest"]} if known else {})
            return
        found = state.manifests.get((repository, name))
        if found is None:
            self.reply(404, b"{}")
        else:
            digest = f"sha256:{hashlib.sha256(found[0]).hexdigest()}"
            headers = {"Content-Type": found[1], "Docker-Content-Digest": digest}
            self.reply(200, found[0], headers)

    def referrers(self, repository: str, digest: str, begin: int) -> None:
        state = self.server.state
        found = []
        for (where, name), (data, media_type) in sorted(state.manifests.items()):
            document = json.loads(data)
            subject = document.get("subject") or {}
            if where == repository and name[:7] == "sha256:" and subject.get("digest") == digest:
                kind = document["artifactType"]
                found.append(
                    {
                        "mediaType": media_type, "digest": name, "size": len(data),
                        "artifactType": kind,
                        **{key: document[key] for key in ("annotations",) if key in document},
                    }
                )  # fmt: skip
        headers = {"Content-Type": "application/vnd.oci.image.index.v1+json"}
        if begin + state.page < len(found):
            following = f"/v2/{repository}/referrers/{digest}?from={begin + state.page}"
            headers["Link"] = f'<{following}>; rel="next"'
        index = {"schemaVersion": 2, "manifests": found[begin : begin + state.page]}
        self.reply(200, json.dumps(index).encode(), headers)


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
