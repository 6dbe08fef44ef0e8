"""Binary trees, and the TreeEnsemble node of ai.onnx.ml (version 5) that sums them.

https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsemble.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from mlpack.exporters.sklearn.features import Context
from mlpack.exporters.sklearn.graph import DOUBLE

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
        inner = [i for i in range(len(tree.left)) if tree.left[i] >= 0]
        first = len(self.features)
        self.roots.append(first)
        if not inner:
            # A tree of one leaf: this operator wants a node, so both its branches say the same.
            true, false = ((self._leaf(target, float(weight[0])), 1) for _ in range(2))
            mode = BRANCH_LEQ if tree.mode is None else int(tree.mode[0])
            self._node(0, 0.0, missing=False, true=true, false=false, mode=mode)
            return
        position = {node: first + index for index, node in enumerate(inner)}

        def child(node: int) -> tuple[int, int]:
            if node in position:
                return position[node], 0
            return self._leaf(target, float(weight[node])), 1

        for node in inner:
            true, false = child(int(tree.left[node])), child(int(tree.right[node]))
            if true[0] == false[0]:
                # ONNX Runtime (1.23 at least) takes a root for a leaf where the numbers of its
                # children are the same, though one counts nodes and the other leaves.
                true, false = (
                    (self._leaf(target, self.leaf_weights[number]), 1) if leaf else (number, 0)
                    for number, leaf in (true, false)
                )
            self._node(
                int(tree.feature[node]),
                float(tree.threshold[node]),
                missing=bool(tree.missing_left[node]),
                true=true,
                false=false,
                mode=BRANCH_LEQ if tree.mode is None else int(tree.mode[node]),
                members=(tree.members or {}).get(node, ()),
            )

    def _leaf(self, target: int, weight: float) -> int:
        self.leaf_targets.append(target)
        self.leaf_weights.append(weight)
        return len(self.leaf_targets) - 1

    def _node(
        self,
        feature: int,
        threshold: float,
        *,
        missing: bool,
        true: tuple[int, int],
        false: tuple[int, int],
        mode: int = BRANCH_LEQ,
        members: Array | tuple[()] = (),
    ) -> None:
        self.features.append(feature)
        self.thresholds.append(threshold)
        self.missing_true.append(int(missing))
        self.true_ids.append(true[0])
        self.true_leaf.append(true[1])
        self.false_ids.append(false[0])
        self.false_leaf.append(false[1])
        self.modes.append(mode)
        if mode == BRANCH_MEMBER:
            # The sets stand one after another, a NaN after each.
            self.members.extend([*(float(member) for member in members), float("nan")])

    def node(self, matrix: str, context: Context) -> str:
        """The node in the graph: [rows, targets], the sums over the trees in their order."""
        count = len(self.features)
        sets: dict[str, Any] = {}
        if self.members:
            sets["membership_values"] = helper.make_tensor(
                "members", self.element, [len(self.members)], self.members
            )
        return context.graph.node(
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
