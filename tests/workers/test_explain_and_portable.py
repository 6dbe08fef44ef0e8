"""What `mlpack export --explain` and `-o` ask of their workers, on tiny projects."""

from __future__ import annotations

import json

import onnxruntime
import pytest
import tiny
from sklearn.linear_model import LogisticRegression

from mlpack.errors import InputError
from mlpack.runtime import contract
from mlpack.workers.explain import work as explain
from mlpack.workers.export import work as export
from mlpack.workers.portable import work as portable


def silent(text):
    pass


def explained(folder, **more):
    answer = explain({"root": str(folder), **more}, silent)
    json.dumps(answer)
    return answer


def test_each_step_is_told_before_anything_is_built(tmp_path):
    folder, _ = tiny.project(tmp_path)
    tiny.save(folder, tiny.fitted())
    before = sorted(folder.rglob("*"))
    answer = explained(folder)
    assert answer["form"] == "onnx"
    assert {step["form"] for step in answer["steps"]} == {"graph"}
    assert sorted(folder.rglob("*")) == before


def test_a_model_without_a_graph_is_told_with_the_steps_before_it(tmp_path):
    folder, _ = tiny.project(tmp_path)
    pipeline = tiny.fitted()
    pipeline.steps[-1] = ("model", Unknown().fit(pipeline[:-1].transform(tiny.ROWS), tiny.LABELS))
    tiny.save(folder, pipeline)
    answer = explained(folder)
    assert answer["form"] == "python"
    assert answer["steps"][0]["form"] == "graph"
    assert "Unknown" in answer["steps"][-1]["path"]


class Unknown(LogisticRegression):
    """A subclass may do otherwise than its parent: no converter takes it."""


def test_a_conversion_that_was_given_up_is_told_as_the_reason(tmp_path):
    folder, _ = tiny.project(tmp_path)
    tiny.save(folder, tiny.fitted())
    answer = explained(folder, given_up="making its graph took longer than 300 s")
    assert answer["form"] == "python"
    assert answer["steps"][0]["reason"] == "making its graph took longer than 300 s"


def test_the_portable_graph_is_proved_and_written(tmp_path):
    folder, _ = tiny.project(tmp_path)
    tiny.save(folder, tiny.fitted())
    out, target = folder / ".out", tmp_path / "model.onnx"
    out.mkdir()
    export({"root": str(folder), "out": str(out)}, silent)
    answer = portable({"root": str(folder), "export": str(out), "to": str(target)}, silent)
    assert answer["rows"] > 100
    assert answer["size"] == target.stat().st_size
    session = onnxruntime.InferenceSession(str(target), providers=["CPUExecutionProvider"])
    assert {value.name for value in session.get_inputs()} <= set(tiny.ROWS.columns)


def test_what_stays_python_has_no_portable_graph(tmp_path):
    folder, _ = tiny.project(tmp_path)
    out = folder / ".out"
    out.mkdir()
    encoding = contract.Encoding(
        parts=(contract.Part(name="python_0", columns=("plan",), width=1),)
    )
    signature = contract.Signature(task="regression", columns=(), outputs=())
    for name, value in ((contract.SIGNATURE_FILE, signature), (contract.ENCODING_FILE, encoding)):
        (out / name).write_bytes(contract.encode(value))
    (out / contract.ONNX_FILE).write_bytes(b"")
    target = tmp_path / "model.onnx"
    with pytest.raises(InputError, match="what becomes of plan stays Python"):
        portable({"root": str(folder), "export": str(out), "to": str(target)}, silent)
    assert not target.exists()
