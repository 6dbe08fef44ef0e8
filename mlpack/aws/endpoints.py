"""An endpoint of SageMaker: configurations that stay as they were, and which of them answers.

SageMaker itself rolls out: it starts a second fleet, moves the requests to it, and goes back where
an alarm rings. It refuses a second update while one runs, and a name that is there: that is the
lock.

"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlpack.aws import journal, logs, releases
from mlpack.aws.calls import Answer, RefusedError, Service
from mlpack.aws.endpoint_settings import Endpoint
from mlpack.aws.releases import Release
from mlpack.aws.waiting import until
from mlpack.delivery.clock import Clock
from mlpack.errors import InputError, OutsideError

VARIANT = "live"
ABSENT = ("Could not find", "ResourceNotFound")

_LOST = ("already exist", "in-progress", "is in progress", "ResourceInUse", "ConflictException")
_WORKING = ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting")
_WELL = ("InService", "Updating", "SystemUpdating", "RollingBack")
_PAUSE = 10.0
_WORDS = 20


@dataclass(frozen=True)
class Seen:
    """What is there.

    Attributes:
        arn: the endpoint's; empty where there is none.
        status: SageMaker's word for it.
        live: the number of the configuration that answers; 0 for none.
        pending: of the one that is being rolled out; 0 for none.
        reason: why it failed.
        wanted, running: instances; one and one without any.
        tags: the endpoint's.
    """

    arn: str = ""
    status: str = ""
    live: int = 0
    pending: int = 0
    reason: str = ""
    wanted: int = 0
    running: int = 0
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def answers(self) -> bool:
        """Whether it takes requests."""
        return self.status in _WELL

    @property
    def works(self) -> bool:
        """Whether something is being done to it."""
        return self.status in _WORKING


class Endpoints:
    """One endpoint at SageMaker."""

    def __init__(
        self,
        sagemaker: Service,
        alarms: Service,
        cloudwatch: Service,
        endpoint: Endpoint,
        clock: Clock,
    ) -> None:
        """An endpoint that need not be there."""
        self._sagemaker = sagemaker
        self._alarms = alarms
        self._logs = cloudwatch
        self._endpoint = endpoint
        self._clock = clock

    def look(self) -> Seen:
        """What is there."""
        found = self._sagemaker.find("describe_endpoint", ABSENT, EndpointName=self._endpoint.name)
        if found is None:
            return Seen()
        arn, status = str(found["EndpointArn"]), str(found["EndpointStatus"])
        variants = found.get("ProductionVariants") or [{}]
        counts = variants[0]
        one = int(status in _WELL)
        live = self._number(str(found.get("EndpointConfigName", "")))
        pending = found.get("PendingDeploymentSummary") or {}
        coming = self._number(str(pending.get("EndpointConfigName", "")))
        return Seen(
            arn=arn,
            status=status,
            # A first one that is still made, or failed, has never answered.
            live=live if status in _WELL else 0,
            pending=coming or (live if status == "Creating" else 0),
            reason=str(found.get("FailureReason", "")),
            wanted=int(counts.get("DesiredInstanceCount", 1)),
            running=int(counts.get("CurrentInstanceCount", one)) if one else 0,
            tags=self._tags(arn),
        )

    def _tags(self, arn: str) -> Mapping[str, str]:
        found = self._sagemaker.pages("list_tags", "Tags", ResourceArn=arn)
        return {each["Key"]: each["Value"] for each in found}

    def check(self) -> None:
        """See whether the alarms are there.

        Raises:
            InputError: one is not.
        """
        wanted = self._endpoint.alarms
        if not wanted:
            return
        found = self._alarms.ask("describe_alarms", AlarmNames=list(wanted))
        there = {
            each["AlarmName"]
            for kind in ("MetricAlarms", "CompositeAlarms")
            for each in found.get(kind, ())
        }
        for name in wanted:
            if name not in there:
                raise InputError(f"there is no alarm {name}", where="[deploy] alarms")

    def numbers(self) -> Sequence[int]:
        """The numbers of the configurations, the lowest first."""
        return self._listed("list_endpoint_configs", "EndpointConfigs", "EndpointConfigName")

    def _models(self) -> Sequence[int]:
        return self._listed("list_models", "Models", "ModelName")

    def _listed(self, operation: str, key: str, name: str) -> Sequence[int]:
        found = self._sagemaker.pages(operation, key, NameContains=self._endpoint.name)
        numbers = (self._number(str(each[name])) for each in found)
        return sorted(number for number in numbers if number)

    def release(self, number: int) -> Release | None:
        """What is known of a configuration; None where there is none of that number."""
        found = self._sagemaker.find(
            "describe_endpoint_config", ABSENT, EndpointConfigName=self._name(number)
        )
        if found is None:
            return None
        tags = self._tags(str(found["EndpointConfigArn"]))
        return Release(
            number=number,
            version=tags.get(journal.VERSION, ""),
            digest=tags.get(journal.DIGEST, ""),
            settings=tags.get(journal.SETTINGS, ""),
            by=tags.get(journal.BY, ""),
        )

    def image(self, number: int) -> str:
        """The image of a model, ``REPOSITORY@DIGEST``; empty where there is none of that number."""
        found = self._sagemaker.find("describe_model", ABSENT, ModelName=self._name(number))
        return str(found["PrimaryContainer"]["Image"]) if found else ""

    def make(self, release: Release, image: str, bundle: str) -> int:
        """A model and a configuration of it; their number.

        Raises:
            CheckFailedError: somebody else has just made one.
        """
        number = max([*self.numbers(), *self._models(), 0]) + 1
        told = {
            journal.VERSION: release.version,
            journal.DIGEST: release.digest,
            journal.SETTINGS: release.settings,
            journal.BUNDLE: bundle,
            journal.BY: release.by,
        }
        tags = [{"Key": key, "Value": journal.plain(value)} for key, value in told.items() if value]
        name = self._name(number)
        self._ask("create_model", ModelName=name, Tags=tags, **self._endpoint.model(image))
        self._ask(
            "create_endpoint_config",
            EndpointConfigName=name,
            ProductionVariants=[self._endpoint.variant(VARIANT, name)],
            Tags=tags,
        )
        return number

    def run(self, number: int, seen: Seen) -> None:
        """Let the endpoint be of a configuration: SageMaker begins to roll out.

        Raises:
            CheckFailedError: somebody else rolls out.
        """
        name = {"EndpointName": self._endpoint.name, "EndpointConfigName": self._name(number)}
        if seen.arn and not seen.answers:  # one that failed at its first start cannot be changed
            self._sagemaker.find("delete_endpoint", ABSENT, EndpointName=self._endpoint.name)
            self._gone()
            seen = Seen()
        if seen.arn:
            self._ask("update_endpoint", **name, **self._endpoint.rolling)
        else:
            self._ask("create_endpoint", **name)

    def steady(self, number: int) -> None:
        """Wait until a configuration answers.

        Raises:
            OutsideError: it does not; SageMaker's reason and the last lines of its log are told.
        """

        def look() -> Seen | None:
            seen = self.look()
            return None if seen.works else seen

        seen = until(look, self._clock, self._endpoint.ready_seconds, _PAUSE)
        if seen is None:
            raise OutsideError(
                f"SageMaker was not done after {self._endpoint.ready_seconds} seconds",
                where=self._endpoint.name,
                hint="Run the same command again: it waits on.",
            )
        if seen.status == "InService" and seen.live == number:
            return
        why = seen.reason or "SageMaker went back to the version before"
        if seen.status not in ("InService", "Failed"):
            why = f"{why} ({seen.status})"
        raise OutsideError(
            f"release {number} does not become ready: {why}",
            where=self._endpoint.name,
            hint="\n".join(logs.tail(self._logs, self._endpoint.group, _WORDS)) or None,
        )

    def streams(self) -> Sequence[str]:
        """The streams of the logs that were written to last."""
        return logs.recent(self._logs, self._endpoint.group, f"{VARIANT}/")

    def tag(self, arn: str, put: Mapping[str, str], take: Sequence[str]) -> None:
        """Write tags and take others away."""
        tags = [{"Key": key, "Value": value} for key, value in put.items()]
        self._sagemaker.ask("add_tags", ResourceArn=arn, Tags=tags)
        if take:
            self._sagemaker.ask("delete_tags", ResourceArn=arn, TagKeys=list(take))

    def sweep(self, live: int, keep: int) -> int:
        """Delete what is too old to go back to, and models that no configuration names.

        Args:
            live: the release that answers; of later ones nothing is touched.
            keep: so many before it stay.
        """
        there = [number for number in self.numbers() if number < live]
        old = there[: max(0, len(there) - keep)]
        kept = {*there, live} - set(old)
        for number in old:
            self._delete_config(number)
        lost = [number for number in self._models() if number < live and number not in kept]
        for number in lost:
            self._delete_model(number)
        return len({*old, *lost})

    def remove(self) -> int:
        """Delete the endpoint, its configurations and models; how many releases those were."""
        self._sagemaker.find("delete_endpoint", ABSENT, EndpointName=self._endpoint.name)
        self._gone()
        configurations, models = self.numbers(), self._models()
        for number in configurations:
            self._delete_config(number)
        for number in models:
            self._delete_model(number)
        return len({*configurations, *models})

    def _gone(self) -> None:
        def look() -> bool | None:
            return None if self.look().arn else True

        if until(look, self._clock, self._endpoint.ready_seconds, _PAUSE) is None:
            raise OutsideError("the endpoint that was deleted is still there", self._endpoint.name)

    def _delete_config(self, number: int) -> None:
        self._sagemaker.find(
            "delete_endpoint_config", ABSENT, EndpointConfigName=self._name(number)
        )

    def _delete_model(self, number: int) -> None:
        self._sagemaker.find("delete_model", ABSENT, ModelName=self._name(number))

    def _name(self, number: int) -> str:
        return f"{self._endpoint.name}-{number}"

    def _number(self, name: str) -> int:
        """The number that a name of this endpoint's ends with; 0 for others' names."""
        before, _, number = name.rpartition("-")
        return int(number) if before == self._endpoint.name and number.isdigit() else 0

    def _ask(self, operation: str, **request: Any) -> Answer:  # noqa: ANN401
        """A write; refused where somebody else was faster."""
        try:
            return self._sagemaker.ask(operation, **request)
        except RefusedError as error:
            if error.said in _LOST or any(mark in error.what for mark in _LOST):
                raise releases.lost() from error
            raise
