#!/usr/bin/env python3
"""mlpack's server beside a constant answer, MLflow, BentoML, MLServer, LitServe and plain FastAPI.

Each runs as one process on one core; ``wrk`` asks from the other. Rounds take turns through all of
them, and what is compared are the ratios within a round, so that a busy machine disturbs little.
Before anything is timed, every contender must give scikit-learn's own labels for the same rows.
The peers' environments are made from ``peers/*.txt`` and kept.

``python benchmarks/servers.py --quick`` is mlpack and the constant answer, one round.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.metadata
import json
import os
import platform
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from serving import contenders, environments, load, projects, report
from serving.contenders import Contender, Format
from serving.load import FailedError, Server

BULK_SHARE = 2
"""Large requests are asked in so many times fewer rounds: each answer is a thousand rows."""


class Bench:
    """Measures one pipeline.

    Args:
        pipeline: what to serve.
        options: of the command line.
        scratch: a folder for logs and bodies.
    """

    def __init__(
        self, pipeline: projects.Pipeline, options: argparse.Namespace, scratch: Path
    ) -> None:
        self.pipeline = pipeline
        self.options = options
        self.scratch = scratch
        self.core, self.load_core = load.cores()
        self.found = report.Found(pipeline.title)
        self.servers: dict[str, Server] = {}
        self.bodies: dict[tuple[str, str], Path] = {}
        self.formats: dict[tuple[str, str], Format] = {}

    def run(self) -> report.Found:
        """All that the options ask for. This process and wrk keep to the core of the load."""
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {self.load_core})
        try:
            return self._measured()
        finally:
            os.sched_setaffinity(0, before)

    def _measured(self) -> report.Found:
        try:
            for contender in self._field():
                self._enter(contender)
            for _ in range(self.options.rounds):
                for connections in (1, 32):
                    self._round(connections)
            for name, server in self.servers.items():
                self.found.memory[name] = server.megabytes()
            for _ in range(-(-self.options.rounds // BULK_SHARE)):
                self._bulk()
        finally:
            for server in self.servers.values():
                server.stop()
        self._starts()
        return self.found

    def _field(self) -> list[Contender]:
        """Everybody who takes part, the constant answer first: it needs one of mlpack's."""
        own = contenders.mlpack(self.pipeline)
        answer = self.scratch / "answer.json"
        server = self._start(own)
        try:
            _, body = server.ask(own.path, "application/json", own.one(self.pipeline.rows[0]))
        finally:
            server.stop()
        answer.write_bytes(body)
        field = [contenders.constant(self.pipeline, answer), own]
        for name, make in contenders.PEERS.items():
            if self.options.peers and (not self.options.only or name in self.options.only):
                say(f"  {name}")
                try:
                    field.append(make(self.pipeline, self.options.cache, self.scratch))
                except environments.MissingError as error:
                    self._leave(name, str(error))
        return field

    def _start(self, contender: Contender) -> Server:
        log = self.scratch / f"{contender.name}.log"
        return Server(contender, self.core, log, contender.one(self.pipeline.rows[0]))

    def _enter(self, contender: Contender) -> None:
        """Start a contender, and compare its answers with scikit-learn's."""
        name = contender.name
        try:
            server = self._start(contender)
        except FailedError as error:
            self._leave(name, str(error))
            return
        self.servers[name] = server
        try:
            self._check(server)
            self._write(contender, "one", [contender.one(row) for row in self.pipeline.rows])
            path, kind = contender.path, "application/json"
            for connections in (1, 32):
                server.wrk(self.bodies[name, "one"], 1, connections, kind, path)
        except FailedError as error:
            server.stop()
            del self.servers[name]
            self._leave(name, str(error))
            return
        self.found.first.setdefault(name, []).append(server.first_ms)
        self.found.loads[name] = {1: [], 32: []}

    def _check(self, server: Server) -> None:
        """Labels of single rows and of many, in every format that the contender knows."""
        contender, pipeline = server.contender, self.pipeline
        if not contender.formats:
            return
        rows = pipeline.rows[: projects.COMPARED]
        main = next(iter(contender.formats.values()))
        answers = [_asked(server, contender.path, contender.one(row), main) for row in rows]
        said = [label for answer in answers for label in answer]
        _same(said, pipeline.labels[: projects.COMPARED], "one row a request")
        for name, form in contender.formats.items():
            body, path = form.write(pipeline.rows), form.path or contender.path
            status, _ = server.ask(path, form.content_type, body)
            if status == 415:
                continue  # an older artifact does not know this format
            _same(_asked(server, path, body, form), pipeline.labels, f"many rows, {name}")
            self.formats[contender.name, name] = form
            self._write(contender, name, [body])

    def _round(self, connections: int) -> None:
        for name, server in list(self.servers.items()):
            path, kind = server.contender.path, "application/json"
            bodies = self.bodies[name, "one"]
            try:
                found = server.wrk(bodies, self.options.seconds, connections, kind, path)
            except FailedError as error:
                self._drop(name, str(error))
                continue
            self.found.loads[name][connections].append(dataclasses.astuple(found))

    def _bulk(self) -> None:
        for (name, kind), form in self.formats.items():
            if name not in self.servers:
                continue
            server = self.servers[name]
            path = form.path or server.contender.path
            bodies = self.bodies[name, kind]
            try:
                found = server.wrk(bodies, self.options.seconds, 1, form.content_type, path)
            except FailedError as error:
                self._leave(f"{name}, {kind}", str(error))
                continue
            rates = self.found.many.setdefault(name, {}).setdefault(kind, [])
            rates.append(found.rate * projects.ROWS)

    def _starts(self) -> None:
        """The two whose starts are compared, in turn; a peer's is known from when it entered."""
        both = [each.contender for each in self.servers.values()]
        both = [each for each in both if each.name in (report.CONSTANT, report.OWN)]
        for each in both:
            self.found.first[each.name] = []
        for _ in range(self.options.rounds):
            for contender in both:
                server = self._start(contender)
                self.found.first[contender.name].append(server.first_ms)
                server.stop()

    def _write(self, contender: Contender, kind: str, bodies: Sequence[bytes]) -> None:
        folder = self.scratch / "bodies" / contender.name.replace(" ", "-") / kind
        folder.mkdir(parents=True)
        for number, body in enumerate(bodies):
            (folder / str(number)).write_bytes(body)
        self.bodies[contender.name, kind] = folder

    def _drop(self, name: str, why: str) -> None:
        self.servers.pop(name).stop()
        for measured in (self.found.loads, self.found.many, self.found.first):
            measured.pop(name, None)
        self._leave(name, why)

    def _leave(self, name: str, why: str) -> None:
        say(f"  {name} is left out: {why}")
        self.found.out[name] = why


def _asked(server: Server, path: str, body: bytes, form: Format) -> list[str]:
    status, answer = server.ask(path, form.content_type, body)
    if status != 200:
        raise FailedError(f"{status} {answer[:300].decode(errors='replace')}")
    try:
        return form.read(answer)
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise FailedError(f"its answer cannot be read: {answer[:200]!r}") from error


def _same(said: Sequence[str], wanted: Sequence[str], what: str) -> None:
    if len(said) != len(wanted):
        raise FailedError(f"{what}: {len(said)} answers for {len(wanted)} rows")
    wrong = sum(a != b for a, b in zip(said, wanted, strict=True))
    if wrong:
        raise FailedError(f"{what}: {wrong} of {len(wanted)} labels are not scikit-learn's")


def say(text: str) -> None:
    """Progress, where it does not disturb the tables."""
    print(text, file=sys.stderr, flush=True)


def machine() -> str:
    """Where this was measured, and with what."""
    info = Path("/proc/cpuinfo").read_text()
    model = next(
        (line.partition(":")[2].strip() for line in info.splitlines() if "model name" in line),
        platform.machine(),
    )
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}"
        for name in ("scikit-learn", "onnxruntime", "uvicorn", "uvloop", "msgspec")
    )
    peers = ", ".join(
        next(line for line in text.splitlines() if line.startswith(f"{path.stem}=="))
        for path in [environments.PINS / f"{name}.txt" for name in contenders.PEERS]
        for text in [path.read_text()]
    ).replace("==", " ")
    return (
        f"{model}, {len(os.sched_getaffinity(0))} cores, load average {os.getloadavg()[0]:.1f}, "
        f"Python {platform.python_version()}, {versions}; {peers}"
    )


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    known = [*projects.NAMES, *contenders.PEERS]
    parser.add_argument(
        "--only",
        nargs="+",
        choices=known,
        default=[],
        metavar="NAME",
        help=f"pipelines or peers to take: {', '.join(known)}; mlpack always takes part",
    )
    parser.add_argument("--rounds", type=int, help="7 without --quick, else 1")
    parser.add_argument("--seconds", type=int, help="of load for each figure: 2, or 1 with --quick")
    parser.add_argument("--quick", action="store_true", help="mlpack and the constant answer only")
    parser.add_argument(
        "--reuse", action="store_true", help="take the pipelines as the last run built them"
    )
    parser.add_argument("--json", type=Path, help="a file for every single figure")
    parser.add_argument(
        "--cache", type=Path, default=environments.default_cache(), help="for environments"
    )
    options = parser.parse_args()
    options.peers = not options.quick
    options.cache = options.cache.resolve()
    options.rounds = options.rounds or (1 if options.quick else 7)
    options.seconds = options.seconds or (1 if options.quick else 2)
    return options


def main() -> None:
    """Print the tables."""
    options = arguments()
    load.check()
    # Ends as after Ctrl-C, so that no server is left behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    described = machine()
    pipelines = [name for name in options.only if name in projects.NAMES] or projects.NAMES
    options.only = [name for name in options.only if name in contenders.PEERS]
    found: dict[str, report.Found] = {}
    for name in pipelines:
        say(name)
        try:
            pipeline = projects.build(name, options.cache, reuse=options.reuse)
        except environments.MissingError as error:
            sys.exit(f"{name} cannot be built: {error}")
        with tempfile.TemporaryDirectory() as folder:
            found[name] = Bench(pipeline, options, Path(folder)).run()
    print(f"{described}\n\n{options.rounds} rounds of {options.seconds} s\n")
    print(report.markdown(found))
    if options.json:
        raw = {name: dataclasses.asdict(each) for name, each in found.items()}
        options.json.write_text(json.dumps({"machine": described, "pipelines": raw}, indent=1))


if __name__ == "__main__":
    main()
