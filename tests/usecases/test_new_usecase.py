"""New projects: whole, valid, and the same as the examples."""

from __future__ import annotations

import ast
import contextlib
import csv
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpack.errors import InputError
from mlpack.inspection import names, read
from mlpack.usecases.new import TEMPLATES, new

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = {"penguins": "classification", "mpg": "regression", "names": "text"}


class Watch:
    """A reporter that keeps what it is told."""

    def __init__(self):
        self.told = []

    @contextlib.contextmanager
    def stage(self, title):
        self.told.append(title)
        yield self

    def advance(self, done, total=None):
        self.told.append((done, total))

    def result(self, text):
        self.told.append(text)

    note = warn = result


def text_files(root: Path) -> dict[str, str]:
    made = ("__pycache__", ".pytest_cache", "models", "dist", ".mlpack", ".ruff_cache", ".venv")
    written = ("schema.toml", "mlpack.lock", "requirements.lock.txt", "requirements-dev.lock.txt")
    return {
        path.relative_to(root).as_posix(): path.read_text(encoding="utf-8")
        for path in root.rglob("*")
        if path.is_file() and path.name not in written and not set(made) & set(path.parts)
    }


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_new_project_is_complete(tmp_path, template):
    watch = Watch()
    created = new("churn-model", tmp_path / "here", template, watch)
    project = read(created.root)
    assert (project.name, project.version) == ("churn-model", "0.1.0")
    assert project.package == created.package == "churn_model"
    assert project.environments == ("development", "production", "test")
    assert project.data_module
    assert project.pipeline_module
    assert project.sample
    assert [remark.fix for remark in project.remarks] == ["mlpack train"]
    assert any(TEMPLATES[template][0] in line for line in project.dev_dependencies)
    assert not any(TEMPLATES[template][0] in line for line in project.dependencies)
    assert sorted(text_files(created.root)) == list(created.files)
    assert watch.told == ["Creating churn-model", f"{len(created.files)} files"]
    assert list(tmp_path.iterdir()) == [created.root]


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_new_project_is_python_in_good_order(tmp_path, template):
    root = new("churn", tmp_path / "churn", template, Watch()).root
    for path in root.rglob("*.py"):
        assert ast.get_docstring(ast.parse(path.read_text()))
    style = ["--isolated", "--line-length", "100", "--target-version", "py310"]
    for command in (["check", *style, "--select", "E,F,I,UP,B"], ["format", "--check", *style]):
        argv = [sys.executable, "-m", "ruff", *command, "."]
        done = subprocess.run(argv, cwd=root, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("template", TEMPLATES)
def test_the_sample_has_the_columns_of_the_data(tmp_path, template):
    root = new("churn", tmp_path / "churn", template, Watch()).root
    with (root / "data" / "sample.csv").open(newline="") as stream:
        header, *rows = list(csv.reader(stream))
    module = ast.parse((root / "src" / "churn" / "data.py").read_text())
    columns = next(
        ast.literal_eval(node.value) for node in module.body if isinstance(node, ast.Assign)
    )
    assert header[:-1] == columns
    assert f'target = "{header[-1]}"' in (root / "config" / "default.toml").read_text()
    assert len(rows) == 8
    assert all(len(row) == len(header) for row in rows)


@pytest.mark.parametrize(("name", "template"), EXAMPLES.items())
def test_the_examples_are_what_the_templates_make(tmp_path, name, template):
    made = new(name, tmp_path / name, template, Watch()).root
    assert text_files(ROOT / "examples" / name) == text_files(made)


@pytest.mark.parametrize(
    ("name", "reason", "valid"),
    [
        ("My Churn!", "letters, digits", "my-churn"),
        ("Churn", "lower case", "churn"),
        ("2fast", "begin with a digit", "fast"),
        ("class", "keyword", "class-model"),
        ("match", "keyword", "match-model"),
        ("json", "standard library", "json-model"),
        ("mlpack", "mlpack itself", "mlpack-model"),
        ("uvicorn", "need themselves", "uvicorn-model"),
        ("sklearn", "need themselves", "sklearn-model"),
        ("prometheus-client", "need themselves", "prometheus-client-model"),
        ("palmerpenguins", "the template's data", "palmerpenguins-model"),
        ("-", "letters, digits", "model"),
        ("données", "letters, digits", "donnees"),
        ("a/b", "letters, digits", "a-b"),
        ("../x", "letters, digits", "x"),
        ("", "letters, digits", "model"),
        ("a\n", "letters, digits", "a"),
    ],
)
def test_names_that_are_not_valid_are_refused_with_one_that_is(tmp_path, name, reason, valid):
    with pytest.raises(InputError) as caught:
        new(name, tmp_path / "here", "classification", Watch())
    assert reason in caught.value.what
    assert caught.value.hint == f"Try: mlpack new {valid}"
    assert not (tmp_path / "here").exists()
    new(valid, tmp_path / "here", "classification", Watch())


@given(st.text(max_size=30))
def test_whatever_is_asked_for_the_name_that_is_offered_is_valid(name):
    near = names.valid(name)
    assert names.refusal(near) is None
    assert names.is_distribution(near)
    assert names.package_of(near).isidentifier()
    if names.refusal(name) is None:
        assert near == name


def test_a_folder_that_is_not_empty_is_refused_and_left_alone(tmp_path):
    (tmp_path / "churn").mkdir()
    (tmp_path / "churn" / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        new("churn", tmp_path / "churn", "text", Watch())
    assert text_files(tmp_path) == {"churn/mine.txt": "mine"}


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "churn").mkdir()
    assert new("churn", tmp_path / "churn", "text", Watch()).files
    assert (tmp_path / "churn" / "pyproject.toml").is_file()


def test_a_file_of_that_name_is_refused(tmp_path):
    (tmp_path / "churn").write_text("mine")
    with pytest.raises(InputError, match="already"):
        new("churn", tmp_path / "churn", "text", Watch())
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    with pytest.raises(InputError, match="already"):
        new("churn", tmp_path / "link", "text", Watch())


def test_a_template_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError) as caught:
        new("churn", tmp_path / "churn", "regresion", Watch())
    assert "classification, regression, text" in caught.value.what
    assert caught.value.hint == 'Did you mean "regression"?'
