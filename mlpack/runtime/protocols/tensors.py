"""Tensors of the Open Inference Protocol v2, as JSON and in Triton's binary form.

The protocol: https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol;
the binary form: docs/protocol/extension_binary_data.md of triton-inference-server/server.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
import numpy as np

from ..malformed import MalformedError, loads
from ..predictions import shown
from ..values import Texts

Parameters = dict[str, Any]

NUMERIC = {
    "BOOL": np.dtype("?"),
    "UINT8": np.dtype("<u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("<i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}
"""The datatypes of a fixed size, as numpy has them. BF16 is none of numpy's."""

_LENGTH = struct.Struct("<I")
_DEEPEST = 8  # dimensions; a column has one or two


class Tensor(msgspec.Struct):
    """An input: one column, or several of numbers.

    Attributes:
        name: the column's.
        shape: its dimensions.
        datatype: of its elements.
        parameters: what else is said of it.
        data: its elements, nested or flat; None where they follow in the binary form.
        raw: its elements in the binary form.
    """

    name: str
    shape: list[int]
    datatype: str
    parameters: Parameters | None = None
    data: list[Any] | None = None
    raw: bytes | None = None


class Asked(msgspec.Struct):
    """An output that is asked for."""

    name: str
    parameters: Parameters | None = None


class Request(msgspec.Struct):
    """A request for predictions.

    Attributes:
        inputs: the columns.
        id: is sent back.
        outputs: what is asked for; None or nothing for every output.
        parameters: what else is said.
    """

    inputs: list[Tensor]
    id: str | None = None
    outputs: list[Asked] | None = None
    parameters: Parameters | None = None


_decode = msgspec.json.Decoder(Request).decode


def parse(body: bytes, header_length: bytes | None) -> Request:
    """Read a request.

    Args:
        body: JSON, and behind it the elements in the binary form, if there are any.
        header_length: the header ``Inference-Header-Content-Length``: how many bytes are JSON.

    Raises:
        MalformedError: the body is no such request.
    """
    rest = memoryview(b"")
    if header_length is not None:
        length = int(header_length) if header_length.isdigit() and len(header_length) < 12 else -1
        if not 0 <= length <= len(body):
            raise MalformedError(
                f"Inference-Header-Content-Length is {shown(header_length.decode('latin-1'))}, "
                f"the body has {len(body)} bytes"
            )
        body, rest = body[:length], memoryview(body)[length:]
    request = _request(body)
    place = 0
    for tensor in request.inputs:
        tensor.raw = None
        size = (tensor.parameters or {}).get("binary_data_size")
        if size is None:
            continue
        if type(size) is not int or not 0 <= size <= len(rest) - place:
            raise MalformedError(
                f"input {shown(tensor.name)}: binary_data_size is {shown(size)}, "
                f"{len(rest) - place} bytes are left"
            )
        tensor.raw = bytes(rest[place : place + size])
        place += size
    if place < len(rest):
        raise MalformedError(f"{len(rest) - place} bytes behind the JSON belong to no input")
    return request


def _request(body: bytes) -> Request:
    try:
        return _decode(body)
    except msgspec.ValidationError as error:
        raise MalformedError(f"not an inference request: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass  # perhaps only for a NaN, which clients write that know no better
    try:
        return msgspec.convert(loads(body, _constant), Request)
    except msgspec.ValidationError as error:
        raise MalformedError(f"not an inference request: {error}") from error


def _constant(name: str) -> float | None:
    return None if name == "NaN" else float(name)


def elements(tensor: Tensor, missing: str | None) -> list[Any] | np.ndarray:
    """The elements of a tensor in order, as many as its shape says.

    Args:
        tensor: numbers become an array, or where they came as JSON a list; texts a list.
        missing: a text that stands for a missing one.

    Raises:
        MalformedError: it has other elements than its shape and datatype say.
    """
    name = shown(tensor.name)
    if any(size < 0 for size in tensor.shape) or not 1 <= len(tensor.shape) <= _DEEPEST:
        raise MalformedError(f"input {name}: its shape is {shown(tensor.shape)}")
    if tensor.datatype != "BYTES" and tensor.datatype not in NUMERIC:
        raise MalformedError(
            f"input {name}: no datatype {shown(tensor.datatype)}, but BYTES, {', '.join(NUMERIC)}"
        )
    found: list[Any] | np.ndarray
    if tensor.raw is None:
        if tensor.data is None:
            raise MalformedError(f"input {name} has neither data nor binary_data_size")
        found = _flat(tensor.data, tensor)
    elif tensor.data is not None:
        raise MalformedError(f"input {name} has data and binary_data_size")
    elif tensor.datatype == "BYTES":
        found = Texts(_texts(tensor.raw, name))
    else:
        found = _numbers(tensor.raw, tensor.datatype, name)
    count = math.prod(tensor.shape)
    if len(found) != count:
        raise MalformedError(
            f"input {name}: its shape {shown(tensor.shape)} has {count} elements, {len(found)} came"
        )
    if tensor.datatype != "BYTES" or isinstance(found, np.ndarray):
        return found
    found = _coded(found, (tensor.parameters or {}).get("content_type"), name)
    if missing is None:
        return found
    return type(found)(None if each == missing else each for each in found)


def _flat(data: list[Any], tensor: Tensor) -> list[Any]:
    """Elements that may be nested as the shape says, or flat."""
    depth = 1
    while data and isinstance(data[0], list) and depth <= _DEEPEST:
        if not all(isinstance(each, list) for each in data):
            break
        width = tensor.shape[depth] if depth < len(tensor.shape) else -1
        if any(len(each) != width for each in data):
            raise MalformedError(
                f"input {shown(tensor.name)}: its data is not nested as its shape says"
            )
        data = [element for each in data for element in each]
        depth += 1
    return data


def _numbers(raw: bytes, datatype: str, name: str) -> np.ndarray:
    dtype = NUMERIC[datatype]
    if len(raw) % dtype.itemsize:
        raise MalformedError(f"input {name}: {len(raw)} bytes are no whole number of {datatype}")
    found = np.frombuffer(raw, dtype)
    if datatype == "BOOL" and (found.view(np.uint8) > 1).any():
        raise MalformedError(f"input {name}: a BOOL is a byte of 0 or 1")
    return found


def _texts(raw: bytes, name: str) -> Iterator[str]:
    """Texts that have their length in four bytes before them."""
    place, end = 0, len(raw)
    while place < end:
        if end - place < 4:
            raise MalformedError(f"input {name}: {end - place} bytes follow its last element")
        (length,) = _LENGTH.unpack_from(raw, place)
        place += 4
        if length > end - place:
            raise MalformedError(
                f"input {name}: an element has {length} bytes, {end - place} are left"
            )
        try:
            yield raw[place : place + length].decode()
        except UnicodeDecodeError as error:
            raise MalformedError(f"input {name}: an element is not UTF-8: {error}") from error
        place += length


def _coded(found: list[Any], content_type: object, name: str) -> list[Any]:
    """Texts as MLServer's codecs of that content type put them; others as they are."""
    try:
        if content_type == "base64":
            return [
                base64.b64decode(each, validate=True).decode() if isinstance(each, str) else each
                for each in found
            ]
        if content_type == "pd_json":
            return [json.loads(each) if isinstance(each, str) else each for each in found]
    except (binascii.Error, ValueError, RecursionError) as error:
        raise MalformedError(f"input {name} is not {content_type}: {error}") from error
    return found


def packed(values: np.ndarray | Sequence[str]) -> bytes:
    """The binary form of an output."""
    if isinstance(values, np.ndarray):
        return values.tobytes()
    return framed([text.encode() for text in values])


def framed(elements: Iterable[bytes]) -> bytes:
    """The binary form of BYTES: each element with its length before it."""
    return b"".join(piece for each in elements for piece in (_LENGTH.pack(len(each)), each))
