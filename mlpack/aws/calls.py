"""Calls to AWS, and what is told where one is refused: which permission is missing, what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from botocore import exceptions
from botocore.exceptions import BotoCoreError, ClientError

from mlpack.errors import OutsideError

Client: TypeAlias = Any
"""A client of boto3: its methods are made when it is, so they have no types here."""

Answer: TypeAlias = dict[str, Any]

POLICY_HINT = "All that it takes: mlpack deploy ENVIRONMENT --plan --iam"

_PREFIXES = {"elbv2": "elasticloadbalancing"}
_DENIED = frozenset(
    {
        "403",
        "AccessDenied",
        "AccessDeniedException",
        "NotAuthorized",
        "UnauthorizedOperation",
    }
)
_STRANGERS = frozenset(
    {
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_BUSY = frozenset(
    {
        "RequestLimitExceeded",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
    }
)
_PERMISSION = re.compile(
    r"(?:not authorized to perform|no permission to perform):?\s+"
    r"(?P<action>[a-z0-9-]+:[A-Za-z]+)(?:\s+on\s+(?:the\s+)?resource:?\s+(?P<on>[^\s\"']+))?"
)
_CAMEL = re.compile(r"(?:^|_)([a-z])")


@dataclass(eq=False)
class RefusedError(OutsideError):
    """AWS said no.

    Attributes:
        said: its code for it, such as ``ResourceInUseException``.
    """

    said: str = ""


class Service:
    """One of AWS's services."""

    def __init__(self, client: Client, name: str) -> None:
        """A client, and what boto3 calls the service."""
        self._client = client
        self.name = name

    def ask(self, operation: str, **request: Any) -> Answer:  # noqa: ANN401 - as boto3 takes it
        """Call an operation, such as ``create_service``.

        Raises:
            RefusedError: AWS said no.
            OutsideError: it does not answer, or there are no credentials.
        """
        with self._errors(operation):
            found: Answer = getattr(self._client, operation)(**request)
        return found

    def find(
        self,
        operation: str,
        absent: str | tuple[str, ...],
        **request: Any,  # noqa: ANN401
    ) -> Answer | None:
        """As `ask`, but None where the thing is not there.

        Args:
            operation: what to call.
            absent: the codes, or parts of messages, that mean so.
            request: what with.
        """
        marks = (absent,) if isinstance(absent, str) else absent
        try:
            return self.ask(operation, **request)
        except RefusedError as error:
            if any(error.said == mark or mark in error.what for mark in marks):
                return None
            raise

    def pages(self, operation: str, key: str, **request: Any) -> Iterator[Any]:  # noqa: ANN401
        """The entries below `key` of all pages of an answer."""
        with self._errors(operation):
            for page in self._client.get_paginator(operation).paginate(**request):
                yield from page.get(key, ())

    @contextmanager
    def _errors(self, operation: str) -> Iterator[None]:
        where = f"{self.name}:{_camel(operation)}"
        try:
            yield
        except ClientError as error:
            raise _refused(error, self.name, operation) from error
        except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError) as error:
            raise OutsideError(
                "there are no credentials for AWS",
                where=where,
                hint="export AWS_ACCESS_KEY_ID=... AWS_SECRET_ACCESS_KEY=... (or AWS_PROFILE)",
            ) from error
        except exceptions.ParamValidationError as error:
            raise OutsideError(str(error), where=where) from error
        except (exceptions.ConnectionError, exceptions.HTTPClientError) as error:
            raise OutsideError(
                f"{self._client.meta.endpoint_url} does not answer",
                where=where,
                hint="Check region in [deploy], and the network.",
            ) from error
        except BotoCoreError as error:
            raise OutsideError(str(error), where=where) from error


def _camel(operation: str) -> str:
    return _CAMEL.sub(lambda found: found[1].upper(), operation)


def _refused(error: ClientError, service: str, operation: str) -> RefusedError:
    told: Mapping[str, Any] = error.response.get("Error", {})
    code, message = str(told.get("Code", "")), str(told.get("Message", ""))
    where = f"{service}:{_camel(operation)}"
    if code in _BUSY:
        return RefusedError(
            "AWS asks to slow down, and did so again after some tries",
            where,
            "Run the same command again: it goes on where it stopped.",
            code,
        )
    if code in _STRANGERS:
        return RefusedError(
            f"AWS does not take the credentials: {message or code}",
            where,
            "Log in again, or look at AWS_PROFILE and AWS_ACCESS_KEY_ID.",
            code,
        )
    found = _PERMISSION.search(message)
    if found is not None or code in _DENIED:
        action = (
            found["action"]
            if found
            else f"{_PREFIXES.get(service, service)}:{where[len(service) + 1 :]}"
        )
        on = f" on {found['on'].rstrip('.,')}" if found and found["on"] else ""
        return RefusedError(
            f"the permission {action}{on} is missing", where, POLICY_HINT, code or "AccessDenied"
        )
    return RefusedError(f"{message or 'AWS said no'} ({code})", where, None, code)
