"""What runs at a target in memory, what is built beside it, and the project of both."""

from __future__ import annotations

from dataclasses import replace

import msgspec
from bundling import RUNTIME, SIGNATURE, Remembering, graph, lock_text, make_project

from mlpack.assembly import assemble
from mlpack.errors import OutsideError
from mlpack.files import write_tree
from mlpack.operating import Fetched, Standing, Status
from mlpack.packagers.zip import ZipPackager
from mlpack.ports import Built
from mlpack.records import write_build_json
from mlpack.runtime.contract import Encoding
from mlpack.runtime.schema import Schema
from mlpack.wheelfile import installed


def bundle(version="1.2.0", rows=100, factor=2.0):
    return assemble(
        project=make_project(version=version),
        form="onnx",
        model=graph(factor),
        signature=msgspec.structs.replace(SIGNATURE, rows=rows),
        schema=Schema(),
        encoding=Encoding(numbers=("size",)),
        parity=b"{}\n",
        openapi=b'{"openapi": "3.1.0"}\n',
        lock_text=lock_text(),
        python="3.11",
        versions={},
        metrics={},
        reason=None,
        runtime_dir=RUNTIME,
        user_tree=None,
    )


def build(project, of, *packagers):
    """What was built of a bundle, written to ``dist/`` as a build does."""
    project.dist_dir.mkdir(parents=True, exist_ok=True)
    made = [
        each().package(of, project.dist_dir, Remembering()) for each in packagers or (ZipPackager,)
    ]
    manifest = of.manifest
    found = Built(
        manifest.name,
        manifest.version,
        manifest.form,
        "lock",
        "bundle",
        {each.kind: each for each in made},
        project.dist_dir,
    )
    write_build_json(found, "inputs")
    return found


class Target:
    """What runs somewhere in memory.

    Args:
        runs: its bundle; None where nothing does.
        states: of the releases, the digest of each.
        silent: the verbs that are not answered.
    """

    kind = "memory"

    def __init__(self, runs, states=(), silent=(), verbs=("fetch", "status")):
        self.runs, self.states, self.silent = runs, dict(states), silent
        self.verbs, self.asked = frozenset(verbs), []
        self.files = runs and installed(runs)

    def _asked(self, verb):
        self.asked.append(verb)
        if verb in self.silent:
            raise OutsideError("the host does not answer")

    def fetch(self, release, into, reporter):
        self._asked("fetch")
        assert release is None, "what answers"
        if self.files is None:
            return None
        write_tree(into / "lib", self.files)
        return Fetched(into, self.runs.manifest.version, 7)

    def status(self):
        self._asked("status")
        found = tuple(
            Standing(number, "1.0.0", digest, state, 0, 1, 1, 1)
            for number, (state, digest) in enumerate(self.states.items(), 1)
        )
        return Status("memory", "churn", "http://", found)


def project_in(root):
    """A project without anything built."""
    (root / "config").mkdir(parents=True)
    (root / "config" / "default.toml").write_text("")
    (root / "config" / "production.toml").write_text("")
    return replace(make_project(root), config_dir=root / "config")


GOOD, POOR = bundle("1.3.0"), bundle("1.3.0", rows=10)  # a tenth of the rows to learn from
