"""The proxy's configuration: a pure function of where the traffic goes.

HAProxy 2.4 and later (https://docs.haproxy.org/2.6/configuration.html). It is written whole and
read again by a reload, which loses no connection: the new process takes over the listening sockets,
the old one ends what it has begun; ``idle-close-on-response`` lets a client that waits between two
requests send one more, instead of closing under its feet.
"""

from __future__ import annotations

import re

import msgspec

from mlpack.errors import OutsideError
from mlpack.rollout.values import Traffic, replica_name

PORT, TOLD_PORT = 8080, 8081
"""Where requests come in, and where, inside the network alone, it says what it was told last."""

REPLICA_PORT = 8080

_MARK = "# mlpack "
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,99}")

_TEXT = """\
{mark}{state}
global
    log stdout format raw local0 notice
    stats socket /tmp/haproxy.sock mode 600 level admin expose-fd listeners
    hard-stop-after {drain}s

defaults
    mode http
    log global
    timeout connect 2s
    timeout client 75s
    timeout server 75s
    timeout queue 5s
    timeout http-request 15s
    timeout http-keep-alive 60s
    option idle-close-on-response
    # A request whose connection could not be made has reached nobody: another one gets it.
    retries 3
    option redispatch 1
    retry-on conn-failure

resolvers docker
    nameserver dns 127.0.0.11:53
    resolve_retries 3
    timeout resolve 1s
    timeout retry 1s
    hold valid 1s
    hold obsolete 5s

frontend told
    bind :{told}
    http-request return status 200 content-type text/plain string "{generation}"

frontend requests
    bind :{port}
{canary_rule}    default_backend live

backend live
{live}{canary}"""

_BACKEND = """\
    balance leastconn
    option httpchk GET /readyz
    http-check expect status 200
    default-server check inter 1s fall 2 rise 1 resolvers docker init-addr last,libc,none
"""


def render(service: str, traffic: Traffic, generation: str, drain_seconds: int) -> bytes:
    """The file.

    Args:
        service: its name, with which the containers' names begin.
        traffic: where requests go.
        generation: a word that only this file has.
        drain_seconds: so long the process that it replaces may go on.

    Raises:
        ValueError: a name is none.
    """
    for name in (service, generation):
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name")
    canary = rule = ""
    if traffic.canary:
        chosen = f"{{ rand(100) lt {traffic.share} }} {{ nbsrv(canary) gt 0 }}"
        rule = f"    use_backend canary if {chosen}\n"
        canary = "\nbackend canary\n" + _servers(service, traffic.canary, traffic.canary_replicas)
    return _TEXT.format(
        mark=_MARK,
        state=msgspec.json.encode(traffic).decode(),
        drain=drain_seconds,
        told=TOLD_PORT,
        port=PORT,
        generation=generation,
        canary_rule=rule,
        live=_servers(service, traffic.live, traffic.replicas),
        canary=canary,
    ).encode()


def generation(content: bytes) -> str:
    """The word that only a file has, which `render` wrote; ``""`` where there is none."""
    found = re.search(rb'string "([a-z0-9-]+)"', content)
    return found[1].decode() if found else ""


def _servers(service: str, release: int, replicas: int) -> str:
    lines = [
        f"    server {release}-{index} {replica_name(service, release, index)}:{REPLICA_PORT}\n"
        for index in range(1, replicas + 1)
    ]
    return _BACKEND + "".join(lines)


def read(content: bytes) -> Traffic:
    """Where a file says that the traffic goes.

    Raises:
        OutsideError: mlpack did not write it.
    """
    first, _, _ = content.partition(b"\n")
    try:
        return msgspec.json.decode(first.removeprefix(_MARK.encode()), type=Traffic)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise OutsideError(
            "the proxy's configuration was not written by mlpack",
            hint="Look at it, and remove the service if it is to begin anew: mlpack remove",
        ) from error
