"""What the user's own modules import, read and never run."""

from __future__ import annotations

import textwrap

import pytest

from mlpack.errors import InputError
from mlpack.inspection.imports import reached


def package(root, **modules):
    """A package ``churn`` whose modules have these texts; double underscores are folders."""
    folder = root / "churn"
    folder.mkdir()
    for name, text in {"__init__": "", **modules}.items():
        path = folder / f"{name if name == '__init__' else name.replace('__', '/')}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text))
    return folder


def test_names_of_others_are_told_by_their_first_module():
    found = reached(["sklearn.pipeline.Pipeline", "numpy.ndarray", "re.compile"], None)
    assert (found.own, found.named, found.imported) == (False, {"sklearn", "numpy"}, frozenset())


def test_the_users_modules_are_followed_and_only_those_that_are_reached(tmp_path):
    code = package(
        tmp_path,
        features="import re\nimport numpy as np\nfrom .texts import words\n",
        texts="from churn import tables\nimport wcwidth.tables\n",
        tables="def late():\n    import polars\n",
        reports="import matplotlib.pyplot\n",
    )
    found = reached(["churn.features.Notes", "numpy.ndarray"], code)
    assert found.own
    assert found.named == {"numpy"}
    assert found.imported == {"numpy", "wcwidth", "polars"}


def test_packages_are_imported_on_the_way(tmp_path):
    code = package(tmp_path, inner__steps="from .. import other\n")
    (code / "inner" / "__init__.py").write_text("import attrs\n")
    (code / "__init__.py").write_text("import rich\n")
    (code / "other.py").write_text("from .inner.more import thing\nimport yaml\n")
    (code / "inner" / "more.py").write_text("import lxml.etree\n")
    found = reached(["churn.inner.steps.Step.method"], code)
    assert found.imported == {"attrs", "rich", "yaml", "lxml"}


def test_what_only_a_type_checker_sees_is_not_imported(tmp_path):
    text = """
        from typing import TYPE_CHECKING

        if TYPE_CHECKING:
            import matplotlib
        else:
            import numpy
        try:
            import polars
        except ImportError:
            polars = None
    """
    assert reached(["churn.a.f"], package(tmp_path, a=text)).imported == {"numpy", "polars"}


def test_circles_and_modules_that_are_not_there(tmp_path):
    texts = {"a": "from . import b, missing\n", "b": "from .a import f\nimport churn.nope\n"}
    code = package(tmp_path, **texts)
    assert reached(["churn.a.f", "churn.gone.g"], code).imported == frozenset()


def test_a_single_file_is_a_package_too(tmp_path):
    (tmp_path / "train.py").write_text("import numpy\nimport train\n")
    found = reached(["train.Step"], tmp_path / "train.py")
    assert (found.own, found.imported) == (True, {"numpy"})


def test_a_module_that_is_not_python_is_named(tmp_path):
    with pytest.raises(InputError) as caught:
        reached(["churn.a.f"], package(tmp_path, a="def f(:\n"))
    assert caught.value.where == "churn/a.py:1"


@pytest.mark.parametrize("name", ["churned.a.f", "sklearn.churn.f"])
def test_a_name_that_only_looks_like_the_packages_is_anothers(tmp_path, name):
    found = reached([name], package(tmp_path, a="import numpy\n"))
    assert (found.own, found.imported) == (False, frozenset())
