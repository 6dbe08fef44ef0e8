"""The server over gRPC, asked by Triton's client, in an environment that has both.

The tests themselves are beside those of the other protocols (`tests/runtime/grpc_*.py`). They need
packages that nothing else here does, and that want an older protobuf than mlpack's own lock has.
"""

from __future__ import annotations

import re
from pathlib import Path

from environments import with_mlpack

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted((ROOT / "tests" / "runtime").glob("grpc_*.py"))
PACKAGES = (
    *("grpcio>=1.66", "tritonclient[grpc]>=2.50", "opentelemetry-sdk", "httpx"),
    *("pytest", "hypothesis", "onnx", "pandas", "scikit-learn", "onnxruntime", "uvloop"),
)


def test_triton_s_client_is_answered_over_grpc(tmp_path):
    environment = with_mlpack(tmp_path / "env")
    environment.install(*PACKAGES)
    done = environment.run(
        *("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore"),
        *(f"--rootdir={tmp_path}", "-c", "/dev/null", *FILES),
        cwd=ROOT,
    )
    found = re.search(r"^(\d+) passed in", done.stdout, re.MULTILINE)
    assert found, done.stdout[-3000:]
    assert int(found[1]) > len(FILES)
