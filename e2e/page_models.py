"""Small artifacts for the page: columns of every kind, and models of every task."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
from onnx import TensorProto, helper
from runtime import bundles

from mlpack.runtime.contract import Codes, Column, Encoding, Output, Signature
from mlpack.runtime.schema import Constraint, Schema

SCRIPT = "<script>document.title = 'taken over'</script>"
QUOTES = 'it\'s "quoted" & ünïcode 😀'
MARKUP = "<img src=x onerror=\"document.title = 'taken over'\">"

KINDS = msgspec.structs.replace(
    bundles.SIGNATURE,
    columns=(
        *bundles.SIGNATURE.columns,
        Column(name="size", type="string", dtype="str", nullable=False),
        Column(name="born", type="date", dtype="object", held="date"),
        Column(name="seen", type="datetime", dtype="datetime64[ns]"),
        Column(name="paid", type="datetime", dtype="datetime64[ns, UTC]", zone="Europe/Berlin"),
        Column(name="account", type="integer", dtype="Int64"),
        Column(name=SCRIPT, type="number", dtype="float64"),
        Column(name=QUOTES, type="string", dtype="str", categories=(MARKUP, "b")),
    ),
    target=MARKUP,
)
"""The classifier of the runtime's tests with more columns, which it does not look at."""

KINDS_SCHEMA = Schema(
    columns={
        **bundles.SCHEMA.columns,
        "size": Constraint(categories=("S", "M", "L"), description=MARKUP),
    }
)

VALUES = Signature(
    task="regression",
    columns=(Column(name="x", type="number", dtype="float64", nullable=False, minimum=0.0),),
    outputs=(Output(name="value", type="number", size=2),),
)
"""Answers the number and its double."""

CLUSTERS = Signature(
    task="clusters",
    columns=(Column(name="group", type="string", dtype="str", categories=("a", "b", "c")),),
    outputs=(Output(name="label", type="integer"),),
    labels=(0, 1, 2, 3, 4),
)
"""Answers the place of the category: 3 for another, 4 for a missing one."""


def _values_graph() -> bytes:
    nodes = [
        helper.make_node("Mul", ["numbers", "two"], ["twice"]),
        helper.make_node("Concat", ["numbers", "twice"], ["value"], axis=1),
    ]
    return bundles.made_graph(
        nodes,
        [("numbers", TensorProto.DOUBLE, [None, 1])],
        [("value", TensorProto.DOUBLE, [None, 2])],
        {"two": np.array(2.0)},
    )


def _clusters_graph() -> bytes:
    return bundles.made_graph(
        [helper.make_node("Reshape", ["codes", "flat"], ["label"])],
        [("codes", TensorProto.INT64, [None, 1])],
        [("label", TensorProto.INT64, [None])],
        {"flat": np.array([-1])},
    )


def kinds(root: Path) -> None:
    """A package ``kinds``, as an artifact has it, with columns of every kind."""
    bundles.package(root, "kinds", signature=KINDS, schema=KINDS_SCHEMA)


def values(root: Path) -> None:
    """A package ``values``: a regression of two values."""
    encoding = Encoding(numbers=("x",))
    bundles.package(root, "values", signature=VALUES, model=_values_graph(), encoding=encoding)


def clusters(root: Path) -> None:
    """A package ``clusters``."""
    encoding = Encoding(codes=(Codes(column="group", categories=("a", "b", "c")),))
    bundles.package(
        root, "clusters", signature=CLUSTERS, model=_clusters_graph(), encoding=encoding
    )


def outliers(root: Path) -> None:
    """A package ``outliers``."""
    bundles.package(
        root,
        "outliers",
        signature=bundles.OUTLIERS,
        model=bundles.outliers_graph(),
        encoding=bundles.OUTLIERS_ENCODING,
    )
