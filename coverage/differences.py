"""What becomes of a case otherwise with an older release than with the one of ``results.json``.

A run with ``--release`` fails where a case comes out worse than ``results.json`` says, or otherwise
than this table says.
"""

from __future__ import annotations

DIFFERENCES: dict[str, dict[str, tuple[str, str]]] = {
    "1.7": {
        "scaling/spline-gaps": ("broken", "SplineTransformer has no handle_missing yet"),
        "types/arrow-times-hour": (
            "hybrid",
            "of Arrow's times in a data frame pandas 2.2 gives another hour than of a column",
        ),
        "calibration/temperature": ("broken", "CalibratedClassifierCV has no temperature yet"),
        "calibration/temperature-classes": (
            "broken",
            "CalibratedClassifierCV has no temperature yet",
        ),
    },
    "1.8": {
        "types/arrow-times-hour": (
            "hybrid",
            "of Arrow's times in a data frame pandas 2.3 gives another hour than of a column",
        ),
    },
    "1.9": {},
}
"""By release of scikit-learn and case: what becomes of it, a key of ``judge.VERDICTS``, and why."""

PART = (
    *("structure/random-within", "scaling/bins-onehot", "scaling/spline"),
    *("encoding/onehot-infrequent", "text/tfidf", "reducing/skewed-chi2"),
    *("linear/logistic-penguins", "vectors/svc-probability", "neighbours/classifier"),
    *("trees/extra-number-gaps", "boosting/hist-number-gamma"),
    *("bayes/lda", "libraries/lightgbm-poisson", "code/frame-number", "types/small-encoded"),
)
"""The cases of ``make releases-part``: quick ones whose converters read what scikit-learn, pandas
or ONNX Runtime change."""


def differs(release: str, case_id: str, verdict: str) -> bool | None:
    """Whether a verdict is another than the table says; None if it says nothing of the case."""
    told = DIFFERENCES[release].get(case_id)
    return None if told is None else told[0] != verdict
