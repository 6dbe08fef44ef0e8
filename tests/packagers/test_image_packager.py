import dataclasses
import gzip
import io
import json
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from bundling import Remembering, make_project, onnx_bundle
from images import SLIM, image_of
from wheelhouse import sha256, wheel

from mlpack.errors import InputError, OutsideError
from mlpack.lock import Pin
from mlpack.oci.archive import read_archive
from mlpack.oci.cache import Cache
from mlpack.oci.source import Base
from mlpack.packagers.image import ImagePackager, image_name
from mlpack.process import Completed, run
from mlpack.wheelfile import installed

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
FILES = {
    **{name: data for name, data in SLIM.items() if "python" not in name},
    f"usr/local/bin/python{HERE}": b"\x7fELF",
}
DEMO = wheel("demo", files={"demo/__init__.py": b"def f():\n    return 1\n"})


def pip(argv, **more):
    """pip, whose shop has one wheel; everything else is really run."""
    if "pip" not in argv:
        return run(argv, **more)
    folder = argv[argv.index("--dest") + 1]

    Path(folder).mkdir()
    (Path(folder) / DEMO[0]).write_bytes(DEMO[1])
    return Completed(tuple(argv), 0, "", "")


class Engine:
    name = "an engine"

    def __init__(self, answers=True):
        self.answers, self.loaded = answers, []

    def available(self):
        return self.answers

    def load(self, archive):
        self.loaded.append(archive.name)
        return "sha256:loaded"


@pytest.fixture
def base(tmp_path):
    (tmp_path / "base").mkdir()
    image = image_of(
        tmp_path / "base", FILES,
        env=("PATH=/usr/local/bin:/usr/bin", "LANG=C.UTF-8", "PYTHONPATH=/old"),
        labels={"maintainer": "me", "org.opencontainers.image.title": "the base"},
        cmd=("python3",), entrypoint=("/old",), user="root",
    )  # fmt: skip
    return Base("archive:x", image.config_digest, image.config.rootfs.diff_ids, image)


@pytest.fixture
def bundle():
    made = onnx_bundle()
    manifest = msgspec.structs.replace(made.manifest, python=HERE)
    return dataclasses.replace(made, manifest=manifest)


@pytest.fixture
def package(base, bundle, tmp_path):
    def packaged(into="dist", reporter=None, what=bundle, **more):
        settings = {
            "base": base, "pins": [Pin("demo", "1.0", (sha256(DEMO[1]),))],
            "platform": "linux/amd64", "cache": Cache(tmp_path / "cache"), "runner": pip, **more,
        }  # fmt: skip
        packager = ImagePackager(**settings)
        return packager.package(what, tmp_path / into, reporter or Remembering())

    return packaged


def read(path, cache):
    return read_archive(path, "linux/amd64", Cache(cache))


def files_of(layer):
    with layer.open() as stream:
        data = gzip.decompress(stream.read())
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {item.name: tar.extractfile(item).read() for item in tar if item.isfile()}


def test_the_layers_over_the_base(package, base, bundle, tmp_path):
    artifact = package()
    image = read(tmp_path / "dist" / artifact.file, tmp_path / "c")
    assert image.layers[0].diff_id == base.image.layers[0].diff_id
    dependencies, model = files_of(image.layers[1]), files_of(image.layers[2])
    cache_tag = sys.implementation.cache_tag
    assert dependencies["app/lib/demo/__init__.py"] == b"def f():\n    return 1\n"
    assert f"app/lib/demo/__pycache__/__init__.{cache_tag}.pyc" in dependencies
    assert {name: data for name, data in model.items() if "__pycache__" not in name} == {
        f"app/lib/{name}": data for name, data in installed(bundle).items()
    }
    assert f"app/lib/churn/__pycache__/__main__.{cache_tag}.pyc" in model
    assert artifact.unpacked == sum(map(len, (*dependencies.values(), *model.values())))


def test_the_configuration(package, base, bundle, tmp_path):
    image = read(tmp_path / "dist" / package().file, tmp_path / "c")
    config = json.loads(image.config_bytes)
    python = f"/usr/local/bin/python{HERE}"
    run_with = config["config"]
    assert run_with["User"] == "65532:65532"
    assert run_with["WorkingDir"] == "/app"
    assert run_with["Entrypoint"] == [python, "-m", "churn"]
    assert run_with["Cmd"] == ["serve"]
    assert run_with["ExposedPorts"] == {"8080/tcp": {}}
    assert run_with["Healthcheck"]["Test"] == ["CMD", python, "-m", "churn", "health"]
    assert run_with["Env"] == [
        "PATH=/usr/local/bin:/usr/bin", "LANG=C.UTF-8", "MLPACK_HOST=0.0.0.0",
        "MLPACK_WORKERS=auto", "PYTHONPATH=/app/lib", "PYTHONDONTWRITEBYTECODE=1",
        "PYTHONUNBUFFERED=1",
    ]  # fmt: skip
    assert config["created"] == "1980-01-01T00:00:00Z"
    assert len([item for item in config["history"] if not item.get("empty_layer")]) == 3
    assert run_with["Labels"] == {
        "maintainer": "me",
        "org.opencontainers.image.title": "churn",
        "org.opencontainers.image.version": "1.2.0",
        "org.opencontainers.image.created": "1980-01-01T00:00:00Z",
        "io.mlpack.form": "onnx",
        "io.mlpack.lock": bundle.manifest.lock,
        "io.mlpack.bundle": bundle.digest,
        "io.mlpack.base": base.digest,
    }


def test_a_base_of_a_registry_is_named_by_its_digest(package, base, tmp_path):
    name = "docker.io/library/python:3.11-slim"
    known = replace(base, reference=name, name=name, digest="sha256:" + "1" * 64, diff_ids=())
    image = read(tmp_path / "dist" / package(base=known).file, tmp_path / "c")
    assert image.manifest.annotations["org.opencontainers.image.base.name"] == name
    assert image.manifest.annotations["org.opencontainers.image.base.digest"] == known.digest


def test_nothing_of_this_machine_is_in_it(package, tmp_path):
    data = (tmp_path / "dist" / package().file).read_bytes()
    assert str(tmp_path).encode() not in data
    image = read(tmp_path / "dist" / "churn-1.2.0.oci.tar", tmp_path / "c")
    for layer in image.layers:
        with layer.open() as stream:
            assert str(tmp_path).encode() not in gzip.decompress(stream.read())


def test_two_builds_with_two_caches_are_the_same(package, tmp_path):
    first = package()
    second = package("elsewhere", cache=Cache(tmp_path / "other"))
    third = package("again")
    assert first == second == third
    one, two = ((tmp_path / name / first.file).read_bytes() for name in ("dist", "elsewhere"))
    assert one == two


def test_the_epoch_is_the_users(package, tmp_path):
    artifact = package(epoch=1_700_000_000)
    image = read(tmp_path / "dist" / artifact.file, tmp_path / "c")
    assert image.config.created == "2023-11-14T22:13:20Z"
    assert artifact != package("again")


def test_a_new_model_keeps_the_layer_of_the_dependencies(package, bundle, tmp_path):
    one = read(tmp_path / "dist" / package().file, tmp_path / "c")
    tree = {**bundle.tree, "churn/data/new.bin": b"new"}
    newer = dataclasses.replace(bundle, tree=tree)
    two = read(tmp_path / "b" / package("b", what=newer).file, tmp_path / "c")
    assert one.layers[1].descriptor == two.layers[1].descriptor
    assert one.layers[2].descriptor != two.layers[2].descriptor


def test_nothing_is_compiled_or_downloaded_again(package):
    package()

    def refuses(argv, **_):
        raise AssertionError(f"{argv} was run")

    package("again", runner=refuses)


def test_the_artifact_says_what_it_is(package, tmp_path):
    artifact = package()
    image = read(tmp_path / "dist" / artifact.file, tmp_path / "c")
    assert (artifact.kind, artifact.file, artifact.image) == (
        "image", "churn-1.2.0.oci.tar", "churn:1.2.0",
    )  # fmt: skip
    assert artifact.digest == image.digest
    assert artifact.config == image.config_digest
    data = (tmp_path / "dist" / artifact.file).read_bytes()
    assert (artifact.sha256, artifact.size) == (sha256(data)[7:], len(data))


def test_it_is_loaded_where_an_engine_answers(package):
    engine, silent = Engine(), Engine(answers=False)
    package(engine=engine)
    package("b", engine=silent)
    assert engine.loaded == ["churn-1.2.0.oci.tar"]
    assert silent.loaded == []


@pytest.mark.parametrize(
    ("name", "version", "expected"),
    [
        ("churn", "1.2.0", ("churn", "1.2.0")),
        ("My_Churn.Model", "1!2.0+cpu", ("my-churn-model", "1_2.0_cpu")),
    ],
)
def test_names_that_an_engine_takes(name, version, expected):
    assert image_name(name, version) == expected


def test_a_base_with_another_python(package, base, bundle, tmp_path):
    other = msgspec.structs.replace(bundle.manifest, python="3.9")
    with pytest.raises(InputError, match=r"the lock is for 3\.9"):
        package(what=dataclasses.replace(bundle, manifest=other))
    assert not list((tmp_path / "dist").glob("*")) if (tmp_path / "dist").exists() else True


def test_nothing_is_left_half_written(package, base, tmp_path):
    def broken():
        return io.BytesIO(b"other bytes")

    layers = tuple(
        dataclasses.replace(layer, open=broken) if layer is base.image.layers[0] else layer
        for layer in base.image.layers
    )
    package()  # the base was read, and its Python is remembered
    damaged = dataclasses.replace(base, image=dataclasses.replace(base.image, layers=layers))
    with pytest.raises(OutsideError, match="damaged"):
        package("other", base=damaged)
    assert list((tmp_path / "other").iterdir()) == []


def test_a_package_that_is_no_name(package, bundle):
    odd = msgspec.structs.replace(bundle.manifest, package="os; import x")
    with pytest.raises(InputError, match="no import package"):
        package(what=dataclasses.replace(bundle, manifest=odd))


def test_another_project_has_another_name(package, tmp_path):
    made = onnx_bundle(make_project(name="Other_Thing", package="other_thing", version="2.0"))
    manifest = msgspec.structs.replace(made.manifest, python=HERE)
    artifact = package(what=dataclasses.replace(made, manifest=manifest))
    assert artifact.image == "other-thing:2.0"
    assert artifact.file == "other-thing-2.0.oci.tar"
