"""Templates are found and filled in, strictly."""

from __future__ import annotations

import jinja2
import pytest

from mlpack import render


def test_the_templates_are_found():
    assert (render.templates() / "classification" / "pyproject.toml.j2").is_file()


def test_a_tree_comes_filled_in_with_its_paths():
    tree = dict(render.tree("classification", name="churn-model", package="churn_model"))
    assert "src/churn_model/data.py" in tree
    assert 'name = "churn-model"' in tree["pyproject.toml"]
    assert list(tree) == sorted(tree)
    assert not [path for path in tree if path.endswith(".j2") or "__package__" in path]


def test_hidden_files_belong_to_a_tree():
    paths = [path for path, _ in render.tree("common", name="a", package="a")]
    assert ".gitignore" in paths
    assert "notebooks/.gitkeep" in paths


def test_a_value_that_is_not_given_is_an_error():
    with pytest.raises(jinja2.UndefinedError):
        render.render("classification/pyproject.toml.j2")


def test_the_last_line_end_is_kept():
    assert render.render("classification/pyproject.toml.j2", name="x").endswith("\n")


def test_a_template_that_is_not_there_is_an_error():
    with pytest.raises(jinja2.TemplateNotFound):
        render.render("../pyproject.toml")
    with pytest.raises(jinja2.TemplateNotFound):
        render.tree("nothing")
