"""Each target in a world of its own, which can end at any of the calls that change something."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import scripted_cluster
import scripted_registry
from botocore.config import Config
from bundling import Remembering, make_project, onnx_bundle
from hosts import SERVICE, FakeHost, Memory, clock
from images import SLIM, image_of
from moto import mock_aws

from mlpack.bundle import Artifact
from mlpack.delivery.clock import Clock
from mlpack.delivery.pushing import Pusher
from mlpack.oci.archive import write_archive
from mlpack.oci.cache import Cache
from mlpack.oci.credentials import Credential
from mlpack.oci.reference import parse
from mlpack.oci.registry import connect
from mlpack.packagers.wheel import WheelPackager
from mlpack.packagers.zip import ZipPackager
from mlpack.ports import Built, Target
from mlpack.targets.docker import DockerTarget
from mlpack.targets.kubernetes import make
from mlpack.targets.registry import RegistryTarget
from mlpack.targets.s3 import S3Target

BUILDS = tempfile.TemporaryDirectory()


@cache
def _built(build: Callable[[Path, str], Built], version: str) -> Built:
    """What was built once, for all worlds."""
    return build(Path(tempfile.mkdtemp(dir=BUILDS.name)), version)


class EndedError(BaseException):
    """The process ended here: nothing catches it."""


@dataclass
class World:
    """A target's surroundings.

    Attributes:
        folder: for files.
        calls: how many calls were made that may break.
        at: at which of them, counted from 0, the process ends; None for at none.
        after: whether it ends when the call is done.
    """

    folder: Path
    calls: int = 0
    at: int | None = None
    after: bool = False
    _built: dict[str, Built] = field(default_factory=dict)

    def target(self) -> Target:
        """The target, as a process of its own has it."""
        raise NotImplementedError

    def running(self) -> str | None:
        """The version that answers, or that is named as the one that does."""
        raise NotImplementedError

    def state(self) -> Any:
        """All that is there, to be compared."""
        raise NotImplementedError

    def shape(self) -> Any:
        """The same without times and numbers, to be compared with another world's."""
        return self.state()

    def there(self) -> Any:
        """All that is there of the service, without what stays when it is removed: images."""
        return self.state()

    def otherwise(self) -> None:
        """From now on the target is configured otherwise, where that takes other calls."""

    def break_at(self, number: int, *, after: bool) -> None:
        """End at the call with that number from now on."""
        self.at, self.after = self.calls + number, after

    def mend(self) -> None:
        """End nowhere any more."""
        self.at = None

    def built(self, version: str) -> Built:
        """What was built of a version."""
        if version not in self._built:
            self._built[version] = _built(type(self).build, version)
        return self._built[version]

    @staticmethod
    def build(folder: Path, version: str) -> Built:
        """An image by default."""
        bundle = onnx_bundle(make_project(version=version))
        image = image_of(folder, SLIM, {"app/lib/version": version.encode()})
        file = folder / "churn.oci.tar"
        written = write_archive(image, file, "churn", version)
        artifact = Artifact(
            kind="image",
            file=file.name,
            sha256=written.sha256,
            size=written.size,
            digest=image.digest,
            image=f"churn:{version}",
            config=image.config_digest,
        )
        parts = {"image": artifact}
        return Built("churn", version, "onnx", "lock", bundle.digest, parts, folder)

    def hand(self, do):
        """Make a call, or end before or after it."""
        number = self.calls
        self.calls += 1
        if number == self.at and not self.after:
            raise EndedError
        answer = do()
        if number == self.at:
            raise EndedError
        return answer


READS = frozenset(
    (
        *("awake", "bare", "drained", "events", "has_image", "last_words", "ready", "releases"),
        *("replicas", "shaped", "traffic"),
    )
)
"""What a host is asked that changes nothing."""


class _Taking:
    """An engine that takes images by name."""

    def __init__(self, memory: Memory, world: DockerWorld) -> None:
        self.memory, self.world = memory, world

    def load(self, archive: Path) -> str:
        wanted = next(b for b in self.world._built.values() if b.dist == archive.parent)
        config = str(wanted.artifacts["image"].config)
        self.memory.images.add(config)
        return config


@dataclass
class DockerWorld(World):
    """A host in memory."""

    memory: Memory = field(default_factory=Memory)

    def target(self) -> Target:
        world = self

        class Host(FakeHost):
            def _call(self, name, do):
                return do() if name in READS else world.hand(do)

        engine = _Taking(self.memory, self)
        return DockerTarget(SERVICE, "http://127.0.0.1", Host(self.memory), engine, clock(), "me")

    def mend(self) -> None:
        super().mend()
        self.memory.lock = None  # its time is over

    def running(self) -> str | None:
        traffic = self.memory.heard
        if traffic is None:
            return None
        found = [
            (release.version, on)
            for (number, _), (release, on) in self.memory.containers.items()
            if number == traffic.live
        ]
        assert found, "requests go to what is not there"
        assert all(on for _, on in found), "requests go to what does not run"
        return found[0][0]

    def state(self) -> Any:
        return copy.deepcopy(self.memory)

    def there(self) -> Any:
        return replace(self.state(), images=set())

    def shape(self) -> Any:
        there = sorted(
            (release.version, release.replicas, index, on)
            for (_, index), (release, on) in self.memory.containers.items()
        )
        agreed = self.memory.heard == self.memory.traffic
        return there, agreed, self.memory.images, self.memory.lock


@dataclass
class RegistryWorld(World):
    """A registry on loopback, which dies at a request."""

    registry: Any = None

    def target(self) -> Target:
        repository = parse(f"http://{self.registry.host}/team/churn")
        credential = Credential("alice", "secret")

        def connected():
            return connect(repository, credential, sleep=lambda _: None)

        return RegistryTarget(
            Pusher(repository, connected), Cache(self.folder / "cache"), "production"
        )

    def break_at(self, number: int, *, after: bool) -> None:
        self.registry.dies_at = self.registry.changing + number
        self.registry.dies_after = after

    def mend(self) -> None:
        self.registry.dies_at, self.registry.dead = None, False

    def running(self) -> str | None:
        self.calls = self.registry.changing
        found = self.registry.manifests.get(("team/churn", "production"))
        if found is None:
            return None
        digest = f"sha256:{hashlib.sha256(found[0]).hexdigest()}"
        there = [v for v, b in self._built.items() if b.artifacts["image"].digest == digest]
        assert there, "the channel names what nobody built"
        return there[0]

    def state(self) -> Any:
        return dict(self.registry.manifests), dict(self.registry.blobs)


class _Handed:
    """A client whose calls that change something go through the world's hand."""

    def __init__(self, client: Any, world: World) -> None:
        self._client, self._world = client, world
        self.meta, self.exceptions = client.meta, client.exceptions

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._client, name)
        if not name.startswith(("put_", "delete_", "copy_")):
            return real
        return lambda **asked: self._world.hand(lambda: real(**asked))


@dataclass
class BucketWorld(World):
    """A bucket of moto's."""

    client: Any = None

    def target(self) -> Target:
        return S3Target(_Handed(self.client, self), "shelf", "models")

    @staticmethod
    def build(folder: Path, version: str) -> Built:
        bundle = onnx_bundle(make_project(version=version))
        made = [
            packager.package(bundle, folder, Remembering())
            for packager in (ZipPackager(), WheelPackager())
        ]
        artifacts = {each.kind: each for each in made}
        return Built("churn", version, "onnx", "lock", bundle.digest, artifacts, folder)

    def running(self) -> str | None:
        """The newest version that is whole: where build.json is missing there is none."""
        keys = [e["Key"] for e in self._objects()]
        whole = [key.split("/")[2] for key in keys if key.endswith("build.json")]
        for version in whole:
            folder = [key for key in keys if key.startswith(f"models/churn/{version}/")]
            assert len(folder) == 3, "a version is there and is not whole"
        return max(whole, default=None)

    def state(self) -> Any:
        return [(each["Key"], each["ETag"]) for each in self._objects()]

    def _objects(self) -> list[Any]:
        return self.client.list_objects_v2(Bucket="shelf").get("Contents", [])


@dataclass
class ClusterWorld(World):
    """A cluster's API on loopback, which dies at a request; the registry does not."""

    api: Any = None
    registry: Any = None

    def target(self) -> Target:
        file = self.folder / "kubeconfig"
        file.write_text(json.dumps(scripted_cluster.kubeconfig(self.api)))
        settings = {
            "target": "kubernetes",
            "repository": f"{self.registry.host}/team/churn",
            "service": "churn-test",
            "namespace": self.api.namespace,
            "kubeconfig": str(file),
        }
        return replace(make(settings, {"MLPACK_CACHE": str(self.folder)}), clock=Time())

    def break_at(self, number: int, *, after: bool) -> None:
        self.api.dies_at, self.api.dies_after = self.api.changing + number, after

    def mend(self) -> None:
        self.api.dies_at, self.api.dead = None, False
        self.api.remove("leases", "churn-test-mlpack")  # its time is over

    def running(self) -> str | None:
        self.calls = self.api.changing
        found = self.api.get("deployments", "churn-test")
        if found is None:
            return None
        image = found["spec"]["template"]["spec"]["containers"][0]["image"]
        digest = image.rpartition("@")[2]
        pods = [each for (kind, _), each in self.api.objects.items() if kind == "pods"]
        assert pods, "a Deployment is there, and no pods"
        assert all(each["image"] == image for each in pods), "others answer too"
        return next(v for v, b in self._built.items() if b.artifacts["image"].digest == digest)

    def state(self) -> Any:
        return copy.deepcopy(self.api.objects)

    def there(self) -> Any:
        return self.api.names()

    def shape(self) -> Any:
        pods = [each for (kind, _), each in self.api.objects.items() if kind == "pods"]
        images = sorted(each["image"].rpartition("@")[2] for each in pods)
        pushed = [
            {name for _, name in kind} for kind in (self.registry.manifests, self.registry.blobs)
        ]
        return self.api.names(), images, pushed


class Time(Clock):
    """A clock that only moves when it is asked to sleep."""

    def __init__(self) -> None:
        seconds = [1_800_000_000.0]

        def sleep(more: float) -> None:
            seconds[0] += more

        super().__init__(now=lambda: seconds[0], sleep=sleep)


@contextlib.contextmanager
def kubernetes(folder: Path) -> Iterator[World]:
    """See `ClusterWorld`."""
    with scripted_cluster.serve() as api, scripted_registry.serve() as running:
        yield ClusterWorld(folder, api=api, registry=running)


@contextlib.contextmanager
def docker(folder: Path) -> Iterator[World]:
    """See `DockerWorld`."""
    yield DockerWorld(folder)


@contextlib.contextmanager
def registry(folder: Path) -> Iterator[World]:
    """See `RegistryWorld`."""
    with scripted_registry.serve(auth="basic") as running:
        yield RegistryWorld(folder, registry=running)


@contextlib.contextmanager
def s3(folder: Path) -> Iterator[World]:
    """See `BucketWorld`."""
    with mock_aws():
        client = boto3.client(
            "s3",
            region_name="us-east-1",
            aws_access_key_id="made-up",
            aws_secret_access_key="made-up",
            config=Config(retries={"total_max_attempts": 1}),
        )
        client.create_bucket(Bucket="shelf")
        yield BucketWorld(folder, client=client)


WORLDS = {"docker": docker, "kubernetes": kubernetes, "registry": registry, "s3": s3}
