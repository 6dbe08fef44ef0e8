"""What a comparison of two versions of a model finds. All of it is JSON as it stands."""

from __future__ import annotations

from typing import Literal

import msgspec

Check = Literal[
    "contract",
    "training",
    "predictions",
    "metrics",
    "calibration",
    "inputs",
    "outputs",
    "packages",
    "size",
    "speed",
]
Verdict = Literal["stop", "warn", "fine", "told"]
"""It must not go on; somebody should look; it was checked; it is told and was not judged."""


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that was found.

    Attributes:
        check: what was looked at.
        verdict: what follows from it.
        what: a sentence for people.
        where: the column, metric or slice that it is about; may be empty.
        value: the number that was judged.
        limit: the number that it was judged by.
    """

    check: Check
    verdict: Verdict
    what: str
    where: str = ""
    value: float | None = None
    limit: float | None = None


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two versions.

    Attributes:
        name, version, form: what its manifest says.
        model: the SHA-256 of its graph or pickle.
        rows: how many rows it was trained with, training's held-out ones included; 0: not known.
        source: where it came from, for people.
    """

    name: str
    version: str
    form: str
    model: str
    rows: int
    source: str


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """A row that is answered otherwise, by its place in the data; what is in it is not told.

    Attributes:
        row: from 0.
        before, after: the answers, for people.
        by: how far apart: of probabilities the largest difference, of values the difference.
    """

    row: int
    before: str
    after: str
    by: float


class Slice(msgspec.Struct, frozen=True, kw_only=True):
    """Rows with something in common.

    Attributes:
        column: which column tells them from others.
        values: what stands there, for people.
        rows: how many there are.
        changed: how many of them are answered otherwise.
        p: how likely so many, or more, would be if the column had nothing to do with it.
    """

    column: str
    values: str
    rows: int
    changed: int
    p: float

    @property
    def share(self) -> float:
        """The share of them that is answered otherwise."""
        return self.changed / self.rows


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """How the answers differ.

    Attributes:
        of: whether labels or values were compared.
        rows: how many rows both answered.
        refused_before, refused_after: how many rows each refused.
        newly_refused: how many the later one refuses and the earlier one answered.
        changed: how many have another label; of values, one further away than a tenth of their
            standard deviation.
        moved: of values, the root of the mean square of the differences, in standard deviations;
            of probabilities, the mean of the largest difference. None for bare labels.
        examples: the largest differences.
        slices: where they are more than elsewhere, the least likely first.
    """

    of: Literal["labels", "values"]
    rows: int
    refused_before: int
    refused_after: int
    newly_refused: int
    changed: int
    moved: float | None
    examples: tuple[Example, ...] = ()
    slices: tuple[Slice, ...] = ()

    @property
    def share(self) -> float:
        """The share of the rows with a changed answer."""
        return self.changed / self.rows if self.rows else 0.0


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """A metric of both on the same rows.

    Attributes:
        name: such as ``accuracy``.
        more_is_better: whether a larger value is a better one.
        before, after: the values.
        before_low, before_high, after_low, after_high: 95% confidence intervals.
        low, high: that of the difference, after less before, on the same rows.
    """

    name: str
    more_is_better: bool
    before: float
    after: float
    before_low: float
    before_high: float
    after_low: float
    after_high: float
    low: float
    high: float

    @property
    def worse(self) -> float:
        """By how much the later one is worse; less than nothing where it is better."""
        return self.before - self.after if self.more_is_better else self.after - self.before

    @property
    def surely_worse(self) -> bool:
        """Whether the interval of the difference has nothing but worse in it."""
        return self.high < 0 if self.more_is_better else self.low > 0


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """A bin of a reliability curve: what was said, how often it was so, of how many rows."""

    said: float
    true: float
    rows: int


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """Whether probabilities mean what they say.

    Attributes:
        before, after: the expected calibration error: the mean of what was said less how often it
            was so, over bins of the same number of rows.
        low, high: the 95% confidence interval of the difference, after less before.
        curve_before, curve_after: the bins.
    """

    before: float
    after: float
    low: float
    high: float
    curve_before: tuple[Point, ...]
    curve_after: tuple[Point, ...]


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """How one column, or the predictions, are spread, before and after.

    Attributes:
        name: the column, or ``prediction``.
        psi: the population stability index, from the shares of the bins.
        ks: the largest difference of the distributions, where all values of both are known.
        p: how likely so large a difference is without a drift: of Kolmogorov and Smirnov's test
            where `ks` is there, else of a chi-square test of the bins.
        bins: what they are, for people.
        before, after: the share of each bin.
        rows_before, rows_after: how many values each was counted from.
    """

    name: str
    psi: float
    p: float
    bins: tuple[str, ...]
    before: tuple[float, ...]
    after: tuple[float, ...]
    rows_before: int
    rows_after: int
    ks: float | None = None


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A difference of what the two promise to those who call them.

    Attributes:
        where: such as ``columns.age``.
        what: a sentence for people.
        breaking: whether a caller of the earlier one may fail, or understand it wrongly.
    """

    where: str
    what: str
    breaking: bool


class Package(msgspec.Struct, frozen=True, kw_only=True):
    """A locked package that differs; None where it is not there."""

    name: str
    before: str | None
    after: str | None


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One side's server, side by side with the other's.

    Attributes:
        start_ms: from the start of the process to its first answer; a median.
        p50_ms, p99_ms: of one row a request, over loopback.
        megabytes: resident, after these requests.
        size: what is installed of the model itself, in bytes.
    """

    start_ms: float
    p50_ms: float
    p99_ms: float
    megabytes: float
    size: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All of it.

    Attributes:
        before, after: the two versions.
        data: where the rows came from, for people; empty where there were none.
        rows: how many.
        labelled: whether it is known what would be right.
        findings: what was judged, the gravest first.
        changed, metrics, calibration, inputs, outputs, contract, packages: what they rest on.
        speed: both sides' servers, in order; empty where it was not measured.
        forced: why it goes on all the same; empty where nobody said so.
    """

    before: Side
    after: Side
    data: str
    rows: int
    labelled: bool
    findings: tuple[Finding, ...]
    changed: Changed | None = None
    metrics: tuple[Metric, ...] = ()
    calibration: Calibration | None = None
    inputs: tuple[Drift, ...] = ()
    outputs: Drift | None = None
    contract: tuple[Change, ...] = ()
    packages: tuple[Package, ...] = ()
    speed: tuple[Measured, ...] = ()
    forced: str = ""

    @property
    def stops(self) -> tuple[Finding, ...]:
        """Why it must not go on; empty where it may."""
        return tuple(each for each in self.findings if each.verdict == "stop")
