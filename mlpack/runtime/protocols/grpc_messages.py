"""The messages of the Open Inference Protocol's gRPC form, read and written.

The messages: ``open_inference_grpc.proto`` of kserve/open-inference-protocol; the wire format:
``protobuf``. Unknown fields are skipped, a known field of another wire type is an error. Nesting is
as deep as the messages are, never deeper.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from ..malformed import MalformedError
from ..predictions import shown
from .protobuf import (
    BYTES,
    FIXED32,
    FIXED64,
    VARINT,
    Field,
    bytes_field,
    fields,
    gather,
    integer,
    integers,
    piece_of,
    signed,
    text_field,
    text_of,
    varint,
    varints,
)
from .tensors import NUMERIC, Asked, Parameters, Request, Tensor, framed

_MOST_PARTS = 10_000
"""Inputs, outputs or parameters of one message; an empty one takes two bytes, and 100 in memory."""

_LONGEST_SHAPE = 1_000  # bytes

_DOUBLE = struct.Struct("<d")

_CONTENTS: dict[int, tuple[int, np.dtype[Any] | None, tuple[str, ...]]] = {
    1: (VARINT, np.dtype("?"), ("BOOL",)),
    2: (VARINT, np.dtype("<i4"), ("INT8", "INT16", "INT32")),
    3: (VARINT, np.dtype("<i8"), ("INT64",)),
    4: (VARINT, np.dtype("<u4"), ("UINT8", "UINT16", "UINT32")),
    5: (VARINT, np.dtype("<u8"), ("UINT64",)),
    6: (FIXED32, np.dtype("<f4"), ("FP32",)),
    7: (FIXED64, np.dtype("<f8"), ("FP64",)),
    8: (BYTES, None, ("BYTES",)),
}
"""``InferTensorContents``: of each field the wire type, the elements, and whose they are."""


class Infer(msgspec.Struct, frozen=True):
    """``ModelInferRequest``.

    Attributes:
        name: the model's.
        version: the model's; empty for whichever there is.
        request: the rest of it; every tensor is in the binary form.
    """

    name: str
    version: str
    request: Request


def infer_request(data: bytes) -> Infer:
    """Read a ``ModelInferRequest``.

    Raises:
        MalformedError: it is none.
    """
    name = version = identity = ""
    parameters: Parameters = {}
    inputs: list[Tensor] = []
    outputs: list[Asked] = []
    raws: list[memoryview] = []
    for field in fields(memoryview(data)):
        number = field[0]
        if number == 1:
            name = text_of(field)
        elif number == 2:
            version = text_of(field)
        elif number == 3:
            identity = text_of(field)
        elif number == 4:
            _parameter(field, parameters)
        elif number == 5:
            _add(inputs, _input(field))
        elif number == 6:
            _add(outputs, _asked(field))
        elif number == 7:
            _add(raws, piece_of(field, BYTES))
    if raws:
        _fill(inputs, raws)
    for tensor in inputs:
        tensor.raw = b"" if tensor.raw is None else tensor.raw
    return Infer(name, version, Request(inputs, identity or None, outputs, parameters))


def model_request(data: bytes) -> tuple[str, str]:
    """The name and the version of a ``ModelReadyRequest`` or a ``ModelMetadataRequest``.

    Raises:
        MalformedError: it is none.
    """
    told = {1: "", 2: ""}
    for field in fields(memoryview(data)):
        if field[0] in told:
            told[field[0]] = text_of(field)
    return told[1], told[2]


def _fill(inputs: Sequence[Tensor], raws: Sequence[memoryview]) -> None:
    """Put the raw contents into their inputs."""
    if len(raws) != len(inputs):
        raise MalformedError(f"{len(inputs)} inputs, but {len(raws)} raw_input_contents")
    for tensor, raw in zip(inputs, raws, strict=True):
        if tensor.raw is not None:
            raise MalformedError(f"input {shown(tensor.name)} has contents and raw_input_contents")
        tensor.raw = bytes(raw)


def _input(field: Field) -> Tensor:
    """``InferInputTensor``; what its contents hold is in the binary form."""
    tensor = Tensor("", [], "", {})
    shape = bytearray()
    parameters: Parameters = {}
    contents: dict[int, Any] = {}
    for inner in fields(piece_of(field, BYTES)):
        number = inner[0]
        if number == 1:
            tensor.name = text_of(inner)
        elif number == 2:
            tensor.datatype = text_of(inner)
        elif number == 3:
            gather(shape, inner, VARINT)
        elif number == 4:
            _parameter(inner, parameters)
        elif number == 5:
            _contents(inner, contents)
    tensor.parameters = parameters
    if len(shape) > _LONGEST_SHAPE:
        raise MalformedError(f"input {shown(tensor.name)} has too many dimensions")
    tensor.shape = integers(bytes(shape))
    if any(contents.values()):
        tensor.raw = _binary(tensor, contents)
    return tensor


def _contents(field: Field, found: dict[int, Any]) -> None:
    """Add the elements of ``InferTensorContents``, which may come in pieces, to those found."""
    for inner in fields(piece_of(field, BYTES)):
        number = inner[0]
        if number not in _CONTENTS:
            continue
        kind = _CONTENTS[number][0]
        if kind == BYTES:
            found.setdefault(number, []).append(bytes(piece_of(inner, BYTES)))
        else:
            gather(found.setdefault(number, bytearray()), inner, kind)


def _binary(tensor: Tensor, contents: Mapping[int, Any]) -> bytes:
    """What typed contents are in the binary form of the tensor's datatype."""
    (number, found), *others = ((each, data) for each, data in contents.items() if data)
    kind, dtype, datatypes = _CONTENTS[number]
    if others or tensor.datatype not in datatypes:
        raise MalformedError(
            f"input {shown(tensor.name)}: its contents are not of {shown(tensor.datatype)}"
        )
    if dtype is None:
        return framed(found)
    if kind != VARINT:
        return bytes(found)
    values = varints(bytes(found), dtype)
    narrow = values.astype(NUMERIC[tensor.datatype])
    if (narrow != values).any():
        raise MalformedError(
            f"input {shown(tensor.name)}: an element does not fit into {tensor.datatype}"
        )
    return narrow.tobytes()


def _add(parts: list[Any], part: object) -> None:
    if len(parts) == _MOST_PARTS:
        raise MalformedError(f"more than {_MOST_PARTS} of one field")
    parts.append(part)


def _asked(field: Field) -> Asked:
    """``InferRequestedOutputTensor``."""
    name, parameters = "", Parameters()
    for inner in fields(piece_of(field, BYTES)):
        if inner[0] == 1:
            name = text_of(inner)
        elif inner[0] == 2:
            _parameter(inner, parameters)
    return Asked(name, parameters)


def _parameter(field: Field, found: Parameters) -> None:
    """Add an entry of a map of ``InferParameter``; one without a value is None."""
    key, value = "", None
    for inner in fields(piece_of(field, BYTES)):
        if inner[0] == 1:
            key = text_of(inner)
        elif inner[0] == 2:
            value = _value(inner)
    if len(found) == _MOST_PARTS:
        raise MalformedError(f"more than {_MOST_PARTS} parameters")
    found[key] = value


def _value(field: Field) -> bool | int | float | str | None:
    """``InferParameter``, of which the last choice counts."""
    value: bool | int | float | str | None = None
    for inner in fields(piece_of(field, BYTES)):
        number = inner[0]
        if number == 1:
            value = integer(piece_of(inner, VARINT)) != 0
        elif number == 2:
            value = signed(integer(piece_of(inner, VARINT)))
        elif number == 3:
            value = text_of(inner)
        elif number == 4:
            (value,) = _DOUBLE.unpack(piece_of(inner, FIXED64))
        elif number == 5:
            value = integer(piece_of(inner, VARINT))
    return value


# Outwards


def truth(value: bool) -> bytes:
    """``ServerLiveResponse``, ``ServerReadyResponse``, ``ModelReadyResponse``."""
    return b"\x08\x01" if value else b""


def server_metadata(name: str, version: str, extensions: Sequence[str]) -> bytes:
    """``ServerMetadataResponse``."""
    return (
        text_field(1, name)
        + text_field(2, version)
        + b"".join(text_field(3, each) for each in extensions)
    )


def model_metadata(about: Mapping[str, Any]) -> bytes:
    """``ModelMetadataResponse``, of what the protocol tells over HTTP."""
    pieces = [text_field(1, about["name"])]
    pieces += [text_field(2, version) for version in about["versions"]]
    pieces.append(text_field(3, about["platform"]))
    for number, name in ((4, "inputs"), (5, "outputs")):
        pieces += [
            bytes_field(number, _head(each["name"], each["datatype"], each["shape"]))
            for each in about[name]
        ]
    return b"".join(pieces)


def infer_response(
    name: str,
    version: str,
    identity: str | None,
    outputs: Sequence[tuple[str, str, Sequence[int], bytes]],
) -> bytes:
    """``ModelInferResponse``.

    Args:
        name: the model's.
        version: the model's.
        identity: the request's.
        outputs: of each its name, its datatype, its shape, and its elements in the binary form.
    """
    pieces = [text_field(1, name), text_field(2, version), text_field(3, identity or "")]
    for output, datatype, shape, _ in outputs:
        head = _head(output, datatype, shape)
        pieces.append(bytes_field(5, head + _TEXTS if datatype == "BYTES" else head))
    # An empty one stands for its output, too.
    pieces += [bytes_field(6, raw) for *_, raw in outputs]
    return b"".join(pieces)


def _head(name: str, datatype: str, shape: Sequence[int]) -> bytes:
    """What tensors and what is told of them have in common."""
    sizes = b"".join(varint(size) for size in shape)
    return text_field(1, name) + text_field(2, datatype) + bytes_field(3, sizes)


_TEXTS = bytes_field(4, text_field(1, "content_type") + bytes_field(2, text_field(3, "str")))
"""The parameter of an output that says the same as over HTTP."""
