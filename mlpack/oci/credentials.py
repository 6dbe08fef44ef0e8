"""Who the user is to a registry: the environment, or Docker's configuration file and helpers.

The file's form is Docker's (https://docs.docker.com/reference/cli/docker/login/), the helpers'
protocol that of https://github.com/docker/docker-credential-helpers.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from mlpack.errors import InputError, OutsideError
from mlpack.oci.reference import DOCKER_HUB
from mlpack.process import Runner

USERNAME = "MLPACK_REGISTRY_USERNAME"
PASSWORD = "MLPACK_REGISTRY_PASSWORD"  # noqa: S105 - the variable's name, not a password

_HUB_KEYS = ("https://index.docker.io/v1/", "index.docker.io", "docker.io", "registry-1.docker.io")
_HELPER = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]*")
_HELPER_SECONDS = 30.0


@dataclass(frozen=True)
class Credential:
    """A user name with a password, or an identity token in its place. Never shown."""

    username: str
    password: str = field(repr=False)
    identity_token: str | None = field(default=None, repr=False)


class _Auth(msgspec.Struct, frozen=True, rename="lower"):
    auth: str | None = None
    username: str | None = None
    password: str | None = None
    identitytoken: str | None = None


class _Config(msgspec.Struct, frozen=True, rename="camel"):
    auths: dict[str, _Auth] = {}
    cred_helpers: dict[str, str] = {}
    creds_store: str | None = None


class _Helped(msgspec.Struct, frozen=True, rename="pascal"):
    username: str
    secret: str


def from_environment(env: Mapping[str, str]) -> Credential | None:
    """The credential in the environment, meant for the registry that is deployed to.

    Raises:
        InputError: only one of the two variables is set.
    """
    username, password = env.get(USERNAME), env.get(PASSWORD)
    if not username and not password:
        return None
    if not username or not password:
        raise InputError(
            f"{USERNAME if password else PASSWORD} is not set, but the other one is",
            where="environment",
            hint=f"Set both {USERNAME} and {PASSWORD}, or neither.",
        )
    return Credential(username, password)


def docker_config_file(env: Mapping[str, str], home: Path) -> Path:
    """Docker's configuration file, there or not."""
    folder = env.get("DOCKER_CONFIG")
    return (Path(folder) if folder else home / ".docker") / "config.json"


def from_docker(host: str, file: Path, runner: Runner) -> Credential | None:
    """What ``docker login`` has written down for `host`, or its helper knows.

    Raises:
        InputError: the configuration file is damaged.
    """
    try:
        data = file.read_bytes()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    try:
        config = msgspec.json.decode(data, type=_Config)
    except msgspec.DecodeError as error:
        raise InputError(f"this is no Docker configuration: {error}", where=str(file)) from error
    keys = _keys(host)
    helper = next((config.cred_helpers[key] for key in keys if key in config.cred_helpers), None)
    if helper or config.creds_store:
        found = _ask_helper(helper or config.creds_store or "", keys[0], runner, file)
        if found is not None:
            return found
    for key in keys:
        if (entry := config.auths.get(key)) is not None:
            return _credential(entry, file)
    return None


def _keys(host: str) -> tuple[str, ...]:
    if host == DOCKER_HUB:
        return _HUB_KEYS
    return host, f"https://{host}", f"http://{host}", f"https://{host}/v1/", f"https://{host}/v2/"


def _credential(entry: _Auth, file: Path) -> Credential | None:
    username, password = entry.username or "", entry.password or ""
    if entry.auth:
        try:
            decoded = base64.b64decode(entry.auth, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise InputError(
                "the Docker configuration has a login that cannot be read",
                where=str(file),
                hint="Log in again: docker login",
            ) from error
        username, _, password = decoded.partition(":")
    if not (username and password) and not entry.identitytoken:
        return None
    return Credential(username, password.rstrip("\0"), entry.identitytoken)


def _ask_helper(name: str, server: str, runner: Runner, file: Path) -> Credential | None:
    if not _HELPER.fullmatch(name):
        raise InputError(f"{name!r} is no name of a credential helper", where=str(file))
    try:
        done = runner([f"docker-credential-{name}", "get"], stdin=server, timeout=_HELPER_SECONDS)
    except OutsideError:
        return None  # the helper is not installed here: go on without, as Docker does
    if done.code:
        return None  # it has nothing for this registry
    try:
        found = msgspec.json.decode(done.stdout, type=_Helped)
    except msgspec.DecodeError as error:
        raise OutsideError(f"docker-credential-{name} did not answer as it should") from error
    # "<token>" as a user name says that the secret is an identity token.
    if found.username == "<token>":
        return Credential("", "", found.secret)
    return Credential(found.username, found.secret)
