"""Trees for one row: which leaf each reaches, and what is known of it.

Where a forest is large its graph has the leaves of several trees in one number, and looks up what
stands at them (`mlpack.exporters.sklearn.converters.forests`). Here a cell of such a tensor says
which tree's leaf tells its value, so that nothing is put together only to be taken apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import numpy_helper

from mlpack.exporters.sklearn.converters.ensemble import BRANCH_LEQ, BRANCH_LT
from mlpack.runtime.program import Branch

Array = NDArray[Any]

MOST = 3_000
"""More comparisons than that take longer to compile than a start may take."""

DEEPEST = 40
"""Comparisons one after the other: Python's parser has a limit for brackets within each other."""

EXACT = 1 << 24
"""Whole numbers below it are the same in float32."""


class UnknownError(Exception):
    """The graph does something that no step says."""


@dataclass(frozen=True)
class Told:
    """A number that the leaf of one tree tells.

    Attributes:
        leaf: the place of the leaf's number.
        values: by the leaf's number.
    """

    leaf: int
    values: tuple[float, ...]

    def mapped(self, made: Callable[[Array], Array]) -> Told:
        """The same leaf with what is made of its values."""
        return Told(self.leaf, tuple(made(np.array(self.values)).tolist()))


@dataclass(frozen=True)
class Total:
    """A sum of such numbers, in order.

    Attributes:
        parts: what is added.
        shift: by how many bits it was moved to the right.
    """

    parts: tuple[Told, ...]
    shift: int = 0

    def whole(self) -> bool:
        """Whether it is a whole number that float32 holds, whatever the leaves."""
        most = 0.0
        for part in self.parts:
            if any(value < 0 or value != int(value) for value in part.values):
                return False
            most += max(part.values)
        return most < EXACT

    def masked(self, mask: int) -> Told | int:
        """The bits of a mask, which are those of one tree.

        Raises:
            UnknownError: they are not, or the trees' bits are not apart.
        """
        if not self.whole() or (mask & (mask + 1)):
            raise UnknownError
        used = 0
        found: Told | int = 0
        for part in self.parts:
            bits = 0
            for value in part.values:
                bits |= int(value)
            if bits & used:
                raise UnknownError  # a sum would carry
            used |= bits
            wanted = mask << self.shift
            if bits & wanted:
                if bits & ~wanted or found != 0:
                    raise UnknownError
                found = part.mapped(lambda values: values.astype(np.int64) >> self.shift)
        return found


class Trees:
    """Finds the trees of TreeEnsemble nodes (ai.onnx.ml, version 5).

    Attributes:
        trees: the comparisons of each, for the program.
    """

    def __init__(self) -> None:
        self.trees: list[tuple[Branch, ...]] = []
        self._size = 0

    def totals(
        self,
        attributes: Mapping[str, Any],
        cells: Sequence[Any],
        leaf: Callable[[int, Sequence[Any]], int],
        *,
        single: bool,
    ) -> list[Total]:
        """What a node answers for each target.

        Args:
            attributes: of the node.
            cells: its input, one row.
            leaf: adds the step that finds the leaf of a tree, given its number and what it asks
                for: the place of its result.
            single: whether the node sums in float32.

        Raises:
            UnknownError: it has trees of another kind, or too many.
        """
        told: list[list[Told]] = [[] for _ in range(int(attributes["n_targets"]))]
        reader = _Reader(attributes)
        for root in attributes["tree_roots"]:
            features, branches, leaves = reader.tree(int(root))
            if branches not in self.trees:
                self.trees.append(branches)
                self._size += len(branches)
                if self._size > MOST:
                    raise UnknownError
            asked = [cells[feature] for feature in features]
            targets = {target for target, _ in leaves}
            if len(targets) != 1:
                raise UnknownError
            place = leaf(self.trees.index(branches), asked)
            told[targets.pop()].append(Told(place, tuple(weight for _, weight in leaves)))
        totals = [Total(tuple(parts)) for parts in told]
        if not all(total.parts for total in totals):
            raise UnknownError
        if single and not all(total.whole() for total in totals):
            raise UnknownError  # Python has no float32 to sum in
        return totals


class _Reader:
    """Reads the trees of one node."""

    def __init__(self, attributes: Mapping[str, Any]) -> None:
        self._of = attributes
        self._splits = numpy_helper.to_array(attributes["nodes_splits"]).astype(np.float64)
        self._modes = numpy_helper.to_array(attributes["nodes_modes"])
        self._weights = numpy_helper.to_array(attributes["leaf_weights"]).astype(np.float64)
        self._missing = attributes.get("nodes_missing_value_tracks_true")
        if attributes.get("post_transform") or attributes.get("aggregate_function", 1) != 1:
            raise UnknownError

    def tree(
        self, root: int
    ) -> tuple[tuple[int, ...], tuple[Branch, ...], list[tuple[int, float]]]:
        """The columns that it asks for, its comparisons, and target and weight of its leaves."""
        features: dict[int, int] = {}
        branches: list[Branch | None] = []
        leaves: list[tuple[int, float]] = []

        def end(leaf: int) -> int:
            leaves.append((int(self._of["leaf_targetids"][leaf]), float(self._weights[leaf])))
            return -len(leaves)

        def grow(node: int, depth: int) -> int:
            if depth > DEEPEST or self._modes[node] not in (BRANCH_LEQ, BRANCH_LT):
                raise UnknownError
            place = len(branches)
            branches.append(None)
            below = []
            for side in ("true", "false"):
                to = int(self._of[f"nodes_{side}nodeids"][node])
                at_leaf = self._of[f"nodes_{side}leafs"][node]
                below.append(end(to) if at_leaf else grow(to, depth + 1))
            feature = int(self._of["nodes_featureids"][node])
            threshold, strict = float(self._splits[node]), self._modes[node] == BRANCH_LT
            if not math.isfinite(threshold) and (threshold != math.inf or strict):
                raise UnknownError
            branches[place] = Branch(
                asked=features.setdefault(feature, len(features)),
                threshold=None if threshold == math.inf else threshold,
                strict=bool(strict),
                missing=bool(self._missing is not None and self._missing[node]),
                yes=below[0],
                no=below[1],
            )
            return place

        grow(root, 0)
        return tuple(features), tuple(each for each in branches if each is not None), leaves
