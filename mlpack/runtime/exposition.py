"""The metrics in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from .contract import Manifest, Signature
from .metrics import BUCKETS, Metrics

CONTENT_TYPE = CONTENT_TYPE_LATEST.encode()


class _Everything(Collector):
    def __init__(self, metrics: Metrics, manifest: Manifest, signature: Signature) -> None:
        self._metrics = metrics
        self._manifest = manifest
        self._signature = signature

    def collect(self) -> Iterator[Metric]:
        """Every metric at this moment."""
        metrics = self._metrics
        about = {"name": self._manifest.name, "version": self._manifest.version}
        yield InfoMetricFamily("mlpack_model", "The model that is served.", about)
        requests = CounterMetricFamily(
            "mlpack_requests", "Requests answered.", labels=["route", "status"]
        )
        for (route, status), count in sorted(metrics.requests.items()):
            requests.add_metric([route, str(status)], count)
        yield requests
        latency = HistogramMetricFamily(
            "mlpack_request_seconds", "Time to answer a request.", labels=["route"]
        )
        for route, histogram in sorted(metrics.latency.items()):
            total = 0
            buckets = []
            for bound, count in zip((*map(str, BUCKETS), "+Inf"), histogram.counts, strict=True):
                total += count
                buckets.append((bound, total))
            latency.add_metric([route], buckets, histogram.sum)
        yield latency
        yield GaugeMetricFamily("mlpack_requests_active", "Requests in work.", metrics.active)
        yield CounterMetricFamily("mlpack_rows", "Rows answered.", metrics.rows)
        refused = CounterMetricFamily(
            "mlpack_refused",
            "Values refused, by column; an empty column stands for the row as a whole.",
            labels=["column"],
        )
        for column, count in metrics.refused.items():
            refused.add_metric([column or ""], count)
        yield refused
        yield from self._drift()

    def _drift(self) -> Iterator[Metric]:
        ranges = CounterMetricFamily(
            "mlpack_column_out_of_range",
            "Values outside the range that training observed.",
            labels=["column"],
        )
        unknown = CounterMetricFamily(
            "mlpack_column_unknown", "Values that training never observed.", labels=["column"]
        )
        for column, count in zip(self._signature.columns, self._metrics.outside, strict=True):
            family = ranges if column.type in ("number", "integer") else unknown
            family.add_metric([column.name], count)
        yield ranges
        yield unknown


def registry(metrics: Metrics, manifest: Manifest, signature: Signature) -> CollectorRegistry:
    """A registry of its own, so that two models in one process do not meet."""
    result = CollectorRegistry(auto_describe=False)
    result.register(_Everything(metrics, manifest, signature))
    return result


def text(source: CollectorRegistry) -> bytes:
    """What ``GET /metrics`` answers."""
    return generate_latest(source)
