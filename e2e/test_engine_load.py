"""What is sent to an engine that holds some of an image's layers already."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest
from docker.errors import ImageNotFound
from test_image_in_registry import Quiet, bundle

from mlpack.engines.docker import DockerEngine
from mlpack.loading import load
from mlpack.oci.cache import Cache
from mlpack.oci.layers import EPOCH, Entry, write_layer
from mlpack.oci.source import Base, open_base
from mlpack.oci.values import LAYER_GZIP, Descriptor, ImageConfig, Layer, RootFs, make_image
from mlpack.packagers.image import ImagePackager
from mlpack.process import run


class Recording(DockerEngine):
    """The engine, and how many bytes each load sent."""

    def __init__(self) -> None:
        super().__init__(os.environ)
        self.sent: list[int] = []

    def load(self, archive: Path) -> str:
        self.sent.append(archive.stat().st_size)
        return super().load(archive)


def test_an_engine_is_sent_only_the_layers_that_it_lacks(base, engine, tmp_path):
    """Docker that keeps layers itself; what it does with less than it needs is nothing."""
    cache = Cache(tmp_path / "cache")
    opened = open_base(
        f"archive:{base}", "linux/amd64", cache, root=tmp_path, puller=lambda _: pytest.fail("no")
    )
    own = Recording()
    made = {}
    try:
        for version in ("7.0.0", "7.0.1"):
            packager = ImagePackager({"linux/amd64": opened}, (), cache, run, engine=own)
            dist = tmp_path / version
            made[version] = packager.package(bundle(version, version.encode()), dist, Quiet())
            loaded = engine.images.get(f"tiny:{version}")
            assert loaded.id == made[version].config
        whole, thin = (made[version] for version in made)
        assert own.sent[-1] < whole.size / 100
        # What it has was not sent, and is there: the whole file system, as the archive has it.
        container = engine.containers.create(f"tiny:{thin.image.partition(':')[2]}")
        try:
            files = b"".join(container.export())
        finally:
            container.remove()
        with tarfile.open(fileobj=io.BytesIO(files)) as tar:
            names = set(tar.getnames())
            assert tar.extractfile("app/lib/tiny/__init__.py").read() == b"7.0.1"
        assert {"app/lib/tiny/__main__.py", "usr/bin/python3.11"} <= names
    finally:
        for version in made:
            engine.images.remove(f"tiny:{version}", force=True)


def test_an_engine_that_lacks_a_layer_after_all_is_sent_the_whole(engine, tmp_path):
    blob = tmp_path / "layer"
    written = write_layer({"etc/unseen": Entry(os.urandom(1 << 20))}, EPOCH, blob)
    descriptor = Descriptor(media_type=LAYER_GZIP, digest=written.digest, size=written.size)
    layer = Layer(descriptor, written.diff_id, lambda: blob.open("rb"))
    rootfs = RootFs(type="layers", diff_ids=(written.diff_id,))
    image = make_image(ImageConfig(architecture="amd64", os="linux", rootfs=rootfs), (layer,), {})
    base = Base("archive:x", image.config_digest, rootfs.diff_ids, image)

    class Mistaken(Recording):
        def layers(self, images, label):
            assert super().layers(images, label) == ()
            return (rootfs.diff_ids,)

        def load(self, archive):
            with pytest.raises(ImageNotFound):
                engine.images.get(image.config_digest)
            return super().load(archive)

    own = Mistaken()
    try:
        loaded = load(own, image, ("tiny", "8.0.0"), base, tmp_path)
        assert loaded.identity == engine.images.get("tiny:8.0.0").id == image.config_digest
        assert own.sent[0] < 20_000 < 1 << 20 < own.sent[1]
    finally:
        engine.images.remove("tiny:8.0.0", force=True)
