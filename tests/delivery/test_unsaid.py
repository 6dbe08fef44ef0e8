"""What is missing in a history, by what answers."""

from __future__ import annotations

import pytest

from mlpack.delivery.unsaid import unsaid


@pytest.mark.parametrize(
    ("said", "live", "canary", "verb"),
    [
        ([], 0, 0, ""),
        ([("deploy", 1)], 0, 0, ""),
        ([], 1, 0, "deploy"),
        ([("deploy", 1)], 1, 0, ""),
        ([("deploy", 1)], 2, 0, "deploy"),
        ([("deploy", 1), ("failed", 2)], 1, 0, ""),
        ([("deploy", 1), ("failed", 2)], 2, 0, "deploy"),
        ([("deploy", 1), ("deploy", 2)], 1, 0, "rollback"),
        ([("deploy", 1), ("deploy", 2), ("rollback", 1)], 1, 0, ""),
        ([("deploy", 1), ("deploy", 2), ("rollback", 1)], 2, 0, "deploy"),
        ([("deploy", 1)], 1, 2, "canary"),
        ([("deploy", 1), ("canary", 2)], 1, 2, ""),
        ([("deploy", 1), ("canary", 2)], 1, 3, "canary"),
        ([("deploy", 1), ("deploy", 2)], 1, 2, "canary"),
        ([("deploy", 1), ("canary", 2)], 0, 0, ""),
        ([("deploy", 1), ("canary", 2)], 2, 0, "promote"),
        ([("deploy", 1), ("canary", 2)], 1, 0, "rollback"),
        ([("deploy", 1), ("canary", 2)], 3, 0, "deploy"),  # it took the place of both
        ([("deploy", 1), ("canary", 2), ("promote", 2)], 2, 0, ""),
        ([("deploy", 1), ("canary", 2), ("rollback", 1)], 1, 0, ""),
    ],
)
def test_what_was_done_and_not_said(said, live, canary, verb):
    assert unsaid(said, live, canary) == verb
