"""The OpenAPI document and the server agree, as schemathesis finds out by trying."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import bundles
import pytest
from servers import Server

EXAMPLES = 12


@pytest.fixture(scope="module", params=["classification", "regression"])
def server(tmp_path_factory, request):
    root = tmp_path_factory.mktemp(request.param)
    if request.param == "classification":
        bundles.package(root, schema=bundles.SCHEMA)
    else:
        bundles.package(
            root,
            signature=bundles.REGRESSION,
            model=bundles.regression_graph(),
            encoding=bundles.REGRESSION_ENCODING,
        )
    with Server(root, MLPACK_ACCESS_LOG="off") as running:
        yield running


def test_no_failure_and_no_answer_outside_the_schema(server, tmp_path):
    # What a schema allows an original may still refuse, such as an infinity, with 422; and keys
    # are not asked for here.
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json"),
        *("--max-examples", str(EXAMPLES), "--seed", "1", "--no-color"),
        *("--exclude-checks", "positive_data_acceptance,ignored_auth"),
        *("--phases", "examples,coverage,fuzzing"),
    ]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "SCHEMATHESIS_HOOKS": ""},
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    found = re.search(r"(\d+) generated, (\d+) passed", done.stdout)
    assert found, done.stdout[-2000:]
    assert found[1] == found[2]
    assert int(found[1]) > 300
