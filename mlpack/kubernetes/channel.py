"""A command in a container: what it writes comes in one WebSocket, each stream in a channel.

The protocol is ``v4.channel.k8s.io``: the first byte of a message says which channel it is of, and
the last message, in a channel of its own, how the command ended. The official client has a reader
of its own, which waits for ever and keeps whatever comes: from it come the settings alone.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import websocket
from kubernetes.client import Configuration
from kubernetes.stream.ws_client import websocket_proxycare

from mlpack.errors import OutsideError

PROTOCOL = "v4.channel.k8s.io"

_OUT, _SAID, _ENDED = 1, 2, 3
_FEW = 1 << 16


@dataclass(frozen=True)
class Bounds:
    """What is waited for, and taken.

    Attributes:
        most: so many bytes of standard output.
        silent: so many seconds without a word, while connecting too.
        whole: so many seconds for all of it.
    """

    most: int
    silent: float = 30.0
    whole: float = 300.0


def run(
    configuration: Configuration,
    path: str,
    container: str,
    command: Sequence[str],
    bounds: Bounds,
    now: Callable[[], float] = time.monotonic,
) -> bytes:
    """What a command writes to its standard output.

    Args:
        configuration: of the official client: where the cluster is, and who asks.
        path: of the pod, in the cluster's API.
        container: its name.
        command: the program and its arguments.
        bounds: how long is waited, and how much is taken.
        now: tells the time in seconds.

    Raises:
        websocket.WebSocketException, OSError: the cluster does not answer, or refuses.
        OutsideError: the command failed, took too long or wrote too much, or broke off.
    """
    told = {"container": container, "stdout": "true", "stderr": "true"}
    query = urlencode([*told.items(), *(("command", word) for word in command)])
    scheme, _, rest = str(configuration.host).partition("://")
    url = f"{'wss' if scheme == 'https' else 'ws'}://{rest.rstrip('/')}{path}/exec?{query}"
    until = now() + bounds.whole
    kept: dict[int, bytearray] = {_OUT: bytearray(), _SAID: bytearray(), _ENDED: bytearray()}
    socket = _opened(configuration, url, bounds.silent)
    try:
        while not kept[_ENDED]:
            left = until - now()
            if left <= 0:
                raise OutsideError(f"the command took longer than {bounds.whole:g} s")
            socket.settimeout(min(bounds.silent, left))
            try:
                kind, frame = socket.recv_data_frame(control_frame=True)
            except websocket.WebSocketTimeoutException:
                if left > bounds.silent:
                    raise
                continue  # all of its time is over
            if kind == websocket.ABNF.OPCODE_CLOSE:
                raise OutsideError("it broke off before the command had ended")
            if kind in (websocket.ABNF.OPCODE_BINARY, websocket.ABNF.OPCODE_TEXT):
                _keep(kept, frame.data, bounds.most)
    finally:
        socket.shutdown()  # type: ignore[no-untyped-call]  # a polite end waits for what comes
    why = _why(bytes(kept[_ENDED]))
    if why:
        said = kept[_SAID].decode(errors="replace").strip()
        raise OutsideError(f"the command failed: {why}", hint=said or None)
    return bytes(kept[_OUT])


def _keep(kept: dict[int, bytearray], message: bytes, most: int) -> None:
    """Put a message to what its channel had; of the last words some are enough."""
    if not message or message[0] not in kept:
        return
    found = kept[message[0]]
    found += message[1:]
    if found is not kept[_OUT]:
        del found[:-_FEW]
    elif len(found) > most:
        raise OutsideError(f"the command wrote more than the {most:,} bytes that were asked for")


def _why(status: bytes) -> str:
    """Why a command failed; empty where it did not."""
    try:
        told = json.loads(status)
        return "" if told["status"] == "Success" else str(told.get("message") or "it says not why")
    except (ValueError, KeyError, TypeError):
        return "how it ended cannot be understood"


def _opened(configuration: Configuration, url: str, seconds: float) -> websocket.WebSocket:
    """A connection, with the login and the certificates that the client's own requests have."""
    settings: Mapping[str, Any] = configuration.auth_settings()
    login = (
        f"{each['key']}: {each['value']}"
        for each in settings.values()
        if each["in"] == "header" and each["value"]
    )
    options: dict[str, Any] = {"header": list(login), "subprotocols": [PROTOCOL]}
    if configuration.proxy or configuration.proxy_headers:
        options = websocket_proxycare(options, configuration, url, None)  # type: ignore[no-untyped-call]
    made = websocket.WebSocket(sslopt=_certificates(configuration))
    made.connect(url, timeout=seconds, redirect_limit=0, **options)  # type: ignore[no-untyped-call]
    return made


def _certificates(configuration: Configuration) -> dict[str, Any]:
    checked = bool(configuration.verify_ssl)
    found: dict[str, Any] = {"cert_reqs": ssl.CERT_REQUIRED if checked else ssl.CERT_NONE}
    given = {
        "ca_certs": configuration.ssl_ca_cert if checked else None,
        "check_hostname": configuration.assert_hostname if checked else None,
        "certfile": configuration.cert_file,
        "keyfile": configuration.key_file,
        "server_hostname": configuration.tls_server_name,
    }
    return found | {key: value for key, value in given.items() if value is not None}
