"""What a server's metrics say of its predictions."""

from __future__ import annotations

import pytest

from mlpack.delivery.counted import counted
from mlpack.errors import OutsideError

METRICS = """\
# HELP mlpack_requests_total Requests answered.
# TYPE mlpack_requests_total counter
mlpack_requests_total{route="/predict",status="200"} 90.0
mlpack_requests_total{route="/predict",status="422"} 7.0
mlpack_requests_total{route="/predict",status="503"} 3.0
mlpack_requests_total{route="/readyz",status="503"} 50.0
# HELP mlpack_request_seconds Time to answer a request.
# TYPE mlpack_request_seconds histogram
mlpack_request_seconds_bucket{le="0.001",route="/predict"} 99.0
mlpack_request_seconds_bucket{le="+Inf",route="/predict"} 100.0
mlpack_request_seconds_count{route="/predict"} 100.0
mlpack_request_seconds_sum{route="/predict"} 0.25
mlpack_request_seconds_sum{route="/readyz"} 7.0
"""


def test_predictions_are_counted_and_nothing_else():
    found = counted(METRICS, "a server")
    assert (found.requests, found.failed, found.seconds) == (100, 10, 0.25)
    assert counted("", "a server").requests == 0


def test_what_is_no_metrics_is_told_with_the_server():
    with pytest.raises(OutsideError, match="cannot be read"):
        counted('mlpack_requests_total{route="/predict" 1', "a server")
