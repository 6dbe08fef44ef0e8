#!/usr/bin/env python3
"""``mlpack build`` beside ``docker build`` of a good Dockerfile, and ``bentoml build``.

All build the penguins example. mlpack makes a wheel, a zip and an image, and loads the image into
the engine; docker makes an image of the same server and the same locked packages, in the engine;
BentoML makes a Bento, which is no image. Rounds take turns, and what is compared are the ratios
within a round. In the first round of a scenario both images are started and must predict the same.

What mlpack exports and proves has no counterpart in a Dockerfile: it stands in a column of its own.
``python benchmarks/builds.py --quick`` is mlpack and docker, one round.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.metadata
import json
import os
import platform
import signal
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from building import answers, by_docker, packages
from building.by_bentoml import ByBentoML
from building.by_docker import ByDocker
from building.own import BUMPED, Project, Took
from running import FailedError
from serving import environments

from mlpack.lock import this_platform

SCENARIOS = {
    "nothing": "nothing changed",
    "model": "the model changed",
    "file": "a source file changed",
    "dependency": f"one dependency changed ({BUMPED})",
    "cold": "empty caches, everything downloaded",
}
ROUNDS, COLD_ROUNDS = 5, 3


@dataclass
class Found:
    """What was measured in a scenario, in seconds, by round."""

    mlpack: list[Took] = field(default_factory=list)
    docker: list[float] = field(default_factory=list)
    bentoml: list[float] = field(default_factory=list)


class Bench:
    """Takes the builders through the scenarios.

    Args:
        own: mlpack's project.
        docker: the Dockerfile's.
        bentoml: its Bento, or None.
    """

    def __init__(self, own: Project, docker: ByDocker, bentoml: ByBentoML | None) -> None:
        self.own = own
        self.docker = docker
        self.bentoml = bentoml
        self.number = 0
        self.found: dict[str, Found] = {}
        self.change: dict[str, Callable[[int], object]] = {
            "model": own.change_model,
            "file": self._change_file,
            "dependency": own.change_dependency,
        }

    def start(self) -> None:
        """Build once: what caches are for is in them afterwards."""
        say("the first build of each")
        self.own.build()
        self.docker.take(self.own.wheel, self.own.lock)
        self.docker.build()
        if self.bentoml:
            self.bentoml.take(self.own.root / "models" / "model.joblib")
            self.bentoml.build()
        self._check()

    def round(self, name: str) -> None:
        """One scenario, once."""
        found = self.found.setdefault(name, Found())
        self.number += 1
        if name in self.change:
            self.change[name](self.number)
        empty = self.number if name == "cold" else None
        own = self.own.build(empty=empty)
        # The code and the model that the Dockerfile copies are those of this very build.
        self.docker.take(self.own.wheel, self.own.lock)
        docker = self.docker.build(empty=empty)
        if not found.mlpack:
            self._check()
        found.mlpack.append(own)
        found.docker.append(docker)
        say(
            f"  {name}: mlpack {own.beyond:.2f} s and {own.export:.2f} s of export, "
            f"of that loading {own.loading:.2f} s; docker {docker:.2f} s"
        )
        if self.bentoml and name in ("nothing", "model"):
            self.bentoml.take(self.own.root / "models" / "model.joblib")
            found.bentoml.append(self.bentoml.build())
            say(f"    bentoml {found.bentoml[-1]:.2f} s")

    def _change_file(self, number: int) -> None:
        self.own.change_file(number)
        self.docker.change_file(number)

    def _check(self) -> None:
        row = self.own.row()
        said = [
            answers.prediction(self.docker.docker, image, row)
            for image in (self.own.image, self.docker.image)
        ]
        if said[0] != said[1]:
            raise FailedError(f"the images do not predict the same: {said[0]} and {said[1]}")


def table(found: dict[str, Found]) -> str:
    """Markdown: medians in seconds, and medians of the rounds' ratios."""
    heads = (
        *("", "mlpack build", "of that starting", "of that loading", "docker build"),
        *("docker / mlpack", "export beside", "bentoml build"),
    )
    lines = ["| " + " | ".join(heads) + " |", "|---" + "|--:" * (len(heads) - 1) + "|"]
    for name, each in found.items():
        pairs = list(zip(each.mlpack, each.docker, strict=True))
        cells = (
            SCENARIOS[name],
            _seconds([took.beyond for took in each.mlpack]),
            _seconds([took.starting for took in each.mlpack]),
            _seconds([took.loading for took in each.mlpack]),
            _seconds(each.docker),
            _ratio([docker / own.beyond for own, docker in pairs]),
            _seconds([took.export for took in each.mlpack]),
            _seconds(each.bentoml),
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _seconds(values: list[float]) -> str:
    value = statistics.median(values) if values else 0
    return f"{value:.2f} s" if value else "–"


def _ratio(values: list[float]) -> str:
    return f"{statistics.median(values):.2f}x"


def stages(found: dict[str, Found]) -> str:
    """Where mlpack's time goes: the medians of its stages."""
    lines = []
    for name, each in found.items():
        titles = [title for title in each.mlpack[0].stages if not title.startswith("Packing")]
        told = ", ".join(
            f"{title} {statistics.median(took.stages.get(title, 0) for took in each.mlpack):.2f} s"
            for title in titles
        )
        if told:
            lines.append(f"{name}: {told}")
    return "\n".join(lines)


def say(text: str) -> None:
    """Progress, where it does not disturb the table."""
    print(text, file=sys.stderr, flush=True)


def machine(docker: str, base: str, options: argparse.Namespace) -> str:
    """Where this was measured, and with what."""
    info = Path("/proc/cpuinfo").read_text()
    model = next(
        (line.partition(":")[2].strip() for line in info.splitlines() if "model name" in line),
        platform.machine(),
    )
    pins = (environments.PINS / "bentoml.txt").read_text().splitlines()
    bentoml = next(line for line in pins if line.startswith("bentoml==")).replace("==", " ")
    return (
        f"{model}, {len(os.sched_getaffinity(0))} cores, load average {os.getloadavg()[0]:.1f}, "
        f"Python {platform.python_version()}, pip {importlib.metadata.version('pip')}, "
        f"docker {by_docker.versions(docker)}{'' if options.quick else f', {bentoml}'}; "
        f"base image {base}"
    )


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "scenarios",
        nargs="*",
        metavar="SCENARIO",
        help=f"of {', '.join(SCENARIOS)}; all by default",
    )
    parser.add_argument("--quick", action="store_true", help="one round, without BentoML")
    parser.add_argument("--rounds", type=int, help=f"{ROUNDS} without --quick, else 1")
    parser.add_argument(
        "--base",
        help="an image of the engine with Python and pip, such as python:3.11-slim; without it one "
        "is made of Debian's packages (MLPACK_APT_ROOT, or root and mmdebstrap)",
    )
    parser.add_argument("--json", type=Path, help="a file for every single figure")
    parser.add_argument(
        "--cache", type=Path, default=environments.default_cache(), help="for environments"
    )
    options = parser.parse_args()
    unknown = set(options.scenarios) - set(SCENARIOS)
    if unknown:
        parser.error(f"there is no scenario {', '.join(sorted(unknown))}")
    options.cache = options.cache.resolve()
    options.rounds = options.rounds or (1 if options.quick else ROUNDS)
    return options


def measure(options: argparse.Namespace, scratch: Path) -> tuple[str, dict[str, Found]]:
    """The machine, and what was found on it."""
    docker = by_docker.program(scratch)
    base = options.base or by_docker.debian_with_pip(docker, scratch)
    described = machine(docker, base, options)
    archive = by_docker.as_archive(docker, base, this_platform(), scratch)
    told = packages.told(scratch)
    run = f"run{os.getpid()}"
    peer = None if options.quick else ByBentoML(options.cache, scratch)
    own = Project(scratch, f"archive:{archive}", told.env, f"0.0.{os.getpid()}")
    dockers = ByDocker(docker, base, this_platform(), scratch, told.secrets, run)
    bench = Bench(own, dockers, peer)
    try:
        bench.start()
        for number in range(options.rounds):
            for name in options.scenarios or SCENARIOS:
                if name != "cold" or number < COLD_ROUNDS:
                    bench.round(name)
        described += f"; pip's cache mounts hold {dockers.downloads()}"
    finally:
        dockers.clean()
        by_docker.remove(docker, own.image, f"org.opencontainers.image.version={own.version}")
    return described, bench.found


def main() -> None:
    """Print the table."""
    options = arguments()
    # Ends as after Ctrl-C, so that no image is left behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory() as folder:
        try:
            described, found = measure(options, Path(folder).resolve())
        except (FailedError, environments.MissingError) as error:
            sys.exit(str(error))
    print(f"{described}\n\nmedians of {options.rounds} rounds, cold of at most {COLD_ROUNDS}\n")
    print(table(found))
    print(f"\nStages of mlpack build\n{stages(found)}")
    if options.json:
        raw = {name: dataclasses.asdict(each) for name, each in found.items()}
        options.json.write_text(json.dumps({"machine": described, "scenarios": raw}, indent=1))


if __name__ == "__main__":
    main()
