"""``Model``: what ``from churn import Model`` gives. The same checks and errors as over HTTP."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from . import memory
from .contract import (
    MANIFEST_FILE,
    OPENAPI_FILE,
    PARITY_FILE,
    SCHEMA_FILE,
    SIGNATURE_FILE,
    Blob,
    Manifest,
    Signature,
    read,
)
from .faults import InvalidInputError, ModelError
from .predictions import Answers, Predictions
from .schema import Constraint, Schema
from .session import Session
from .validate import Validator
from .values import Clean, plain
from .vocabulary import Vocabulary

__all__ = ["InvalidInputError", "Model", "ModelError"]

# Loaded by name, so that a graph never loads pandas and a pickle never loads ONNX Runtime.
_ENGINES = {"onnx": ".onnx_session", "hybrid": ".hybrid_session", "python": ".python_session"}


_PLAIN = frozenset((int, float, str, bool, type(None)))

EXACT = 2.0**53
"""Below it a float holds every whole number."""


class Model:
    """A verified model, ready to predict. Safe to use from several threads.

    Args:
        folder: the data folder of a bundle; the artifact's own by default.

    Attributes:
        manifest, signature, schema: the bundle's values.
        parity: the proof's report.
        session: the raw model, without the author's constraints.
        validator: the author's constraints, compiled.
        answers: turns predictions into plain values.

    Raises:
        ContractError: a data file is missing, damaged, or of a newer format.
        ModelError: a file is not the one that the manifest names.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = bundled() if folder is None else folder
        self.manifest = read(self.folder, MANIFEST_FILE, Manifest)
        for blob in self.manifest.files:
            _verified(self.folder, blob)
        self.signature = read(self.folder, SIGNATURE_FILE, Signature)
        self.schema = read(self.folder, SCHEMA_FILE, Schema)
        self.session = Session(self.signature, _engine(self.folder, self.manifest, self.signature))
        self.validator = Validator(self.signature, self.schema)
        self.answers = Answers(self.signature)

    @property
    def name(self) -> str:
        """The distribution's name."""
        return self.manifest.name

    @property
    def version(self) -> str:
        """The project's version."""
        return self.manifest.version

    @property
    def parity(self) -> dict[str, Any]:
        """The proof's report; empty if the bundle holds none."""
        return _json(self.folder / PARITY_FILE)

    @property
    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document made at build time; empty if the bundle holds none."""
        return _json(self.folder / OPENAPI_FILE)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The texts that columns are known to hold; made when many rows come for the first time."""
        # Only a graph has codes for texts.
        coded: Mapping[str, Sequence[str]] = getattr(self.session.engine, "words", {})
        found: dict[str, dict[str, None]] = {}
        for column in self.signature.columns:
            if column.type == "string":
                demanded = self.schema.columns.get(column.name, Constraint()).categories
                told = (coded.get(column.name), column.categories, demanded)
                words = [each for some in told for each in some or () if isinstance(each, str)]
                if words:
                    found[column.name] = dict.fromkeys(words)
        return Vocabulary({name: tuple(words) for name, words in found.items()})

    def predict(self, data: Any) -> Any:  # noqa: ANN401 - rows or columns of any library
        """Predict one row (a dict), a list of dicts, a dict of arrays, a data frame or a table.

        Returns:
            A label or number per row (a list of numbers where a regression has several outputs;
            -1 for an outlier and 1 for others; the number of a cluster); for one dict, that of its
            row.

        Raises:
            InvalidInputError: some row is refused; all problems are in it.
            TypeError: `data` is none of these.
        """
        predictions = self._accepted(data)
        plain = self.answers.plain(predictions)
        return plain[0] if _is_row(data) else plain

    def predict_proba(self, data: Any) -> Any:  # noqa: ANN401 - rows or columns of any library
        """A dict from label to probability per row; for one dict, that of its row.

        Raises:
            InvalidInputError: some row is refused; all problems are in it.
            TypeError: `data` is nothing that `predict` takes.
            ModelError: the model has no probabilities.
        """
        found = self.answers.probabilities(self._accepted(data))
        if found is None:
            raise ModelError(f"{self.name} has no probabilities")
        return found[0] if _is_row(data) else found

    def predict_score(self, data: Any) -> Any:  # noqa: ANN401 - rows or columns of any library
        """A number per row, the less the more of an outlier; for one dict, that of its row.

        Raises:
            InvalidInputError: some row is refused; all problems are in it.
            TypeError: `data` is nothing that `predict` takes.
            ModelError: the model does not tell outliers from others.
        """
        found = self.answers.scores(self._accepted(data))
        if found is None:
            raise ModelError(f"{self.name} has no scores")
        return found[0] if _is_row(data) else found

    def predict_rows(
        self, rows: Sequence[Mapping[str, Any]], *, validate: bool = True
    ) -> Predictions:
        """Predict rows; the refused ones are named in the predictions.

        Args:
            rows: dicts.
            validate: apply the author's constraints and refuse unknown columns.
        """
        if not validate:
            return self.session.rows(rows)
        return self.predict_clean(self.validator.rows(rows))

    def predict_columns(self, columns: Mapping[str, Any], *, validate: bool = True) -> Predictions:
        """Predict a dict of columns; the refused rows are named in the predictions.

        Raises:
            ValueError: the columns have different lengths, or none of them is known.
        """
        if not validate:
            return self.session.columns(columns)
        return self.predict_clean(self.validator.columns(columns))

    def predict_clean(self, clean: tuple[Any, ...] | Clean) -> Predictions:
        """Predict what the validator or a reader made of rows; refused rows are named."""
        if isinstance(clean, tuple):
            return self.session.engine.one(clean)
        if clean.rows == 0:
            return Predictions(0, refusals=clean.refusals)
        return self.session.clean(clean)

    def warm(self) -> None:
        """Make the first prediction as fast as the next ones."""
        memory.keep()
        self.session.warm()

    def _accepted(self, data: Any) -> Predictions:  # noqa: ANN401
        clean: tuple[Any, ...] | Clean
        if _is_row(data):
            clean = self.validator.one(data)
        elif isinstance(data, (list, tuple)):
            if not data:
                return self.session.engine.many([[] for _ in self.signature.columns], 0)
            clean = self.validator.rows(data)
        elif (row := _only_row(data)) is not None:
            clean = self.validator.one(row)
        else:
            clean = self.validator.columns(_columns(data))
        if not isinstance(clean, tuple) and clean.refusals:
            raise InvalidInputError(clean.refusals)
        predictions = self.predict_clean(clean)
        if predictions.refusals:
            raise InvalidInputError(predictions.refusals)
        return predictions


def bundled() -> Path:
    """The data folder of the artifact that this package stands in."""
    return Path(__file__).parent / "data"


def _is_row(data: object) -> bool:
    """Whether `data` is one row: a mapping to values, and not to columns alone.

    A list beside plain values is a cell that the row's error names, or one that is ignored.
    """
    if not isinstance(data, Mapping):
        return False
    values = data.values()
    return _PLAIN.issuperset(map(type, values)) or not all(map(_is_column, values))


def _is_column(value: object) -> bool:
    if isinstance(value, (str, bytes, np.generic, Mapping)):
        return False
    return hasattr(value, "__len__")


def _only_row(data: Any) -> dict[str, Any] | None:  # noqa: ANN401
    """The row of a data frame of pandas that has one, read at once: many times faster.

    None for any other table, and where columns share a name or a whole number may have been
    rounded, because pandas made one array of whole numbers and fractions.
    """
    if not hasattr(data, "iloc") or len(data) != 1 or getattr(data, "ndim", 0) != 2:
        return None
    values = data.iloc[0]
    cells = map(plain, values.tolist())
    row = dict(zip(map(str, data.columns), cells, strict=True))
    if len(row) != len(values) or (values.dtype != object and not _exact(row.values())):
        return None
    return row


def _exact(values: Iterable[Any]) -> bool:
    """Whether numbers are as they were before somebody made floats of them."""
    return all(type(value) is not float or abs(value) < EXACT for value in values)


def _columns(data: Any) -> Mapping[str, Any]:  # noqa: ANN401 - any library's table
    """The columns of a dict, an Arrow table or a data frame, recognised by what they can do."""
    if isinstance(data, Mapping):
        return data
    names = getattr(data, "column_names", None)  # Arrow
    if names is not None:
        return {name: data.column(name) for name in names}
    names = getattr(data, "columns", None)  # pandas, polars
    if names is not None and hasattr(data, "__getitem__"):
        return {str(name): data[name] for name in names}
    raise TypeError(
        "predict takes a dict, a list of dicts, a dict of arrays, a data frame or an Arrow table, "
        f"not {type(data).__name__}"
    )


def _engine(folder: Path, manifest: Manifest, signature: Signature) -> Any:  # noqa: ANN401
    module = _ENGINES.get(manifest.form)
    if module is None:
        raise ModelError(f"this runtime cannot serve the form {manifest.form!r}")
    data = _verified(folder, manifest.model)
    loads = importlib.import_module(module, __package__).load
    if manifest.form != "hybrid":
        return loads(folder, data, signature)
    if manifest.parts is None:
        raise ModelError("the manifest of this hybrid names no Python parts: install it again")
    return loads(folder, data, signature, _verified(folder, manifest.parts))


def _verified(folder: Path, blob: Blob) -> bytes:
    """A file's bytes, if they are those that the manifest names."""
    if Path(blob.file).name != blob.file:
        raise ModelError(f"the manifest names {blob.file!r}, which is no file of the data folder")
    try:
        data = (folder / blob.file).read_bytes()
    except FileNotFoundError:
        raise ModelError(f"{blob.file} is missing: install the artifact again") from None
    digest = hashlib.sha256(data).hexdigest()
    if digest != blob.sha256:
        raise ModelError(
            f"{blob.file} is damaged: its SHA-256 is {digest[:12]}..., the manifest says "
            f"{blob.sha256[:12]}...: install the artifact again"
        )
    return data


def _json(path: Path) -> dict[str, Any]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except FileNotFoundError:
        return {}
