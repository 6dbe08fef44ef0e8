"""Targets that hand over to another program: a package index by uv, vendors by their commands.

The index is pypiserver itself, the upload uv's. The vendors are not here: each command is a small
fake that keeps what it was told in a file, and says that it is one.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import httpx
import pypiserver
import scripted_registry
from bundling import Remembering, make_project, onnx_bundle
from worlds import World

from mlpack import simple_index
from mlpack.cli.targets import TARGETS
from mlpack.delivery.pushing import Pusher
from mlpack.delivery.rendered import Outside, RenderedTarget
from mlpack.oci.cache import Cache
from mlpack.oci.registry import connect
from mlpack.packagers.wheel import WheelPackager
from mlpack.plugins import load
from mlpack.ports import Built, Target
from mlpack.process import Completed, run
from mlpack.targets.index import Index, IndexTarget


@dataclass
class HandingWorld(World):
    """One in which another program is run, and a server of the test counts what changes it.

    Both are calls: those of the server that were answered, and those of the program.
    """

    runs: int = 0

    def served(self) -> Any:
        """The server: it counts in `changing`, and ends at `dies_at`."""
        raise NotImplementedError

    @property
    def total(self) -> int:
        """How many calls were made."""
        return self.served().changing + self.runs

    def break_at(self, number: int, *, after: bool) -> None:
        self.at, self.after = self.total + number, after
        self.served().dies_at, self.served().dies_after = self.at - self.runs, after

    def mend(self) -> None:
        super().mend()
        self.served().dies_at, self.served().dead = None, False

    def through(self, do):
        """Run the program, or end before or after it."""
        self.calls = self.total
        # What the program asks of the server itself counts behind the call for it.
        self.runs += 1
        server = self.served()
        if server.dies_at is not None:
            server.dies_at -= 1
        return self.hand(do)


# A package index


class Quiet(WSGIRequestHandler):
    """Breaks off where the index ends: its answer never comes."""

    def log_message(self, *_: object) -> None:
        pass

    def handle(self) -> None:
        state = self.server.state
        self.raw_requestline = self.rfile.readline(65537)
        if not self.parse_request():
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        changes = self.command == "POST"
        number = state.changing
        state.changing += changes
        if changes and number == state.dies_at and not state.dies_after:
            state.dead = True
        if state.dead:
            return
        environ = {**self.get_environ(), "wsgi.input": io.BytesIO(body), "wsgi.url_scheme": "http"}
        told: list[Any] = []
        answer = b"".join(self.server.get_app()(environ, lambda *each: told.extend(each)))
        if changes and number == state.dies_at:
            state.dead = True  # it is done, and nobody hears of it
            return
        head = "".join(f"{name}: {value}\r\n" for name, value in told[1])
        self.wfile.write(f"HTTP/1.0 {told[0]}\r\n{head}\r\n".encode() + answer)


class Shelf(WSGIServer):
    """pypiserver's, as it is counted."""

    changing = 0
    dies_at: int | None = None
    dies_after = False
    dead = False

    @property
    def state(self) -> Shelf:
        return self


@dataclass
class IndexWorld(HandingWorld):
    """A private index on loopback."""

    shelf: Any = None

    def served(self) -> Any:
        return self.shelf

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.shelf.server_port}/"

    def target(self) -> Target:
        index = Index(self.url, f"{self.url}simple/", "alice", "secret")
        # Nobody waits in a test for an index that has ended.
        env = {**os.environ, "UV_HTTP_RETRIES": "0"}
        return IndexTarget(index, lambda: httpx.Client(trust_env=False), self.uv, env)

    def uv(self, argv: Sequence[str], **more: Any) -> Completed:
        return self.through(partial(run, argv, **more))

    @staticmethod
    def build(folder: Path, version: str) -> Built:
        bundle = onnx_bundle(make_project(version=version))
        wheel = WheelPackager().package(bundle, folder, Remembering())
        return Built("churn", version, "onnx", "lock", bundle.digest, {"wheel": wheel}, folder)

    def running(self) -> str | None:
        """The newest version that is listed, with the bytes that were built."""
        self.calls = self.total
        page = httpx.get(f"{self.url}simple/churn/", trust_env=False)
        listed = simple_index.files(page.content, page.headers["Content-Type"], str(page.url))
        found = []
        for version, built in self._built.items():
            wheel = built.artifacts["wheel"]
            if wheel.file in listed:
                assert listed[wheel.file].sha256 == wheel.sha256, "another one has its name"
                found.append(version)
        assert len(found) == len(listed), "the index lists what nobody built"
        return max(found, default=None)

    def state(self) -> Any:
        return {each.name: each.read_bytes() for each in (self.folder / "index").iterdir()}


@contextlib.contextmanager
def index(folder: Path) -> Iterator[World]:
    """See `IndexWorld`."""
    (folder / "index").mkdir()
    app = pypiserver.app(
        roots=[folder / "index"],
        authenticate=["update"],
        auther=lambda user, password: (user, password) == ("alice", "secret"),
        disable_fallback=True,
    )
    with make_server("127.0.0.1", 0, app, Shelf, Quiet) as shelf:
        threading.Thread(target=shelf.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield IndexWorld(folder, shelf=shelf)
        finally:
            shelf.shutdown()


# Vendors

FAKE = """\
#!{python}
# No vendor's: it keeps the file that it is given, and tells of it what is asked.
import json, os, pathlib, re, sys
kept = pathlib.Path({kept!r})
words = " ".join(sys.argv[1:])
print("a fake in place of", sys.argv[0], file=sys.stderr)
if {deploys!r} in words:
    (file,) = [each for each in sys.argv[1:] if os.path.isabs(each) and os.path.isfile(each)]
    kept.with_suffix(".new").write_text(pathlib.Path(file).read_text())
    kept.with_suffix(".new").rename(kept)
elif "services list" in words:
    route = {{"revisionName": "churn-1", "percent": 100}}
    print(json.dumps([{{"status": {{"traffic": [route]}}}}] if kept.exists() else []))
elif "revisions describe" in words:
    image = re.search("image: *(.*)", kept.read_text())[1].strip('"')
    print(json.dumps({{"spec": {{"containers": [{{"image": image}}]}}}}))
else:
    sys.exit("a fake that does not know " + words)
"""


@dataclass(frozen=True)
class Vendor:
    """What of a vendor the fake and the configuration have to know.

    Attributes:
        program: its command.
        deploys: words of the command that changes something.
        config: keys of ``[deploy]``.
    """

    program: str
    deploys: str
    config: dict[str, Any]


GROUP = "/subscriptions/01234567-89ab-cdef-0123-456789abcdef/resourceGroups/models/providers"
VENDORS = {
    "cloud-run": Vendor(
        "gcloud", "run services replace", {"project": "my-project", "region": "europe-west1"}
    ),
    "azure-container-apps": Vendor(
        "az",
        "containerapp create",
        {
            "resource_group": "models",
            "environment": f"{GROUP}/Microsoft.App/managedEnvironments/production",
        },
    ),
    "fly": Vendor("flyctl", "deploy --app", {"region": "ams"}),
}


@dataclass
class VendorWorld(HandingWorld):
    """A registry on loopback, and a vendor whose command is a fake on a path of its own.

    Attributes:
        kind: of the target.
        registry: of the images.
        versions: what was built, by its digest.
    """

    kind: str = ""
    registry: Any = None
    versions: dict[str, str] = field(default_factory=dict)

    def served(self) -> Any:
        return self.registry

    @property
    def kept(self) -> Path:
        return self.folder / "kept"

    def target(self) -> Target:
        vendor = VENDORS[self.kind]
        given = {
            "target": self.kind,
            "service": "churn-production",
            "repository": f"{self.registry.host}/team/churn",
            **vendor.config,
        }
        made = load(TARGETS[self.kind])(given, {})
        path = self.folder / "bin"
        if not path.is_dir():
            path.mkdir()
            program = path / vendor.program
            words = {"python": sys.executable, "kept": str(self.kept), "deploys": vendor.deploys}
            program.write_text(FAKE.format(**words))
            program.chmod(0o755)
        outside = Outside(
            runner=self.asked,
            which=lambda name: shutil.which(name, path=str(path)),
            cache=lambda: Cache(self.folder / "cache"),
        )
        repository = made._pusher.repository
        # Nobody waits in a test for a registry that has ended.
        pusher = Pusher(repository, lambda: connect(repository, None, sleep=lambda _: None))
        return RenderedTarget(made.recipe, pusher, serving=made._serving, outside=outside)

    def asked(self, argv: Sequence[str], **more: Any) -> Completed:
        do = partial(run, argv, env={"PATH": str(self.folder / "bin")}, **more)
        return self.through(do) if VENDORS[self.kind].deploys in " ".join(argv) else do()

    def running(self) -> str | None:
        """The version whose image the vendor was told."""
        self.calls = self.total
        if not self.kept.exists():
            return None
        (digest,) = set(re.findall(r"team/churn@(sha256:[0-9a-f]{64})", self.kept.read_text()))
        found = {b.artifacts["image"].digest: version for version, b in self._built.items()}
        assert ("team/churn", digest) in self.registry.manifests, "it names what was never pushed"
        return found[digest]

    def state(self) -> Any:
        kept = self.kept.read_text() if self.kept.exists() else ""
        return kept, dict(self.registry.manifests), dict(self.registry.blobs)

    def shape(self) -> Any:
        kept, *pushed = self.state()
        # Azure's name of a revision is made of all that is in it, the port too.
        kept = re.sub("revisionSuffix: .*", "", kept)
        return kept.replace(self.registry.host, "HOST"), pushed


@contextlib.contextmanager
def vendor(folder: Path, kind: str) -> Iterator[World]:
    """See `VendorWorld`."""
    with scripted_registry.serve() as running:
        yield VendorWorld(folder, kind=kind, registry=running)


WORLDS = {"index": index, **{kind: partial(vendor, kind=kind) for kind in VENDORS}}
