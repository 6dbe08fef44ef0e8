"""What tests of artifacts share: small real bundles, and a reporter that remembers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

import mlpack.runtime
from mlpack.assembly import assemble
from mlpack.bundle import Bundle, UserPackage
from mlpack.project import Project, Settings
from mlpack.runtime.contract import Column, Encoding, Output, Signature
from mlpack.runtime.schema import Schema

RUNTIME = Path(mlpack.runtime.__file__).parent

SIGNATURE = Signature(
    task="regression",
    columns=(Column(name="size", type="number", dtype="float64"),),
    outputs=(Output(name="value", type="number"),),
    target="price",
    rows=100,
)

SERVING = {
    "fastapi": "0.165.0",
    "httptools": "0.9.0",
    "msgspec": "0.22.0",
    "numpy": "2.4.6",
    "onnxruntime": "1.31.1",
    "prometheus-client": "0.26.0",
    "uvicorn": "0.54.0",
    "uvloop": "0.23.0",
}
PICKLED = {"joblib": "1.6.0", "pandas": "3.1.1", "scikit-learn": "1.9.1", "scipy": "1.17.1"}


def lock_text(**extra: str) -> str:
    """A lock of the serving set and `extra`, whose digests are made up."""
    pins = {**SERVING, **{name.replace("_", "-"): version for name, version in extra.items()}}
    lines = []
    for name in sorted(pins):
        marker = ' ; sys_platform != "win32"' if name == "uvloop" else ""
        lines.append(f"{name}=={pins[name]}{marker} \\\n    --hash=sha256:{'0' * 64}\n")
    return "# Made by a test\n" + "".join(lines)


def make_project(
    root: Path = Path("/nowhere"),
    name: str = "churn",
    version: str | None = "1.2.0",
    package: str = "churn",
    dependencies: tuple[str, ...] = (),
) -> Project:
    """A project of which only what artifacts need is known."""
    pyproject = root / "pyproject.toml"
    return Project(
        root=root,
        name=name,
        version=version,
        requires_python=None,
        package=package,
        package_dir=None,
        dependencies=dependencies,
        dev_dependencies=(),
        dependencies_from=None,
        pyproject=pyproject if pyproject.is_file() else None,
        data_module=None,
        pipeline_module=None,
        config_dir=None,
        environments=(),
        model=None,
        signature=None,
        schema=None,
        sample=None,
        metrics=None,
        reference=None,
        settings=Settings(),
        remarks=(),
    )


def graph(factor: float = 2.0) -> bytes:
    """A graph that answers `factor` times ``size``, and refuses infinity."""
    nodes = [
        helper.make_node("Mul", ["numbers", "factor"], ["value"]),
        helper.make_node("IsInf", ["numbers"], ["infinite"]),
        helper.make_node("Reshape", ["infinite", "flat"], ["refused"]),
    ]
    made = helper.make_graph(
        nodes,
        "core",
        [helper.make_tensor_value_info("numbers", TensorProto.DOUBLE, [None, 1])],
        [
            helper.make_tensor_value_info("refused", TensorProto.BOOL, [None]),
            helper.make_tensor_value_info("value", TensorProto.DOUBLE, [None, 1]),
        ],
        [
            numpy_helper.from_array(np.array(factor), "factor"),
            numpy_helper.from_array(np.array([-1]), "flat"),
        ],
    )
    opset = [helper.make_opsetid("", 20)]
    return helper.make_model(made, opset_imports=opset, ir_version=9).SerializeToString()


def onnx_bundle(project: Project | None = None, factor: float = 2.0, lock: str = "") -> Bundle:
    """A bundle of `graph`."""
    return assemble(
        project=project or make_project(),
        form="onnx",
        model=graph(factor),
        signature=SIGNATURE,
        schema=Schema(),
        encoding=Encoding(numbers=("size",)),
        parity=b'{"format": 1, "equal": true}\n',
        openapi=b'{"openapi": "3.1.0"}\n',
        lock_text=lock or lock_text(),
        python="3.11",
        versions={"onnx": "1.23.2"},
        metrics={"r2": 0.5},
        reason=None,
        runtime_dir=RUNTIME,
        user_tree=None,
    )


def python_bundle(
    user: UserPackage | None, project: Project | None = None, lock: str = ""
) -> Bundle:
    """A bundle of something that is called a pickle."""
    return assemble(
        project=project or make_project(),
        form="python",
        model=b"no pickle, and nobody loads it",
        signature=SIGNATURE,
        schema=Schema(),
        encoding=None,
        parity=b'{"format": 1, "equal": true}\n',
        openapi=b'{"openapi": "3.1.0"}\n',
        lock_text=lock or lock_text(**{name.replace("-", "_"): PICKLED[name] for name in PICKLED}),
        python="3.11",
        versions={"scikit-learn": "1.9.1"},
        metrics={},
        reason="features → Surname: a transformer of the project's own",
        runtime_dir=RUNTIME,
        user_tree=user,
    )


@dataclass
class Remembering:
    """A reporter that keeps what it was told."""

    told: list[str] = field(default_factory=list)

    @contextlib.contextmanager
    def stage(self, title: str) -> Iterator[Remembering]:
        self.told.append(title)
        yield self

    def advance(self, done: int, total: int | None = None) -> None:
        pass

    def result(self, text: str) -> None:
        self.told.append(text)

    def note(self, text: str) -> None:
        self.told.append(text)

    def warn(self, text: str) -> None:
        self.told.append(text)
