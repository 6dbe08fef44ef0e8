"""The values that builder and artifact share: signature, schema, encoding, manifest.

They are written as JSON into the bundle's data folder and read back by the runtime. Each
carries a format version: a newer mlpack reads older formats, an older one says that it can't.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from .program import Program

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
PARTS_FILE = "parts.joblib"

Category = str | int | float | bool
"""A category or a label, in its own JSON type. Note that True and 1 are different categories."""

Task = Literal["classification", "regression", "outliers", "clusters"]
Form = Literal["onnx", "hybrid", "python"]
ColumnType = Literal["number", "integer", "boolean", "string", "date", "datetime"]
"""What a column holds. A date is of the calendar; a datetime has a time, and perhaps a zone."""


def label_key(label: Category) -> str:
    """A label as a key of a JSON object: ``true`` for True, ``1`` for 1."""
    if isinstance(label, bool):
        return "true" if label else "false"
    return str(label)


class ContractError(Exception):
    """A file of the bundle cannot be read: damaged, missing, or of a newer format."""


class Distribution(msgspec.Struct, frozen=True, kw_only=True):
    """How the values or the predictions of many rows were spread: shares of bins, no row.

    Attributes:
        shares: the share of the rows in each bin, 0 to 1. Where there are labels or categories, a
            bin is one of them, in the signature's order (of several labels a row, the share of all
            of them); else the bins are those that `edges` part.
        edges: of numbers: the bounds between the bins, ascending; each is the last value of its
            bin. There is one bin more than edges.
        rows: how many rows it was learned from.
    """

    shares: tuple[float, ...]
    edges: tuple[float, ...] = ()
    rows: int


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
        zone: of a datetime, such as ``Europe/Berlin`` or ``UTC+01:00``; None where it has none.
        held: the class of the objects in a column of objects, where JSON has none of the kind.
        ordered: whether its categories have an order.
        spread: how the values that are not missing were spread; of categories a bin each, of
            numbers bins of about a tenth. None for few rows and other types, and in older bundles.
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
    zone: str | None = None
    held: Literal["Decimal", "date", "datetime", "Timestamp"] | None = None
    ordered: bool = False
    spread: Distribution | None = None


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """One output of the model: ``label``, ``probabilities``, ``value`` or ``score``.

    Attributes:
        name: its name.
        type: the type of one element.
        size: how many elements per row: 1, the number of labels for their probabilities, the number
            of groups for several labels at once.
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
        labels: the classes in the order of the probabilities, -1 and 1 for outliers and others,
            the numbers of the clusters; empty for a regression.
        groups: where a row gets several labels at once, how many of `labels` each of them is
            chosen from, one after the other; empty where it gets one.
        positive: the class that counts as positive, if there are two.
        target: the name of the column that it predicts, if it is known.
        source: where this was learned from.
        rows: how many rows it was learned from.
        predictions: how training's predictions for its held-out rows were spread; None if it is
            not known, as of bundles made before it was recorded.
    """

    format: int = FORMAT
    task: Task
    columns: tuple[Column, ...]
    outputs: tuple[Output, ...]
    labels: tuple[Category, ...] = ()
    groups: tuple[int, ...] = ()
    positive: Category | None = None
    target: str | None = None
    source: Literal["train", "sample", "estimator"] = "train"
    rows: int = 0
    predictions: Distribution | None = None

    def has(self, output: str) -> bool:
        """Whether the model answers `output`."""
        return any(each.name == output for each in self.outputs)

    def column(self, name: str) -> Column:
        """The column called `name`.

        Raises:
            KeyError: there is none.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


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


class Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What has no exact graph and stays Python: steps of the pipeline that begin at raw columns.

    Attributes:
        name: the graph's input that takes its answer, and its key in ``parts.joblib``.
        columns: the raw columns that it is given, in this order.
        width: how many numbers a row it answers.
        series: it is given its one column as a series and not as a data frame.
    """

    name: str
    columns: tuple[str, ...]
    width: int
    series: bool = False


class Text(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How the terms of one text column are found and counted before the graph (``text.Terms``).

    The names and their meaning are scikit-learn's, whose ``CountVectorizer`` this is.

    Attributes:
        name: the graph's input that takes what was counted.
        column: the column's name.
        lowercase: the text is lowered first, with Python's ``str.lower``.
        strip_accents: and then freed of its accents, in this way.
        analyzer: what a term is made of: words, characters, or characters within a word.
        pattern: what a word is, for Python's ``re.findall``; of a group, if there is one.
        stop_words: words that are left out before they are put together.
        shortest, longest: of how many words or characters a term is made.
        terms: the known terms in the order of their columns; words are joined by a space.
        hashed: there are no known terms: each has a column of so many, by its MurmurHash3.
        alternate_sign: a term whose hash is negative counts -1.
        binary: a term counts once, however often it occurs.
    """

    name: str
    column: str
    lowercase: bool = True
    strip_accents: Literal["unicode", "ascii"] | None = None
    analyzer: Literal["word", "char", "char_wb"] = "word"
    pattern: str = r"(?u)\b\w\w+\b"
    stop_words: tuple[str, ...] = ()
    shortest: int = 1
    longest: int = 1
    terms: tuple[str, ...] = ()
    hashed: int = 0
    alternate_sign: bool = False
    binary: bool = False


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """One part of a date or time column as a number: see `dateparts.PARTS`.

    Attributes:
        column: the column's name.
        part: such as ``hour``, on the clock of the column's own zone.
    """

    column: str
    part: str


class Clock(msgspec.Struct, frozen=True, kw_only=True):
    """The clock of a column with a zone, as the original's own library had it.

    Libraries differ in it, and tables of zones change: what was proved stays as it was.

    Attributes:
        column: the column's name.
        since: when the clock was put, in seconds since 1970 in UTC, ascending.
        offsets: by how many seconds it is ahead of UTC: before the first of these, and from each
            of them on. There is one more than `since`.
    """

    column: str
    since: tuple[int, ...] = ()
    offsets: tuple[int, ...]


class Encoding(msgspec.Struct, frozen=True, kw_only=True):
    """How rows become the inputs of the core graph. Missing numbers are NaN.

    The graph's inputs, each only if it is not empty:

    - ``numbers``: float64 [rows, len(numbers)], one raw column each (booleans as 0 and 1);
    - ``codes``: int64 [rows, len(codes)];
    - ``moments``: float64 [rows, len(moments)], parts of dates and times (truths as 0 and 1);
    - ``text_0``, ``text_1`` ...: int64 [entries, 3], for each of `texts` a row, a term, and how
      often the row has it; by row and then by term, which a row has once or not at all;
    - ``rows``: int64 [1], how many rows there are;
    - ``python_0``, ``python_1`` ...: float64 [rows, width], the answers of the `parts` of a hybrid.
      A part that the graph has no input for is asked all the same: where it raises, the row is
      refused.

    Its outputs:

    - ``refused``: bool [rows], true where the original pipeline would raise for the row;
    - ``label``: int64 [rows], an index into the signature's labels (all but regressions), or
      [rows, groups] where it has groups;
    - ``probabilities``: float64 [rows, labels] (if the original has them);
    - ``value``: float64 [rows, outputs] (regression);
    - ``score``: float64 [rows, 1], the less the more of an outlier (outliers).

    A column may stand in `numbers` and in `codes` when the pipeline uses it both ways, and in
    `texts` as often as it is read in different ways.

    Attributes:
        rows: whether the graph is told how many rows there are.
        at_once: how many rows the graph is given at once, so that its memory has a limit; 0 for
            any number.
        clocks: those of the columns with a zone among `moments`.
        program: the same graph for one row, where it is small.
    """

    format: int = FORMAT
    numbers: tuple[str, ...] = ()
    codes: tuple[Codes, ...] = ()
    texts: tuple[Text, ...] = ()
    rows: bool = False
    at_once: int = 0
    parts: tuple[Part, ...] = ()
    moments: tuple[Moment, ...] = ()
    clocks: tuple[Clock, ...] = ()
    program: Program | None = None


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
        form: ``onnx`` (the graph), ``python`` (the fitted pipeline itself), or ``hybrid`` (the
            graph, and beside it those steps as Python that have none).
        python: the minor version that the lock was made for, such as ``3.11``.
        model: the graph or the pickle.
        files: the other data files.
        parts: the pickle of a hybrid's steps that stay Python; None for the other forms.
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
    parts: Blob | None = None


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
