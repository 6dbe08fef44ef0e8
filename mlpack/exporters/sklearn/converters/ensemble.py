"""Binary trees, and the TreeEnsemble node of ai.onnx.ml (version 5) that sums them.

https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsemble.html
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray
from onnx import TensorProto, helper

from mlpack.exporters.sklearn.features import Context

Array = NDArray[Any]
BRANCH_LEQ = 0


@dataclass(frozen=True)
class Tree:
    """A binary tree as arrays over its nodes; ``left`` is negative at a leaf."""

    left: Array
    right: Array
    feature: Array
    threshold: Array
    missing_left: Array


@dataclass
class Ensemble:
    """The attributes of a TreeEnsemble node, tree by tree."""

    targets: int
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
            self._node(0, 0.0, missing=False, true=true, false=false)
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
    ) -> None:
        self.features.append(feature)
        self.thresholds.append(threshold)
        self.missing_true.append(int(missing))
        self.true_ids.append(true[0])
        self.true_leaf.append(true[1])
        self.false_ids.append(false[0])
        self.false_leaf.append(false[1])

    def node(self, matrix: str, context: Context) -> str:
        """The node in the graph: float64 [rows, targets], the sums over the trees."""
        count = len(self.features)
        return context.graph.node(
            "TreeEnsemble",
            [matrix],
            domain="ai.onnx.ml",
            n_targets=self.targets,
            aggregate_function=1,  # SUM
            post_transform=0,  # NONE
            tree_roots=self.roots,
            nodes_featureids=self.features,
            nodes_modes=helper.make_tensor(
                "modes", TensorProto.UINT8, [count], [BRANCH_LEQ] * count
            ),
            nodes_splits=helper.make_tensor("splits", TensorProto.DOUBLE, [count], self.thresholds),
            nodes_missing_value_tracks_true=self.missing_true,
            nodes_truenodeids=self.true_ids,
            nodes_trueleafs=self.true_leaf,
            nodes_falsenodeids=self.false_ids,
            nodes_falseleafs=self.false_leaf,
            leaf_targetids=self.leaf_targets,
            leaf_weights=helper.make_tensor(
                "weights", TensorProto.DOUBLE, [len(self.leaf_weights)], self.leaf_weights
            ),
        )
