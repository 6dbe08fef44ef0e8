"""Reads a CSV with many rows at once, where nothing about it is in doubt.

It only ever reads what ``tables.CsvReader`` would read row by row, and to the same values; where it
has doubts (quotes, other line ends, rows of other lengths) it reads nothing, and that one decides.
"""

from __future__ import annotations

import csv

import numpy as np

from . import decimals
from .contract import Signature
from .tables import typed
from .values import Values
from .vocabulary import Texts, Vocabulary

LEAST = 16
"""Fewer rows are read as fast one after the other."""

_BOM = b"\xef\xbb\xbf"
_COMMA, _LINE = ord(","), ord("\n")


def read(
    body: bytes, signature: Signature, max_rows: int, vocabulary: Vocabulary
) -> dict[str, Values] | None:
    """The columns of a CSV whose first line names them; None where there are doubts.

    Args:
        body: the CSV.
        signature: gives the columns their types; of others only the names are told.
        max_rows: more rows are doubtful.
        vocabulary: texts that are among its words are not decoded.
    """
    cells = _cells(body, max_rows)
    return None if cells is None else cells.columns(signature, vocabulary)


def _cells(body: bytes, max_rows: int) -> _Cells | None:
    if b'"' in body or b"\0" in body:
        return None
    if b"\r" in body:
        if body.count(b"\r") != body.count(b"\r\n"):
            return None
        body = body.replace(b"\r\n", b"\n")
    start = len(_BOM) if body.startswith(_BOM) else 0
    end = body.find(b"\n", start)
    if body[-1:] != b"\n":
        body += b"\n"
    if 0 <= end < decimals.LONGEST:
        # Whoever reads a number looks at so many bytes before its end.
        body = bytes(decimals.LONGEST) + body
        start, end = start + decimals.LONGEST, end + decimals.LONGEST
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    names = body[start:end].decode().split(",")
    if end <= start or len(set(names)) < len(names):
        return None
    data = np.frombuffer(body, np.uint8)[end + 1 :]
    lines = data == _LINE
    rows = np.count_nonzero(lines)
    if not LEAST <= rows <= max_rows:
        return None
    spots = np.flatnonzero((data == _COMMA) | lines)
    if len(spots) != rows * len(names) or not lines[spots[len(names) - 1 :: len(names)]].all():
        return None
    ends = spots + (end + 1)
    starts = np.empty_like(ends)
    starts[0], starts[1:] = end + 1, ends[:-1] + 1
    if (ends - starts).max() > csv.field_size_limit() or end - start > csv.field_size_limit():
        return None
    shape = (rows, len(names))
    grid = np.ascontiguousarray(starts.reshape(shape).T)
    cells = _Cells(names, body, text, grid, np.ascontiguousarray(ends.reshape(shape).T))
    # With one column, an empty line is no row.
    return None if len(names) == 1 and not cells.lengths.all() else cells


class _Cells:
    """The cells of a CSV.

    Args:
        names: the columns'.
        body: the CSV.
        text: the same.
        starts: int64 [columns, rows], where in the body each cell begins.
        ends: int64 [columns, rows], where it ends.
    """

    def __init__(
        self, names: list[str], body: bytes, text: str, starts: np.ndarray, ends: np.ndarray
    ) -> None:
        self.names = names
        self.body = body
        self.text = text if len(text) == len(body) else None
        self.starts = starts
        self.ends = ends
        self.lengths = ends - starts

    def columns(self, signature: Signature, vocabulary: Vocabulary) -> dict[str, Values] | None:
        """All columns; None if the model has none of them."""
        kinds = {column.name: column.type for column in signature.columns}
        places = {name: place for place, name in enumerate(self.names) if name in kinds}
        if not places:
            return None
        found: dict[str, Values | None] = dict.fromkeys(self.names, ())
        numbers = [name for name in places if kinds[name] in ("number", "integer")]
        texts = [name for name in places if kinds[name] == "string" and name in vocabulary]
        found.update(dict.fromkeys(places))
        if numbers:
            whole = [kinds[name] == "integer" for name in numbers]
            read = self._numbers([places[name] for name in numbers], whole)
            found.update(zip(numbers, read, strict=True))
        if texts:
            some = [places[name] for name in texts]
            lengths = self.lengths[some]
            empty = lengths == 0
            absent = [each if each.any() else None for each in empty]
            words = vocabulary.read(Texts(self.body, self.starts[some], lengths), texts, absent)
            found.update(zip(texts, words, strict=True))
        return {
            name: typed(self._texts(places[name]), kinds[name]) if values is None else values
            for name, values in found.items()
        }

    def _numbers(self, places: list[int], whole: list[bool]) -> list[np.ndarray | None]:
        """Columns of numbers; None for one that holds something else."""
        lengths = self.lengths[places]
        flat, parsed = decimals.parsed(self.body, self.starts[places].ravel(), lengths.ravel())
        table, fine = flat.reshape(lengths.shape), parsed.reshape(lengths.shape)
        sure: list[bool] = np.logical_and.reduce(fine, axis=1).tolist()
        found: list[np.ndarray | None] = []
        for row, (place, integer, known) in enumerate(zip(places, whole, sure, strict=True)):
            values = table[row]
            if integer:
                # One that is missing makes a list of the others.
                even = known and bool((values == np.trunc(values)).all())
                found.append(values.astype(np.int64) if even else None)
                continue
            if not known:
                empty = lengths[row] == 0
                values[empty] = np.nan
                lost = np.flatnonzero(~(fine[row] | empty))
                if len(lost) and not self._fill(place, values, lost):
                    found.append(None)
                    continue
            found.append(values)
        return found

    def _fill(self, place: int, values: np.ndarray, rows: np.ndarray) -> bool:
        """Read some numbers as Python does; whether they all are numbers."""
        texts = self._texts(place, rows)
        if "_" in "".join(texts):
            return False  # Python takes it within a number, nobody else does
        try:
            values[rows] = np.fromiter(map(float, texts), np.float64, len(texts))
        except ValueError:
            return False
        return True

    def _texts(self, place: int, rows: np.ndarray | slice = slice(None)) -> list[str]:
        """The cells of a column, or some of them."""
        starts, ends = self.starts[place, rows].tolist(), self.ends[place, rows].tolist()
        pairs = zip(starts, ends, strict=True)
        if self.text is None:
            return [self.body[start:end].decode() for start, end in pairs]
        text = self.text
        return [text[start:end] for start, end in pairs]
