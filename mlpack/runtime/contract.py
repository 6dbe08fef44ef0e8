"""The values that builder and artifact share: signature, schema, encoding, manifest.

They are written as JSON into the bundle's data folder and read back by the runtime. Each
carries a format version: a newer mlpack reads older formats, an older one says that it can't.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

FORMAT = 1
"""The version of every format in this module."""

MANIFEST_FILE = "manifest.json"
SIGNATURE_FILE = "signature.json"
SCHEMA_FILE = "schema.json"
ENCODING_FILE = "encoding.json"
PARITY_FILE = "parity.json"
OPENAPI_FILE = "openapi.json"
ONNX_FILE = "model.onnx"
PICKLE_FILE = "model.joblib"

Category = str | int | float | bool
"""A category or a label, in its own JSON type. Note that True and 1 are different categories."""

Task = Literal["classification", "regression"]
Form = Literal["onnx", "hybrid", "python"]
ColumnType = Literal["number", "integer", "boolean", "string"]


class ContractError(Exception):
    """A file of the bundle cannot be read: damaged, missing, or of a newer format."""


class Column(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A raw column as training saw it.

    Attributes:
        name: as the user wrote it.
        type: the type of its JSON values.
        dtype: the pandas dtype of the training frame (``float64``, ``str``, ``category`` ...):
            what the original pipeline is given when it is asked again.
        nullable: whether the original pipeline accepts a missing value in it (found by trying).
            A column that is not nullable is required.
        finite: whether the original refuses plus and minus infinity in it (found by trying).
        minimum, maximum: the smallest and largest value observed; numbers and integers only.
        categories: the values observed, sorted, if they were few; strings, booleans, integers.
        missing: the share of rows in which it was missing, 0 to 1.
    """

    name: str
    type: ColumnType
    dtype: str
    nullable: bool = True
    finite: bool = True
    minimum: float | int | None = None
    maximum: float | int | None = None
    categories: tuple[Category, ...] | None = None
    missing: float = 0.0


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """One output of the model: ``label``, ``probabilities`` or ``value``.

    Attributes:
        name: its name.
        type: the type of one element.
        size: how many elements per row: 1, or the number of labels.
    """

    name: str
    type: ColumnType
    size: int = 1


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """What the pipeline learned: columns in order, task, labels, outputs. Inferred, not demanded.

    Attributes:
        task: what it does.
        columns: the raw columns in the order of the training frame.
        outputs: what it answers.
        labels: the classes in the order of the probabilities; empty for a regression.
        positive: the class that counts as positive, if there are two.
        target: the name of the column that it predicts, if it is known.
        source: where this was learned from.
        rows: how many rows it was learned from.
    """

    format: int = FORMAT
    task: Task
    columns: tuple[Column, ...]
    outputs: tuple[Output, ...]
    labels: tuple[Category, ...] = ()
    positive: Category | None = None
    target: str | None = None
    source: Literal["train", "sample", "estimator"] = "train"
    rows: int = 0

    def column(self, name: str) -> Column:
        """The column called `name`.

        Raises:
            KeyError: there is none.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


class Constraint(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the author demands of one column's values. None demands nothing.

    Attributes:
        required: it may not be missing.
        minimum, maximum: bounds that belong to the range; numbers and integers only.
        categories: the only values allowed.
        pattern: a regular expression that a string must match from end to end.
        description: what the column means, for the API's documents.
    """

    required: bool = False
    minimum: float | int | None = None
    maximum: float | int | None = None
    categories: tuple[Category, ...] | None = None
    pattern: str | None = None
    description: str | None = None


class Schema(msgspec.Struct, frozen=True, kw_only=True):
    """What the author demands of the columns, by column name (``schema.toml``)."""

    format: int = FORMAT
    columns: dict[str, Constraint] = {}


class Codes(msgspec.Struct, frozen=True, kw_only=True):
    """How the values of one column become whole numbers before the graph.

    A value that is ``categories[i]`` (equal and of the same JSON type) becomes i; any other value
    becomes ``len(categories)``, a missing one ``len(categories) + 1``.

    Attributes:
        column: the column's name.
        categories: every value that some step of the pipeline treats in a way of its own.
        refuse_unknown: the original pipeline raises for any other value, so it is refused.
    """

    column: str
    categories: tuple[Category, ...]
    refuse_unknown: bool = False


class Encoding(msgspec.Struct, frozen=True, kw_only=True):
    """How rows become the inputs of the core graph. Missing numbers are NaN.

    The graph's inputs, each only if it is not empty:

    - ``numbers``: float64 [rows, len(numbers)], one raw column each (booleans as 0 and 1);
    - ``codes``: int64 [rows, len(codes)];
    - ``text_0``, ``text_1`` ...: string [rows, 1], one per column in `texts`.

    Its outputs:

    - ``refused``: bool [rows], true where the original pipeline would raise for the row;
    - ``label``: int64 [rows], an index into the signature's labels (classification);
    - ``probabilities``: float64 [rows, labels] (classification, if the original has them);
    - ``value``: float64 [rows, outputs] (regression).

    A column may stand in `numbers` and in `codes` when the pipeline uses it both ways. Those of
    `texts` that stand in `lowercase` too are lowered with Python's ``str.lower`` before the graph:
    ONNX lowers by the C library's locale, which differs from Python in some scripts.
    """

    format: int = FORMAT
    numbers: tuple[str, ...] = ()
    codes: tuple[Codes, ...] = ()
    texts: tuple[str, ...] = ()
    lowercase: tuple[str, ...] = ()


class Blob(msgspec.Struct, frozen=True, kw_only=True):
    """A file of the bundle's data folder: its digest and size in bytes."""

    file: str
    sha256: str
    size: int


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a bundle is. The other data files are named here with their digests.

    Attributes:
        name: the distribution's name, as in the project.
        version: the project's version.
        package: the import package that holds the model.
        form: ``onnx`` (the graph), ``python`` (the fitted pipeline itself), or ``hybrid``.
        python: the minor version that the lock was made for, such as ``3.11``.
        model: the graph or the pickle.
        files: the other data files.
        runtime: the digest of the runtime's sources that ship with it.
        lock: the digest of the production lock.
        reason: why it is not ``onnx``, naming the step; None if it is.
        versions: the versions that trained, exported and proved it, by distribution.
        metrics: the metrics of training, by name.
    """

    format: int = FORMAT
    name: str
    version: str
    package: str
    form: Form
    python: str
    model: Blob
    files: tuple[Blob, ...]
    runtime: str
    lock: str
    reason: str | None = None
    versions: dict[str, str] = {}
    metrics: dict[str, float] = {}


_T = TypeVar("_T")


def encode(value: msgspec.Struct | dict[str, Any]) -> bytes:
    """A value of this module as JSON: indented, in the order of its fields, ends in a newline."""
    return msgspec.json.format(msgspec.json.encode(value, order="deterministic"), indent=2) + b"\n"


def decode(data: bytes, kind: type[_T], name: str) -> _T:
    """The value that `data`, the content of the file called `name`, holds.

    Raises:
        ContractError: it is damaged, or its format is newer than this code.
    """
    try:
        head = msgspec.json.decode(data, type=_Head)
        if head.format > FORMAT:
            raise ContractError(
                f"{name} has format {head.format}, this mlpack reads up to {FORMAT}: it is too old"
            )
        return msgspec.json.decode(data, type=kind)
    except msgspec.DecodeError as error:
        raise ContractError(f"{name} is damaged: {error}") from error


class _Head(msgspec.Struct):
    format: int = FORMAT


def read(folder: Path, name: str, kind: type[_T]) -> _T:
    """The value in the file `name` of a data folder.

    Raises:
        ContractError: it is missing, damaged, or its format is newer than this code.
    """
    try:
        return decode((folder / name).read_bytes(), kind, name)
    except FileNotFoundError:
        raise ContractError(f"{name} is missing from {folder.name}") from None
