#!/usr/bin/env python3
"""``make soak``: a real server under load for long, and what it had at the end.

A million requests, ten thousand idle connections, a minute at ten times the capacity, drains
under load. The short forms of these are tests (`runtime/test_runtime_abuse.py`). Exits with 1 where
something is not as it must be.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import signal
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "runtime")]

import bundles  # noqa: E402
import load  # noqa: E402
from servers import Server, memory  # noqa: E402
from slow_models import sleepy_package  # noqa: E402

ROW = {"age": 42, "visits": 5, "plan": "pro", "vip": True, "note": "hi"}
ASKED = load.request(json.dumps(ROW).encode())
SLEEPY = load.request(b'{"a": 1}')
CAPACITY = 50
MEGABYTE = 2**20


def leak(root: Path, requests: int) -> str | None:
    """A leak shows as memory that grows from one half to the other."""
    with Server(root, MLPACK_ACCESS_LOG="off") as server:
        asyncio.run(load.rounds(server.port, ASKED, requests // 10, 16))
        sizes = [memory(server.process.pid)]
        for _ in range(4):
            figures = asyncio.run(load.rounds(server.port, ASKED, requests // 4, 16))
            if figures.statuses != {200: requests // 4 // 16 * 16}:
                return f"answers: {dict(figures.statuses)}"
            sizes.append(memory(server.process.pid))
        print("    memory in MB:", ", ".join(f"{size / MEGABYTE:.1f}" for size in sizes))
        grown = sizes[-1] - sizes[1]
        return f"memory grew by {grown / MEGABYTE:.1f} MB" if grown > 2 * MEGABYTE else None


def idle(root: Path, connections: int) -> str | None:
    """So many connections that do nothing, and one that asks."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, connections + 1000), hard))
    with Server(root, MLPACK_ACCESS_LOG="off", MLPACK_STALL_SECONDS="600") as server:
        held = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(connections)]
        figures = asyncio.run(load.rounds(server.port, ASKED, 2000, 1))
        used = memory(server.process.pid) / MEGABYTE
        print(f"    p99 {figures.percentile(0.99) * 1000:.1f} ms, {used:.0f} MB")
        for connection in held:
            connection.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return None if figures.statuses == {200: 2000} else f"answers: {dict(figures.statuses)}"


def overload(root: Path, seconds: int) -> str | None:
    """Ten times what the model can answer, and then what it can."""
    with Server(root, MLPACK_MAX_BATCH="1", MLPACK_ACCESS_LOG="off") as server:
        asyncio.run(load.steady(server.port, SLEEPY, CAPACITY / 2, 5))
        before = memory(server.process.pid)
        figures = asyncio.run(load.steady(server.port, SLEEPY, 10 * CAPACITY, seconds))
        grown = memory(server.process.pid) - before
        p99 = figures.percentile(0.99)
        after = asyncio.run(load.steady(server.port, SLEEPY, CAPACITY / 2, 5))
    print(f"    {dict(figures.statuses)}, p99 {p99:.2f} s, {grown / MEGABYTE:+.1f} MB")
    if set(figures.statuses) != {200, 503} or set(after.statuses) != {200}:
        return f"answers: {dict(figures.statuses)}, then {dict(after.statuses)}"
    if p99 > 2 or grown > 20 * MEGABYTE:
        return "what it accepted took too long, or its memory grew"
    return None


def drains(root: Path, times: int) -> str | None:
    """So many servers that are told to stop under load."""
    answered = 0
    for _ in range(times):
        with Server(root, MLPACK_ACCESS_LOG="off") as server:
            threading.Timer(1.0, server.process.send_signal, [signal.SIGTERM]).start()
            figures = asyncio.run(load.steady(server.port, ASKED, 500, 3))
            server.process.wait(60)
        if set(figures.statuses) != {200}:
            return f"answers: {dict(figures.statuses)}"
        answered += figures.statuses[200]
    print(f"    {answered} requests begun, all of them answered")
    return None


def main() -> int:
    """Run the stories."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--restarts", type=int, default=10)
    options = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        fast, slow = Path(folder, "fast"), Path(folder, "slow")
        bundles.package(fast, schema=bundles.SCHEMA)
        sleepy_package(slow)
        for name, story in {
            f"{options.requests:,} requests": lambda: leak(fast, options.requests),
            f"{options.connections:,} idle connections": lambda: idle(fast, options.connections),
            f"{options.seconds} s at ten times the capacity": lambda: overload(
                slow, options.seconds
            ),
            f"{options.restarts} drains under load": lambda: drains(fast, options.restarts),
        }.items():
            print(name, flush=True)
            start = time.monotonic()
            wrong = story()
            print(f"    {wrong or 'ok'} ({time.monotonic() - start:.0f} s)", flush=True)
            failed += wrong is not None
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
