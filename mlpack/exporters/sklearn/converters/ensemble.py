"""Binary trees, and the TreeEnsemble node of ai.onnx.ml (version 5) that sums them.

https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsemble.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from mlpack.exporters.sklearn.features import Context
from mlpack.exporters.sklearn.graph import DOUBLE, Graph

Array = NDArray[Any]
BRANCH_LEQ, BRANCH_LT, BRANCH_GTE, BRANCH_GT, BRANCH_MEMBER = 0, 1, 2, 3, 6


@dataclass(frozen=True)
class Tree:
    """A binary tree as arrays over its nodes; ``left`` is negative at a leaf.

    Attributes:
        left: where a row goes of which the node's comparison is true.
        missing_left: whether a missing value goes there too.
        mode: how each node compares, a ``BRANCH_*`` of this module; <= if it is not told.
        members: for each node that is BRANCH_MEMBER the set that it asks for. ONNX Runtime takes
            only whole numbers for what they are there: 0.5 may be found in a set with 0.
    """

    left: Array
    right: Array
    feature: Array
    threshold: Array
    missing_left: Array
    mode: Array | None = None
    members: Mapping[int, Array] | None = None


LEAF = Tree(
    left=np.array([-1]),
    right=np.array([-1]),
    feature=np.array([0]),
    threshold=np.array([0.0]),
    missing_left=np.array([0]),
)
"""A tree of one leaf."""


_STUMP = Tree(
    left=np.array([1, -1, -1]),
    right=np.array([2, -1, -1]),
    feature=np.array([0, 0, 0]),
    threshold=np.zeros(3),
    missing_left=np.zeros(3),
)


def grown(thresholds: Sequence[float], values: Sequence[float]) -> tuple[Tree, Array]:
    """A search by halves in one column: the tree, and what stands at its nodes.

    Args:
        thresholds: in order.
        values: what stands at or below each of them and above the one before; one more for what
            lies above them all, and for NaN.
    """
    left: list[int] = []
    right: list[int] = []
    threshold: list[float] = []
    weight: list[float] = []

    def grow(first: int, last: int) -> int:
        node = len(left)
        left.append(-1)
        right.append(-1)
        threshold.append(0.0)
        weight.append(float(values[first]))
        if first < last:
            middle = (first + last) // 2
            threshold[node] = float(thresholds[middle])
            left[node] = grow(first, middle)
            right[node] = grow(middle + 1, last)
        return node

    grow(0, len(thresholds))
    tree = Tree(
        left=np.array(left),
        right=np.array(right),
        feature=np.zeros(len(left), np.int64),
        threshold=np.array(threshold),
        missing_left=np.zeros(len(left)),
    )
    return tree, np.array(weight)


@dataclass
class Ensemble:
    """The attributes of a TreeEnsemble node, tree by tree.

    Attributes:
        targets: how many sums there are.
        element: what it compares and sums in, DOUBLE or FLOAT; its input and output are of it too.
    """

    targets: int
    element: int = DOUBLE
    features: list[int] = field(default_factory=list)
    thresholds: list[float] = field(default_factory=list)
    missing_true: list[int] = field(default_factory=list)
    true_ids: list[int] = field(default_factory=list)
    true_leaf: list[int] = field(default_factory=list)
    false_ids: list[int] = field(default_factory=list)
    false_leaf: list[int] = field(default_factory=list)
    leaf_targets: list[int] = field(default_factory=list)
    leaf_weights: list[float] = field(default_factory=list)
    roots: list[int] = field(default_factory=list)
    modes: list[int] = field(default_factory=list)
    members: list[float] = field(default_factory=list)

    def start(self, values: Array) -> None:
        """Let the sums begin with these values, one for each target, before the trees' own."""
        for target, value in enumerate(values):
            self.add_one(LEAF, np.array([value]), target)

    def add(self, tree: Tree, weight: Array) -> None:
        """Add a tree whose node i, if it is a leaf, adds `weight[i]` (float64 [targets]).

        A leaf of this operator has one target, so a tree with several targets stands once for
        each of them.
        """
        for target in range(self.targets):
            self.add_one(tree, weight[:, target], target)

    def add_one(self, tree: Tree, weight: Array, target: int) -> None:
        """Add a tree whose leaves add to one target: `weight` is float64 [nodes]."""
        left, right = np.asarray(tree.left), np.asarray(tree.right)
        inner = np.flatnonzero(left >= 0)
        if not len(inner):
            # A tree of one leaf: this operator wants a node, so both its branches say the same.
            mode = None if tree.mode is None else np.repeat(tree.mode[:1], 3)
            tree, inner = replace(_STUMP, mode=mode), np.array([0])
            weight = np.repeat(weight[:1], 3)
            left, right = np.asarray(tree.left), np.asarray(tree.right)
        first, leaves = len(self.features), len(self.leaf_weights)
        self.roots.append(first)
        children = np.concatenate([left[inner], right[inner]])
        leaf = left[children] < 0
        ends = children[leaf]
        place = np.zeros(len(left), np.int64)
        place[inner] = first + np.arange(len(inner))
        place[ends] = leaves + np.arange(len(ends))
        true, false = place[left[inner]], place[right[inner]]
        true_leaf, false_leaf = np.split(leaf, 2)
        added = weight[ends].tolist()
        for node in np.flatnonzero(true == false):
            # ONNX Runtime (1.23 at least) takes a root for a leaf where the numbers of its
            # children are the same, though one counts nodes and the other leaves.
            side = true if true_leaf[node] else false
            while true[node] == false[node]:
                added.append(added[side[node] - leaves])
                side[node] = leaves + len(added) - 1
        self.leaf_weights += added
        self.leaf_targets += [target] * len(added)
        modes = np.zeros(len(inner), np.int64) if tree.mode is None else tree.mode[inner]
        self.features += tree.feature[inner].tolist()
        self.thresholds += tree.threshold[inner].tolist()
        self.missing_true += np.asarray(tree.missing_left)[inner].astype(np.int64).tolist()
        self.true_ids += true.tolist()
        self.true_leaf += true_leaf.astype(np.int64).tolist()
        self.false_ids += false.tolist()
        self.false_leaf += false_leaf.astype(np.int64).tolist()
        self.modes += modes.tolist()
        for node in inner[modes == BRANCH_MEMBER]:
            # The sets stand one after another, a NaN after each.
            members = (tree.members or {}).get(int(node), ())
            self.members.extend([*(float(member) for member in members), float("nan")])

    def node(self, matrix: str, context: Context) -> str:
        """The node in the graph: [rows, targets], the sums over the trees in their order."""
        return self.within(context.graph, matrix)

    def within(self, graph: Graph, matrix: str) -> str:
        """The same in a graph of its own, such as a branch."""
        count = len(self.features)
        sets: dict[str, Any] = {}
        if self.members:
            sets["membership_values"] = helper.make_tensor(
                "members", self.element, [len(self.members)], self.members
            )
        return graph.node(
            "TreeEnsemble",
            [matrix],
            domain="ai.onnx.ml",
            n_targets=self.targets,
            aggregate_function=1,  # SUM
            post_transform=0,  # NONE
            tree_roots=self.roots,
            nodes_featureids=self.features,
            nodes_modes=helper.make_tensor("modes", TensorProto.UINT8, [count], self.modes),
            nodes_splits=helper.make_tensor("splits", self.element, [count], self.thresholds),
            nodes_missing_value_tracks_true=self.missing_true,
            nodes_truenodeids=self.true_ids,
            nodes_trueleafs=self.true_leaf,
            nodes_falsenodeids=self.false_ids,
            nodes_falseleafs=self.false_leaf,
            leaf_targetids=self.leaf_targets,
            leaf_weights=helper.make_tensor(
                "weights", self.element, [len(self.leaf_weights)], self.leaf_weights
            ),
            **sets,
        )


def added(before: Sequence[str], table: Array, places: str, trees: int, graph: Graph) -> list[str]:
    """The sums so far and the values of some more trees, target by target: float64 [1, rows] each.

    Args:
        before: the sums so far, one for each target; none for the first trees.
        table: the values of all these trees: float64 [places, targets].
        places: which of them each tree chose for each row: [trees, rows].
        trees: how many there are.
        graph: gets the nodes.
    """
    flat = graph.reshape(places, [-1])
    axis = graph.constant(np.array([0], np.int64))
    made = []
    for target in range(table.shape[1]):
        column = graph.constant(np.ascontiguousarray(table[:, target]))
        # For numbers in a row this is many times faster than Gather.
        found = graph.node("GatherElements", [column, flat], axis=0)
        found = graph.reshape(found, [trees, -1])
        if before:
            found = graph.node("Concat", [before[target], found], axis=0)
        # Along the first axis ONNX Runtime adds one row of numbers after the other.
        made.append(graph.node("ReduceSum", [found, axis], keepdims=1))
    return made
