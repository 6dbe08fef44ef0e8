"""Model files are read without being loaded, whatever is in them."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile

import joblib
import numpy as np
import pytest
import sklearn
from hostile import UNREADABLE
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from mlpack.inspection import pickles

ROWS = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 7.0], [0.0, 1.0]])
LABELS = np.array(["a", "b", "a", "b"])
STRINGS = np.array([["x"], ["y"], ["x"], [None]], dtype=object)


@pytest.fixture(scope="module")
def pipeline():
    columns = ColumnTransformer(
        [("n", StandardScaler(), [0, 1]), ("s", OneHotEncoder(handle_unknown="ignore"), [2])]
    )
    rows = np.hstack([ROWS.astype(object), STRINGS])
    model = RandomForestClassifier(3, random_state=0)
    return Pipeline([("columns", columns), ("model", model)]).fit(rows, LABELS)


def imported(data: bytes) -> set[str]:
    """What the standard library's unpickler imports, asked by really loading."""
    seen = set()

    class Recorder(pickle.Unpickler):
        def find_class(self, module, name):
            seen.add(f"{module}.{name}")
            return super().find_class(module, name)

    Recorder(io.BytesIO(data)).load()
    return seen


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol_gives_exactly_what_loading_imports(tmp_path, pipeline, protocol):
    data = pickle.dumps(pipeline, protocol)
    path = tmp_path / "model.pkl"
    path.write_bytes(data)
    contents = pickles.read(path)
    assert contents.complete, contents.problem
    assert set(contents.classes) == imported(data)
    assert contents.root == "sklearn.pipeline.Pipeline"
    assert contents.sklearn == sklearn.__version__


@pytest.mark.parametrize("compress", [0, 3, ("gzip", 3), ("bz2", 3), ("lzma", 3), ("xz", 3)])
def test_joblib_files_are_followed_past_their_arrays(tmp_path, pipeline, compress):
    path = tmp_path / "model.joblib"
    joblib.dump(pipeline, path, compress=compress)
    contents = pickles.read(path)
    assert contents.complete, contents.problem
    assert contents.root == "sklearn.pipeline.Pipeline"
    assert contents.sklearn == sklearn.__version__
    assert "sklearn.tree._tree.Tree" in contents.classes
    # The encoder's categories are an array of objects: a pickle inside the pickle.
    assert "sklearn.preprocessing._encoders.OneHotEncoder" in contents.classes


@pytest.mark.parametrize(
    "array",
    [
        np.arange(7, dtype="int8"),
        np.zeros((0, 3)),
        np.array(3.5),
        np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        np.array(["a", "bcd"]),
        np.array([b"a", b"bcd"]),
        np.array([True, False]),
        np.array(["2024-01-01"], dtype="datetime64[ns]"),
        np.zeros(3, dtype=[("left", "<i8"), ("right", "<f4"), ("word", "U5")]),
        np.zeros(2, dtype=[("thing", "O"), ("n", "i4")]),
        np.array([{"a": [1, 2]}, None], dtype=object),
        np.arange(4, dtype=">f8"),
        np.arange(3, dtype="complex128"),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_arrays_of_every_type_are_skipped_to_the_byte(tmp_path, array):
    path = tmp_path / "model.joblib"
    joblib.dump([array, LogisticRegression(), array, "end"], path)
    contents = pickles.read(path)
    assert contents.complete, contents.problem
    assert "sklearn.linear_model._logistic.LogisticRegression" in contents.classes


class Malicious:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.mkdir, (self.target,)


@pytest.mark.parametrize(
    "write", [joblib.dump, lambda value, path: path.write_bytes(pickle.dumps(value))]
)
def test_nothing_in_a_malicious_pickle_is_run(tmp_path, write):
    target = tmp_path / "pwned"
    path = tmp_path / "model.pkl"
    write({"model": [Malicious(str(target))]}, path)
    contents = pickles.read(path)
    assert not target.exists()
    assert contents.classes == (f"{os.mkdir.__module__}.mkdir",)
    # The file is what it claims to be: loading it does what reading it did not.
    pickle.loads(path.read_bytes())
    assert target.exists()


def test_the_names_that_a_trick_hides_in_the_memo_are_found(tmp_path):
    # STACK_GLOBAL with both strings fetched from the memo, behind a mark that is dropped.
    data = b"\x80\x04\x8c\x02os\x94\x8c\x06system\x94(K\x01K\x0210h\x00h\x01\x93\x8c\x02ls\x85R."
    path = tmp_path / "model.pkl"
    path.write_bytes(data)
    assert pickles.read(path).classes == ("os.system",)


@pytest.mark.parametrize("compress", [0, 3, ("gzip", 3), ("bz2", 3), ("xz", 3)])
def test_a_truncated_file_says_so_wherever_it_ends(tmp_path, pipeline, compress):
    path = tmp_path / "model.joblib"
    joblib.dump(pipeline, path, compress=compress)
    data = path.read_bytes()
    for share in (0.2, 0.5, 0.9, 0.999):
        path.write_bytes(data[: int(len(data) * share)])
        contents = pickles.read(path)
        assert not contents.complete
        assert "truncated" in contents.problem


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "truncated"),
        (b"hello\n", "not a pickle"),
        (b"<html></html>", "not a pickle"),
        (b"\x80\x04.", "not a pickle"),
        (b"\x80\x04R.", "not a pickle"),
        (b"\x80\x04N.more", "follows the end"),
        (b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.", "truncated"),
        (b"\x04\x22\x4d\x18rest", "LZ4"),
        (b"ZF0x10", "before 0.9.3"),
        (b"x\x9cgarbage", "not a pickle"),
        (b"\x80\x02P1\n.", "not a pickle"),
    ],
)
def test_what_is_no_pickle_is_told_and_not_raised(tmp_path, data, problem):
    path = tmp_path / "model.pkl"
    path.write_bytes(data)
    contents = pickles.read(path)
    assert not contents.complete
    assert problem in contents.problem


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_no_damage_to_a_file_raises(tmp_path, data):
    good = pickle.dumps([LogisticRegression(), {"a": (1, 2.5, b"x")}, {1, 2}], protocol=4)
    place = data.draw(st.integers(0, len(good) - 1))
    patch = data.draw(st.binary(min_size=1, max_size=6))
    path = tmp_path / "model.pkl"
    path.write_bytes(good[:place] + patch + good[place + len(patch) :])
    contents = pickles.read(path)
    assert contents.complete == (contents.problem is None)


def test_a_skops_file(tmp_path):
    schema = {
        "__class__": "Pipeline",
        "__module__": "sklearn.pipeline",
        "__loader__": "ObjectNode",
        "content": {
            "content": {
                "steps": {"__class__": "list", "__module__": "builtins", "content": []},
                "model": {"__class__": "Own", "__module__": "churn.features"},
                "_sklearn_version": {"__class__": "str", "content": '"1.5.2"'},
            }
        },
    }
    path = tmp_path / "model.skops"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("schema.json", json.dumps(schema))
    contents = pickles.read(path)
    assert contents == pickles.Contents(
        "skops",
        root="sklearn.pipeline.Pipeline",
        classes=("churn.features.Own", "sklearn.pipeline.Pipeline"),
        sklearn="1.5.2",
    )


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"no zip"])
def test_a_skops_file_that_is_none(tmp_path, data):
    path = tmp_path / "model.skops"
    path.write_bytes(data)
    assert not pickles.read(path).complete


def test_a_zip_that_is_no_skops_file(tmp_path):
    path = tmp_path / "model.skops"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("other.json", "{}")
    assert "schema.json" in pickles.read(path).problem


@pytest.mark.parametrize("what", UNREADABLE)
def test_a_skops_file_whose_description_cannot_be_read(tmp_path, what):
    path = tmp_path / "model.skops"
    path.write_bytes(UNREADABLE[what])
    found = pickles.read(path)
    assert not found.complete
    assert "not a skops file" in found.problem
