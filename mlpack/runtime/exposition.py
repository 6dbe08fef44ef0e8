"""The metrics in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

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
from .kinds import is_number
from .metrics import BATCHES, BUCKETS
from .predictions import label_names
from .snapshot import Snapshot, quantiles, stability

CONTENT_TYPE = CONTENT_TYPE_LATEST.encode()
QUANTILES = (0.05, 0.5, 0.95)


class _Everything(Collector):
    def __init__(self, snapshot: Snapshot, manifest: Manifest, signature: Signature) -> None:
        self._seen = snapshot
        self._manifest = manifest
        self._signature = signature

    def collect(self) -> Iterator[Metric]:
        """Every metric of the snapshot."""
        about = {"name": self._manifest.name, "version": self._manifest.version}
        yield InfoMetricFamily("mlpack_model", "The model that is served.", about)
        yield from self._requests()
        yield from self._columns()
        yield from self._predictions()
        yield from self._process()

    def _requests(self) -> Iterator[Metric]:
        seen = self._seen
        requests = CounterMetricFamily(
            "mlpack_requests", "Requests answered.", labels=["route", "status"]
        )
        for (route, status), count in sorted(seen.requests.items()):
            requests.add_metric([route, str(status)], count)
        yield requests
        latency = HistogramMetricFamily(
            "mlpack_request_seconds", "Time to answer a request.", labels=["route"]
        )
        for route, (counts, seconds) in sorted(seen.latency.items()):
            latency.add_metric([route], _buckets(BUCKETS, counts), seconds)
        yield latency
        yield GaugeMetricFamily("mlpack_requests_active", "Requests in work.", seen.active)
        yield _counters(
            "mlpack_problems", "Requests refused or failed, by kind.", "kind", seen.problems.items()
        )
        yield _counters(
            "mlpack_refused",
            "Values refused, by column; an empty column stands for the row as a whole.",
            "column",
            seen.refused.items(),
        )
        yield _counters(
            "mlpack_violations",
            "Values that failed a demand and were answered all the same, by column.",
            "column",
            seen.violated.items(),
        )
        yield CounterMetricFamily("mlpack_rows", "Rows answered.", seen.rows)
        yield GaugeMetricFamily(
            "mlpack_line_length", "Rows and requests that wait for the model.", seen.waiting
        )
        batches = HistogramMetricFamily(
            "mlpack_batch_rows", "Rows that waited and went to the model together.", labels=[]
        )
        batches.add_metric([], _buckets(BATCHES, seen.batches), seen.batched)
        yield batches
        yield CounterMetricFamily(
            "mlpack_samples", "Requests written to the sample file.", seen.sampled
        )
        yield CounterMetricFamily(
            "mlpack_samples_dropped", "Sampled requests that could not be written.", seen.dropped
        )

    def _columns(self) -> Iterator[Metric]:
        seen = self._seen
        columns = self._signature.columns
        names = [column.name for column in columns]
        yield _counters(
            "mlpack_column_values",
            "Values looked at, the missing ones included.",
            "column",
            [(name, seen.seen) for name in names],
        )
        yield _counters(
            "mlpack_column_missing",
            "Values that were missing.",
            "column",
            zip(names, seen.missing, strict=True),
        )
        outside = list(zip(columns, seen.outside, strict=True))
        yield _counters(
            "mlpack_column_out_of_range",
            "Values outside the range that training observed.",
            "column",
            [(column.name, count) for column, count in outside if is_number(column)],
        )
        yield _counters(
            "mlpack_column_unknown",
            "Values that training never observed.",
            "column",
            [(column.name, count) for column, count in outside if not is_number(column)],
        )
        moving = GaugeMetricFamily(
            "mlpack_column_value",
            "Quantiles of the last values of a column of numbers.",
            labels=["column", "quantile"],
        )
        numbers = [column.name for column in columns if is_number(column)]
        for name, given in zip(numbers, seen.numbers, strict=True):
            for quantile, value in zip(QUANTILES, quantiles(given, QUANTILES), strict=False):
                moving.add_metric([name, str(quantile)], value)
        yield moving

    def _predictions(self) -> Iterator[Metric]:
        seen, spread = self._seen, self._signature.predictions
        if self._signature.labels:
            labels = label_names(self._signature)
            yield _counters(
                "mlpack_predictions",
                "Predictions, by label.",
                "label",
                zip(labels, seen.predicted, strict=True),
            )
            if spread is not None:
                expected = GaugeMetricFamily(
                    "mlpack_predictions_expected_ratio",
                    "The share that the label had among training's predictions.",
                    labels=["label"],
                )
                for label, share in zip(labels, spread.shares, strict=True):
                    expected.add_metric([label], share)
                yield expected
        elif seen.predicted:
            values = HistogramMetricFamily(
                "mlpack_predicted_value",
                "Predicted values, in the bins that training's predictions gave.",
                labels=[],
            )
            edges = () if spread is None else spread.edges
            values.add_metric([], _buckets(edges, seen.predicted), seen.total)
            yield values
        index = None if spread is None else stability(seen.recent, spread.shares)
        if index is not None:
            yield GaugeMetricFamily(
                "mlpack_predictions_stability_index",
                "How far the last predictions are from training's (PSI): 0 for not at all.",
                index,
            )

    def _process(self) -> Iterator[Metric]:
        seen = self._seen
        yield GaugeMetricFamily("mlpack_workers", "Processes that answer.", seen.workers)
        yield CounterMetricFamily(
            "process_cpu_seconds", "CPU time of all workers in seconds.", seen.cpu
        )
        yield GaugeMetricFamily(
            "process_start_time_seconds",
            "When the first worker started, in seconds since 1970.",
            seen.started,
        )
        if seen.memory:
            yield GaugeMetricFamily(
                "process_resident_memory_bytes", "Memory of all workers in bytes.", seen.memory
            )


def _counters(name: str, about: str, label: str, counts: Iterable[tuple[str, int]]) -> Metric:
    family = CounterMetricFamily(name, about, labels=[label])
    for key, count in counts:
        family.add_metric([key], count)
    return family


def _buckets(bounds: Sequence[float], counts: Sequence[int]) -> list[tuple[str, float]]:
    """A histogram's buckets: by each bound how many are at most that."""
    total = 0
    found = []
    for bound, count in zip((*map(str, bounds), "+Inf"), counts, strict=True):
        total += count
        found.append((bound, float(total)))
    return found


def text(snapshot: Snapshot, manifest: Manifest, signature: Signature) -> bytes:
    """What ``GET /metrics`` answers."""
    # A registry of its own, so that two models in one process do not meet.
    source = CollectorRegistry(auto_describe=False)
    source.register(_Everything(snapshot, manifest, signature))
    return generate_latest(source)
