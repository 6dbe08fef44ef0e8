"""The Open Inference Protocol v2 with JSON and with binary tensors.

`recorded/mlserver-1.7.1.json` holds requests that MLServer's own codecs made: `PandasCodec`,
`NumpyRequestCodec` and the codecs of single columns, of `model_dump_json(exclude_none=True)`.
"""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path

import bundles
import numpy as np
import pytest
from asking import get, post
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpack.runtime.app import App
from mlpack.runtime.contract import Column, Output, Signature
from mlpack.runtime.malformed import MalformedError
from mlpack.runtime.model import Model
from mlpack.runtime.problems import ProblemError
from mlpack.runtime.protocols.inference import Inference, metadata
from mlpack.runtime.protocols.tensors import NUMERIC
from mlpack.runtime.schema import Constraint, Schema
from mlpack.runtime.settings import Settings

INFER = "/v2/models/churn/infer"
RECORDED = json.loads((Path(__file__).parent / "recorded" / "mlserver-1.7.1.json").read_text())
PLANS = ["pro", "basic", "pro"]
VISITS = [5, 0, 3]


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Model:
    """The classifier without the author's constraints."""
    return Model(bundles.bundle(tmp_path_factory.mktemp("plain")))


@pytest.fixture
def app(plain) -> App:
    return App(plain, Settings(max_rows=50))


def tensor(name, datatype, data, shape=None, **parameters):
    made = {"name": name, "shape": shape or [len(data)], "datatype": datatype, "data": data}
    return {**made, "parameters": parameters} if parameters else made


BASE = [tensor("visits", "INT64", VISITS), tensor("plan", "BYTES", PLANS)]


def infer(app, inputs, path=INFER, **more):
    return post(app, path, {"inputs": inputs, **more})


def outputs(answer):
    assert answer.status == 200, answer.body
    return {each["name"]: each for each in answer.json["outputs"]}


def labels(app, rows):
    told = post(app, "/predict", {"instances": rows}).json["predictions"]
    return [each["label"] for each in told], [list(each["probabilities"].values()) for each in told]


def rows(**columns):
    names = {"visits": VISITS, "plan": PLANS, **columns}
    return [dict(zip(names, row, strict=True)) for row in zip(*names.values(), strict=True)]


def packed(*texts: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)


def binary(app, columns, **more):
    """Send columns, each a datatype and its bytes, in the binary form."""
    inputs, rest = [], b""
    for name, (datatype, raw, count, parameters) in columns.items():
        said = {"binary_data_size": len(raw), **parameters}
        inputs.append({"name": name, "shape": [count, 1], "datatype": datatype, "parameters": said})
        rest += raw
    head = json.dumps({"inputs": inputs, **more}).encode()
    length = (b"inference-header-content-length", str(len(head)).encode())
    return post(app, INFER, head + rest, [length], b"application/octet-stream")


# Health and metadata


def test_health_and_metadata(app):
    assert get(app, "/v2").json["extensions"] == ["binary_tensor_data"]
    for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/churn/ready"):
        assert get(app, path).status == get(app, path, "HEAD").status == 200
    assert get(app, "/v2/models/churn/versions/1.2.0/ready").status == 200
    about = get(app, "/v2/models/churn").json
    assert about == get(app, "/v2/models/churn/versions/1.2.0").json
    assert about["name"] == "churn"
    assert about["versions"] == ["1.2.0"]
    assert about["inputs"][1] == {
        "name": "visits",
        "datatype": "INT64",
        "shape": [-1],
        "parameters": {"optional": False},
    }
    assert [each["datatype"] for each in about["inputs"]] == [
        "FP64", "INT64", "BYTES", "BOOL", "BYTES",
    ]  # fmt: skip
    assert about["outputs"] == [
        {"name": "label", "datatype": "BYTES", "shape": [-1]},
        {
            "name": "probabilities",
            "datatype": "FP64",
            "shape": [-1, 2],
            "parameters": {"labels": ["no", "yes"]},
        },
    ]


def test_the_repository_has_one_model(app):
    (model,) = post(app, "/v2/repository/index", {"ready": True}).json
    assert model == {"name": "churn", "version": "1.2.0", "state": "READY", "reason": ""}


def test_other_models_and_versions_are_not_there(app):
    for path in ("/v2/models/x", "/v2/models/churn/versions/2", "/v2/models/churn/config"):
        assert get(app, path).status == 404


def test_a_server_that_stops_is_not_ready(app):
    app.drain()
    assert get(app, "/v2/health/live").status == 200
    for path in ("/v2/health/ready", "/v2/models/churn/ready"):
        assert get(app, path).status == 503


def test_dates_and_demands_in_the_metadata(tmp_path):
    columns = (
        Column(name="day", type="date", dtype="object", held="date"),
        Column(name="size", type="number", dtype="float64"),
    )
    signature = Signature(
        task="regression", columns=columns, outputs=(Output(name="value", type="number", size=2),)
    )
    folder = bundles.bundle(
        tmp_path,
        signature,
        model=bundles.regression_graph(),
        encoding=bundles.Encoding(numbers=("size",)),
        schema=Schema(columns={"size": Constraint(required=True)}),
    )
    about = metadata(Model(folder))
    assert about["inputs"][0]["datatype"] == "BYTES"
    assert about["inputs"][0]["parameters"] == {"optional": True, "format": "date"}
    assert about["inputs"][1]["parameters"] == {"optional": False}
    assert about["outputs"] == [{"name": "value", "datatype": "FP64", "shape": [-1, 2]}]


# JSON


@pytest.mark.parametrize("path", [INFER, "/v2/models/churn/versions/1.2.0/infer"])
def test_columns_are_answered_as_predict_answers_rows(app, path):
    answer = infer(app, BASE, path, id="a-1", parameters={"priority": 1}, model_name="x")
    told = outputs(answer)
    expected, probabilities = labels(app, rows())
    assert answer.json["id"] == "a-1"
    assert answer.json["model_name"] == "churn"
    assert answer.json["model_version"] == "1.2.0"
    assert told["label"]["data"] == expected
    assert told["label"]["shape"] == [3]
    assert told["probabilities"]["shape"] == [3, 2]
    assert told["probabilities"]["data"] == pytest.approx(np.ravel(probabilities))


def test_no_id_is_none(app):
    assert "id" not in infer(app, BASE, id=None, outputs=None, parameters=None).json


def test_one_row_and_nested_data(app):
    one = [tensor("visits", "INT8", [[5]], [1, 1]), tensor("plan", "BYTES", [["pro"]], [1, 1])]
    assert outputs(infer(app, one))["label"]["data"] == labels(app, rows()[:1])[0]
    nested = [
        tensor("visits", "INT64", [[each] for each in VISITS], [3, 1]),
        tensor("plan", "BYTES", PLANS, [3, 1]),
    ]
    assert outputs(infer(app, nested))["label"]["data"] == labels(app, rows())[0]


def test_requested_outputs_in_their_order(app):
    answer = infer(app, BASE, outputs=[{"name": "probabilities"}, {"name": "label"}])
    assert [each["name"] for each in answer.json["outputs"]] == ["probabilities", "label"]
    answer = infer(app, BASE, outputs=[{"name": "label", "parameters": None}])
    assert [each["name"] for each in answer.json["outputs"]] == ["label"]


@pytest.mark.parametrize(
    "age",
    [
        tensor("age", "FP64", [42.5, None, 13.5]),
        tensor("age", "FP32", [42.5, None, 13.5], content_type="np"),
        tensor("age", "BYTES", ["42.5", "null", "13.5"], content_type="pd_json"),
    ],
)
def test_missing_numbers(app, age):
    told = outputs(infer(app, [*BASE, age]))
    expected = labels(app, rows(age=[42.5, None, 13.5]))
    assert told["label"]["data"] == expected[0]
    assert told["probabilities"]["data"] == pytest.approx(np.ravel(expected[1]))


def test_nan_as_python_writes_it_is_missing(app):
    age = tensor("age", "FP64", [42.5, math.nan, 13.5])
    told = outputs(infer(app, [*BASE, age]))
    expected = labels(app, rows(age=[42.5, None, 13.5]))[1]
    assert told["probabilities"]["data"] == pytest.approx(np.ravel(expected))


def test_infinity_is_read_and_refused_where_the_original_refuses_it(app):
    answer = infer(app, [*BASE, tensor("age", "FP64", [math.inf, 1, 1])])
    assert answer.status == 422
    assert answer.json["errors"][0]["column"] == "age"


@pytest.mark.parametrize(
    "vip",
    [
        tensor("vip", "BOOL", [True, None, False]),
        tensor("vip", "FP64", [1.0, None, 0.0]),
        tensor("vip", "UINT8", [1, None, 0]),
    ],
)
def test_booleans(app, vip):
    told = outputs(infer(app, [*BASE, vip]))
    expected = labels(app, rows(vip=[True, None, False]))[1]
    assert told["probabilities"]["data"] == pytest.approx(np.ravel(expected))


def test_whole_numbers_as_floats(app):
    inputs = [tensor("visits", "FP64", [5.0, 0.0, 3.0]), BASE[1]]
    assert outputs(infer(app, inputs))["label"]["data"] == labels(app, rows())[0]
    inputs[0]["data"] = [5.0, 0.5, 3.0]
    assert infer(app, inputs).json["errors"][0]["column"] == "visits"


@pytest.mark.parametrize("where", ["request", "input"])
def test_a_text_that_means_missing(app, where):
    said = {"missing": "None"}
    plan = tensor("plan", "BYTES", ["pro", "None", "pro"], **(said if where == "input" else {}))
    answer = infer(app, [BASE[0], plan], **({"parameters": said} if where == "request" else {}))
    expected = labels(app, rows(plan=["pro", None, "pro"]))[1]
    assert outputs(answer)["probabilities"]["data"] == pytest.approx(np.ravel(expected))


def test_constraints_and_refusals_name_row_and_column(churn):
    app = App(churn, Settings())
    answer = infer(app, [BASE[0], tensor("plan", "BYTES", ["pro", None, "pro"])])
    assert answer.status == 422
    (error,) = answer.json["errors"]
    assert (error["row"], error["column"]) == (1, "plan")
    assert answer.json["error"] == answer.json["detail"]


@pytest.mark.parametrize(
    ("inputs", "status"),
    [
        ([], 400),
        ([tensor("visits", "INT64", VISITS, [2])], 400),
        ([tensor("visits", "INT64", VISITS, [-3])], 400),
        ([tensor("visits", "INT64", VISITS, [3, 1, 1])], 400),
        ([tensor("visits", "INT64", VISITS, [1, 3])], 400),
        ([tensor("visits", "INT64", [5, [0, 3]], [3])], 400),
        ([tensor("visits", "INT64", [[5, 0], [3]], [3])], 400),
        ([tensor("visits", "INT", VISITS)], 400),
        ([tensor("visits", "BF16", VISITS)], 400),
        ([*BASE, BASE[0]], 400),
        ([*BASE, tensor("age", "FP64", [1.0])], 400),
        ([{**BASE[0], "data": "5"}], 400),
        ([{**BASE[0], "data": None}], 400),
        ([{**BASE[0], "name": 1}], 400),
        ([{**BASE[0], "shape": []}], 400),
        ([{**BASE[0], "shape": [10**30]}], 400),
        ([{**BASE[0], "shape": "3"}], 400),
        ([{"name": "visits", "shape": [3], "datatype": "INT64"}], 400),
        ([tensor("visits", "INT64", VISITS, binary_data_size=4)], 400),
        ([tensor("note", "BYTES", ["!"] * 3, content_type="base64")], 400),
        ([tensor("note", "BYTES", ["{"] * 3, content_type="pd_json")], 400),
        ([tensor("visits", "INT64", VISITS, shared_memory_region="a")], 400),
        ([tensor("x", "INT64", VISITS)], 422),
        ([tensor("x", "INT64", [1])], 422),
        ([*BASE, tensor("x", "INT64", VISITS)], 422),
        ([tensor("visits", "INT64", VISITS, [0])], 400),
        ([{**tensor("visits", "INT64", []), "shape": [0]}], 422),
        ([tensor("visits", "INT64", [5]), tensor("plan", "BYTES", [5])], 422),
        ([tensor("visits", "INT64", [2**63, 0, 1])], 422),
        ([tensor("visits", "INT64", [10**400, 0, 1])], 422),
        ([tensor("visits", "INT64", [{}, [], "x"])], 422),
        ([tensor("visits", "INT64", [1] * 51)], 413),
    ],
)
def test_what_is_wrong_is_refused(app, inputs, status):
    answer = infer(app, inputs)
    assert answer.status == status, answer.body
    assert answer.type == b"application/problem+json"
    assert answer.json["error"]


def test_what_cannot_be_asked_for(app):
    assert "label, probabilities" in infer(app, BASE, outputs=[{"name": "x"}]).json["error"]
    wanted = {"name": "label", "parameters": {"classification": 2}}
    assert infer(app, BASE, outputs=[wanted]).status == 400


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'{"inputs": 1}', b"\xff", b"[" * 10_000]
)
def test_what_is_no_request_is_refused(app, body):
    assert post(app, INFER, body).status == 400


# MLServer's codecs


def test_a_data_frame_that_mlserver_encoded(app):
    told = outputs(post(app, INFER, RECORDED["pandas, text"]))
    given = [
        {"age": 42.0, "visits": 5, "plan": "pro", "vip": True},
        {"age": None, "visits": 2, "plan": "basic", "vip": False},
    ]
    assert told["label"]["data"] == labels(app, given)[0]
    mixed = outputs(post(app, INFER, RECORDED["pandas, mixed"]))
    assert mixed["label"]["data"] == labels(app, given[:1])[0]


def test_columns_that_mlservers_own_codecs_encoded(app):
    given = [
        {"age": 42.0, "visits": 5, "plan": "pro", "note": "hi"},
        {"visits": 2, "plan": "basic", "note": "ho"},
    ]
    told = outputs(post(app, INFER, RECORDED["columns of their own codecs"]))
    assert told["label"]["data"] == labels(app, given)[0]
    assert told["label"]["parameters"]["content_type"] == "str"


def test_a_matrix_that_mlserver_encoded(price, app):
    priced = App(price, Settings())
    (matrix,) = RECORDED["numpy"]["inputs"]
    assert matrix["data"] == [1.0, 2.0, 3.0, 4.0]  # rows of size and rooms; there are no 4 rooms
    assert infer(priced, [matrix]).json["errors"][0]["column"] == "rooms"
    matrix = {**matrix, "data": [1.0, 2.0, 3.0, 1.0]}
    assert outputs(infer(priced, [matrix]))["value"]["data"] == [3.0, 6.0]
    # Texts have no place in a matrix: which column is which has to be said.
    assert infer(app, [tensor("x", "FP64", [1.0] * 10, [2, 5])]).status == 400


# Binary tensors


def test_binary_columns(app):
    columns = {
        "age": ("FP32", np.array([42.5, np.nan, 13.5], "<f4").tobytes(), 3, {}),
        "visits": ("INT16", np.array(VISITS, "<i2").tobytes(), 3, {}),
        "plan": ("BYTES", packed(b"pro", b"None", "é".encode()), 3, {"missing": "None"}),
        "vip": ("BOOL", b"\x01\x00\x01", 3, {}),
    }
    given = rows(age=[42.5, None, 13.5], plan=["pro", None, "é"], vip=[True, False, True])
    told = outputs(binary(app, columns))
    expected, probabilities = labels(app, given)
    assert told["label"]["data"] == expected
    assert told["probabilities"]["data"] == pytest.approx(np.ravel(probabilities))


def test_nullable_columns_as_floats_with_nan(price, app):
    vip = {
        "visits": ("INT64", np.array([5, 5], "<i8").tobytes(), 2, {}),
        "plan": ("BYTES", packed(b"pro", b"pro"), 2, {}),
        "vip": ("FP64", np.array([1, np.nan]).tobytes(), 2, {}),
    }
    given = [{"visits": 5, "plan": "pro", "vip": True}, {"visits": 5, "plan": "pro"}]
    expected = labels(app, given)[1]
    assert outputs(binary(app, vip))["probabilities"]["data"] == pytest.approx(np.ravel(expected))
    rooms = {
        "size": ("FP64", np.array([1.0, 2.0]).tobytes(), 2, {}),
        "rooms": ("FP64", np.array([2, np.nan]).tobytes(), 2, {}),
    }
    told = outputs(binary(App(price, Settings()), rooms))
    assert told["value"]["data"] == [3.0, 8.0]  # a missing one has the last code


def test_binary_outputs(app):
    columns = {
        "visits": ("INT64", np.array(VISITS, "<i8").tobytes(), 3, {}),
        "plan": ("BYTES", packed(b"pro", b"basic", b"pro"), 3, {}),
    }
    answer = binary(app, columns, parameters={"binary_data_output": True})
    assert answer.type == b"application/octet-stream"
    length = int(answer.headers[b"inference-header-content-length"])
    head, rest = json.loads(answer.body[:length]), answer.body[length:]
    label, probabilities = head["outputs"]
    expected = labels(app, rows())
    size = label["parameters"]["binary_data_size"]
    assert rest[:size] == packed(*(each.encode() for each in expected[0]))
    assert "data" not in label
    told = np.frombuffer(rest[size:], "<f8").reshape(probabilities["shape"])
    assert told == pytest.approx(np.array(expected[1]))
    # One output may be asked for in another form than the rest.
    wanted = [{"name": "label", "parameters": {"binary_data": False}}, {"name": "probabilities"}]
    answer = binary(app, columns, parameters={"binary_data_output": True}, outputs=wanted)
    length = int(answer.headers[b"inference-header-content-length"])
    head = json.loads(answer.body[:length])
    assert head["outputs"][0]["data"] == expected[0]
    assert len(answer.body) - length == head["outputs"][1]["parameters"]["binary_data_size"] == 48


@pytest.mark.parametrize(
    "column",
    [
        ("INT64", b"1234567", 1, {}),
        ("INT64", b"12345678", 2, {}),
        ("BYTES", b"\x05\x00\x00\x00abc", 1, {}),
        ("BYTES", b"\x00\x00", 1, {}),
        ("BYTES", packed(b"\xff"), 1, {}),
        ("BYTES", packed(b"a", b"b"), 1, {}),
        ("BOOL", b"\x02", 1, {}),
        ("FP64", b"", 1, {}),
        ("FP64", b"12345678", 1, {"binary_data_size": 9}),
        ("FP64", b"12345678", 1, {"binary_data_size": 4}),
        ("FP64", b"12345678", 1, {"binary_data_size": -1}),
        ("FP64", b"12345678", 1, {"binary_data_size": True}),
        ("FP64", b"12345678", 1, {"binary_data_size": "8"}),
    ],
)
def test_bytes_that_are_no_such_tensor_are_refused(app, column):
    assert binary(app, {"visits": column}).status == 400


@pytest.mark.parametrize("length", [b"-1", b"x", b"", b"99999", b"1e3", b"9" * 5000])
def test_a_length_that_cannot_be_is_refused(app, length):
    header = (b"inference-header-content-length", length)
    answer = post(app, INFER, {"inputs": BASE}, [header])
    assert answer.status == 400


@pytest.mark.parametrize(
    ("names", "datatype", "told"),
    [
        ((0, 1), "INT64", [1, 0]),
        ((False, True), "BOOL", [True, False]),
        ((0.5, 2), "FP64", [2.0, 0.5]),
        (("a", 1), "BYTES", ["1", "a"]),
    ],
)
def test_labels_have_their_own_datatype(tmp_path, names, datatype, told):
    signature = Signature(
        **{
            **{field: getattr(bundles.SIGNATURE, field) for field in Signature.__struct_fields__},
            "labels": names,
            "positive": names[1],
        }
    )
    app = App(Model(bundles.bundle(tmp_path, signature)), Settings())
    inputs = [
        tensor("visits", "INT64", [9, 0]),
        tensor("plan", "BYTES", ["pro", "pro"]),
        tensor("vip", "BOOL", [False, False]),
    ]
    label = outputs(infer(app, inputs))["label"]
    assert (label["datatype"], label["data"]) == (datatype, told)
    columns = {
        "visits": ("INT64", np.array([9, 0], "<i8").tobytes(), 2, {}),
        "plan": ("BYTES", packed(b"pro", b"pro"), 2, {}),
        "vip": ("BOOL", b"\x00\x00", 2, {}),
    }
    wanted = [{"name": "label", "parameters": {"binary_data": True}}]
    answer = binary(app, columns, outputs=wanted)
    raw = answer.body[int(answer.headers[b"inference-header-content-length"]) :]
    if datatype == "BYTES":
        assert raw == packed(b"1", b"a")
    else:
        assert np.frombuffer(raw, NUMERIC[datatype]).tolist() == told


def test_outliers_tell_a_score(tmp_path):
    folder = bundles.bundle(
        tmp_path,
        bundles.OUTLIERS,
        model=bundles.outliers_graph(),
        encoding=bundles.OUTLIERS_ENCODING,
    )
    told = outputs(infer(App(Model(folder), Settings()), [tensor("size", "FP64", [1.0, -5.0])]))
    assert told["label"]["data"] == [1, -1]
    assert told["score"]["data"] == [2.0, -2.0]


# Whatever comes, there is an answer or a refusal.

heads = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["age", "visits", "plan", "vip", "note", "x", ""]),
        "shape": st.lists(st.integers(-1, 4), max_size=3),
        "datatype": st.sampled_from([*NUMERIC, "BYTES", "BF16", ""]),
    },
    optional={
        "data": st.lists(
            st.one_of(
                st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3),
                st.lists(st.integers(0, 3), max_size=3),
            ),
            max_size=5,
        ),
        "parameters": st.dictionaries(
            st.sampled_from(["binary_data_size", "content_type", "missing"]),
            st.one_of(
                st.integers(-1, 40), st.sampled_from(["base64", "pd_json", "str"]), st.booleans()
            ),
        ),
    },
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(
    inputs=st.lists(heads, max_size=3),
    rest=st.binary(max_size=64),
    shift=st.sampled_from([0, 0, 0, 0, -1, 1]),
)
def test_whatever_comes_is_answered_or_refused(plain, inputs, rest, shift):
    head = json.dumps({"inputs": inputs}).encode()
    length = str(len(head) + shift).encode()
    exchange = Inference(plain).open({b"inference-header-content-length": length})
    try:
        found = exchange.read(head + rest)
    except (MalformedError, ProblemError):
        return
    if isinstance(found, tuple):
        assert len(found) == len(plain.signature.columns)
    elif not found.refusals:
        predictions = plain.predict_clean(found)
        if not predictions.refusals:
            assert json.loads(exchange.write(predictions).body)["outputs"]


cells = st.lists(st.text(st.characters(codec="utf-8"), max_size=5), min_size=1, max_size=5)


@settings(max_examples=100, deadline=None)
@given(texts=cells)
def test_texts_come_through_as_they_are(plain, texts):
    raw = packed(*(text.encode() for text in texts))
    inputs = [
        tensor("visits", "INT64", [1] * len(texts)),
        {
            "name": "note",
            "shape": [len(texts)],
            "datatype": "BYTES",
            "parameters": {"binary_data_size": len(raw)},
        },
    ]
    head = json.dumps({"inputs": inputs}).encode()
    exchange = Inference(plain).open({b"inference-header-content-length": b"%d" % len(head)})
    found = exchange.read(head + raw)
    note = [found[4]] if isinstance(found, tuple) else list(found.columns[4])
    assert note == texts
