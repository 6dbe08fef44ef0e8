"""Who deploys: a stream of CloudWatch's logs, of which there is one of each name.

Locks are numbered. A lock that is forgotten ends by itself: whoever finds it takes the next number,
which is given once too, and removes the one before.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from mlpack.aws.calls import RefusedError, Service
from mlpack.delivery.clock import Clock
from mlpack.errors import CheckFailedError

_PREFIX = "mlpack/lock/"
_TAKEN = "ResourceAlreadyExistsException"
_GONE = "ResourceNotFoundException"
_UNTOLD = 300.0
"""Seconds for which a lock stands of which nobody has said yet who holds it."""


@dataclass(frozen=True)
class Lock:
    """The lock of one group of logs, which must be there.

    Attributes:
        logs: the service.
        group: the group's name.
        clock: tells the time.
        seconds: how long it is held at most.
    """

    logs: Service
    group: str
    clock: Clock
    seconds: float

    @contextmanager
    def held(self, who: str) -> Iterator[None]:
        """Hold it.

        Raises:
            CheckFailedError: somebody else holds it.
            OutsideError: CloudWatch does not answer, or refuses.
        """
        now = self.clock.now()
        there = self._there()
        for number in there:
            holder, until = self._holder(number, there[number])
            if until >= now:
                raise _refusal(holder, until - now)
        mine = max(there, default=0) + 1
        name = self._name(mine)
        try:
            self.logs.ask("create_log_stream", logGroupName=self.group, logStreamName=name)
        except RefusedError as error:
            if error.said == _TAKEN:
                raise _refusal("somebody", self.seconds) from error
            raise
        try:
            told = json.dumps({"who": who, "until": now + self.seconds})
            self.logs.ask(
                "put_log_events",
                logGroupName=self.group,
                logStreamName=name,
                logEvents=[{"timestamp": int(now * 1000), "message": told}],
            )
            for number in there:
                self._remove(number)
            yield
        finally:
            self._remove(mine)

    def _there(self) -> dict[int, float]:
        """The numbers of the locks that are there, and when each was made."""
        found = self.logs.pages(
            "describe_log_streams",
            "logStreams",
            logGroupName=self.group,
            logStreamNamePrefix=_PREFIX,
        )
        names = {str(e["logStreamName"]).removeprefix(_PREFIX): e["creationTime"] for e in found}
        return {int(name): made / 1000 for name, made in names.items() if name.isdigit()}

    def _holder(self, number: int, made: float) -> tuple[str, float]:
        found = self.logs.find(
            "get_log_events",
            _GONE,
            logGroupName=self.group,
            logStreamName=self._name(number),
            startFromHead=True,
            limit=1,
        )
        if found is None:
            return "", 0.0
        try:
            told = json.loads(found["events"][0]["message"])
            return str(told["who"]), float(told["until"])
        except (IndexError, KeyError, TypeError, ValueError):
            return "somebody", made + _UNTOLD

    def _remove(self, number: int) -> None:
        self.logs.find(
            "delete_log_stream",
            _GONE,
            logGroupName=self.group,
            logStreamName=self._name(number),
        )

    @staticmethod
    def _name(number: int) -> str:
        return f"{_PREFIX}{number:09d}"


def _refusal(holder: str, seconds: float) -> CheckFailedError:
    minutes = max(1, round(seconds / 60))
    return CheckFailedError(
        f"{holder} deploys at this moment",
        hint=f"Wait until it has ended; a forgotten lock ends in {minutes} minutes.",
    )
