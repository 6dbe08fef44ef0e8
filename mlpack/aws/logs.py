"""The lines that CloudWatch keeps of what answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mlpack.aws.calls import Service
from mlpack.delivery.clock import Clock

ABSENT = "ResourceNotFoundException"

_PAUSE = 2.0
_STREAMS = 20
_MOST = 10_000


def recent(logs: Service, group: str, prefix: str = "") -> Sequence[str]:
    """The streams of a group that were written to last, at most twenty."""
    # CloudWatch orders by time only where no prefix is asked for.
    found = logs.find(
        "describe_log_streams",
        ABSENT,
        logGroupName=group,
        orderBy="LastEventTime",
        descending=True,
        limit=50,
    )
    names = [str(each["logStreamName"]) for each in (found or {}).get("logStreams", ())]
    return [name for name in names if name.startswith(prefix)][:_STREAMS]


def lines(
    logs: Service,
    group: str,
    streams: Callable[[], Sequence[str]],
    count: int,
    clock: Clock,
    *,
    follow: bool,
) -> Iterator[str]:
    """The last lines of some streams, each with the last part of its stream's name before it.

    Args:
        logs: the service.
        group: the streams' group.
        streams: names them; asked again while following, since there may be new ones.
        count: of each stream.
        clock: waits between looks.
        follow: go on as lines come.

    Raises:
        OutsideError: CloudWatch does not answer, or refuses.
    """
    places: dict[str, str] = {}
    first = True
    while True:
        for stream in streams():
            if stream in places:
                start: dict[str, Any] = {"nextToken": places[stream], "startFromHead": True}
            elif first:
                start = {"limit": min(max(1, count), _MOST), "startFromHead": False}
            else:  # one that was not there before is read from its beginning
                start = {"startFromHead": True}
            answer = logs.find(
                "get_log_events", ABSENT, logGroupName=group, logStreamName=stream, **start
            )
            if answer is None:
                continue
            places[stream] = str(answer["nextForwardToken"])
            for event in answer["events"] if count or not first else ():
                yield f"{_short(stream)} {str(event['message']).rstrip()}"
        if not follow:
            return
        first = False
        clock.sleep(_PAUSE)


def tail(logs: Service, group: str, count: int) -> Sequence[str]:
    """The last lines of the stream that was written to last; none where there is none."""
    for stream in recent(logs, group)[:1]:
        found = logs.find(
            "get_log_events",
            ABSENT,
            logGroupName=group,
            logStreamName=stream,
            startFromHead=False,
            limit=count,
        )
        return [str(each["message"]).rstrip() for each in (found or {}).get("events", ())]
    return []


def _short(stream: str) -> str:
    return stream.rpartition("/")[2].rpartition("]")[2][:8] or stream[:8]
