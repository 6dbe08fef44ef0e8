"""The messages of gRPC, against those that protobuf's own package makes and reads."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2 as pb

from mlpack.runtime.malformed import MalformedError
from mlpack.runtime.protocols import grpc_messages as messages
from mlpack.runtime.protocols import protobuf
from mlpack.runtime.protocols.tensors import NUMERIC, elements

CONTENTS = {
    "BOOL": ("bool_contents", st.booleans()),
    "INT8": ("int_contents", st.integers(-(2**7), 2**7 - 1)),
    "INT16": ("int_contents", st.integers(-(2**15), 2**15 - 1)),
    "INT32": ("int_contents", st.integers(-(2**31), 2**31 - 1)),
    "INT64": ("int64_contents", st.integers(-(2**63), 2**63 - 1)),
    "UINT8": ("uint_contents", st.integers(0, 2**8 - 1)),
    "UINT16": ("uint_contents", st.integers(0, 2**16 - 1)),
    "UINT32": ("uint_contents", st.integers(0, 2**32 - 1)),
    "UINT64": ("uint64_contents", st.integers(0, 2**64 - 1)),
    "FP32": ("fp32_contents", st.floats(width=32, allow_nan=False)),
    "FP64": ("fp64_contents", st.floats(allow_nan=False)),
    "BYTES": ("bytes_contents", st.text(max_size=5).map(str.encode)),
}


def tensor(datatype, values, name="x", shape=None):
    made = pb.ModelInferRequest.InferInputTensor(
        name=name, datatype=datatype, shape=[len(values)] if shape is None else shape
    )
    getattr(made.contents, CONTENTS[datatype][0]).extend(values)
    return made


def read(*inputs, **more):
    made = pb.ModelInferRequest(inputs=inputs, **more)
    return messages.infer_request(made.SerializeToString()).request


def field(number, kind, data=b""):
    return protobuf.varint(number << 3 | kind) + data


# What protobuf writes is read


columns = st.sampled_from(sorted(CONTENTS)).flatmap(
    lambda name: st.tuples(st.just(name), st.lists(CONTENTS[name][1], max_size=200))
)


@settings(max_examples=200, deadline=None)
@given(column=columns)
def test_typed_contents(column):
    datatype, values = column
    (found,) = read(tensor(datatype, values)).inputs
    told = list(elements(found, None))
    assert told == ([each.decode() for each in values] if datatype == "BYTES" else values)


values_of = st.one_of(
    st.booleans(), st.integers(-(2**63), 2**63 - 1), st.text(), st.floats(allow_nan=False)
)
parameters = st.dictionaries(st.text(max_size=4), values_of, max_size=4)
FIELDS = {
    bool: "bool_param",
    int: "int64_param",
    str: "string_param",
    float: "double_param",
}


def put(parameters, there):
    for name, value in parameters.items():
        setattr(there[name], FIELDS[type(value)], value)


@settings(max_examples=100, deadline=None)
@given(
    names=st.tuples(st.text(), st.text(), st.text()),
    of_request=parameters,
    inputs=st.lists(
        st.tuples(
            st.text(),
            st.text(),
            st.lists(st.integers(-(2**63), 2**63 - 1), max_size=9),
            parameters,
            st.binary(),
        )
    ),
    outputs=st.lists(st.tuples(st.text(), parameters)),
)
def test_a_request_comes_through_as_it_is(names, of_request, inputs, outputs):
    made = pb.ModelInferRequest(model_name=names[0], model_version=names[1], id=names[2])
    put(of_request, made.parameters)
    for name, datatype, shape, said, raw in inputs:
        one = made.inputs.add(name=name, datatype=datatype, shape=shape)
        put(said, one.parameters)
        made.raw_input_contents.append(raw)
    for name, said in outputs:
        put(said, made.outputs.add(name=name).parameters)
    found = messages.infer_request(made.SerializeToString())
    request = found.request
    assert (found.name, found.version, request.id or "") == names
    assert request.parameters == of_request
    assert [
        (each.name, each.datatype, each.shape, each.parameters, each.raw) for each in request.inputs
    ] == inputs
    assert [(each.name, each.parameters) for each in request.outputs] == outputs


def test_an_unsigned_parameter_and_one_without_a_value():
    made = pb.ModelInferRequest()
    made.parameters["large"].uint64_param = 2**64 - 1
    made.parameters["none"].SetInParent()
    assert messages.infer_request(made.SerializeToString()).request.parameters == {
        "large": 2**64 - 1,
        "none": None,
    }


@given(name=st.text(), version=st.text())
def test_the_model_that_is_asked_for(name, version):
    for kind in (pb.ModelReadyRequest, pb.ModelMetadataRequest):
        made = kind(name=name, version=version).SerializeToString()
        assert messages.model_request(made) == (name, version)


def test_numbers_one_by_one_and_in_pieces():
    # Older writers send each element as a field of its own, and may send a message in pieces.
    single = b"".join(field(3, 0, protobuf.varint(each)) for each in (1, -1, 300))
    several = protobuf.bytes_field(3, protobuf.varint(7) + protobuf.varint(2**40))
    doubles = np.array([1.5, -2.0])
    contents = [protobuf.bytes_field(5, single), protobuf.bytes_field(5, several)]
    head = protobuf.text_field(2, "INT64") + field(3, 0, protobuf.varint(5))
    body = protobuf.bytes_field(5, head + b"".join(contents))
    loose = field(7, 1, doubles[:1].tobytes()) + field(7, 1, doubles[1:].tobytes())
    head = protobuf.text_field(2, "FP64") + protobuf.bytes_field(3, b"\x02")
    body += protobuf.bytes_field(5, head + protobuf.bytes_field(5, loose))
    told = pb.ModelInferRequest.FromString(body)
    whole, floating = messages.infer_request(body).request.inputs
    assert list(elements(whole, None)) == list(told.inputs[0].contents.int64_contents)
    assert list(elements(whole, None)) == [1, -1, 300, 7, 2**40]
    assert list(elements(floating, None)) == list(told.inputs[1].contents.fp64_contents)
    assert list(elements(floating, None)) == [1.5, -2.0]


def test_many_numbers():
    # More than are decoded together, of every length.
    values = [(-1) ** place * 2 ** (place % 63) for place in range(200_000)]
    (found,) = read(tensor("INT64", values)).inputs
    assert elements(found, None).tolist() == values


def test_unknown_fields_are_skipped():
    unknown = (
        field(99, 0, b"\x96\x01")
        + field(100, 1, b"12345678")
        + protobuf.bytes_field(101, b"anything")
        + field(102, 5, b"1234")
    )
    inner = tensor("INT64", [3]).SerializeToString() + unknown
    body = unknown + protobuf.bytes_field(5, inner) + protobuf.text_field(1, "churn")
    found = messages.infer_request(body)
    assert found.name == "churn"
    assert list(elements(found.request.inputs[0], None)) == [3]
    assert messages.model_request(unknown) == ("", "")


# What is refused


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"\x0a", "no end"),
        (b"\x0a\x05abc", "cut off"),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "cut off"),
        (b"\x80" * 11, "no end"),
        (field(20, 0, b"\xff" * 10 + b"\x01"), "no end"),
        (field(20, 1, b"1234567"), "cut off"),
        (field(20, 5, b"123"), "cut off"),
        (field(20, 3), "wire type 3"),
        (field(20, 6), "wire type 6"),
        (b"\x00\x00", "no field 0"),
        (field(2**29, 0, b"\x00"), "no field"),
        (field(1, 0, b"\x01"), "wire type 0"),
        (protobuf.bytes_field(1, b"\xff"), "UTF-8"),
        (field(5, 1, b"12345678"), "wire type 1"),
        (protobuf.bytes_field(5, field(3, 5, b"1234")), "wire type 5"),
        (protobuf.bytes_field(5, protobuf.bytes_field(3, b"\x80")), "cut off"),
        (protobuf.bytes_field(5, protobuf.bytes_field(3, b"\x01" * 1001)), "dimensions"),
        (
            protobuf.bytes_field(5, protobuf.bytes_field(3, b"\x80" * 11 + b"\x01")),
            "no end",
        ),
        (
            protobuf.bytes_field(5, protobuf.bytes_field(5, protobuf.bytes_field(7, b"1234567"))),
            "cut off",
        ),
        (b"\x2a\x00" * 10_001, "more than 10000"),
        (b"\x3a\x00" * 10_001, "more than 10000"),
        (b"\x2a\x00" + b"\x3a\x00" * 2, "1 inputs, but 2"),
    ],
)
def test_what_is_no_request(body, told):
    with pytest.raises(MalformedError, match=told):
        messages.infer_request(body)


@pytest.mark.parametrize("short", [0, 100])
def test_a_number_without_an_end(short):
    contents = protobuf.bytes_field(3, b"\x01" * short + b"\x80" * 11 + b"\x01")
    body = protobuf.text_field(2, "INT64") + protobuf.bytes_field(5, contents)
    with pytest.raises(MalformedError, match=r"no end|more than 10 bytes"):
        messages.infer_request(protobuf.bytes_field(5, body))


def test_too_many_parameters():
    made = pb.ModelInferRequest()
    for number in range(10_001):
        made.parameters[str(number)].bool_param = True
    with pytest.raises(MalformedError, match="more than 10000 parameters"):
        messages.infer_request(made.SerializeToString())


@pytest.mark.parametrize("datatype", ["INT64", "FP16", "BYTES", "BF16", ""])
def test_contents_of_another_datatype(datatype):
    wrong = tensor("FP64", [1.0])
    wrong.datatype = datatype
    with pytest.raises(MalformedError, match="its contents are not of"):
        read(wrong)


def test_contents_of_two_datatypes():
    wrong = tensor("INT64", [1])
    wrong.contents.bool_contents.append(True)
    with pytest.raises(MalformedError, match="its contents are not of"):
        read(wrong)


@pytest.mark.parametrize(
    ("datatype", "value"), [("INT8", 128), ("INT16", -40_000), ("UINT8", 256), ("UINT16", 2**16)]
)
def test_elements_that_do_not_fit(datatype, value):
    with pytest.raises(MalformedError, match="does not fit"):
        read(tensor(datatype, [1, value]))


def test_contents_twice():
    with pytest.raises(MalformedError, match="contents and raw_input_contents"):
        read(tensor("INT64", [1]), raw_input_contents=[b"12345678"])


def test_no_contents():
    nothing = pb.ModelInferRequest.InferInputTensor(name="x", datatype="INT64", shape=[2])
    (found,) = read(nothing).inputs
    with pytest.raises(MalformedError, match="has 2 elements, 0 came"):
        elements(found, None)


@settings(max_examples=500, deadline=None)
@given(body=st.binary(max_size=200))
def test_random_bytes_are_read_or_refused(body):
    for reader in (messages.infer_request, messages.model_request):
        try:
            reader(body)
        except MalformedError:
            continue


@settings(max_examples=300, deadline=None)
@given(
    column=columns,
    place=st.integers(0, 2**16),
    byte=st.integers(0, 255),
    cut=st.integers(0, 2**16),
)
def test_damaged_requests_are_read_or_refused(column, place, byte, cut):
    made = pb.ModelInferRequest(
        model_name="churn", inputs=[tensor(*column)], outputs=[{"name": "label"}]
    )
    put({"a": 1, "b": "c"}, made.parameters)
    body = bytearray(made.SerializeToString())
    body[place % len(body)] = byte
    for damaged in (bytes(body), bytes(body[: cut % len(body)])):
        try:
            found = messages.infer_request(damaged)
        except MalformedError:
            continue
        for each in found.request.inputs:
            try:
                elements(each, None)
            except MalformedError:
                continue


# What is written is read by protobuf


def test_truth():
    for value in (True, False):
        assert pb.ServerLiveResponse.FromString(messages.truth(value)).live is value
        assert pb.ServerReadyResponse.FromString(messages.truth(value)).ready is value
        assert pb.ModelReadyResponse.FromString(messages.truth(value)).ready is value


@given(name=st.text(), version=st.text(), extensions=st.lists(st.text(min_size=1)))
def test_server_metadata(name, version, extensions):
    told = pb.ServerMetadataResponse.FromString(messages.server_metadata(name, version, extensions))
    assert (told.name, told.version, list(told.extensions)) == (name, version, extensions)


heads = st.fixed_dictionaries(
    {
        "name": st.text(),
        "datatype": st.sampled_from([*NUMERIC, "BYTES"]),
        "shape": st.lists(st.integers(-1, 2**63 - 1), max_size=4),
    }
)


@given(inputs=st.lists(heads), outputs=st.lists(heads))
def test_model_metadata(inputs, outputs):
    about = {
        "name": "churn",
        "versions": ["1", "2"],
        "platform": "mlpack_onnx",
        "inputs": inputs,
        "outputs": outputs,
    }
    told = pb.ModelMetadataResponse.FromString(messages.model_metadata(about))
    assert told == pb.ModelMetadataResponse(**about)


@given(
    identity=st.one_of(st.none(), st.text(min_size=1)),
    outputs=st.lists(st.tuples(heads, st.binary(max_size=300))),
)
def test_answers(identity, outputs):
    made = messages.infer_response(
        "churn",
        "1",
        identity,
        [(head["name"], head["datatype"], head["shape"], raw) for head, raw in outputs],
    )
    told = pb.ModelInferResponse.FromString(made)
    expected = pb.ModelInferResponse(
        model_name="churn",
        model_version="1",
        id=identity,
        outputs=[head for head, _ in outputs],
        raw_output_contents=[raw for _, raw in outputs],
    )
    for each in expected.outputs:
        if each.datatype == "BYTES":
            each.parameters["content_type"].string_param = "str"
    assert told == expected
