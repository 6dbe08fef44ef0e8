"""Lambda's runtime API, as far as a runtime needs it, served by the tests."""

from __future__ import annotations

import json
import queue
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ROOT = "/2018-06-01/runtime"


@dataclass
class RuntimeApi:
    """Hands out events and keeps what comes back."""

    events: queue.Queue = field(default_factory=queue.Queue)
    answers: queue.Queue = field(default_factory=queue.Queue)
    seconds: float = 30.0
    refuse: int = 0

    def __enter__(self):
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                if self.path != f"{ROOT}/invocation/next":
                    self._send(404, b"")
                    return
                number, event = api.events.get()
                if event is None:  # Lambda has gone
                    self.close_connection = True
                    return
                deadline = int((time.time() + api.seconds) * 1000)
                self._send(
                    200,
                    event,
                    {
                        "Lambda-Runtime-Aws-Request-Id": f"request-{number}",
                        "Lambda-Runtime-Deadline-Ms": str(deadline),
                        "Lambda-Runtime-Trace-Id": "Root=1-2-3",
                        "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:::function:f",
                    },
                )

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                kind = self.headers.get("Lambda-Runtime-Function-Error-Type", "")
                api.answers.put((self.path.removeprefix(ROOT), kind, json.loads(body)))
                self._send(api.refuse or 202, b"{}")

            def _send(self, status, body, headers=None) -> None:
                self.send_response(status)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, *_: object) -> None:
                pass  # a function that was killed

        self._server = Server(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_port}"
        self._number = 0
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def send(self, event: Any) -> None:
        """Invoke the function; None ends the API."""
        self._number += 1
        content = event if event is None or isinstance(event, bytes) else json.dumps(event).encode()
        self.events.put((self._number, content))

    def told(self, seconds: float = 30.0) -> tuple[str, str, Any]:
        """The path, the error's kind and the body of what came back next."""
        return self.answers.get(timeout=seconds)

    def ask(self, event: Any) -> dict[str, Any]:
        """Invoke the function, and what it answers."""
        self.send(event)
        path, kind, body = self.told()
        assert (path, kind) == (f"/invocation/request-{self._number}/response", ""), body
        return body


def event(method="POST", path="/predict", body="", **more) -> dict[str, Any]:
    """As Lambda's documents show one of a function's URL."""
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"content-type": "application/json", "x-forwarded-proto": "https"},
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "u",
            "domainName": "u.lambda-url.eu-central-1.on.aws",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.7",
                "userAgent": "curl",
            },
            "requestId": "id",
            "stage": "$default",
        },
        "body": body,
        "isBase64Encoded": False,
        **more,
    }
