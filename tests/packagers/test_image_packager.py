import dataclasses
import gzip
import hashlib
import io
import json
import shutil
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from bundling import Remembering, make_project, onnx_bundle
from images import SLIM, image_of
from scripted_registry import serve
from wheelhouse import sha256, wheel

from mlpack.container import base_images, image_name
from mlpack.errors import InputError, OutsideError
from mlpack.lock import BaseImage, Lock, Pin
from mlpack.oci.archive import read_archive, read_whole_archive
from mlpack.oci.cache import Cache
from mlpack.oci.reference import parse
from mlpack.oci.registry import connect
from mlpack.oci.source import Base
from mlpack.oci.values import digest_of
from mlpack.packagers.image import ImagePackager
from mlpack.process import Completed, run
from mlpack.provenance import Origin
from mlpack.wheelfile import installed

ORIGIN = Origin("https://git.example/churn", "c" * 40)
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

    def __init__(self, answers=True, platform="linux/amd64"):
        self.answers, self.loaded, self.runs, self.archives = answers, [], platform, []
        self.held = ()

    def platform(self):
        return self.runs

    def available(self):
        return self.answers

    def layers(self, images, label):
        self.asked = (images, label)
        return self.held

    def load(self, archive):
        self.loaded.append(archive.name)
        self.archives.append(archive.read_bytes())
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
            "bases": {"linux/amd64": base}, "pins": [Pin("demo", "1.0", (sha256(DEMO[1]),))],
            "cache": Cache(tmp_path / "cache"), "runner": pip, **more,
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
    sbom = json.loads(model["app/sbom.cdx.json"])
    assert sbom["metadata"]["component"]["hashes"][0]["content"] == bundle.digest
    assert base.digest.removeprefix("sha256:") not in json.dumps(sbom)
    assert {name: data for name, data in model.items() if "__pycache__" not in name} == {
        "app/sbom.cdx.json": model["app/sbom.cdx.json"],
        "app/sbom.spdx.json": model["app/sbom.spdx.json"],
        **{f"app/lib/{name}": data for name, data in installed(bundle).items()},
    }
    assert f"app/lib/churn/__pycache__/__main__.{cache_tag}.pyc" in model
    assert artifact.unpacked == sum(map(len, (*dependencies.values(), *model.values())))


def test_what_the_dependencies_hold_is_told_though_the_layer_is_remembered(package, tmp_path):
    first, second = package(into="one"), package(into="two")
    assert first.parts == second.parts
    (part,) = first.parts
    assert (part.name, part.version, part.cuts) == ("demo", "1.0", ())
    image = read(tmp_path / "one" / first.file, tmp_path / "c")
    assert part.size == sum(map(len, files_of(image.layers[1]).values()))
    whole = package(into="whole", prune=False)
    assert whole.parts == first.parts  # no rule names this package
    # The rules are part of what the layer is remembered by.
    assert msgspec.json.decode(msgspec.json.encode(first), type=type(first)) == first


def test_layers_over_the_base_may_be_compressed_with_zstd(package, base, tmp_path):
    plain = read(tmp_path / "one" / package(into="one").file, tmp_path / "c")
    image = read(tmp_path / "two" / package(into="two", compression="zstd").file, tmp_path / "c")
    assert [layer.diff_id for layer in image.layers] == [layer.diff_id for layer in plain.layers]
    assert image.config.rootfs == plain.config.rootfs
    kinds = [layer.descriptor.media_type.rpartition("+")[2] for layer in image.layers]
    assert kinds == ["gzip", "zstd", "zstd"]


def test_an_engine_that_knows_no_zstd_does_not_stop_the_build(package, tmp_path):
    class Old(Engine):
        def load(self, archive):
            raise OutsideError("invalid tar header")

    reporter = Remembering()
    made = package(engine=Old(), compression="zstd", reporter=reporter)
    assert (tmp_path / "dist" / made.file).exists()
    assert "before 23" in reporter.told[-1]
    assert reporter.told[-1].endswith("invalid tar header")
    with pytest.raises(OutsideError, match="invalid"):
        package(engine=Old(), into="gzip")


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
        "com.amazonaws.sagemaker.capabilities.accept-bind-to-port": "true",
    }


def test_a_base_of_a_registry_is_named_by_its_digest(package, base, tmp_path):
    name = "docker.io/library/python:3.11-slim"
    known = replace(base, reference=name, name=name, digest="sha256:" + "1" * 64, diff_ids=())
    image = read(tmp_path / "dist" / package(bases={"linux/amd64": known}).file, tmp_path / "c")
    assert image.manifest.annotations["org.opencontainers.image.base.name"] == name
    assert image.manifest.annotations["org.opencontainers.image.base.digest"] == known.digest


def test_what_is_told_of_it_lies_beside_it(package, base, tmp_path):
    artifact = package(origin=ORIGIN)
    dist = tmp_path / "dist"
    assert artifact.files == tuple(
        f"churn-1.2.0.oci.tar{end}" for end in ("", ".cdx.json", ".spdx.json", ".intoto.json")
    )
    assert {path.name for path in dist.iterdir()} == set(artifact.files)
    for each in artifact.documents:
        content = (dist / each.file).read_bytes()
        assert (each.sha256, each.size) == (hashlib.sha256(content).hexdigest(), len(content))
        assert str(tmp_path).encode() not in content
    model = files_of(read(dist / artifact.file, tmp_path / "c").layers[2])
    inside, beside = (
        [each["name"] for each in json.loads(content)["components"]]
        for content in (
            model["app/sbom.cdx.json"],
            (dist / artifact.documents[0].file).read_bytes(),
        )
    )
    assert beside == [*inside, "base-image"]
    statement = json.loads((dist / artifact.documents[2].file).read_bytes())
    assert statement["subject"] == [
        {"name": "churn:1.2.0", "digest": {"sha256": artifact.digest.removeprefix("sha256:")}}
    ]
    definition = statement["predicate"]["buildDefinition"]
    assert definition["externalParameters"]["platforms"] == ["linux/amd64"]
    assert definition["resolvedDependencies"][-2:] == [
        {"name": "base-image", "digest": {"sha256": base.digest.removeprefix("sha256:")}},
        {"uri": "git+https://git.example/churn", "digest": {"gitCommit": "c" * 40}},
    ]


def test_the_statement_names_the_wheels_that_are_in_it(package, bundle, tmp_path):
    lock = f"demo==1.0 \\\n    --hash={sha256(DEMO[1])} \\\n    --hash=sha256:{'0' * 64}\n"
    artifact = package(what=dataclasses.replace(bundle, lock=lock))
    statement = json.loads((tmp_path / "dist" / artifact.documents[2].file).read_bytes())
    assert statement["predicate"]["buildDefinition"]["resolvedDependencies"][0] == {
        "uri": "pkg:pypi/demo@1.0",
        "digest": {"sha256": sha256(DEMO[1]).removeprefix("sha256:")},
        "name": DEMO[0],
    }


def test_annotations_tell_licence_source_and_revision(package, bundle, tmp_path):
    licensed = dataclasses.replace(bundle, license="MIT OR Apache-2.0")
    artifact = package(what=licensed, origin=ORIGIN)
    image = read(tmp_path / "dist" / artifact.file, tmp_path / "c")
    told = {
        "org.opencontainers.image.licenses": "MIT OR Apache-2.0",
        "org.opencontainers.image.source": "https://git.example/churn",
        "org.opencontainers.image.revision": "c" * 40,
    }
    assert told.items() <= image.manifest.annotations.items()
    assert told.items() <= image.config.execution.labels.items()
    silent = read(tmp_path / "b" / package("b").file, tmp_path / "c")
    assert not set(told) & set(silent.manifest.annotations)


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
        package("other", bases={"linux/amd64": damaged})
    assert list((tmp_path / "other").iterdir()) == []


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path):
    path.write_bytes(path.read_bytes()[:-9])


def whole(cache):
    """Whether every entry of a cache is what its name or its head says."""
    blobs = [path for path in (cache / "blobs").rglob("*") if path.is_file()]
    results = [path.read_bytes().partition(b"\n") for path in cache.glob("[a-z]*/*.told")]
    assert len(blobs) == 3
    assert results
    return all(f"sha256:{path.name}" == sha256(path.read_bytes()) for path in blobs) and all(
        sha256(value) == f"sha256:{told.decode()}" for told, _, value in results
    )


@pytest.mark.parametrize("damage", [flip, cut, lambda path: path.write_bytes(b"")])
@pytest.mark.parametrize("kind", ["blobs/sha256", "layers", "wheels", "python"])
def test_a_damaged_cache_gives_the_same_image_and_is_whole_again(package, tmp_path, kind, damage):
    before = package()
    cache = tmp_path / "cache"
    for path in (cache / kind).iterdir():
        damage(path)
    assert package("again") == before
    assert read(tmp_path / "again" / before.file, tmp_path / "other").digest == before.digest
    assert whole(cache)


@pytest.mark.parametrize("damage", [flip, cut, lambda path: path.write_bytes(b"")])
@pytest.mark.parametrize("kind", ["bytecode", "pieces"])
def test_damage_to_what_layers_are_made_of(package, tmp_path, kind, damage):
    before = package()
    cache = tmp_path / "cache"
    for path in (cache / "layers").iterdir():
        path.unlink()
    damaged = [path for path in (cache / kind).iterdir() if not damage(path)]
    assert damaged
    assert package("again") == before
    assert whole(cache)


def test_what_an_mlpack_of_another_form_remembered_is_made_again(package, tmp_path):
    before = package()
    for path in (tmp_path / "cache").glob("[a-z]*/*.told"):
        value = b'{"of": "another form"}'
        path.write_bytes(sha256(value).removeprefix("sha256:").encode() + b"\n" + value)
    assert package("again") == before
    assert whole(tmp_path / "cache")


@pytest.mark.parametrize("scanned", [True, False])
def test_a_damaged_layer_of_a_base_in_a_registry_is_pulled_again(package, tmp_path, base, scanned):
    cache = Cache(tmp_path / "cache")
    with serve() as registry:
        registry.put_image("team/base", "1", base.image)
        where = parse(f"{registry.host}/team/base:1")

        def pulled():
            connected = connect(where, None, sleep=lambda _: None)
            digest, image = connected.pull(where, "linux/amd64", cache)
            return {"linux/amd64": Base(str(where), digest, (), image)}

        before = package(bases=pulled())
        for document in (base.image.manifest_bytes, base.image.config_bytes):
            flip(cache.blob(digest_of(document)))
        flip(cache.blob(base.image.layers[0].descriptor.digest))
        if not scanned:
            shutil.rmtree(tmp_path / "cache" / "python")
        told = Remembering()
        assert package("again", told, bases=pulled()) == before
    assert "a layer in the cache was damaged: it is made again" in told.told
    for path in (tmp_path / "cache" / "blobs" / "sha256").iterdir():
        assert f"sha256:{path.name}" == sha256(path.read_bytes())


def test_a_layer_that_went_while_the_archive_was_written(package, tmp_path, bundle):
    """Somebody cleans the cache."""

    def gone(argv, **more):
        shutil.rmtree(tmp_path / "cache" / "blobs" / "sha256", ignore_errors=True)
        return pip(argv, **more)

    package()
    other = dataclasses.replace(bundle, tree={**bundle.tree, "demo/more.py": b"MORE = 1\n"})
    with pytest.raises(OutsideError, match="is gone from the cache") as told:
        package("again", what=other, runner=gone)
    assert "again" in told.value.hint
    assert list((tmp_path / "again").iterdir()) == []


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


BOTH = ("linux/amd64", "linux/arm64")
NATIVE = {
    "linux/amd64": wheel(
        "native", files={"native/x.so": b"amd"}, tag="py3-none-manylinux2014_x86_64"
    ),
    "linux/arm64": wheel(
        "native", files={"native/x.so": b"arm"}, tag="py3-none-manylinux2014_aarch64"
    ),
}


def shop(argv, **more):
    """pip, whose shop has a wheel for each processor."""
    if "pip" not in argv:
        return run(argv, **more)
    folder = Path(argv[argv.index("--dest") + 1])
    folder.mkdir()
    processor = "linux/arm64" if "manylinux2014_aarch64" in argv else "linux/amd64"
    for name, data in (DEMO, NATIVE[processor]):
        (folder / name).write_bytes(data)
    return Completed(tuple(argv), 0, "", "")


def lacking(argv, **_):
    """pip, whose shop has no wheel for arm64."""
    if "manylinux2014_aarch64" not in argv:
        return shop(argv)
    said = "ERROR: No matching distribution found for native==1.0"
    return Completed(tuple(argv), 1, "", said)


@pytest.fixture
def several(package, base, tmp_path):
    arm = image_of(tmp_path / "base", {**FILES, "arm": b""}, architecture="arm64")
    bases = {
        BOTH[0]: base,
        BOTH[1]: Base("archive:x", arm.config_digest, arm.config.rootfs.diff_ids, arm),
    }
    hashes = tuple(sorted(sha256(data) for _, data in NATIVE.values()))
    pins = [Pin("demo", "1.0", (sha256(DEMO[1]),)), Pin("native", "1.0", hashes)]

    def packaged(into="dist", **more):
        return package(into, **{"bases": bases, "pins": pins, "runner": shop, **more})

    packaged.bases = bases
    return packaged


def test_of_two_platforms_only_the_dependencies_and_the_base_differ(several, tmp_path):
    artifact = several()
    found = read_whole_archive(tmp_path / "dist" / artifact.file)
    assert artifact.digest == found.digest
    amd, arm = found.images
    assert (amd.config.platform, arm.config.platform) == BOTH
    assert amd.layers[0].descriptor != arm.layers[0].descriptor
    assert amd.layers[2].descriptor == arm.layers[2].descriptor
    ours, theirs = files_of(amd.layers[1]), files_of(arm.layers[1])
    assert {name for name in ours if ours[name] != theirs.get(name)} == {
        "app/lib/native/x.so", "app/lib/native-1.0.dist-info/WHEEL",
        "app/lib/native-1.0.dist-info/RECORD",
    }  # fmt: skip
    assert (ours["app/lib/native/x.so"], theirs["app/lib/native/x.so"]) == (b"amd", b"arm")
    assert {name: each.digest for name, each in artifact.platforms.items()} == {
        BOTH[0]: amd.digest, BOTH[1]: arm.digest,
    }  # fmt: skip
    assert artifact.platforms[BOTH[1]].config == arm.config_digest
    assert [part.name for part in artifact.platforms[BOTH[1]].parts] == ["demo", "native"]
    assert (artifact.config, artifact.unpacked, artifact.parts) == (None, None, ())


def test_an_index_is_the_same_in_whatever_order_its_platforms_are_given(several, tmp_path):
    other = dict(reversed(several.bases.items()))
    assert several() == several("b", bases=other, cache=Cache(tmp_path / "other"))


def test_one_platform_of_two_is_the_image_that_it_would_be_alone(several, package, tmp_path):
    both = several()
    alone = several("b", bases={BOTH[1]: several.bases[BOTH[1]]})
    assert alone.digest == both.platforms[BOTH[1]].digest
    assert alone.platforms == {}


def test_a_package_without_a_wheel_for_one_platform_is_named_with_the_choices(several, tmp_path):
    with pytest.raises(InputError, match=r"native 1\.0 has no wheel for linux/arm64") as refused:
        several(runner=lacking)
    hint = str(refused.value.hint)
    assert "mlpack build --platform linux/amd64" in hint
    assert "Take a version that has one" in hint
    assert 'builder = "docker"' in hint
    assert not list((tmp_path / "dist").glob("*"))


@pytest.mark.parametrize("platform", BOTH)
def test_an_engine_gets_the_image_of_its_own_platform(several, tmp_path, platform):
    engine = Engine(platform=platform)
    artifact = several(engine=engine)
    assert engine.loaded == [artifact.file]
    (tmp_path / "loaded.tar").write_bytes(engine.archives[0])
    loaded = read_archive(tmp_path / "loaded.tar", platform, Cache(tmp_path / "c"))
    assert loaded.digest == artifact.platforms[platform].digest


def test_an_engine_of_another_platform_gets_nothing(several):
    engine, told = Engine(platform="linux/s390x"), Remembering()
    several(engine=engine, reporter=told)
    assert engine.loaded == []
    assert any("linux/s390x" in text for text in told.told)


def test_what_the_lock_says_of_bases(several, base):
    one = Lock("i", "3.11", BOTH[:1], "uv", "onnx", "p", "d")
    two = replace(one, platforms=BOTH)
    assert base_images({BOTH[0]: base}, one) == BaseImage("archive:x", base.digest, base.diff_ids)
    partly = base_images({BOTH[0]: base}, two)
    assert partly.on(BOTH[0]).digest == base.digest
    assert partly.on(BOTH[1]) is None
    arm = {BOTH[1]: several.bases[BOTH[1]]}
    assert base_images(arm, replace(two, base=partly)) == base_images(several.bases, two)
    elsewhere = BaseImage("archive:y", platforms=partly.platforms)
    assert base_images(arm, replace(two, base=elsewhere)).on(BOTH[0]) is None
    pulled = replace(base, name="x/y:1", diff_ids=())
    assert base_images({BOTH[0]: pulled}, two) == BaseImage("archive:x", base.digest)


def test_an_image_for_another_minor_version_has_no_bytecode_and_says_so(package, bundle, tmp_path):
    files = {name.replace(HERE, "3.9"): data for name, data in FILES.items()}
    image = image_of(tmp_path / "base", files)
    bases = {BOTH[0]: Base("x", image.config_digest, image.config.rootfs.diff_ids, image)}
    manifest = msgspec.structs.replace(bundle.manifest, python="3.9")
    told = Remembering()
    artifact = package(what=replace(bundle, manifest=manifest), bases=bases, reporter=told)
    assert any("no bytecode" in text and "3.9" in text for text in told.told)
    for layer in read(tmp_path / "dist" / artifact.file, tmp_path / "c").layers[1:]:
        assert not [name for name in files_of(layer) if name.endswith(".pyc")]
