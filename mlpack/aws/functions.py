"""A function of AWS Lambda: versions that stay as they were, and an alias that says which answer.

Every write names the revision that was read before it, so that of two deploys one is refused.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlpack.aws import releases
from mlpack.aws.calls import Answer, RefusedError, Service
from mlpack.aws.function_settings import Function
from mlpack.aws.policies import Statement, passing, reading_logs
from mlpack.aws.releases import Release
from mlpack.aws.waiting import until
from mlpack.delivery.clock import Clock
from mlpack.errors import OutsideError

ALIAS = "live"
ABSENT = "ResourceNotFoundException"

_ACTIONS = (
    *("AddPermission", "CreateAlias", "CreateFunction", "CreateFunctionUrlConfig"),
    *("DeleteFunction", "DeleteFunctionUrlConfig", "GetAlias", "GetFunction"),
    *("GetFunctionConfiguration", "GetFunctionUrlConfig", "InvokeFunction", "ListTags"),
    *("ListVersionsByFunction", "PublishVersion", "RemovePermission", "TagResource"),
    *("UntagResource", "UpdateAlias", "UpdateFunctionCode", "UpdateFunctionConfiguration"),
    "UpdateFunctionUrlConfig",
)


_LOST = ("PreconditionFailedException", "ResourceConflictException")
_NOT_YET = (
    "CodeArtifactUserPendingException",
    "ResourceConflictException",
    "ResourceNotReadyException",
)
_TOLD = re.compile(
    r"mlpack (?P<version>\S+) (?P<digest>sha256:[0-9a-f]{64}) (?P<settings>[0-9a-f]{16})"
    r"(?: (?P<by>\S+))?"
)
_MOST = 256
_PAUSE = 2.0
_WORDS = 20


@dataclass(frozen=True)
class Seen:
    """What is there.

    Attributes:
        arn: the function's; empty where there is none.
        tags: its tags.
        releases: its versions, the oldest first.
        live: the version that the alias names; 0 where there is no alias.
        canary: the other one that it names; 0 for none.
        share: of a hundred requests, that one's.
        revision: the alias's.
    """

    arn: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    releases: tuple[Release, ...] = ()
    live: int = 0
    canary: int = 0
    share: int = 0
    revision: str = ""

    def release(self, number: int) -> Release:
        """The version of that number, if somebody else made it one of which nothing is known."""
        return next((each for each in self.releases if each.number == number), Release(number))


class Functions:
    """One function at Lambda."""

    def __init__(self, service: Service, function: Function, clock: Clock, patience: float) -> None:
        """A function that need not be there; how long in seconds to wait for a version."""
        self._lambda = service
        self._function = function
        self._clock = clock
        self._patience = patience

    def look(self) -> Seen:
        """What is there."""
        name = self._function.name
        found = self._lambda.find("get_function", ABSENT, FunctionName=name)
        if found is None:
            return Seen()
        alias = self._lambda.find("get_alias", ABSENT, FunctionName=name, Name=ALIAS) or {}
        weights = (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
        canary, share = next(iter(weights.items()), ("0", 0.0))
        versions = self._lambda.pages("list_versions_by_function", "Versions", FunctionName=name)
        known = sorted(
            (_release(each) for each in versions if str(each["Version"]).isdigit()),
            key=lambda release: release.number,
        )
        live = str(alias.get("FunctionVersion", "0"))
        return Seen(
            arn=str(found["Configuration"]["FunctionArn"]),
            tags=found.get("Tags", {}),
            releases=tuple(known),
            live=int(live) if live.isdigit() else 0,
            canary=int(canary),
            share=round(float(share) * 100),
            revision=str(alias.get("RevisionId", "")),
        )

    def made(self, release: Release, image: str, platform: str) -> int:
        """A published version of this image with these settings; its number.

        Raises:
            CheckFailedError: somebody else deploys.
            OutsideError: Lambda refuses, or does not take the image.
        """
        name = self._function.name
        machine = ["arm64" if platform.endswith("arm64") else "x86_64"]
        found = self._lambda.find("get_function", ABSENT, FunctionName=name)
        if found is None:
            self._ask(
                "create_function",
                FunctionName=name,
                PackageType="Image",
                Code={"ImageUri": image},
                Architectures=machine,
                Description="made by mlpack",
                Publish=False,
                **self._function.configuration,
            )
            self._settled()
            found = self._lambda.ask("get_function", FunctionName=name)
        configuration = self._settled()
        if found["Code"].get("ImageUri") != image or configuration["Architectures"] != machine:
            self._ask(
                "update_function_code",
                FunctionName=name,
                ImageUri=image,
                Architectures=machine,
                **_revision(configuration),
            )
            configuration = self._settled()
        if not _as_wanted(configuration, self._function.configuration):
            self._ask(
                "update_function_configuration",
                FunctionName=name,
                **self._function.configuration,
                **_revision(configuration),
            )
            configuration = self._settled()
        told = f"mlpack {release.version} {release.digest} {release.settings} {release.by}"
        published = self._ask(
            "publish_version",
            FunctionName=name,
            Description=told[:_MOST].strip(),
            **_revision(configuration),
        )
        return int(published["Version"])

    def ready(self, number: int) -> None:
        """Wait until a version is there, and ask it whether it is ready, as a request would.

        Raises:
            OutsideError: it does not become ready; the last lines of its log are told.
        """
        self._settled(str(number))
        answer = until(lambda: self._asked(number), self._clock, self._patience, _PAUSE)
        if answer is None:
            raise OutsideError(f"version {number} took no request", where=self._function.name)
        payload = answer["Payload"].read() if answer.get("Payload") else b""
        try:
            told = json.loads(payload or b"null")
        except ValueError:
            told = None
        status = told.get("statusCode") if isinstance(told, Mapping) else None
        if answer.get("FunctionError") or status != 200:
            said = told.get("errorMessage") if isinstance(told, Mapping) else ""
            raise OutsideError(
                f"version {number} is not ready: {said or f'/readyz answered {status}'}",
                where=self._function.name,
                hint=_words(answer.get("LogResult", "")) or None,
            )

    def _asked(self, number: int) -> Answer | None:
        event = {
            "version": "2.0",
            "rawPath": "/readyz",
            "headers": {},
            "requestContext": {
                "http": {"method": "GET", "path": "/readyz", "sourceIp": "127.0.0.1"}
            },
        }
        try:
            return self._lambda.ask(
                "invoke",
                FunctionName=self._function.name,
                Qualifier=str(number),
                Payload=json.dumps(event).encode(),
                LogType="Tail",
            )
        except RefusedError as error:
            if error.said in _NOT_YET:  # a version that slept for weeks is woken by its first one
                return None
            raise

    def direct(self, seen: Seen, live: int, canary: int = 0, share: int = 0) -> None:
        """Let the alias name other versions.

        Raises:
            CheckFailedError: somebody else has moved it since it was seen.
        """
        weights = {str(canary): share / 100} if canary else {}
        request = {
            "FunctionName": self._function.name,
            "Name": ALIAS,
            "FunctionVersion": str(live),
            "RoutingConfig": {"AdditionalVersionWeights": weights},
        }
        if not seen.live:
            self._ask("create_alias", **request)
        else:
            revision = {"RevisionId": seen.revision} if seen.revision else {}
            self._ask("update_alias", **request, **revision)

    def tag(self, arn: str, put: Mapping[str, str], take: Sequence[str]) -> None:
        """Write tags and take others away."""
        self._lambda.ask("tag_resource", Resource=arn, Tags=dict(put))
        if take:
            self._lambda.ask("untag_resource", Resource=arn, TagKeys=list(take))

    def image(self, number: int) -> str:
        """The image of a version, ``REPOSITORY@DIGEST``; empty where there is no such version."""
        found = self._lambda.find(
            "get_function", ABSENT, FunctionName=self._function.name, Qualifier=str(number)
        )
        return str(found["Code"].get("ImageUri", "")) if found else ""

    def works(self, number: int) -> bool:
        """Whether a version can be invoked."""
        found = self._lambda.find(
            "get_function_configuration",
            ABSENT,
            FunctionName=self._function.name,
            Qualifier=str(number),
        )
        return found is not None and found.get("State", "Active") in ("Active", "Inactive")

    def remove(self) -> bool:
        """Delete the function with its versions and its alias; whether it was there."""
        name = self._function.name
        return self._lambda.find("delete_function", ABSENT, FunctionName=name) is not None

    def _settled(self, qualifier: str = "") -> Answer:
        """The configuration, once nothing is in work on it."""
        more = {"Qualifier": qualifier} if qualifier else {}

        def look() -> Answer | None:
            found = self._lambda.ask(
                "get_function_configuration", FunctionName=self._function.name, **more
            )
            states = (found.get("State", "Active"), found.get("LastUpdateStatus", "Successful"))
            if "Pending" in states or "InProgress" in states:
                return None
            if "Failed" in states:
                why = found.get("LastUpdateStatusReason") or found.get("StateReason") or "no reason"
                raise OutsideError(
                    f"Lambda does not take the image: {why}", where=self._function.name
                )
            return found

        found = until(look, self._clock, self._patience, _PAUSE)
        if found is None:
            raise OutsideError(
                f"Lambda was not done after {self._patience:g} seconds",
                where=self._function.name,
                hint="Run the same command again: it goes on where it stopped.",
            )
        return found

    def _ask(self, operation: str, **request: Any) -> Answer:  # noqa: ANN401
        """A write; refused where somebody else wrote since."""
        try:
            return self._lambda.ask(operation, **request)
        except RefusedError as error:
            if error.said in _LOST:
                raise releases.lost() from error
            raise


def _revision(configuration: Mapping[str, Any]) -> Answer:
    found = configuration.get("RevisionId")
    return {"RevisionId": found} if found else {}


def _as_wanted(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    variables = (there.get("Environment") or {}).get("Variables", {})
    return all(
        {**there, "Environment": {"Variables": variables}}.get(key) == value
        for key, value in wanted.items()
    )


def _release(configuration: Mapping[str, Any]) -> Release:
    number = int(configuration["Version"])
    found = _TOLD.fullmatch(str(configuration.get("Description", "")))
    if found is None:
        return Release(number)
    return Release(number, found["version"], found["digest"], found["settings"], found["by"] or "")


def _words(result: str) -> str:
    """The last lines of what Lambda sends of a log."""
    try:
        lines = base64.b64decode(result).decode("utf-8", "replace").splitlines()
    except binascii.Error:
        return ""
    return "\n".join(lines[-_WORDS:])


def group_of(function: Function) -> str:
    """The group of its logs."""
    return f"/aws/lambda/{function.name}"


def statements(
    function: Function, partition: str, region: str, account: str, repository: str
) -> Sequence[Statement]:
    """What it takes to roll a function out, beside its image."""
    arn = f"arn:{partition}:lambda:{region}:{account}:function:{function.name}"
    return [
        # With these Lambda lets itself read the repository.
        Statement(
            "LetLambdaPull",
            ["ecr:GetRepositoryPolicy", "ecr:SetRepositoryPolicy"],
            [f"arn:{partition}:ecr:{region}:{account}:repository/{repository}"],
        ),
        Statement("RollOut", [f"lambda:{action}" for action in _ACTIONS], [arn, f"{arn}:*"]),
        passing("lambda.amazonaws.com", function.role),
        reading_logs(f"arn:{partition}:logs:{region}:{account}:log-group:{group_of(function)}"),
    ]
