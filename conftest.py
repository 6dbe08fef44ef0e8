"""Where every real part is required, a skipped test is a failure."""

from __future__ import annotations

import os

import pytest


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run if anything was skipped that must not be."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    required = os.environ.get("MLPACK_REQUIRE_ALL") == "1"
    if required and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
