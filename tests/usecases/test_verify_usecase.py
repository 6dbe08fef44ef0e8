"""An artifact is built again from the project, and the project is left alone."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import pytest
from bundling import Remembering, lock_text, make_project
from images import image_of
from test_build_usecase import BASE, LOCK, World, build, files

from mlpack import lock as locks
from mlpack.bundle import Artifact
from mlpack.comparing.described import describe
from mlpack.comparing.difference import ARTIFACT_ONLY, BYTES
from mlpack.documents import DOCUMENTS, beside_image
from mlpack.errors import CheckFailedError
from mlpack.files import write
from mlpack.materials import materials
from mlpack.oci.archive import write_archive
from mlpack.packagers.wheel import WheelPackager
from mlpack.packagers.zip import ZipPackager
from mlpack.project import ImageSettings, Settings
from mlpack.provenance import UNTOLD, Subject
from mlpack.usecases.verify import verify


@dataclass
class Real(World):
    """The same world, whose packagers are the real ones."""

    epoch: int = 315_532_800

    def packagers(self, project, lock, pins, kinds, base):
        _, lock = super().packagers(project, lock, pins, kinds, base)
        return [{**KINDS, "image": ImagePackager}[kind](self.epoch) for kind in kinds], lock


class ImagePackager:
    """Writes an archive, and its documents beside it."""

    kind = "image"

    def __init__(self, epoch):
        self.epoch = epoch

    def package(self, bundle, into, reporter):
        made = image_of(into, {"app/lib/churn/data": bundle.digest.encode()})
        file = into / "churn-1.2.0.oci.tar"
        written = write_archive(made, file, "churn", "1.2.0")
        documents = beside_image(
            file, Subject("churn:1.2.0", made.digest[7:]), bundle, materials(bundle), self.epoch,
            platforms=("linux/amd64",), wheels={}, origin=UNTOLD,
        )  # fmt: skip
        return Artifact(
            kind="image", file=file.name, sha256=written.sha256, size=written.size,
            documents=documents,
        )  # fmt: skip


KINDS = {"wheel": WheelPackager, "zip": ZipPackager}


@pytest.fixture
def project(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "model.joblib").write_bytes(b"a model")
    write(tmp_path / "requirements.lock.txt", lock_text())
    locks.write(tmp_path / "mlpack.lock", LOCK)
    return replace(make_project(tmp_path), model=tmp_path / "models" / "model.joblib")


@pytest.fixture
def artifacts(project):
    built = build(project, Real(), kinds=("wheel", "zip")).built
    return {kind: project.dist_dir / each.file for kind, each in built.artifacts.items()}


def verified(project, *artifacts, world=None, reporter=None, **more):
    found = verify(
        project,
        [(artifact, describe(artifact)) for artifact in artifacts],
        tools=lambda said: world or Real(epoch=said.epoch),
        runner=(world or Real()).run,
        reporter=reporter or Remembering(),
        **more,
    )
    return found[0] if len(found) == 1 else found


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_project_builds_is_the_same(project, artifacts, kind):
    before = files(project.dist_dir)
    found = verified(project, artifacts[kind])
    assert (found.same, found.differences, found.kind) == (True, (), kind)
    assert found.sha256 == found.rebuilt
    assert files(project.dist_dir) == before
    left = sorted(entry.name for entry in project.cache_dir.iterdir())
    assert left == ["dist.lock", "export", "export.lock"]


@pytest.mark.parametrize("kind", KINDS)
def test_another_model_in_the_project_is_told(project, artifacts, kind):
    write(project.model, b"another model")

    class Other(Real):
        def openapi(self, project, signature, schema):
            return b'{"other": 1}\n'

    found = verified(project, artifacts[kind], world=Other())
    assert not found.same
    names = [each.file.rpartition("/")[2] for each in found.differences]
    assert "openapi.json" in names


def test_a_stale_verdict_is_no_reason_to_change_the_lock(project, artifacts):
    before = (project.prod_lock.read_bytes(), project.lock_file.read_bytes())
    write(project.model, b"no graph any more")
    with pytest.raises(CheckFailedError, match="the lock was made for the form onnx"):
        verified(project, artifacts["wheel"], world=Real(form="python"))
    assert (project.prod_lock.read_bytes(), project.lock_file.read_bytes()) == before


def test_another_version_and_another_project_are_told_before_anything_is_built(project, artifacts):
    for other, told in (
        (replace(project, version="1.2.1"), r"version 1\.2\.0, and the project is at 1\.2\.1"),
        (replace(project, name="plan"), "of the project churn, and this one is plan"),
    ):
        world = Real()
        with pytest.raises(CheckFailedError, match=told):
            verified(other, artifacts["wheel"], world=world)
        assert world.calls == []


def test_the_base_is_the_locks_unless_another_is_asked_for(project, artifacts):
    world = Real(lock=locks.with_base(LOCK, BASE))
    verified(project, artifacts["wheel"], world=world)
    verified(project, artifacts["wheel"], world=world, base="docker:mine")
    bases = [call.rpartition(" ")[2] for call in world.calls if call.startswith("packagers")]
    assert bases == [BASE.reference, "docker:mine"]


def test_a_base_that_no_lock_names_is_told_and_not_written_down(project, artifacts):
    told = Remembering()
    verified(project, artifacts["wheel"], world=Real(base=BASE), reporter=told)
    assert any("not in the lock" in text for text in told.told)
    assert locks.read(project.lock_file) == LOCK


def test_several_artifacts_are_made_of_one_bundle_each_with_its_own_time(project, artifacts):
    early = project.root / artifacts["wheel"].name
    made = build(project, Real(epoch=1_700_000_000), kinds=("wheel",)).built
    (project.dist_dir / made.artifacts["wheel"].file).rename(early)
    build(project, Real(), kinds=("wheel",))
    worlds = []

    class Counting(Real):
        def openapi(self, project, signature, schema):
            worlds.append(self)
            return super().openapi(project, signature, schema)

    found = verify(
        project,
        [(path, describe(path)) for path in (early, *artifacts.values())],
        tools=lambda said: Counting(epoch=said.epoch),
        runner=Real().run,
        reporter=Remembering(),
    )
    assert [each.same for each in found] == [True, True, True]
    assert found[0].sha256 != found[1].sha256
    assert len(worlds) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("epoch", [0, 1, 315_532_801, 1_700_000_001, 4_354_819_299])
def test_a_time_that_no_zip_entry_can_have_is_built_again(project, kind, epoch):
    made = build(project, Real(epoch=epoch), kinds=(kind,)).built.artifacts[kind]
    assert verified(project, project.dist_dir / made.file).differences == ()


@pytest.fixture
def image(project, tmp_path):
    """An image's archive that somebody hands over, with its documents, under another name."""
    made = build(project, Real(epoch=1_700_000_000), kinds=("image",)).built.artifacts["image"]
    for file in project.dist_dir.glob(f"{made.file}*"):
        file.rename(tmp_path / file.name.replace("churn-1.2.0", "given"))
    return tmp_path / "given.oci.tar"


def verified_image(project, image):
    return verified(project, image, world=Real(epoch=1_700_000_000))


def test_the_documents_beside_an_image_are_rebuilt_as_well(project, image):
    assert len(list(image.parent.glob("given.oci.tar.*.json"))) == 3
    found = verified_image(project, image)
    assert (found.same, found.differences) == (True, ())


@pytest.mark.parametrize("suffix", DOCUMENTS)
def test_an_altered_document_beside_an_image_is_told(project, image, suffix):
    document = image.with_name(f"{image.name}.{suffix}")
    content = json.loads(document.read_bytes())
    document.write_text(json.dumps({**content, "more": 1}))
    found = verified_image(project, image)
    assert (found.same, found.sha256) == (False, found.rebuilt)
    assert [(each.file, each.what) for each in found.differences] == [
        (f"{document.name}.more", ARTIFACT_ONLY)
    ]
    document.write_text(json.dumps(content, indent=7))
    (found,) = verified_image(project, image).differences
    assert (found.file, found.what) == (document.name, BYTES)
    document.write_bytes(b"\xff" * 100)
    assert not verified_image(project, image).same


def test_documents_that_nobody_handed_over_are_not_missed(project, image):
    for suffix in DOCUMENTS:
        image.with_name(f"{image.name}.{suffix}").unlink()
    assert verified_image(project, image).same


def test_of_an_image_that_an_engine_makes_it_is_told_that_it_differs(project, image):
    docker = replace(project, settings=Settings(image=ImageSettings(builder="docker")))
    for each, artifact, expected in ((docker, image, True), (project, image, False)):
        told = Remembering()
        verified(each, artifact, world=Real(epoch=1_700_000_000), reporter=told)
        assert any("hardly the same" in text for text in told.told[:1]) is expected
