"""The project's own code: where it is found, what it must give, and how its errors are told."""

from __future__ import annotations

import sys

import joblib
import numpy as np
import pandas as pd
import pytest
import tiny
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from mlpack import inspection
from mlpack.errors import InputError, ProofError
from mlpack.training.models import load_model
from mlpack.training.usercode import build_pipeline, importable, load_data, module_name, told


def read(tmp_path, **modules):
    folder, package = tiny.project(tmp_path, **modules)
    return inspection.read(folder), package


def test_the_target_is_the_column_that_the_configuration_names(tmp_path):
    project, _ = read(tmp_path)
    columns, target, name = load_data(project, {"target": "left"})
    assert list(columns) == ["size", "plan"]
    assert (name, target.name, len(target)) == ("left", "left", 40)


def test_several_columns_may_be_the_target(tmp_path):
    project, _ = read(tmp_path)
    columns, target, name = load_data(project, {"target": ["left", "plan"]})
    assert list(columns) == ["size"]
    assert (name, list(target)) == ("left, plan", ["left", "plan"])
    # A list of one is that one.
    assert load_data(project, {"target": ["left"]})[1].name == "left"


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ([], r"the name of a column, or a list of several, not \[\]"),
        (["left", 3], "the name of a column, or a list of several"),
        ({"a": 1}, "the name of a column, or a list of several"),
        (3, "the name of a column, or a list of several, not 3"),
        (["left", "right"], "no column 'right' to predict; data.load gives size, plan, left"),
        (["left", "left"], "names a column twice"),
        (["left", "plan", "size"], "none is left to learn from"),
    ],
)
def test_what_is_no_target_is_said_with_what_is(tmp_path, target, said):
    project, _ = read(tmp_path)
    with pytest.raises(InputError, match=said) as caught:
        load_data(project, {"target": target})
    assert caught.value.where == "config/default.toml"
    assert caught.value.hint


def test_the_target_may_be_named_in_pyproject_too(tmp_path):
    project, _ = read(tmp_path, settings='target = "plan"')
    assert load_data(project, {})[2] == "plan"
    assert load_data(project, {"target": "left"})[2] == "left"


@pytest.mark.parametrize(
    ("target", "name"), [("rows['left']", "left"), ("rows['left'].to_numpy()", None)]
)
def test_a_pair_of_columns_and_target_is_taken_as_it_is(tmp_path, target, name):
    data = f"""
        import pandas as pd
        def load(config):
            rows = pd.DataFrame({{"a": [1, 2], "left": ["x", "y"]}}, index=[7, 9])
            return rows[["a"]], {target}
    """
    project, _ = read(tmp_path, data=data)
    columns, found, told_name = load_data(project, {})
    assert list(columns.index) == [0, 1]
    assert (list(found), told_name) == (["x", "y"], name)


def test_the_configuration_is_handed_over_as_a_dict_of_its_own(tmp_path):
    project, _ = read(
        tmp_path,
        data="""
            import pandas as pd
            def load(config):
                assert type(config) is dict
                config.clear()
                return pd.DataFrame({"a": [1], "left": [2]})
        """,
    )
    config = {"target": "left"}
    assert load_data(project, config)[2] == "left"
    assert config == {"target": "left"}


def load(body):
    return f"import pandas as pd\ndef load(config):\n    {body}\n"


@pytest.mark.parametrize(
    ("data", "said", "where"),
    [
        (load("return [1, 2]"), "returned a list, not a DataFrame", "data.py"),
        (load("return (1, 2, 3)"), "returned a tuple, not a DataFrame", "data.py"),
        (load("return None"), "returned a NoneType", "data.py"),
        (load("return pd.DataFrame({'left': []})"), "returned no rows", "data.py"),
        (load("return pd.DataFrame({0: [1], 'left': [1]})"), "not all strings", "data.py"),
        (
            load("return pd.DataFrame([[1, 2, 3]], columns=['a', 'a', 'left'])"),
            "two columns called 'a'",
            "data.py",
        ),
        (load("return pd.DataFrame({'a': [1], 'b': [1]})"), "no column 'left'.*a, b", "config/"),
        ("def lode(config): ...\n", "data.py has no function load", "data.py"),
        ("load = 3\n", "data.py has no function load", "data.py"),
        (load("return 1 / 0"), r"data\.load raised ZeroDivisionError", "data.py:3"),
        (load("return {}['a']"), r"data\.load raised KeyError", "data.py:3"),
        ("import nothing_of_this_name\n", "raised ModuleNotFoundError", "data.py:1"),
        ("x = 1\ndef load(config:\n", "raised SyntaxError", "data.py:2"),
        (
            load("raise SystemExit('no data')"),
            r"data\.load raised SystemExit: no data",
            "data.py:3",
        ),
        (load("pd.read_csv('none.csv')"), "raised FileNotFoundError", "data.py:3"),
    ],
)
def test_what_is_wrong_with_the_data_is_said_with_its_place(tmp_path, data, said, where):
    project, _ = read(tmp_path, data=data)
    with pytest.raises(InputError, match=said) as caught:
        load_data(project, {"target": "left"})
    assert caught.value.where.endswith(where) or caught.value.where.startswith(where)
    if "raised" in said:
        kept = project.root / ".mlpack" / "last-traceback.txt"
        assert kept.name in caught.value.hint
        assert "Traceback" in kept.read_text()
    elif where == "data.py" and "function" in said:
        assert caught.value.hint == "Add: def load(config): ..."


def test_the_line_is_that_of_the_projects_own_code(tmp_path):
    project, package = read(
        tmp_path,
        data="from .rows import rows\ndef load(config):\n    return rows()\n",
        rows="import pandas as pd\n\ndef rows():\n    return pd.Series([1, 2], index=[1])\n",
    )
    with pytest.raises(InputError, match="ValueError") as caught:
        load_data(project, {"target": "a"})
    assert caught.value.where == f"src/{package}/rows.py:4"


def test_without_a_target_or_without_data_the_error_says_what_to_write(tmp_path):
    project, _ = read(tmp_path)
    with pytest.raises(InputError, match="which column is to be predicted") as caught:
        load_data(project, {})
    assert 'target = "left"' in caught.value.hint
    project, package = read(tmp_path, data=None)
    with pytest.raises(InputError, match=r"there is no data\.py with a function load") as caught:
        load_data(project, {})
    assert f"src/{package}/data.py" in caught.value.hint


def test_the_pipeline_must_be_an_estimator(tmp_path):
    project, _ = read(tmp_path)
    assert build_pipeline(project, {"c": 0.5}).steps[-1][1].C == 0.5
    project, package = read(tmp_path, pipeline="def build(config):\n    return {}\n")
    with pytest.raises(InputError, match="returned a dict, which has no fit") as caught:
        build_pipeline(project, {})
    assert caught.value.where == f"src/{package}/pipeline.py"
    project, _ = read(
        tmp_path,
        pipeline="""
            from sklearn.preprocessing import StandardScaler
            def build(config):
                return StandardScaler()
        """,
    )
    with pytest.raises(InputError, match="a StandardScaler, which has no fit and predict"):
        build_pipeline(project, {})


def test_errors_of_mlpack_pass_and_others_carry_their_cause(tmp_path):
    project, _ = read(tmp_path)
    with pytest.raises(ProofError), told(project, "x"):
        raise ProofError("no")
    said = "fitting raised ValueError: odd"
    with pytest.raises(InputError, match=said) as caught, told(project, "fitting"):
        raise ValueError("odd")
    assert isinstance(caught.value.__cause__, ValueError)
    assert caught.value.where is None
    with pytest.raises(KeyboardInterrupt), told(project, "x"):
        raise KeyboardInterrupt


def test_the_path_is_as_before_afterwards(tmp_path):
    project, package = read(tmp_path)
    before = list(sys.path)
    with importable(project):
        assert sys.path[:2] == [str(project.root / "src"), str(project.root)]
    assert sys.path == before
    with pytest.raises(ZeroDivisionError), importable(project):
        raise ZeroDivisionError
    assert sys.path == before
    assert module_name(project, project.data_module) == f"{package}.data"


def test_a_flat_file_is_imported_by_its_own_name(tmp_path):
    (tmp_path / "train.py").write_text(
        "import pandas as pd\ndef load(config):\n    return pd.DataFrame({'a': [1], 'b': [2]})\n"
        "def build(config): ...\n"
    )
    (tmp_path / "requirements.txt").write_text("pandas\n")
    project = inspection.read(tmp_path)
    assert module_name(project, tmp_path / "train.py") == "train"


# Model files


class Alone:
    """An estimator of no framework."""

    def predict(self, rows):
        return np.zeros(len(rows))


def model_in(tmp_path, model):
    folder, _ = tiny.project(tmp_path)
    tiny.save(folder, model)
    return inspection.read(folder)


def test_a_fitted_model_is_loaded(tmp_path):
    assert load_model(model_in(tmp_path, tiny.fitted())).classes_.tolist() == ["no", "yes"]
    assert isinstance(load_model(model_in(tmp_path, Alone())), Alone)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ({"model": 1}, "holds a dict, which is no estimator"),
        (pd.DataFrame({"a": [1]}), "holds a DataFrame, which is no estimator"),
        (StandardScaler(), "holds a StandardScaler, which is no estimator"),
        (LogisticRegression(), "its LogisticRegression is not fitted"),
    ],
)
def test_what_cannot_predict_is_no_model(tmp_path, model, said):
    with pytest.raises(InputError, match=said) as caught:
        load_model(model_in(tmp_path, model))
    assert caught.value.where == "models/model.joblib"
    assert caught.value.hint


@pytest.mark.parametrize("content", [b"", b"no pickle", b"\x80\x05}", b"\x80\x04cos\nnothing\n."])
def test_damaged_files_are_said_to_be_damaged(tmp_path, content):
    project = model_in(tmp_path, tiny.fitted())
    project.model.write_bytes(content)
    with pytest.raises(InputError, match=r"damaged|refers to code") as caught:
        load_model(project)
    assert caught.value.where == "models/model.joblib"


def test_a_half_written_model_is_damaged(tmp_path):
    project = model_in(tmp_path, tiny.fitted())
    content = project.model.read_bytes()
    for size in (10, len(content) // 2, len(content) - 1):
        project.model.write_bytes(content[:size])
        with pytest.raises(InputError, match="damaged") as caught:
            load_model(project)
        assert "mlpack train" in caught.value.hint


def test_a_model_of_the_projects_own_code_is_loaded_with_it(tmp_path):
    own = """
        class Own:
            def predict(self, rows):
                return [0.0] * len(rows)
    """
    folder, package = tiny.project(tmp_path, own=own)
    project = inspection.read(folder)
    with importable(project):
        made = __import__(f"{package}.own", fromlist=["Own"]).Own()
        tiny.save(folder, made)
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        del sys.modules[name]
    project = inspection.read(folder)
    assert type(load_model(project)).__module__ == f"{package}.own"
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        del sys.modules[name]
    (folder / "src" / package / "own.py").unlink()
    with pytest.raises(InputError, match=r"refers to code that is not there.*own") as caught:
        load_model(project)
    assert "mlpack install" in caught.value.hint


def test_a_class_of_a_notebook_is_told_to_move(tmp_path):
    project = model_in(tmp_path, tiny.fitted())
    # A pickle of protocol 0: an instance of __main__.Cleaner.
    project.model.write_bytes(b"c__main__\nCleaner\n)\x81.")
    with pytest.raises(InputError, match="Cleaner, which a notebook or script") as caught:
        load_model(project)
    assert "Move Cleaner into the project's package" in caught.value.hint


def test_code_that_raises_while_it_is_loaded_is_the_users(tmp_path):
    project = model_in(tmp_path, tiny.fitted())
    project.model.write_bytes(b"coperator\ntruediv\n(I1\nI0\ntR.")
    with pytest.raises(InputError, match="loading the model raised ZeroDivisionError"):
        load_model(project)


def test_a_model_of_another_scikit_learn_is_refused_with_both_versions(tmp_path):
    project = model_in(tmp_path, tiny.fitted())
    model = DummyClassifier().fit([[0]], [0])
    state = model.__getstate__()
    state["_sklearn_version"] = "0.24.2"
    joblib.dump(Restored(type(model), state), project.model)
    with pytest.raises(InputError, match=r"saved by scikit-learn 0\.24\.2, here is ") as caught:
        load_model(project)
    assert "scikit-learn==0.24.2" in caught.value.hint


class Restored:
    """Pickles as an estimator with a state of the test's choice."""

    def __init__(self, kind, state):
        self.kind, self.state = kind, state

    def __reduce__(self):
        return (self.kind, (), self.state)


def test_no_model_and_other_formats_say_what_to_do(tmp_path):
    folder, _ = tiny.project(tmp_path)
    with pytest.raises(InputError, match="no model yet") as caught:
        load_model(inspection.read(folder))
    assert "mlpack train" in caught.value.hint
