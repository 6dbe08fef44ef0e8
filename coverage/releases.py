#!/usr/bin/env python3
"""``make releases``: the exporter with each of the last scikit-learn releases.

For every file ``tests/releases/scikit-learn-*.txt`` an environment with exactly its versions is
made. In it the coverage list runs (``run.py --release``), compared with ``results.json`` and the
differences that `differences` names, and then the tests of the exporter and the proof.
``--part`` (``make releases-part``) takes a few quick cases and tests, and leaves the newest
release out: the other checks have that.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from differences import PART

ROOT = Path(__file__).resolve().parent.parent
PINS = ROOT / "tests" / "releases"
ENVIRONMENTS = ROOT / ".venv" / "releases"
PYTHON = "3.11"

TESTS = ("tests/exporters", "tests/proof", "tests/runtime/test_hybrid_session.py")
QUICK_TESTS = (
    "tests/exporters/test_tracing_pandas.py",
    "tests/exporters/test_impute.py::test_neighbours",
)


def environment(release):
    """The Python of an environment with the versions of a release, and nothing else."""
    folder = ENVIRONMENTS / release
    python = folder / "bin" / "python"
    uv = str(Path(sys.executable).with_name("uv"))
    if not python.exists():
        subprocess.run([uv, "venv", "--quiet", "--python", PYTHON, str(folder)], check=True)
    pins = str(PINS / f"scikit-learn-{release}.txt")
    subprocess.run([uv, "pip", "sync", "--quiet", "--python", str(python), pins], check=True)
    return str(python)


def check(release, *, quick, jobs):
    """Run the cases and the tests with one release; what failed."""
    python = environment(release)
    cases = [python, "coverage/run.py", "--release", release, "--jobs", str(jobs)]
    tests = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    if quick:
        cases += [option for case in PART for option in ("--only", case)]
    steps = {"cases": cases, "tests": [*tests, *(QUICK_TESTS if quick else TESTS)]}
    # mlpack is imported from the checkout: nothing of it is installed.
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    failed = []
    for name, command in steps.items():
        print(f"== scikit-learn {release}: {name}", flush=True)
        if subprocess.run(command, cwd=ROOT, env=environ, check=False).returncode:
            failed.append(f"scikit-learn {release}: {name}")
    return failed


def main():
    """Check every release, then tell what failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("release", nargs="*", help="such as 1.8; all of them unless told")
    parser.add_argument("--part", action="store_true", help="some cases and tests, older releases")
    parser.add_argument("--jobs", type=int, default=1, help="so many cases at once")
    arguments = parser.parse_args()
    known = sorted(path.stem.removeprefix("scikit-learn-") for path in PINS.glob("*.txt"))
    wanted = arguments.release or (known[:-1] if arguments.part else known)
    if unknown := sorted(set(wanted) - set(known)):
        sys.exit(f"there are no pins for {', '.join(unknown)} in {PINS.relative_to(ROOT)}")
    failed = []
    for release in wanted:
        failed += check(release, quick=arguments.part, jobs=arguments.jobs)
    if failed:
        sys.exit(f"failed: {'; '.join(failed)}")


if __name__ == "__main__":
    main()
