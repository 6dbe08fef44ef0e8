from __future__ import annotations

import ast
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from bundling import RUNTIME, lock_text, make_project, onnx_bundle, python_bundle
from hypothesis import example, given
from hypothesis import strategies as st

from mlpack import requirements_file
from mlpack.bundle import UserPackage
from mlpack.errors import InputError
from mlpack.files import sha256, sha256_of
from mlpack.runtime import contract
from mlpack.user_code import with_model

DATA = "churn/_mlpack/data"


def user(**files: bytes) -> UserPackage:
    tree = {"churn/__init__.py": b'"""Mine."""\n', "churn/features.py": b"x = 1\n"}
    tree |= {name.replace("__SLASH__", "/"): data for name, data in files.items()}
    return UserPackage(tree=tree, extra={}, requires=("scikit-learn>=1.5",), summary="Mine.")


def user_with(tree: dict[str, bytes]) -> UserPackage:
    return replace(user(), tree=tree)


def test_the_tree_of_a_graph():
    bundle = onnx_bundle()
    own = {name for name in bundle.tree if not name.startswith("churn/_mlpack/")}
    assert own == {"churn/__init__.py", "churn/__main__.py", "churn/py.typed"}
    data = {name.removeprefix(f"{DATA}/") for name in bundle.tree if name.startswith(DATA)}
    assert data == {
        "encoding.json",
        "manifest.json",
        "model.onnx",
        "openapi.json",
        "parity.json",
        "schema.json",
        "signature.json",
    }
    assert list(bundle.tree) == sorted(bundle.tree)
    for name in ("churn/__init__.py", "churn/__main__.py"):
        ast.parse(bundle.tree[name])
    assert b"from ._mlpack.model import Model" in bundle.tree["churn/__init__.py"]
    assert b'__version__ = "1.2.0"' in bundle.tree["churn/__init__.py"]
    assert b"raise SystemExit(main())" in bundle.tree["churn/__main__.py"]


def test_the_runtime_is_copied_byte_for_byte_and_its_digest_recorded():
    bundle = onnx_bundle()
    files = {
        name.removeprefix("churn/_mlpack/"): data
        for name, data in bundle.tree.items()
        if name.startswith("churn/_mlpack/") and not name.startswith(DATA)
    }
    assert files["contract.py"] == (RUNTIME / "contract.py").read_bytes()
    assert not any("__pycache__" in name or name.endswith(".pyc") for name in files)
    assert bundle.manifest.runtime == sha256_of(sorted(files.items()))


def test_the_manifest_names_every_file_with_its_digest():
    bundle = onnx_bundle()
    manifest = contract.decode(
        bundle.tree[f"{DATA}/manifest.json"], contract.Manifest, "manifest.json"
    )
    assert manifest == bundle.manifest
    blobs = {blob.file: blob for blob in (*manifest.files, manifest.model)}
    there = {name.removeprefix(f"{DATA}/") for name in bundle.tree if name.startswith(DATA)}
    assert set(blobs) == there - {"manifest.json"}
    for name, blob in blobs.items():
        content = bundle.tree[f"{DATA}/{name}"]
        assert (blob.sha256, blob.size) == (sha256(content), len(content))
    assert manifest.lock == requirements_file.digest(bundle.lock)


def test_the_same_arguments_give_the_same_bundle():
    assert onnx_bundle() == onnx_bundle()
    assert onnx_bundle().digest == onnx_bundle().digest
    assert onnx_bundle(factor=3.0).digest != onnx_bundle().digest


def test_line_ends_of_the_lock_do_not_count():
    windows = onnx_bundle(lock=lock_text().replace("\n", "\r\n"))
    assert windows.digest == onnx_bundle().digest


def test_the_version_is_written_in_its_normal_form():
    bundle = onnx_bundle(make_project(version="v1.2-beta.1"))
    assert bundle.manifest.version == "1.2b1"


@pytest.mark.parametrize(
    "name", ["../evil", "a/b", "a b", "", "-a", "a-", 'a"', "a\nb", "a;rm", "é", "${x}"]
)
def test_hostile_names_are_refused(name):
    with pytest.raises(InputError, match="not a distribution's name"):
        onnx_bundle(make_project(name=name))


@pytest.mark.parametrize("package", ["a-b", "a.b", "class", "", "1a", "../x", "a b", "a\n"])
def test_hostile_packages_are_refused(package):
    with pytest.raises(InputError, match="package's name"):
        onnx_bundle(make_project(package=package))


@pytest.mark.parametrize("version", ["", "latest", "1.0/2", "1.0\n2", '1"', "../1"])
def test_hostile_versions_are_refused(version):
    with pytest.raises(InputError, match="PEP 440"):
        onnx_bundle(make_project(version=version))


def test_a_project_without_a_version_is_told_the_line_to_write():
    with pytest.raises(InputError) as caught:
        onnx_bundle(make_project(version=None))
    assert 'version = "0.1.0"' in caught.value.hint


@pytest.mark.parametrize("name", ["numpy", "NumPy", "prometheus_client", "mlpack"])
def test_a_project_called_as_a_dependency_is_refused(name):
    with pytest.raises(InputError, match="another package"):
        onnx_bundle(make_project(name=name))


@pytest.mark.parametrize("package", ["numpy", "prometheus_client"])
def test_a_package_called_as_a_dependency_is_refused(package):
    with pytest.raises(InputError, match="overwrite"):
        onnx_bundle(make_project(package=package))


def test_the_users_package_is_kept_beside_the_model():
    bundle = python_bundle(user(), make_project(dependencies=("pandas>=2",)))
    tree = bundle.tree
    assert tree["churn/features.py"] == b"x = 1\n"
    assert tree["churn/__init__.py"].startswith(b'"""Mine."""')
    assert f"{DATA}/model.joblib" in tree
    assert f"{DATA}/encoding.json" not in tree
    assert "churn/py.typed" not in tree, "the user's code may have no types"
    assert bundle.manifest.reason == "features → Surname: a transformer of the project's own"
    assert {"pandas==3.1.1", "scikit-learn==1.9.1"} <= set(bundle.requires)
    assert bundle.summary == "Mine."


def test_a_pickle_without_code_of_the_user_has_a_generated_package():
    bundle = python_bundle(None)
    assert b"import Model" in bundle.tree["churn/__init__.py"]
    assert f"{DATA}/model.joblib" in bundle.tree


def test_a_namespace_package_gets_an_init():
    bundle = python_bundle(user_with({"churn/features.py": b"x = 1\n"}))
    assert b"import Model" in bundle.tree["churn/__init__.py"]


def test_a_requirement_on_the_project_itself_is_not_declared():
    itself = replace(user(), requires=('churn[extra]; extra == "all"', "Churn", "pandas"))
    assert not any(line.startswith("churn") for line in python_bundle(itself).requires)


def test_the_model_comes_from_the_module_only_when_it_is_asked_for():
    source = with_model(b'"""Mine."""\nvalue = 3', "churn/__init__.py")
    package = ModuleType("made_up")
    package.__path__ = []
    sys.modules["made_up"] = package
    try:
        exec(compile(source, "churn/__init__.py", "exec"), package.__dict__)
        assert package.value == 3
        with pytest.raises(AttributeError, match="module 'made_up' has no attribute 'nothing'"):
            package.nothing  # noqa: B018
        with pytest.raises(ModuleNotFoundError, match=r"made_up\._mlpack"):
            package.Model  # noqa: B018
    finally:
        del sys.modules["made_up"]


@pytest.mark.parametrize("source", [b"", b"\n", b"# note", b"x = 1\r\ny = 2\r\n", b"def f(): pass"])
def test_any_init_stays_python(source):
    assert "__getattr__" in ast.dump(ast.parse(with_model(source, "churn/__init__.py")))


@pytest.mark.parametrize(
    "source",
    [
        b"def __getattr__(name): ...",
        b"class Model: ...",
        b"from .model import Model",
        b"from .model import Net as Model",
        b"import Model",
        b"Model = 3",
        b"if True:\n    Model = 3",
        b"try:\n    from .a import Model\nexcept ImportError:\n    pass",
        b"Model: int = 3",
        b"for Model in (): pass",
        b"with open('x') as Model: pass",
        b"(Model := 3)",
    ],
)
def test_an_init_with_a_model_of_its_own_is_refused(source):
    with pytest.raises(InputError, match="it defines") as caught:
        python_bundle(user_with({"churn/__init__.py": source}))
    assert caught.value.where.startswith("churn/__init__.py:")


@pytest.mark.parametrize(
    "source",
    [
        b"def build():\n    Model = 3\n    return Model",
        b"class Net:\n    Model = 3",
        b"print(Model)",
        b"from .models import Models",
        b"import churn.Model",
    ],
)
def test_what_is_not_at_module_level_does_not_collide(source):
    with_model(source, "churn/__init__.py")


@given(st.binary(max_size=60))
@example(b"x = (")
@example(b"\0")
@example("é = 1".encode("latin-1"))
@example(b"# coding: nonsense\n")
def test_an_init_that_is_not_python_is_refused_clearly(source):
    try:
        ast.parse(source)
    except (SyntaxError, ValueError):
        with pytest.raises(InputError, match=r"churn/__init__\.py"):
            with_model(source, "churn/__init__.py")
    else:
        ast.parse(with_model(source, "churn/__init__.py"))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("churn/_mlpack/x.py", "place of mlpack's runtime"),
        ("churn/_mlpack.py", "place of mlpack's runtime"),
        ("churn/__main__.py", "serve"),
        ("churn/__main__/__init__.py", "serve"),
        ("churn.py", "single module"),
    ],
)
def test_names_that_collide_are_refused(name, reason):
    with pytest.raises(InputError, match=reason):
        python_bundle(user_with({**user().tree, name: b""}))


def test_a_backend_that_packs_something_else_is_refused():
    with pytest.raises(InputError, match="packs no package 'churn'"):
        python_bundle(user_with({"other/__init__.py": b""}))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("churn/.env", b"PASSWORD=x"),
        ("churn/settings.py", b"KEY = 'AKIAIOSFODNN7EXAMPLE'"),
        ("other/id_rsa", b""),
    ],
)
def test_a_secret_stops_the_build_with_its_name(name, content):
    with pytest.raises(InputError, match="secrets never enter an artifact") as caught:
        python_bundle(user_with({**user().tree, name: content}))
    assert caught.value.where == name
    assert "AKIA" not in str(caught.value)


def test_a_lock_without_what_serves_is_refused():
    lock = lock_text().replace("onnxruntime==1.31.1", "something==1.0")
    with pytest.raises(InputError, match="onnxruntime is needed"):
        onnx_bundle(lock=lock)


def test_the_summary_is_one_line():
    bundle = python_bundle(replace(user(), summary="One\nClassifier: x\r\n two"))
    assert bundle.summary == "One Classifier: x two"


def test_paths_that_climb_out_are_refused():
    with pytest.raises(ValueError, match="not a path inside"):
        python_bundle(user_with({**user().tree, "../evil.py": b""}))


def test_the_runtime_folder_must_be_there(tmp_path: Path):
    from mlpack.assembly import _runtime_files

    with pytest.raises(InputError, match="runtime is not in"):
        _runtime_files(tmp_path)
