"""Which Docker engine is meant: the same one for Docker's SDK and for the program ``docker``.

The program follows ``DOCKER_HOST``, else its context (``docker context use``, ``DOCKER_CONTEXT``);
the SDK knows contexts in its newest releases only. So the context's endpoint is asked for once and
named by the variables that both have always read
(https://docs.docker.com/reference/cli/docker/#environment-variables).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from mlpack.errors import OutsideError
from mlpack.process import Runner

HOST = "DOCKER_HOST"

_SECONDS = 10.0


class _Endpoint(msgspec.Struct, frozen=True, rename="pascal"):
    host: str = ""
    skip_tls_verify: bool = msgspec.field(name="SkipTLSVerify", default=False)


class _Storage(msgspec.Struct, frozen=True):
    tls_path: str = msgspec.field(name="TLSPath", default="")


class _Context(msgspec.Struct, frozen=True, rename="pascal"):
    endpoints: dict[str, _Endpoint] = {}
    tls_material: dict[str, list[str] | None] | None = msgspec.field(
        name="TLSMaterial", default=None
    )
    storage: _Storage = _Storage()


def environment(runner: Runner, env: Mapping[str, str]) -> Mapping[str, str]:
    """The environment in which everything that asks for an engine finds the same one.

    It is `env` itself where that names an engine, or where nothing else does: there is no
    ``docker`` program, or its context is the default one. Then the SDK's own choice is the same.
    """
    if env.get(HOST) or _default_context(env):
        return env
    try:
        done = runner(["docker", "context", "inspect"], env=env, timeout=_SECONDS)
    except OutsideError:
        return env
    try:
        (context,) = msgspec.json.decode(done.stdout, type=tuple[_Context])
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return env  # it failed, or is too old to know contexts
    endpoint = context.endpoints.get("docker", _Endpoint())
    if not endpoint.host:
        return env
    named = {HOST: endpoint.host}
    if (context.tls_material or {}).get("docker"):
        # The files of a context are called as those of DOCKER_CERT_PATH: ca.pem, cert.pem, key.pem.
        named |= {
            "DOCKER_CERT_PATH": str(Path(context.storage.tls_path) / "docker"),
            "DOCKER_TLS_VERIFY": "" if endpoint.skip_tls_verify else "1",
            "DOCKER_TLS": "1",
        }
    return {**env, **named}


class _Settings(msgspec.Struct, frozen=True, rename="camel"):
    current_context: str = ""


def _default_context(env: Mapping[str, str]) -> bool:
    """Whether the program's own settings surely choose no context: it need not be started then."""
    home = env.get("HOME")
    folder = env.get("DOCKER_CONFIG") or (f"{home}/.docker" if home else "")
    if env.get("DOCKER_CONTEXT") or not folder:
        return False
    try:
        content = Path(folder, "config.json").read_bytes()
        chosen = msgspec.json.decode(content, type=_Settings).current_context
    except FileNotFoundError:
        return True
    except (OSError, ValueError, RecursionError):
        return False  # the program says what is wrong with it
    return chosen in ("", "default")
