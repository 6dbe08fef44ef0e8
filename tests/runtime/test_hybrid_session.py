"""A hybrid: a graph made by hand, and fitted steps that stay Python beside it."""

from __future__ import annotations

import hashlib
import io
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import joblib
import msgspec
import numpy as np
import pandas as pd
import pytest
from onnx import TensorProto, helper
from runtime.bundles import blob
from scipy import sparse

from mlpack.runtime import contract
from mlpack.runtime.contract import Codes, Column, Encoding, Manifest, Output, Part, Signature
from mlpack.runtime.faults import InvalidInputError, ModelError
from mlpack.runtime.hybrid_session import HybridEncoder, HybridEngine, answer, load_parts
from mlpack.runtime.model import Model
from mlpack.runtime.schema import Schema
from mlpack.runtime.session import Session

SIGNATURE = Signature(
    task="regression",
    columns=(
        Column(name="size", type="number", dtype="float64", nullable=False),
        Column(name="name", type="string", dtype="object"),
        Column(name="count", type="integer", dtype="int32"),
    ),
    outputs=(Output(name="value", type="number"),),
)
PART = Part(name="python_0", columns=("name", "count"), width=2)
ENCODING = Encoding(numbers=("size",), parts=(PART,))


def graph(*, fed: bool = True) -> bytes:
    """value = size + the sum of the part's two numbers, if it is fed."""
    inputs = {"numbers": 1, **({"python_0": 2} if fed else {})}
    nodes = [helper.make_node("Concat", list(inputs), ["all"], axis=1)]
    nodes.append(helper.make_node("ReduceSum", ["all", "one"], ["value"], keepdims=1))
    made = helper.make_graph(
        nodes,
        "core",
        [
            helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["rows", width])
            for name, width in inputs.items()
        ],
        [helper.make_tensor_value_info("value", TensorProto.DOUBLE, ["rows", 1])],
        [helper.make_tensor("one", TensorProto.INT64, [1], [1])],
    )
    opset = [helper.make_opsetid("", 19)]
    return helper.make_model(made, opset_imports=opset, ir_version=9).SerializeToString()


class Lengths:
    """The length of the name, and the count; raises for the name ``bad``."""

    def __init__(self, kind=np.asarray, pause=0.0):
        self.kind = kind
        self.pause = pause
        self.given = []

    def transform(self, rows):
        self.given.append(rows)
        time.sleep(self.pause)
        if (rows["name"] == "bad").any():
            raise RuntimeError("a bad name")
        lengths = [len(str(name)) for name in rows["name"]]
        return self.kind(np.column_stack([lengths, rows["count"].to_numpy(np.float64)]))


class Wide:
    """Answers as many numbers a row as there are letters in the longest name."""

    def transform(self, rows):
        return np.zeros((len(rows), max(len(str(name)) for name in rows["name"])))


def session(*steps, encoding=ENCODING, fed=True):
    return Session(
        SIGNATURE, HybridEngine(graph(fed=fed), encoding, SIGNATURE, {"python_0": steps})
    )


def rows(*names):
    return [{"size": 0.5, "name": name, "count": i} for i, name in enumerate(names)]


def values(predictions):
    return predictions.values[:, 0].tolist()


def test_the_graph_goes_on_with_what_the_steps_answer():
    served = session(Lengths())
    assert values(served.rows(rows("a", "abc"))) == [1.5, 4.5]
    assert values(served.rows(rows("abc"))) == [3.5]
    columns = {"size": [0.5, 0.5], "name": ["a", "abc"], "count": np.array([0, 1])}
    assert values(served.columns(columns)) == [1.5, 4.5]
    assert values(served.rows([])) == []
    assert served.engine.blocking
    served.warm()


def test_a_step_is_given_its_columns_in_their_dtypes_and_no_others():
    steps = Lengths()
    session(steps).rows(rows("a", None))
    (given,) = steps.given
    assert list(given.columns) == ["name", "count"]
    assert given.dtypes.astype(str).tolist() == ["object", "int32"]
    assert given["name"].isna().tolist() == [False, True]
    assert given.index.tolist() == [0, 1]


def test_several_steps_go_one_after_the_other_and_one_column_may_be_a_series():
    class Series:
        def transform(self, column):
            assert isinstance(column, pd.Series)
            return column.str.len()

    class Double:
        def transform(self, lengths):
            return np.column_stack([lengths, lengths])

    part = Part(name="python_0", columns=("name",), width=2, series=True)
    served = session(Series(), Double(), encoding=Encoding(numbers=("size",), parts=(part,)))
    assert values(served.rows(rows("a", "abc"))) == [2.5, 6.5]


@pytest.mark.parametrize("names", [("bad",), ("a", "bad", "abc", "bad", "ab"), ("bad", "bad")])
def test_a_row_for_which_a_step_raises_is_refused_and_the_others_are_answered(names):
    predictions = session(Lengths()).rows(rows(*names))
    wrong = [row for row, name in enumerate(names) if name == "bad"]
    assert [refusal.row for refusal in predictions.refusals] == wrong
    assert {refusal.got for refusal in predictions.refusals} == {"RuntimeError: a bad name"}
    for row, name in enumerate(names):
        if name != "bad":
            assert predictions.values[row, 0] == 0.5 + len(name) + row


def test_a_row_is_refused_once_with_the_readers_reason_first():
    predictions = session(Lengths()).rows([{"name": "bad", "count": 1}, *rows("bad")])
    assert [(each.row, each.column) for each in predictions.refusals] == [(0, "size"), (1, None)]


def test_a_step_that_answers_otherwise_than_told_refuses_the_row_and_says_how():
    predictions = session(Wide()).rows(rows("ab", "abc"))
    assert [refusal.row for refusal in predictions.refusals] == [1]
    assert "Wide answered (1, 3) for 1 rows, not (1, 2)" in predictions.refusals[0].got


def test_a_part_that_the_graph_does_not_need_may_still_refuse():
    predictions = session(Lengths(), fed=False).rows(rows("a", "bad"))
    assert [refusal.row for refusal in predictions.refusals] == [1]
    assert predictions.values[0, 0] == 0.5


def test_many_rows_may_be_taken_in_pieces():
    pieces = msgspec.structs.replace(ENCODING, at_once=2)
    names = ["a", "bad", "abc", "ab", "bad"]
    whole, some = session(Lengths()), session(Lengths(), encoding=pieces)
    told, found = whole.rows(rows(*names)), some.rows(rows(*names))
    assert [refusal.row for refusal in found.refusals] == [1, 4]
    kept = ~told.refused
    assert told.values[kept].tolist() == found.values[kept].tolist()


@pytest.mark.parametrize(
    "kind",
    [
        sparse.csr_matrix,
        pd.DataFrame,
        lambda numbers: pd.DataFrame(numbers).astype({0: "Int64", 1: "float32"}),
        lambda numbers: pd.DataFrame(numbers).astype({0: "int8", 1: "object"}),
        lambda numbers: numbers.astype(np.int64),
        lambda numbers: numbers.astype(object),
        lambda numbers: numbers.tolist(),
    ],
)
def test_answers_of_any_kind_become_doubles(kind):
    predictions = session(Lengths(kind)).rows(rows("a", "abc"))
    assert values(predictions) == [1.5, 4.5]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (lambda numbers: numbers.astype(np.float32), "float32"),
        (lambda numbers: pd.DataFrame(numbers).astype("float32"), "float32"),
        (lambda numbers: numbers.astype("datetime64[s]"), "datetime64"),
        (lambda numbers: numbers.astype(str), "<U"),
        (lambda numbers: numbers.astype(complex), "complex128"),
        (lambda numbers: np.array([["a", "b"]] * len(numbers), object), "could not convert"),
        (lambda numbers: numbers[:, 0], "answered"),
    ],
)
def test_answers_that_the_graph_could_not_go_on_with_are_refused(kind, said):
    (refusal,) = session(Lengths(kind)).rows(rows("a")).refusals
    assert said in refusal.got


def test_missing_numbers_of_pandas_are_missing():
    class Nullable:
        def transform(self, rows):
            return pd.DataFrame({"a": rows["count"].astype("Int64"), "b": [1.5] * len(rows)})

    frame = pd.DataFrame({"count": pd.array([1, None], dtype="Int64")})
    assert np.isnan(answer([Nullable()], frame)).tolist() == [[False, False], [True, False]]


def test_memory_that_runs_out_is_no_refusal():
    class Hungry:
        def transform(self, rows):
            raise MemoryError

    with pytest.raises(MemoryError):
        session(Hungry()).rows(rows("a"))


def test_several_threads_do_not_disturb_each_other():
    served = session(Lengths(pause=0.002))
    barrier = threading.Barrier(8)

    def ask(length):
        barrier.wait()
        names = ["x" * length, "bad", "y" * (length + 1)]
        predictions = served.rows(rows(*names))
        return predictions.values[[0, 2], 0].tolist(), [each.row for each in predictions.refusals]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, range(1, 9)))
    assert found == [([0.5 + n, 3.5 + n], [1]) for n in range(1, 9)]


# The bundle


def pickled(value):
    out = io.BytesIO()
    joblib.dump(value, out)
    return out.getvalue()


def bundle(folder, parts=None, *, without=False):
    folder.mkdir()
    parts = pickled({"python_0": [Lengths()]}) if parts is None else parts
    files = {
        contract.SIGNATURE_FILE: contract.encode(SIGNATURE),
        contract.SCHEMA_FILE: contract.encode(Schema()),
        contract.ENCODING_FILE: contract.encode(ENCODING),
    }
    fields = {
        "name": "churn",
        "version": "1.2.0",
        "package": "churn",
        "form": "hybrid",
        "python": "3.11",
        "model": blob(folder, contract.ONNX_FILE, graph()),
        "parts": blob(folder, contract.PARTS_FILE, parts),
        "files": tuple(blob(folder, name, data) for name, data in files.items()),
        "runtime": "0" * 64,
        "lock": "0" * 64,
    }
    made = Manifest(**{**fields, **({"parts": None} if without else {})})
    (folder / contract.MANIFEST_FILE).write_bytes(contract.encode(made))
    return folder


def test_a_bundle_of_a_hybrid(tmp_path):
    model = Model(bundle(tmp_path / "data"))
    assert model.predict(rows("a", "abc")) == [1.5, 4.5]
    assert model.predict(pd.DataFrame(rows("a", "abc"))) == [1.5, 4.5]
    with pytest.raises(InvalidInputError, match="a bad name"):
        model.predict(rows("bad"))


def test_parts_that_are_not_those_of_the_manifest_are_never_loaded(tmp_path):
    folder = bundle(tmp_path / "data")
    marker = tmp_path / "loaded"
    (folder / contract.PARTS_FILE).write_bytes(pickled({"python_0": [Touch(marker)]}))
    with pytest.raises(ModelError, match=r"parts\.joblib is damaged: its SHA-256"):
        Model(folder)
    assert not marker.exists()
    (folder / contract.PARTS_FILE).unlink()
    with pytest.raises(ModelError, match=r"parts\.joblib is missing"):
        Model(folder)


class Touch:
    """Leaves a trace when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (type(self.path).touch, (self.path,))


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        (b"", "cannot be loaded"),
        (b"no pickle", "cannot be loaded"),
        (b"cno_such_module\nname\n.", "no_such_module.*exactly what the lock has"),
        (pickled([1]), "damaged"),
        (pickled({"python_1": []}), "lacks python_0"),
    ],
)
def test_parts_that_cannot_be_used_here_are_told(tmp_path, parts, said):
    with pytest.raises(ModelError, match=said):
        Model(bundle(tmp_path / "data", parts))


def test_a_manifest_without_parts_is_told(tmp_path):
    with pytest.raises(ModelError, match="names no Python parts"):
        Model(bundle(tmp_path / "data", without=True))


def test_a_manifest_of_before_has_no_parts():
    old = {
        **dict.fromkeys(("name", "version", "package", "python", "runtime", "lock"), "x"),
        "form": "onnx",
        "model": {"file": "model.onnx", "sha256": hashlib.sha256().hexdigest(), "size": 0},
        "files": [],
    }
    assert contract.decode(msgspec.json.encode(old), Manifest, "manifest.json").parts is None
    assert contract.decode(b'{"numbers": ["a"]}', Encoding, "encoding.json").parts == ()


def test_the_parts_of_a_pickle():
    assert [type(step) for step in load_parts(pickled({"python_0": [Lengths()]}))["python_0"]] == [
        Lengths
    ]


def test_a_row_that_the_encoding_refuses_is_not_refused_again_by_a_part():
    codes = Codes(column="name", categories=("a",), refuse_unknown=True)
    encoding = Encoding(numbers=("size",), codes=(codes,), parts=(PART,))
    encoder = HybridEncoder(SIGNATURE, encoding, {"python_0": (Lengths(),)}, {"python_0"})
    columns = [np.array([0.5, 0.5]), ["a", "bad"], np.array([1, 1])]
    for refusals in (encoder.many(columns, 2)[1], encoder.one([0.5, "bad", 1])[1]):
        assert [refusal.column for refusal in refusals] == ["name"]
