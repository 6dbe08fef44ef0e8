"""Whether what a model says of several labels belongs together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlpack.runtime.asked import Labels, groups, shares
from mlpack.runtime.contract import Category, Signature

ASKED = 40
"""So many rows are asked, one by one."""


def agree(
    pipeline: Any, labels: tuple[Category, ...], sizes: tuple[int, ...], frame: pd.DataFrame
) -> bool:
    """Whether the probabilities of several labels are those of the labels that are predicted.

    scikit-learn's estimators differ: an array has the probability of each second label in most of
    them, of the first in StackingClassifier; and ClassifierChain has a method for them that raises
    where a label is one of more than two. So both are asked for some rows.

    Args:
        pipeline: a fitted classifier with ``predict_proba``.
        labels: of all groups, one after the other.
        sizes: how many each group has.
        frame: rows.

    Returns:
        False if it raises for a row that is predicted, or if for some group the predicted label has
        the largest probability in less than half of the rows.
    """
    signature = Signature(
        task="classification", columns=(), outputs=(), labels=labels, groups=sizes
    )
    known = groups(signature)
    agreed, asked = np.zeros(len(sizes)), 0
    for index in range(min(len(frame), ASKED)):
        row = frame.iloc[index : index + 1]
        places = _predicted(pipeline, row, signature)
        if places is None:
            continue
        try:
            found = shares(pipeline.predict_proba(row), signature)[0]
        except Exception:  # noqa: BLE001 - it has none, whatever it says
            return False
        asked += 1
        for group, (start, each) in enumerate(known):
            agreed[group] += found[places[group]] >= found[start : start + len(each)].max()
    return bool(asked == 0 or (agreed * 2 >= asked).all())


def _predicted(pipeline: Any, row: pd.DataFrame, signature: Signature) -> NDArray[np.int64] | None:
    """The labels of one row, as places; None where it is refused, which says nothing."""
    try:
        found: NDArray[np.int64] = Labels(signature).places(pipeline.predict(row))[0]
    except Exception:  # noqa: BLE001 - a pipeline may raise anything
        return None
    return found
