"""Building, with everything outside replaced: what happens in which order, and what stays."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

import pytest
from bundling import PICKLED, SIGNATURE, Remembering, graph, lock_text, make_project

from mlpack import lock as locks
from mlpack.bundle import Artifact, Document, UserPackage
from mlpack.errors import CheckFailedError, InputError, OutsideError, ProofError
from mlpack.export import Check, Parity
from mlpack.files import sha256, write, write_tree
from mlpack.lock import BaseImage, Lock
from mlpack.process import Completed
from mlpack.runtime import contract
from mlpack.runtime.contract import Encoding
from mlpack.runtime.schema import Schema
from mlpack.usecases import build as use_case
from mlpack.usecases import outcome
from mlpack.usecases.bundle import make_bundle, unpacked
from mlpack.usecases.export import export
from mlpack.usecases.serve import command

LOCK = Lock(
    inputs="1" * 64,
    python="3.11",
    platforms=("linux/amd64",),
    resolver="uv",
    form="onnx",
    prod="2" * 64,
    dev="3" * 64,
)
BASE = BaseImage("docker.io/library/python:3.11-slim", "sha256:" + "a" * 64)
OTHER = BaseImage("registry.example/base:1", "sha256:" + "b" * 64)
USER = UserPackage(
    tree={"churn/__init__.py": b"", "churn/steps.py": b"x = 1\n"}, extra={}, requires=()
)


@dataclass
class World:
    """Everything outside: the runner, the tools and the packagers. Remembers what was asked."""

    form: str = "onnx"
    imports: dict = field(default_factory=dict)
    own_code: bool = False
    lock: Lock = LOCK
    base: BaseImage | None = None
    no_base: OutsideError | None = None
    failing: str = ""
    unprepared: Exception | None = None
    prepared: list = field(default_factory=list)
    error: dict = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def run(self, argv, *, cwd=None, env=None, stdin=None, timeout=None, on_line=None):
        self.calls.append("export")
        if self.error:
            return Completed(tuple(argv), 0, json.dumps(self.error), "")
        out = Path(json.loads(stdin)["out"])
        reason = None if self.form == "onnx" else "steps → Own: code of your own"
        record = {
            "form": self.form,
            "reason": reason,
            "model": contract.PICKLE_FILE if self.form == "python" else contract.ONNX_FILE,
            "encoded": self.form != "python",
            "versions": {"scikit-learn": "1.9.1"},
            "metrics": {"r2": 0.5},
            "notes": ["a note of the export"],
        }
        if self.form == "hybrid":
            record |= {"parts": True, "own_code": self.own_code, "imports": self.imports}
        check = Check(
            name="held-out",
            rows=5,
            labels_wrong=0,
            outcomes_wrong=0,
            refused=0,
            largest=0,
            beyond=0,
        )
        parity = Parity(equal=True, form=self.form, tolerance=1e-6, checks=(check,))
        files = {
            "export.json": contract.encode(record),
            record["model"]: b"no pickle" if self.form == "python" else graph(),
            contract.SIGNATURE_FILE: contract.encode(SIGNATURE),
            contract.SCHEMA_FILE: contract.encode(Schema()),
            contract.PARITY_FILE: contract.encode(parity),
        }
        if self.form == "hybrid":
            files[contract.PARTS_FILE] = b"no pickle either"
        if self.form != "python":
            files[contract.ENCODING_FILE] = contract.encode(Encoding(numbers=("size",)))
        write_tree(out, files)
        return Completed(tuple(argv), 0, '{"worst": []}', "")

    def check_lock(self, project):
        self.calls.append("check lock")
        return self.lock

    def relock(self, project, form, imports, reporter):
        self.calls.append(" ".join(["relock for", form, *imports]))
        write(project.prod_lock, lock_text(**{k.replace("-", "_"): v for k, v in PICKLED.items()}))
        self.lock = replace(self.lock, form=form, imports=imports)
        locks.write(project.lock_file, self.lock)
        return self.lock

    def user_package(self, project, reporter):
        self.calls.append("user package")
        return USER

    def openapi(self, project, signature, schema):
        self.calls.append("openapi")
        return b"{}\n"

    def prepare(self, kinds):
        self.prepared.append(tuple(kinds))
        if self.unprepared is not None:
            raise self.unprepared

    def packagers(self, project, lock, pins, kinds, base):
        if self.no_base is not None and "image" in kinds:
            raise self.no_base
        self.calls.append(f"packagers {','.join(kinds)} {len(pins)} pins base {base}")
        made = [Packager(self, kind) for kind in kinds]
        return made, lock if self.base is None else locks.with_base(lock, self.base)


@dataclass
class Packager:
    """Writes the bundle's digest; may fail."""

    world: World
    kind: str

    def package(self, bundle, into, reporter):
        self.world.calls.append(f"package {self.kind}")
        file = f"{bundle.manifest.name}-{bundle.manifest.version}.{self.kind}"
        data = f"{self.kind} of {bundle.digest}".encode()
        (into / file).write_bytes(data)
        if self.kind == self.world.failing:
            raise OutsideError("the engine said no")
        told = Document(file=f"{file}.json", media_type="a/b", sha256=sha256(b"{}"), size=2)
        if self.kind == "image":
            (into / told.file).write_bytes(b"{}")
        return Artifact(
            kind=self.kind,
            file=file,
            sha256=sha256(data),
            size=len(data),
            documents=(told,) if self.kind == "image" else (),
        )


@pytest.fixture
def project(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "model.joblib").write_bytes(b"a model")
    write(tmp_path / "requirements.lock.txt", lock_text())
    locks.write(tmp_path / "mlpack.lock", LOCK)
    return replace(make_project(tmp_path), model=tmp_path / "models" / "model.joblib")


def build(project, world, reporter=None, **arguments):
    return use_case.build(
        project,
        tools=world,
        runner=world.run,
        reporter=reporter or Remembering(),
        **arguments,
    )


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


def test_things_happen_in_their_order(project):
    world = World()
    result = build(project, world)
    assert world.calls == [
        "check lock",
        "export",
        "openapi",
        "packagers wheel,zip,image 8 pins base None",
        *("package wheel", "package zip", "package image"),
    ]
    assert (result.built.name, result.built.version, result.built.form) == (
        "churn",
        "1.2.0",
        "onnx",
    )
    assert result.proved.fresh
    assert not result.unchanged
    assert list(result.built.artifacts) == ["wheel", "zip", "image"]
    assert set(files(project.dist_dir)) == {
        *("churn-1.2.0.wheel", "churn-1.2.0.zip", "churn-1.2.0.image", "build.json"),
        "churn-1.2.0.image.json",
    }
    assert locks.read(project.lock_file) == LOCK


def test_the_record_names_the_reference_rows_of_the_training(project, tmp_path):
    assert build(project, World()).built.reference == ""
    rows = tmp_path / "reference.parquet"
    rows.write_bytes(b"rows")
    project = replace(project, reference=rows)
    assert build(project, World()).built.reference == sha256(b"rows")
    assert outcome.last(project.root).built.reference == sha256(b"rows")


def test_what_is_built_is_prepared_for(project):
    world = World()
    build(project, world, kinds=("wheel",))
    assert world.prepared == [("wheel",)]


def test_what_cannot_be_prepared_is_told_where_it_is_needed(project):
    world = World(unprepared=ImportError("no docker"))
    assert build(project, world).built == build(project, World()).built


def test_the_record_says_what_lies_in_dist(project):
    result = build(project, World())
    record = json.loads((project.dist_dir / "build.json").read_text())
    assert record["bundle"] == result.built.bundle
    for artifact in record["artifacts"].values():
        assert sha256((project.dist_dir / artifact["file"]).read_bytes()) == artifact["sha256"]
    found = outcome.last(project.root)
    assert found.unchanged
    assert found.proved is None
    assert found.built == result.built


def test_a_second_build_takes_the_kept_export_and_makes_the_same(project):
    first, second = World(), World()
    before = build(project, first).built
    told = Remembering()
    result = build(project, second, told)
    assert "export" not in second.calls
    assert result.built == before
    assert not result.proved.fresh
    assert "a note of the export" in told.told


@pytest.mark.parametrize("name", ["model.onnx", "export.json", "sums.json"])
@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: b"?" + data[1:]])
def test_a_kept_export_that_the_disk_has_changed_is_made_again(project, name, damage):
    before = build(project, World()).built
    [path] = (project.cache_dir / "export").rglob(name)
    path.write_bytes(damage(path.read_bytes()))
    world = World()
    assert build(project, world).built == before
    assert "export" in world.calls


def test_two_who_export_at_once_export_once(project):
    """The second one waits, and takes what the first one has made."""
    first, second, told = World(), World(), Remembering()
    with ThreadPoolExecutor(1) as pool:
        started = []

        def run(argv, **more):
            started.append(pool.submit(build, project, second, told))
            while "another command exports this project: waiting for it" not in told.told:
                time.sleep(0.01)
            return World.run(first, argv, **more)

        first.run = run
        one = build(project, first)
        other = started[0].result(30)
    assert "export" in first.calls
    assert "export" not in second.calls
    assert one.built == other.built


def test_a_kept_export_is_taken_without_a_lock(project):
    """The project may lie where nothing can be written."""
    build(project, World())
    (project.cache_dir / "export.lock").unlink()
    build(project, World())
    assert not (project.cache_dir / "export.lock").exists()


def test_a_file_that_is_missing_in_a_kept_export_is_made_again(project):
    before = build(project, World()).built
    [path] = (project.cache_dir / "export").rglob("model.onnx")
    path.unlink()
    assert build(project, World()).built == before


def test_a_changed_model_is_exported_again(project):
    build(project, World())
    project.model.write_bytes(b"another model")
    world = World()
    build(project, world)
    assert "export" in world.calls


def test_only_the_kinds_that_were_asked_for_and_the_base_reach_the_packagers(project):
    world = World()
    result = build(project, world, kinds=("zip",), base="oci:here")
    assert "packagers zip 8 pins base oci:here" in world.calls
    assert list(result.built.artifacts) == ["zip"]


def test_nothing_starts_without_a_version(project):
    world = World()
    with pytest.raises(InputError, match="no version") as caught:
        build(replace(project, version=None), world)
    assert caught.value.hint == 'Add to [project]: version = "0.1.0"'
    assert world.calls == []


def test_nothing_is_exported_without_a_model(project):
    world = World()
    with pytest.raises(InputError, match="no model yet"):
        build(replace(project, model=None), world)
    assert world.calls == ["check lock"]


def test_a_stale_lock_stops_it_before_anything_runs(project):
    class Stale(World):
        def check_lock(self, project):
            raise CheckFailedError("the lock is stale")

    world = Stale()
    with pytest.raises(CheckFailedError, match="stale"):
        build(project, world)
    assert world.calls == []


def test_another_verdict_locks_again_and_says_so(project):
    world, told = World(form="python"), Remembering()
    result = build(project, world, told)
    assert world.calls[:5] == [
        *("check lock", "export", "relock for python", "openapi", "user package"),
    ]
    assert "the production set follows the export: onnx → python" in told.told
    assert result.built.form == "python"
    # The bundle is made of the new production set, not of the one that was there before.
    assert f"packagers wheel,zip,image {8 + len(PICKLED)} pins base None" in world.calls
    assert locks.read(project.lock_file).form == "python"


def test_locked_refuses_another_verdict_and_leaves_everything(project):
    world = World(form="python")
    before = project.lock_file.read_bytes()
    with pytest.raises(CheckFailedError, match="made for the form onnx, the export is python"):
        use_case.build(project, tools=world, runner=world.run, reporter=Remembering(), locked=True)
    assert world.calls == ["check lock", "export"]
    assert project.lock_file.read_bytes() == before
    assert not project.dist_dir.exists()


HYBRID = {"pandas": PICKLED["pandas"], "scikit-learn": PICKLED["scikit-learn"]}


def test_a_hybrid_locks_again_with_what_its_parts_import(project):
    world, told = World(form="hybrid", imports=HYBRID), Remembering()
    result = build(project, world, told)
    assert world.calls[:4] == [
        *("check lock", "export", "relock for hybrid pandas scikit-learn", "openapi"),
    ]
    assert "the production set follows the export: onnx → hybrid with pandas, scikit-learn" in (
        told.told
    )
    assert result.built.form == "hybrid"
    assert locks.read(project.lock_file).imports == ("pandas", "scikit-learn")
    # Other imports are another production set; the same ones are not.
    project.model.write_bytes(b"another model")
    again = World(form="hybrid", imports={"pandas": PICKLED["pandas"]}, lock=world.lock)
    build(project, again)
    assert "relock for hybrid pandas" in again.calls
    project.model.write_bytes(b"one more")
    same = World(form="hybrid", imports={"pandas": PICKLED["pandas"]}, lock=again.lock)
    build(project, same)
    assert not any(call.startswith("relock") for call in same.calls)


def test_locked_refuses_a_hybrid_that_imports_something_else(project):
    lock = replace(LOCK, form="hybrid", imports=("pandas",))
    world = World(form="hybrid", imports=HYBRID, lock=lock)
    with pytest.raises(
        CheckFailedError, match="form hybrid with pandas, the export is hybrid with"
    ):
        use_case.build(project, tools=world, runner=world.run, reporter=Remembering(), locked=True)


@pytest.mark.parametrize("own_code", [False, True])
def test_the_bundle_of_a_hybrid(project, own_code):
    project = replace(project, dependencies=("scikit-learn>=1.5", "matplotlib"))
    world = World(form="hybrid", imports=HYBRID, own_code=own_code)
    made = make_bundle(project, LOCK, tools=world, runner=world.run, reporter=Remembering())
    bundle, data = made.bundle, "churn/_mlpack/data"
    assert bundle.tree[f"{data}/{contract.PARTS_FILE}"] == b"no pickle either"
    assert bundle.manifest.parts.sha256 == sha256(b"no pickle either")
    assert bundle.manifest.model.file == contract.ONNX_FILE
    assert f"{data}/{contract.ENCODING_FILE}" in bundle.tree
    # The project's own code and dependencies only as far as its parts need them.
    assert ("churn/steps.py" in bundle.tree) == own_code == ("user package" in world.calls)
    assert {"pandas==3.1.1", "scikit-learn==1.9.1", "onnxruntime>=1.31,<2"} <= set(bundle.requires)
    assert not any("matplotlib" in line for line in bundle.requires)
    assert bundle.requires_python == "==3.11.*"


def test_a_hybrid_whose_parts_were_made_with_other_versions_is_refused(project):
    world = World(form="hybrid", imports={**HYBRID, "scikit-learn": "1.8.0"})
    with pytest.raises(
        InputError, match=r"scikit-learn 1\.8\.0 is installed .* the lock has 1\.9\.1"
    ):
        build(project, world)
    assert not project.dist_dir.exists()


def test_a_kept_hybrid_counts_only_while_what_it_imports_is_installed_as_it_was(project):
    installed = {name: version(name) for name in ("msgspec", "packaging")}
    world = World(form="hybrid", imports=installed)
    assert export(project, runner=world.run, reporter=Remembering()).fresh
    assert not export(project, runner=world.run, reporter=Remembering()).fresh
    other = World(form="hybrid", imports={**installed, "packaging": "0.1"})
    project.model.write_bytes(b"another model")
    assert export(project, runner=other.run, reporter=Remembering()).fresh
    assert export(project, runner=other.run, reporter=Remembering()).fresh


def test_without_a_base_image_the_hint_says_how_to_build_the_rest(project):
    error = OutsideError("no answer", where="a registry", hint="Try again.")
    with pytest.raises(OutsideError, match="no answer") as caught:
        build(project, World(no_base=error))
    hint = caught.value.hint
    assert hint == "Try again.\nAll but the image: mlpack build --only wheel --only zip"
    with pytest.raises(OutsideError) as caught:
        build(project, World(no_base=error), kinds=("image",))
    assert caught.value.hint == "Try again."
    assert build(project, World(no_base=error), kinds=("wheel", "zip")).built


def test_a_base_image_that_was_found_is_written_into_the_lock(project):
    build(project, World(base=BASE))
    assert locks.read(project.lock_file) == locks.with_base(LOCK, BASE)


def test_locked_takes_a_base_that_no_lock_names_and_says_so(project):
    told = Remembering()
    build(project, World(base=BASE), told, locked=True)
    assert any("not in the lock" in text for text in told.told)
    assert locks.read(project.lock_file) == LOCK


def test_locked_refuses_another_base_than_the_locks(project):
    locked = locks.with_base(LOCK, BASE)
    locks.write(project.lock_file, locked)
    build(project, World(lock=locked, base=BASE), locked=True)
    before = files(project.dist_dir)
    world = World(lock=locked, base=OTHER)
    with pytest.raises(CheckFailedError, match=r"python:3\.11-slim"):
        build(project, world, locked=True)
    assert locks.read(project.lock_file) == locked
    assert files(project.dist_dir) == before
    build(project, World(lock=locked, base=OTHER))
    assert locks.read(project.lock_file).base == OTHER


@pytest.mark.parametrize("failing", ["wheel", "zip", "image"])
def test_a_packager_that_fails_leaves_dist_as_it_was(project, failing):
    with pytest.raises(OutsideError):
        build(project, World(failing=failing))
    assert files(project.dist_dir) == {}
    build(project, World())
    before = files(project.dist_dir)
    project.model.write_bytes(b"another model")
    with pytest.raises(OutsideError, match="the engine said no"):
        build(project, World(failing=failing))
    assert files(project.dist_dir) == before


def test_an_export_that_fails_leaves_nothing_that_looks_like_one(project):
    said = {"error": "ProofError", "what": "not equal", "where": None, "hint": None}
    with pytest.raises(ProofError, match="not equal"):
        build(project, World(error=said))
    assert list((project.cache_dir / "export").iterdir()) == []
    world = World()
    build(project, world)
    assert "export" in world.calls


def test_without_the_production_lock_it_says_what_to_run(project):
    project.prod_lock.unlink()
    with pytest.raises(InputError, match="production lock is missing") as caught:
        build(project, World())
    assert caught.value.hint == "Run: mlpack lock"


def test_nothing_built_is_said_so(tmp_path):
    with pytest.raises(InputError, match="nothing is built yet") as caught:
        outcome.last(tmp_path)
    assert caught.value.hint == "Run: mlpack build"


def test_the_code_of_the_project_is_in_the_bundle_only_where_it_is_needed(project):
    made = make_bundle(project, LOCK, tools=World(), runner=World().run, reporter=Remembering())
    assert "churn/steps.py" not in made.bundle.tree
    world = World(form="python")
    project.model.write_bytes(b"another model")
    made = make_bundle(project, LOCK, tools=world, runner=world.run, reporter=Remembering())
    assert made.bundle.tree["churn/steps.py"] == b"x = 1\n"
    assert made.bundle.manifest.reason == "steps → Own: code of your own"


def test_serving_runs_the_unpacked_bundle_and_unpacks_it_once(project):
    world = World()
    made = command(
        project, ("serve", "--port", "1"), tools=world, runner=world.run, reporter=Remembering()
    )
    folder = Path(made.env["PYTHONPATH"].split(":")[0])
    assert made.argv[-5:] == (str(folder), "churn", "serve", "--port", "1")
    assert (folder / "churn" / "__main__.py").is_file()
    stamp = folder.stat().st_mtime_ns
    bundle = make_bundle(
        project, LOCK, tools=world, runner=world.run, reporter=Remembering()
    ).bundle
    assert unpacked(project, bundle) == folder
    assert folder.stat().st_mtime_ns == stamp
    assert {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    } == dict(bundle.tree)
