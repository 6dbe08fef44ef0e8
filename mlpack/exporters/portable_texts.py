"""Texts in the portable graph: their terms come in, and are known and counted by nodes.

What a letter is, no graph can tell as Python does; so a text comes in as its terms, one after the
other and as often as they occur, which is what ``build_analyzer()`` of scikit-learn's vectorizers
gives, in rows that are filled up to one length. A vectorizer that hashes takes their hashes, since
no graph has the bytes of a string: MurmurHash3, x86, 32 bits, seed 0, as a signed number.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mlpack.exporters.portable_dates import NAT, Nodes
from mlpack.ports import NotExportableError
from mlpack.runtime.contract import Text

FILL = NAT
"""What fills up rows of hashes. Rows of terms are filled up with what stands for a missing text."""


def inputs(texts: Sequence[Text]) -> Mapping[str, Text]:
    """The names of the inputs: of a column's name, and of a number where it is counted in two ways.

    They end in ``/terms``, or in ``/hashes``.

    Raises:
        NotExportableError: two would have one name.
    """
    made: dict[str, Text] = {}
    for text in texts:
        several = [each for each in texts if each.column == text.column]
        number = f"/{several.index(text)}" if len(several) > 1 else ""
        name = f"{text.column}{number}/{'hashes' if text.hashed else 'terms'}"
        if name in made:
            raise NotExportableError("", f"two inputs would be called {name!r}")
        made[name] = text
    return made


def told(text: Text) -> str:
    """How the terms are found, for whoever makes them: JSON with the names of scikit-learn."""
    shown: dict[str, Any] = {
        "analyzer": text.analyzer,
        "lowercase": text.lowercase,
        "strip_accents": text.strip_accents,
        "ngram_range": (text.shortest, text.longest),
    }
    if text.analyzer == "word":
        shown |= {"token_pattern": text.pattern, "stop_words": text.stop_words}
    return json.dumps(shown)


def entries(nodes: Nodes, name: str, text: Text, fill: str, to: str) -> None:
    """What the core graph takes for a text: int64 [entries, 3] of row, term and how often.

    Args:
        nodes: where the nodes go.
        name: the input: string or int64 [rows, longest].
        text: how terms are counted.
        fill: what fills up rows of terms.
        to: the answer's name.

    Raises:
        NotExportableError: what fills up is a term.
    """
    once = _Sizes(nodes)
    there, term = once.hashed(name, text) if text.hashed else once.known(name, text, fill)
    # Row and term in one number: equal ones come together when they are sorted.
    rows = nodes.node("Squeeze", [nodes.node("Shape", [name], start=0, end=1)])
    row = nodes.node("Range", [once.zero, rows, once.one])
    width = nodes.constant(np.int64(text.hashed or len(text.terms)))
    first = nodes.node("Mul", [once.upright(row), width])
    there = once.flat(there)
    place = nodes.node("Compress", [once.flat(nodes.node("Add", [first, term])), there])
    places, _, inverse, counts = nodes.several("Unique", [place], 4, sorted=1)
    if text.binary:
        counts = nodes.node("Expand", [once.one, nodes.node("Shape", [places])])
    elif text.alternate_sign:
        negative = nodes.node("Less", [name, once.zero])
        sign = nodes.node("Where", [negative, nodes.constant(np.int64(-1)), once.one])
        sign = nodes.node("Compress", [once.flat(sign), there])
        nothing = nodes.node("Expand", [once.zero, nodes.node("Shape", [places])])
        counts = nodes.node("ScatterElements", [nothing, inverse, sign], reduction="add")
    found = [nodes.node("Div", [places, width]), nodes.node("Mod", [places, width]), counts]
    nodes.node("Concat", [once.upright(each) for each in found], to, axis=1)


class _Sizes:
    """Small constants, and what is done with them."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self.zero, self.one = (nodes.constant(np.int64(value)) for value in (0, 1))
        self._flat, self._upright = (nodes.constant(np.array([each])) for each in (-1, 1))

    def flat(self, name: str) -> str:
        return self._nodes.node("Reshape", [name, self._flat])

    def upright(self, name: str) -> str:
        return self._nodes.node("Unsqueeze", [name, self._upright])

    def hashed(self, name: str, text: Text) -> tuple[str, str]:
        """Where there is a term, and its column."""
        nodes = self._nodes
        filled = nodes.node("Equal", [name, nodes.constant(np.int64(FILL))])
        size = nodes.constant(np.int64(text.hashed))
        return nodes.node("Not", [filled]), nodes.node("Mod", [nodes.node("Abs", [name]), size])

    def known(self, name: str, text: Text, fill: str) -> tuple[str, str]:
        """Where there is a known term, and its column."""
        if fill in text.terms:
            raise NotExportableError("", f"a term of {text.column} is {fill!r}")
        term = self._nodes.node(
            "LabelEncoder",
            [name],
            keys_strings=list(text.terms),
            values_int64s=list(range(len(text.terms))),
            default_int64=-1,
        )
        return self._nodes.node("GreaterOrEqual", [term, self.zero]), term
