"""One image for two platforms: real wheels of both, pushed, and read by somebody else."""

from __future__ import annotations

import json
import os
import struct
from collections import Counter
from pathlib import Path

import pytest
from environments import run
from test_image_in_registry import Quiet, archive, bundle, config, image

from mlpack.errors import InputError
from mlpack.oci.cache import Cache
from mlpack.oci.source import open_bases
from mlpack.packagers.image import ImagePackager
from mlpack.pin_sets import merge
from mlpack.ports import Built, ResolveRequest
from mlpack.process import run as run_process
from mlpack.resolvers.uv import UvResolver
from mlpack.targets.registry import make

BOTH = ("linux/amd64", "linux/arm64")
MACHINES = {"linux/amd64": 62, "linux/arm64": 183}
"""``EM_X86_64`` and ``EM_AARCH64`` of the ELF specification."""


@pytest.fixture(scope="module")
def pins():
    """A lock for both platforms, of packages that are not the same on both."""
    wanted = tuple((name, "a test") for name in ("httptools", "numpy", "uvloop"))
    resolver = UvResolver(run_process, os.environ)
    requests = {
        platform: ResolveRequest(wanted, (), (), python="3.11", platform=platform)
        for platform in BOTH
    }
    return merge({name: resolver.resolve(request) for name, request in requests.items()})


@pytest.fixture(scope="module")
def build(bases, pins, tmp_path_factory):
    cache = Cache(tmp_path_factory.mktemp("platforms"))

    def built(folder: Path, platforms=BOTH, base=bases, cache=cache) -> Built:
        opened = open_bases(
            f"archive:{base}",
            platforms,
            cache,
            root=folder,
            puller=lambda _: pytest.fail("no registry"),
        )
        packager = ImagePackager(opened, pins, cache, run_process)
        made = bundle("3.0.0")
        artifact = packager.package(made, folder / "dist", Quiet())
        artifacts = {"image": artifact}
        return Built("tiny", "3.0.0", "python", "", made.digest, artifacts, folder / "dist")

    return built


@pytest.fixture(scope="module")
def built(build, tmp_path_factory) -> Built:
    return build(tmp_path_factory.mktemp("both"))


@pytest.fixture(scope="module")
def pushed(built, registry) -> Built:
    deployment = make(config(registry, "team/both"), registry.environment()).apply(built, Quiet())
    assert deployment.digest == image(built).digest
    return built


def machines(root: Path) -> Counter[int]:
    """The processors of all programs and libraries below a folder."""
    found: Counter[int] = Counter()
    for path in root.rglob("*"):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as stream:
                head = stream.read(20)
            if head.startswith(b"\x7fELF"):
                found[struct.unpack_from("<H", head, 18)[0]] += 1
    return found


@pytest.mark.parametrize("platform", BOTH)
def test_every_library_of_an_image_is_for_its_own_processor(built, tool, platform, tmp_path):
    skopeo, umoci = tool("skopeo"), tool("umoci")
    run(
        skopeo, "--override-arch", platform.partition("/")[2], "copy",
        f"oci-archive:{archive(built)}", f"oci:{tmp_path}/layout:tiny",
    )  # fmt: skip
    run(umoci, "unpack", "--image", f"{tmp_path}/layout:tiny", tmp_path / "unpacked")
    root = tmp_path / "unpacked" / "rootfs"
    assert machines(root / "app").keys() == {MACHINES[platform]}
    assert machines(root).keys() == {MACHINES[platform]}
    assert machines(root / "app")[MACHINES[platform]] > 10
    copied = json.loads(run(skopeo, "inspect", f"oci:{tmp_path}/layout:tiny").stdout)
    assert copied["Digest"] == image(built).platforms[platform].digest


def test_the_registry_has_an_index_of_both(pushed, registry, tool, tmp_path):
    login = f"{registry.username}:{registry.password}"
    there = f"docker://{registry.host}/team/both:3.0.0"
    options = ("--tls-verify=false", "--creds", login)
    skopeo = tool("skopeo")
    index = json.loads(run(skopeo, "inspect", *options, "--raw", there).stdout)
    assert index["mediaType"] == "application/vnd.oci.image.index.v1+json"
    told = {f"{each['platform']['os']}/{each['platform']['architecture']}": each["digest"]
            for each in index["manifests"]}  # fmt: skip
    assert told == {name: each.digest for name, each in image(pushed).platforms.items()}
    run(
        skopeo, "--override-arch", "arm64", "copy", "--src-tls-verify=false",
        "--src-creds", login, there, f"oci:{tmp_path}/layout:tiny",
    )  # fmt: skip
    inspected = json.loads(run(skopeo, "inspect", "--config", f"oci:{tmp_path}/layout:tiny").stdout)
    assert inspected["architecture"] == "arm64"


def test_pushing_it_again_sends_nothing_and_one_platform_is_another_content(
    pushed, build, registry, tmp_path
):
    target = make(config(registry, "team/both"), registry.environment())
    assert not any(action.needed for action in target.plan(pushed))
    alone = build(tmp_path, BOTH[:1])
    assert image(alone).digest == image(pushed).platforms[BOTH[0]].digest
    with pytest.raises(InputError, match="is there with other content"):
        target.apply(alone, Quiet())


def test_an_engine_from_before_indexes_loads_each_platform_by_its_name(built, engine):
    with archive(built).open("rb") as stream:
        engine.images.load(stream)
    names = {"tiny:3.0.0": BOTH[0], "tiny:3.0.0-amd64": BOTH[0], "tiny:3.0.0-arm64": BOTH[1]}
    for name, platform in names.items():
        assert engine.images.get(name).id == image(built).platforms[platform].config
        engine.images.remove(name)


def test_a_base_for_one_platform_is_not_enough(build, base, tmp_path):
    with pytest.raises(InputError, match="for linux/amd64, not for linux/arm64") as refused:
        build(tmp_path, base=base)
    assert "mlpack build --platform linux/amd64" in str(refused.value.hint)
