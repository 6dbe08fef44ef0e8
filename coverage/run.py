#!/usr/bin/env python3
"""``make coverage-full``: every case of the list through the real exporter and the real proof.

Each case runs in a process of its own with a limit of time and memory. The whole run writes
``coverage/results.json`` and, from it, ``docs/coverage.md``; with ``--only`` the results of the
named cases are replaced and the others kept. ``--try`` only tells. ``--part`` (``make coverage``)
runs a part of every group, writes nothing, and fails where a case is worse than it was recorded.
``--times 10 --seed 1`` (``make unseen``) asks ten times the gate's rows, others than the gate saw,
writes ``coverage/unseen.json`` and ``docs/unseen.md`` instead, and fails where what ships differs.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from differences import DIFFERENCES, differs

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results.json"
DOCUMENT = HERE.parent / "docs" / "coverage.md"
UNSEEN = HERE / "unseen.json"
UNSEEN_DOCUMENT = HERE.parent / "docs" / "unseen.md"

SECONDS = 120
EVERY = 7
"""A part has the first of so many cases of each group."""

MEMORY = 8 * 2**30
"""Of address space, in bytes: thread pools reserve much that they never use."""

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LOKY_MAX_CPU_COUNT")


def child(case_id, times, seed, connection):
    """Judge one case and send its result, as JSON."""
    import msgspec

    from cases import CASES
    from judge import judge

    try:
        import resource
    except ImportError:  # Windows has no such limit
        pass
    else:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    case = next(case for case in CASES if case.id == case_id)
    connection.send_bytes(msgspec.json.encode(judge(case, times, seed)))
    connection.close()


def judged(context, case, times, seed):
    """The result of one case, whatever happens to its process."""
    import msgspec

    from judge import Result

    started = time.monotonic()
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=child, args=(case.id, times, seed, sender))
    process.start()
    sender.close()
    try:
        if receiver.poll(SECONDS * times):
            return msgspec.json.decode(receiver.recv_bytes(), type=Result)
        reason = f"longer than {SECONDS * times} s"
    except EOFError:
        process.join(5)
        reason = f"its process ended with {process.exitcode}"
    finally:
        process.kill()
        process.join()
        receiver.close()
    return Result(
        id=case.id,
        what=case.what,
        verdict="unfinished",
        reason=reason,
        seconds=round(time.monotonic() - started, 1),
    )


def chosen(cases, only):
    """The cases whose group or id was named; all of them if none was."""
    found = [case for case in cases if not only or case.id in only or case.group in only]
    known = {name for case in cases for name in (case.id, case.group)}
    if unknown := sorted(set(only) - known):
        sys.exit(f"no group or case is called {', '.join(unknown)}")
    return found


def part(cases):
    """Some cases of every group."""
    by_group = {}
    for case in cases:
        by_group.setdefault(case.group, []).append(case)
    return [case for group in by_group.values() for case in group[::EVERY]]


def worse(result, recorded, release=None):
    """Whether a case came out worse than it is written down; better is worth a new run.

    With an older release, what its table of differences says of the case counts instead.
    """
    from judge import VERDICTS

    if release is not None and (other := differs(release, result.id, result.verdict)) is not None:
        return other
    ranks = list(VERDICTS)
    before = next((each for each in recorded if each.id == result.id), None)
    return before is None or ranks.index(result.verdict) > ranks.index(before.verdict)


def main():
    """Run, tell, write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", action="append", default=[], metavar="GROUP|ID")
    parser.add_argument("--try", dest="tried", action="store_true", help="write nothing")
    parser.add_argument("--part", action="store_true", help="some of each group, compared")
    parser.add_argument("--jobs", type=int, default=1, help="so many cases at once")
    parser.add_argument("--times", type=int, default=1, help="so many times the gate's rows")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of rows")
    parser.add_argument(
        "--release",
        choices=DIFFERENCES,
        help="compared, with what differences.py says of a release",
    )
    parser.add_argument("--document", action="store_true", help="write the document only")
    arguments = parser.parse_args()
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    # The server of Python 3.11 does not look where this process looks for modules.
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])

    import report
    from cases import CASES
    from cases.data import prepare

    unseen = arguments.times > 1 or arguments.seed != 0
    results_file = UNSEEN if unseen else RESULTS

    def write_document():
        if unseen:
            told = report.unseen(report.read(RESULTS), report.read(UNSEEN), arguments.times)
            UNSEEN_DOCUMENT.write_text(told, encoding="utf-8")
        else:
            DOCUMENT.write_text(report.document(report.read(RESULTS)), encoding="utf-8")

    if arguments.document:
        write_document()
        return
    wanted = part(CASES) if arguments.part else chosen(CASES, arguments.only)
    tried = arguments.tried or arguments.part or arguments.release is not None
    compared = arguments.part or unseen or arguments.release is not None
    # The modules are loaded once, in a server from which every case's process is forked.
    posix = "forkserver" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if posix else "spawn")
    if posix:
        context.set_forkserver_preload(["judge", "cases"])
    counts = Counter()
    worsened = []
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder), arguments.times)
        recorded = report.read(RESULTS).cases if compared else []
        if not arguments.only and not tried:
            results_file.unlink(missing_ok=True)
        with ThreadPoolExecutor(arguments.jobs) as pool:
            results = pool.map(
                lambda case: judged(context, case, arguments.times, arguments.seed), wanted
            )
            for number, result in enumerate(results, start=1):
                if not tried:
                    report.add(results_file, result)
                counts[result.verdict] += 1
                mark = ""
                if compared and worse(result, recorded, arguments.release):
                    worsened.append(result.id)
                    mark = "  WORSE"
                told = f"[{number:3}/{len(wanted)}] {report.line(result)}{mark}"
                print(told, flush=True)
    if not tried:
        write_document()
    print()
    for verdict, count in counts.most_common():
        print(f"{count:4}  {report.VERDICTS[verdict]}")
    if worsened:
        sys.exit(f"worse than recorded: {', '.join(worsened)}; look, or run make coverage-full")


if __name__ == "__main__":
    main()
