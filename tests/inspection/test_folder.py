"""What inspection makes of folders: conventional, old, foreign and broken ones."""

from __future__ import annotations

import contextlib
import shutil
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlpack.errors import InputError
from mlpack.inspection import read
from mlpack.inspection.settings import read as read_settings
from mlpack.project import ImageSettings, Settings

_SAME_FOLDER = [HealthCheck.function_scoped_fixture]
_KEYS = [
    "package",
    "target",
    "resolver",
    "format",
    "model",
    "image",
    "base",
    "builder",
    "prune",
    "other",
]

PROJECTS = Path(__file__).parent.parent / "projects"


def pyproject(root: Path, text: str) -> Path:
    (root / "pyproject.toml").write_text(text)
    return root


def whats(project) -> str:
    return "\n".join(remark.what for remark in project.remarks)


def fixes(project) -> list[str]:
    return [remark.fix for remark in project.remarks if remark.fix]


def test_a_conventional_project_is_read_whole():
    project = read(PROJECTS / "conventional")
    root = project.root
    assert (project.name, project.version) == ("Churn-Model", "1.2")
    assert project.requires_python == ">=3.10,<3.14"
    assert project.package == "churn_model"
    assert project.package_dir == root / "src" / "churn_model"
    assert project.dependencies == ("pandas>=2.1", "scikit-learn>=1.5")
    assert project.dependencies_from == "pyproject.toml"
    # The included group comes in its place, and nothing twice.
    assert project.dev_dependencies == ("pytest>=8", "palmerpenguins>=0.1.6")
    assert project.data_module == root / "src" / "churn_model" / "data.py"
    assert project.pipeline_module == root / "src" / "churn_model" / "pipeline.py"
    assert project.config_dir == root / "config"
    assert project.environments == ("production", "staging")
    assert project.sample == root / "data" / "sample.csv"
    assert project.settings == Settings(
        target="left",
        resolver="pip-tools",
        format="onnx",
        image=ImageSettings(base="oci:../base:3.11", builder="docker"),
    )
    assert [(remark.kind, remark.fix) for remark in project.remarks] == [
        ("missing", "mlpack train")
    ]


def test_a_flat_folder_with_a_script_and_a_model_is_a_project_too(tmp_path):
    root = tmp_path / "My Churn 2!"
    shutil.copytree(PROJECTS / "flat", root)
    (root / "model.joblib").write_bytes(b"anything")
    project = read(root)
    assert project.name == "my-churn-2"
    assert project.package == "my_churn_2"
    assert project.version is None
    assert project.pyproject is None
    assert project.package_dir == root / "train.py"
    assert project.data_module is None
    assert project.model == root / "model.joblib"
    assert project.dependencies == ("scikit-learn==1.9.1", "pandas>=2.1")
    assert project.dependencies_from == "requirements.txt"
    assert any(fix.startswith('version = "0.1.0"') for fix in fixes(project))
    assert any(fix.startswith('name = "my-churn-2"') for fix in fixes(project))
    assert any(fix.startswith('model = "model.joblib"') for fix in fixes(project))


def test_the_lines_that_fix_a_project_do_fix_it(tmp_path):
    root = tmp_path / "flat"
    shutil.copytree(PROJECTS / "flat", root)
    (root / "model.joblib").write_bytes(b"anything")
    lines = fixes(read(root))
    project = [line for line in lines if line.endswith("# [project] in pyproject.toml")]
    tool = [line for line in lines if line.endswith("# [tool.mlpack] in pyproject.toml")]
    assert sorted([*project, *tool]) == sorted(lines)
    pyproject(root, "\n".join(["[project]", *project, "[tool.mlpack]", *tool]))
    again = read(root)
    assert fixes(again) == []
    assert (again.name, again.version) == ("flat", "0.1.0")
    assert again.dependencies_from == "pyproject.toml"


def test_a_script_with_both_functions_can_be_trained(tmp_path):
    (tmp_path / "train.py").write_text("def load(config): ...\ndef build(config): ...\n")
    project = read(tmp_path)
    assert project.data_module == project.pipeline_module == tmp_path / "train.py"
    assert "mlpack train" in fixes(project)


def test_setup_cfg_with_a_version_in_the_source():
    project = read(PROJECTS / "setuptools")
    assert (project.name, project.version) == ("old-style", "2.0.1")
    assert project.package == "old_style"
    assert project.dependencies == ("numpy", 'scikit-learn>=1.5  ; python_version >= "3.9"')
    assert project.dev_dependencies == ("pytest",)
    assert project.dependencies_from == "setup.cfg"


def test_the_first_cookiecutter_layout():
    project = read(PROJECTS / "cookiecutter")
    assert (project.name, project.version) == ("src", "0.1.0")
    assert project.package_dir == project.root / "src"
    assert project.dependencies == (
        "-e .",
        "click",
        "Sphinx",
        "python-dotenv>=0.5.1",
        "scikit-learn",
    )


def test_a_conda_environment():
    project = read(PROJECTS / "conda")
    assert project.name == "conda"  # the folder's: "base" is conda's own
    assert project.requires_python == "==3.11.*"
    assert project.dependencies == (
        "numpy==1.26.*",
        "pandas>=2.1,<3",
        "scikit-learn==1.5.2",
        "xgboost",
        "scipy==1.13.*",
        "palmerpenguins>=0.1.6",
    )


def test_poetry_constraints_become_what_they_mean():
    project = read(PROJECTS / "poetry")
    assert (project.name, project.version) == ("verses", "0.3.0")
    assert project.requires_python == ">=3.10,<4"
    assert project.dependencies == (
        "scikit-learn>=1.5,<2",
        "pandas>=2.2,<2.3",
        "numpy>=1.26,<3",
        "joblib==1.4.2",
        "uvicorn[standard]>=0.30,<0.31",
    )
    assert project.dev_dependencies == ("pytest>=8.0,<9",)


def test_requirements_with_includes_continuations_hashes_and_urls():
    project = read(PROJECTS / "includes")
    assert project.dependencies == (
        'numpy>=1.26; python_version >= "3.10"',
        "scikit-learn[plots]",
        "pandas==2.2.3",
        "git+https://git.example/team/tool@v1#egg=tool",
        "-e ./local",
    )
    assert project.dev_dependencies == ("pytest",)


def test_abstract_requirements_come_before_compiled_ones(tmp_path):
    (tmp_path / "requirements.in").write_text("pandas\n")
    (tmp_path / "requirements.txt").write_text("pandas==2.2.3\nnumpy==2.0.0\n")
    assert read(tmp_path).dependencies == ("pandas",)


def test_requirements_that_powershell_wrote(tmp_path):
    (tmp_path / "requirements.txt").write_bytes("pandas==2.2.3\r\nnumpy\r\n".encode("utf-16"))
    assert read(tmp_path).dependencies == ("pandas==2.2.3", "numpy")


def test_requirements_fill_in_for_a_pyproject_that_has_no_list(tmp_path):
    pyproject(tmp_path, '[project]\nname = "churn"\nversion = "1"\n')
    (tmp_path / "requirements.txt").write_text("pandas\n")
    project = read(tmp_path)
    assert project.dependencies == ("pandas",)
    assert any(fix.startswith('dependencies = ["pandas"]') for fix in fixes(project))


def test_an_empty_list_of_dependencies_is_one(tmp_path):
    pyproject(tmp_path, '[project]\nname = "churn"\nversion = "1"\ndependencies = []\n')
    (tmp_path / "requirements.txt").write_text("pandas\n")
    assert read(tmp_path).dependencies == ()


@pytest.mark.parametrize(
    ("tool", "file", "text"),
    [
        (
            '[tool.hatch.version]\npath = "src/churn/_v.py"',
            "src/churn/_v.py",
            '__version__ = "3.1"',
        ),
        (
            '[tool.setuptools.dynamic]\nversion = {attr = "churn.__version__"}',
            "src/churn/__init__.py",
            '__version__: str = "3.1"',
        ),
        ('[tool.setuptools.dynamic]\nversion = {file = "VERSION"}', "VERSION", "3.1\n"),
        ("", "churn/__init__.py", '"""Flit."""\n__version__ = "3.1"\n'),
    ],
)
def test_a_version_that_is_written_elsewhere_is_found(tmp_path, tool, file, text):
    pyproject(tmp_path, f'[project]\nname = "churn"\ndynamic = ["version"]\n{tool}\n')
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(f"{text}\n")
    assert read(tmp_path).version == "3.1"


@pytest.mark.parametrize("tool", ['[tool.hatch.version]\nsource = "vcs"', "[tool.setuptools_scm]"])
def test_a_version_that_is_computed_is_missing_and_says_so(tmp_path, tool):
    pyproject(tmp_path, f'[project]\nname = "churn"\ndynamic = ["version"]\n{tool}\n')
    project = read(tmp_path)
    assert project.version is None
    assert "computed in pyproject.toml" in whats(project)


def test_dependencies_in_a_file_that_setuptools_is_told_of(tmp_path):
    pyproject(
        tmp_path,
        '[project]\nname = "churn"\nversion = "1"\ndynamic = ["dependencies"]\n'
        '[tool.setuptools.dynamic]\ndependencies = {file = ["needs.txt"]}\n',
    )
    (tmp_path / "needs.txt").write_text("pandas\n")
    assert read(tmp_path).dependencies == ("pandas",)


def test_two_models_without_a_conventional_name_leave_the_choice_to_the_user(tmp_path):
    for name in ("a.joblib", "b.pkl"):
        (tmp_path / name).write_bytes(b"x")
    project = read(tmp_path)
    assert project.model is None
    assert "a.joblib, b.pkl" in whats(project)
    pyproject(tmp_path, '[tool.mlpack]\nmodel = "b.pkl"\n')
    assert read(tmp_path).model == tmp_path / "b.pkl"


def test_two_models_with_the_conventional_name_are_remarked_on(tmp_path):
    (tmp_path / "models").mkdir()
    for name in ("model.onnx", "model.joblib"):
        (tmp_path / "models" / name).write_bytes(b"x")
    project = read(tmp_path)
    assert project.model == tmp_path / "models" / "model.joblib"
    assert "not models/model.onnx" in whats(project)


def test_a_file_of_pytorch_is_told_the_way_to_onnx(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "model.pt2").write_bytes(b"x")
    project = read(tmp_path)
    assert project.model is None
    assert "models/model.pt2 is a file of PyTorch" in whats(project)
    assert any('"models/model.onnx"' in fix for fix in fixes(project))


def test_what_training_keeps_of_pytorch_beside_is_no_model(tmp_path):
    root = shutil.copytree(PROJECTS / "conventional", tmp_path / "project")
    shutil.rmtree(root / "models", ignore_errors=True)
    (root / "models").mkdir()
    (root / "models" / "last.pt").write_bytes(b"x")
    assert "mlpack train" in fixes(read(root))
    assert "PyTorch" not in whats(read(root))


def test_a_module_that_is_no_python_is_a_remark_with_its_line(tmp_path):
    pyproject(tmp_path, '[project]\nname = "churn"\nversion = "1"\ndependencies = []\n')
    package = tmp_path / "src" / "churn"
    package.mkdir(parents=True)
    (package / "data.py").write_text("def load(config):\n    return (\n")
    (package / "pipeline.py").write_text("x = 1\n")
    project = read(tmp_path)
    assert "src/churn/data.py:2 is not valid Python" in whats(project)
    assert "src/churn/pipeline.py has no function build" in whats(project)


def test_a_package_of_another_name_is_found_and_remarked_on(tmp_path):
    pyproject(tmp_path, '[project]\nname = "churn"\nversion = "1"\ndependencies = []\n')
    for folder in ("src/customers", "tests", "notebooks"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "one.py").write_text("")
    project = read(tmp_path)
    assert project.package == "customers"
    assert any(fix.startswith('package = "customers"') for fix in fixes(project))


@pytest.mark.parametrize(
    ("name", "where", "what", "hint"),
    [
        ("unknown-setting", "pyproject.toml:7", 'no key "fromat"', 'Did you mean "format"?'),
        ("include-outside", "requirements.txt:1", "outside the project", None),
        ("include-cycle", "b.txt:1", "includes itself", None),
        ("group-cycle", "pyproject.toml", "includes itself", None),
        ("nothing", "nothing", "not a project", None),
    ],
)
def test_broken_projects_are_refused_with_the_place(name, where, what, hint):
    with pytest.raises(InputError) as caught:
        read(PROJECTS / name)
    assert where in caught.value.where
    assert what in caught.value.what
    assert hint is None or caught.value.hint == hint


@pytest.mark.parametrize(
    ("text", "line", "what", "hint"),
    [
        ('[project]\nname = "x"\nversion = = "1"', 3, "not valid TOML", None),
        (
            '[project]\nname = "My Churn!"',
            2,
            '"My Churn!" is not a valid name',
            'name = "my-churn"',
        ),
        ('[project]\nname = "x"\nversion = "v1.x"', 3, '"v1.x" is not', 'version = "1"'),
        ('[project]\nname = "x"\nversion = "new"', 3, '"new" is not', 'version = "0.1.0"'),
        ('[project]\nname = "x"\nversion = 1', 3, "version in [project] is a string", None),
        ('[project]\nname = "x"\nrequires-python = ">=3.20"', 3, "excludes every Python", None),
        ('[project]\nname = "x"\nrequires-python = ">3.12,<3.11"', 3, "excludes every", None),
        ('[project]\nname = "x"\nrequires-python = "three"', 3, "not a version specifier", None),
        ('[project]\nname = "x"\ndependencies = ["a b"]', 3, '"a b" is not a requirement', None),
        ('[project]\nname = "x"\ndependencies = "a"', None, "is a list of strings", None),
        (
            '[tool.mlpack]\nresolver = "pip-tool"',
            2,
            'resolver in [tool.mlpack], "pip-tool", is none of uv, pip-tools',
            None,
        ),
        ('[tool.mlpack]\nserving = "grpcio"', 2, "serving in [tool.mlpack] is a list", None),
        ("[tool.mlpack]\nserving = [3]", 2, "serving in [tool.mlpack] is a list", None),
        ('[tool.mlpack]\nplatforms = "linux/amd64"', 2, "is a list of platforms", None),
        (
            '[tool.mlpack]\nplatforms = ["linux/arm"]',
            2,
            "'linux/arm', which is none",
            'Did you mean "linux/arm64"?',
        ),
        ("[tool.mlpack]\nformat = 3", 2, "format in [tool.mlpack] is a string", None),
        ('[tool.mlpack]\nmodel = "../m.pkl"', 2, "a path inside the project", None),
        ('[tool.mlpack]\nimage = "x"', 2, "image is a table", None),
        ('[tool.mlpack]\npackage = "nowhere"', None, "neither in src/", None),
        ('[tool.mlpack.image]\nbase = "a b"', 2, '"a b", is no image: write it like', None),
        ('[tool.mlpack.image]\nbase = "x\\nRUN rm"', 2, "is no image: write it like", None),
        ('[tool.mlpack.image]\nbuilder = "mlpak"', 2, "is none of mlpack, docker", None),
        ('[tool.mlpack.image]\nprune = "no"', 2, "prune in [tool.mlpack.image] is true or", None),
        (
            "[tool.mlpack.image]\nprun = false",
            2,
            'no key "prun"',
            'Did you mean "prune"?',
        ),
        (
            '[tool.mlpack.image]\nbulider = "docker"',
            2,
            'no key "bulider"',
            'Did you mean "builder"?',
        ),
        (
            '[dependency-groups]\ndev = [{include-group = "tset"}]',
            None,
            "no group",
            None,
        ),
        ("[dependency-groups]\ndev = [3]", None, "neither a requirement", None),
    ],
)
def test_wrong_values_in_pyproject_are_refused(tmp_path, text, line, what, hint):
    pyproject(tmp_path, text)
    with pytest.raises(InputError) as caught:
        read(tmp_path)
    assert what in caught.value.what
    assert caught.value.where.startswith("pyproject.toml")
    if line is not None:
        assert caught.value.where == f"pyproject.toml:{line}"
    if hint is not None:
        assert caught.value.hint == hint


@pytest.mark.parametrize(
    "base",
    [
        *("docker.io/library/python:3.11-slim", "localhost:5000/a/b@sha256:0123abcd"),
        *("oci:/a/b:tag", "oci:../base", "archive:base.tar", "docker:mine:1"),
    ],
)
def test_images_of_every_kind_are_taken(tmp_path, base):
    pyproject(tmp_path, f'[tool.mlpack.image]\nbase = "{base}"\n')
    assert read(tmp_path).settings.image.base == base


@pytest.mark.parametrize(
    ("file", "text", "where"),
    [
        ("requirements.txt", "pandas\nnot a requirement\n", "requirements.txt:2"),
        ("requirements.txt", "-r gone.txt\n", "requirements.txt:1"),
        ("setup.cfg", "[metadata\nname = x\n", "setup.cfg:1"),
        ("setup.py", "setup(\n", "setup.py:1"),
        ("environment.yml", "dependencies:\n  - a\n b: c\n", "environment.yml:3"),
        ("environment.yml", "name: x\n", "environment.yml"),
        ("environment.yml", "dependencies: [[1]]\n", "environment.yml"),
    ],
)
def test_other_files_that_cannot_be_read_are_refused_with_their_line(tmp_path, file, text, where):
    (tmp_path / file).write_text(text)
    with pytest.raises(InputError) as caught:
        read(tmp_path)
    assert caught.value.where == where


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "pyproject.toml").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(InputError, match="not "):
        read(tmp_path)


def test_a_subfolder_points_at_its_project(tmp_path):
    pyproject(tmp_path, '[project]\nname = "churn"\n')
    (tmp_path / "docs").mkdir()
    with pytest.raises(InputError) as caught:
        read(tmp_path / "docs")
    assert caught.value.hint == f"cd {tmp_path}"


def test_nothing_is_imported(tmp_path):
    root = tmp_path / "conventional"
    shutil.copytree(PROJECTS / "conventional", root)
    bomb = f"open({str(tmp_path / 'imported')!r}, 'w')\nraise SystemExit\n"
    for path in root.rglob("*.py"):
        path.write_text(path.read_text() + bomb)
    before = set(sys.modules)
    read(root)
    assert not (tmp_path / "imported").exists()
    assert not any("churn" in name for name in set(sys.modules) - before)


def test_a_file_of_dependencies_outside_of_the_project_is_refused(tmp_path):
    (tmp_path / "shared.txt").write_text("pandas\n")
    (tmp_path / "churn").mkdir()
    pyproject(
        tmp_path / "churn",
        '[project]\nname = "churn"\ndynamic = ["dependencies"]\n'
        '[tool.setuptools.dynamic]\ndependencies = {file = "../shared.txt"}\n',
    )
    with pytest.raises(InputError, match="lies outside the project"):
        read(tmp_path / "churn")


def test_a_requirements_file_may_be_a_link(tmp_path):
    (tmp_path / "shared.txt").write_text("pandas\n")
    (tmp_path / "churn").mkdir()
    (tmp_path / "churn" / "requirements.txt").symlink_to(tmp_path / "shared.txt")
    assert read(tmp_path / "churn").dependencies == ("pandas",)


_LINES = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["pandas", "-r requirements.txt", "-e .", "a==1 \\", "#", "--hash=sha256:a"]),
)


@settings(max_examples=100, deadline=None, suppress_health_check=_SAME_FOLDER)
@given(st.lists(_LINES, max_size=5))
def test_whatever_stands_in_requirements_is_read_or_refused_with_its_line(tmp_path, lines):
    text = "\n".join(lines).encode("utf-8", "surrogatepass")
    (tmp_path / "requirements.txt").write_bytes(text)
    place = "requirements.txt"
    try:
        read(tmp_path)
    except InputError as error:
        place = error.where
    assert place.startswith("requirements.txt")


_VALUES = st.recursive(
    st.one_of(st.text("ab:/.\n ", max_size=5), st.integers(), st.booleans()),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(_KEYS), inner),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(_KEYS), _VALUES))
def test_whatever_stands_in_the_settings_is_taken_or_refused(table):
    found = Settings()
    with contextlib.suppress(InputError):
        found = read_settings(table, "")
    assert found.resolver in ("uv", "pip-tools")
    assert found.image.builder in ("mlpack", "docker")
    assert isinstance(found.image.prune, bool)
    assert "\n" not in (found.image.base or "")
