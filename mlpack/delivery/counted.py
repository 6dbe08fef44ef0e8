"""What a server has counted, out of its ``/metrics``.

The format is Prometheus' text format: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from mlpack.errors import OutsideError
from mlpack.operating import Counted

_PREDICTS = "/predict"


def counted(text: str, where: str) -> Counted:
    """The requests for predictions that a server has answered.

    Args:
        text: its metrics.
        where: which server, for messages.

    Raises:
        OutsideError: it is no such text.
    """
    requests = failed = 0
    seconds = 0.0
    try:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if not sample.labels.get("route", "").endswith(_PREDICTS):
                    continue
                if sample.name == "mlpack_requests_total":
                    requests += int(sample.value)
                    if not sample.labels.get("status", "").startswith("2"):
                        failed += int(sample.value)
                elif sample.name == "mlpack_request_seconds_sum":
                    seconds += sample.value
    except (ValueError, KeyError) as error:
        raise OutsideError(f"its metrics cannot be read: {error}", where=where) from error
    return Counted(requests, failed, seconds)
