"""A target in memory at which a canary stands beside the live release."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from bundling import make_project, onnx_bundle

from mlpack.delivery.clock import Clock
from mlpack.files import write_tree
from mlpack.operating import Counted, Fetched, Standing, Status
from mlpack.wheelfile import installed


class Target:
    """What a target tells, look by look.

    Args:
        looks: what live and canary have counted at each look.
        samples: JSON lines that the live release has sampled, by look.
        factor: what the canary's model multiplies by.
    """

    kind = "memory"

    def __init__(self, looks, samples=(), factor=2.0, verbs=("counted", "samples")):
        self.looks, self.lines, self.factor = list(looks), list(samples), factor
        self.verbs = frozenset({"status", "promote", "rollback", "fetch", *verbs})
        self.canary, self.did, self.asked, self.sampled = 2, [], 0, []

    def status(self):
        live = Standing(1, "1.0.0", "sha256:1", "live", 90, 1, 1, 1)
        canary = Standing(self.canary, "1.1.0", "sha256:2", "canary", 10, 1, 1, 1)
        return Status("memory", "churn", "http://", (live, canary) if self.canary else (live,))

    def counted(self, release):
        self.asked += 1
        look = self.looks[min((self.asked - 1) // 2, len(self.looks) - 1)]
        return look[release - 1]

    def samples(self, release, last=None):
        assert release in (None, 1), "it is the live one whose requests are copied"
        self.sampled.append(last)
        return b"".join(self.lines)

    def fetch(self, release, into, reporter):
        write_tree(into / "lib", installed(onnx_bundle(make_project(), factor=self.factor)))
        return Fetched(into, "1.1.0", release or 1)

    def promote(self, reporter):
        self.did.append("promote")
        return self.status()

    def rollback(self, to, reporter):
        self.did.append(("rollback", to))
        return self.status()


class Environments:
    def python(self, model, reporter):
        return Path(sys.executable)


def clock():
    """It goes on only while somebody sleeps."""
    time = [0.0]

    def sleep(seconds):
        time[0] += seconds

    return Clock(now=lambda: time[0], sleep=sleep)


def counts(requests, failed=0, ms=1.0):
    return {"a": Counted(requests, failed, requests * ms / 1e3)}


def sample(number, size, value):
    body, answer = {"instances": [{"size": size}]}, {"predictions": [{"value": value}]}
    return (
        json.dumps(
            {
                "time": "2026-11-22T00:00:00Z",
                "request_id": str(number),
                "method": "POST",
                "path": "/predict",
                "body": json.dumps(body),
                "status": 200,
                "answer": json.dumps(answer),
                "model": "churn",
                "version": "1.0.0",
                "sha256": "0" * 64,
            }
        ).encode()
        + b"\n"
    )


SAMPLES = [sample(number, float(number), 2.0 * number) for number in range(100)]
WELL = [(counts(0), counts(0)), (counts(900), counts(100)), (counts(1800), counts(200))]
