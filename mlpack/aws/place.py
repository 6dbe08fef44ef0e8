"""Where in AWS something is, and who asks: a region, credentials, and clients for its services."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from mlpack.aws.calls import Service
from mlpack.delivery.settings import Reader
from mlpack.errors import InputError, OutsideError

KEYS = ("endpoint", "region")
"""Keys of ``[deploy]`` that say where, in every target of AWS."""

URL = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(?:/[A-Za-z0-9._~/-]*)?")
REGION = re.compile(r"[a-z0-9-]{1,40}")
ACCOUNT = r"[0-9]{12}"
ROLE = re.compile(
    rf"arn:(?P<partition>aws[a-z-]*):iam::(?P<account>{ACCOUNT}):role/[\w+=,.@/-]{{1,512}}"
)

_TRIES = 8
_BY = re.compile(r"[^A-Za-z0-9+=._:/@-]+")


@dataclass(frozen=True)
class Place:
    """A region, as somebody.

    Attributes:
        region: its name.
        session: has the credentials.
        endpoint: where all services are asked instead of AWS; None for AWS itself.
    """

    region: str
    session: boto3.Session
    endpoint: str | None = None

    def service(self, name: str, seconds: int = 60) -> Service:
        """A service of AWS. Where it is busy, it is asked again, later each time.

        Args:
            name: boto3's for it.
            seconds: how long an answer may take.

        Raises:
            OutsideError: the session has no such credentials.
        """
        config = Config(
            retries={"mode": "standard", "total_max_attempts": _TRIES},
            connect_timeout=10,
            read_timeout=seconds,
        )
        try:
            client = self.session.client(  # type: ignore[call-overload]
                name, region_name=self.region, endpoint_url=self.endpoint, config=config
            )
        except BotoCoreError as error:
            raise OutsideError(str(error), where=name) from error
        return Service(client, name)


def place(config: Mapping[str, Any], env: Mapping[str, str]) -> Place:
    """Where ``[deploy]`` says.

    Args:
        config: optionally ``region`` and ``endpoint`` (a URL).
        env: the process's environment: ``AWS_REGION``, ``AWS_PROFILE``, credentials.

    Raises:
        InputError: a key is wrong, or nothing names a region.
        OutsideError: the profile that `env` names is not there.
    """
    given = Reader(config)
    region = given.text("region", REGION)
    endpoint = given.text("endpoint", URL) or None
    try:
        session = boto3.Session(
            aws_access_key_id=env.get("AWS_ACCESS_KEY_ID") or None,
            aws_secret_access_key=env.get("AWS_SECRET_ACCESS_KEY") or None,
            aws_session_token=env.get("AWS_SESSION_TOKEN") or None,
            profile_name=env.get("AWS_PROFILE") or None,
            region_name=region or env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION") or None,
        )
    except BotoCoreError as error:
        raise OutsideError(str(error), where="[deploy]") from error
    if not session.region_name:
        raise InputError("nothing names a region", where="[deploy]", hint='region = "eu-central-1"')
    return Place(session.region_name, session, endpoint)


def caller(sts: Service) -> str:
    """Who asks, for what is remembered: ``user/alice``, or ``assumed-role/Deploy/alice``.

    Needs no permission.
    """
    arn = str(sts.ask("get_caller_identity").get("Arn", ""))
    return _BY.sub("-", arn.rpartition(":")[2])[-60:] or "somebody"


def account_of(role: str) -> tuple[str, str]:
    """The partition and the account that a role belongs to; stars where it is no role."""
    found = ROLE.fullmatch(role)
    return (found["partition"], found["account"]) if found else ("aws", "*")
