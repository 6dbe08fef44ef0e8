"""The worker that exports and proves, asked in this process on tiny projects."""

from __future__ import annotations

import json
import sys

import joblib
import msgspec
import pandas as pd
import pytest
import tiny
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

from mlpack import inspection
from mlpack.errors import InputError, ProofError
from mlpack.export import Exported, Parity
from mlpack.exporters.portable import compose
from mlpack.exporters.sklearn import SklearnExporter
from mlpack.files import sha256_file
from mlpack.ports import NotExportableError
from mlpack.runtime import contract
from mlpack.runtime.schema import Schema
from mlpack.training.observe import observe
from mlpack.training.usercode import importable
from mlpack.workers.export import Result, work
from mlpack.workers.forms import graph


class Out:
    """What the worker answered, and the folder that it wrote."""

    def __init__(self, folder):
        self.folder = folder / ".out"
        self.folder.mkdir(exist_ok=True)
        self.told = []
        self.answer = work({"root": str(folder), "out": str(self.folder)}, self.told.append)
        json.dumps(self.answer)
        self.result = contract.read(self.folder, "export.json", Result)
        self.parity = contract.read(self.folder, contract.PARITY_FILE, Parity)
        self.signature = contract.read(self.folder, contract.SIGNATURE_FILE, contract.Signature)
        self.files = {path.name for path in self.folder.iterdir()}


def test_a_pipeline_of_known_steps_becomes_a_graph(tmp_path):
    folder, _ = tiny.project(tmp_path)
    tiny.save(folder, tiny.fitted())
    out = Out(folder)
    assert (out.result.form, out.result.reason) == ("onnx", None)
    assert out.files == {
        *("export.json", contract.ONNX_FILE, contract.SIGNATURE_FILE, contract.SCHEMA_FILE),
        *(contract.PARITY_FILE, contract.ENCODING_FILE),
    }
    assert out.result.encoded
    assert out.result.model == contract.ONNX_FILE
    assert out.parity.equal
    assert out.parity.rows > 100
    assert {step.form for step in out.parity.steps} == {"graph"}
    assert out.answer == {"worst": []}
    assert out.told == ["loading the model", "making the graph", "proving the export"]
    assert {"scikit-learn", "onnx", "python"} <= set(out.result.versions)


def test_without_a_signature_it_is_learned_from_the_sample(tmp_path):
    folder, _ = tiny.project(tmp_path)
    tiny.save(folder, tiny.fitted(), tiny.ROWS.assign(extra=1)[["extra", "plan", "size"]])
    out = Out(folder)
    assert out.signature.source == "sample"
    assert [(each.name, each.type) for each in out.signature.columns] == [
        ("size", "number"),
        ("plan", "string"),
    ]
    assert out.signature.columns[1].categories == ("a", "b", "c")
    assert any("data/sample.csv" in note for note in out.result.notes)
    assert out.parity.checks[0].name == "sample"


def test_without_a_sample_the_estimator_alone_tells(tmp_path):
    folder, _ = tiny.project(tmp_path)
    tiny.save(folder, tiny.fitted(), None)
    out = Out(folder)
    assert out.signature.source == "estimator"
    assert [(each.name, each.type) for each in out.signature.columns] == [
        ("size", "number"),
        ("plan", "string"),
    ]
    assert out.result.form == "onnx"
    assert any("guesses" in note for note in out.result.notes)
    assert out.parity.checks[0].name == "made up"


def test_where_nothing_tells_the_columns_the_error_says_what_to_save(tmp_path):
    folder, _ = tiny.project(tmp_path)
    model = LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0])
    tiny.save(folder, model, None)
    with pytest.raises(InputError, match="nothing tells which columns") as caught:
        Out(folder)
    assert caught.value.where == "data/sample.csv"
    assert "to_csv" in caught.value.hint
    tiny.save(folder, model, pd.DataFrame({"x": [0.0, 1.0]}))
    assert Out(folder).result.form == "onnx"


def test_a_sample_without_a_column_or_without_rows_is_refused(tmp_path):
    folder, _ = tiny.project(tmp_path)
    tiny.save(folder, tiny.fitted(), tiny.ROWS[["size"]])
    with pytest.raises(InputError, match="lacks columns that the model takes: plan"):
        Out(folder)
    tiny.save(folder, tiny.fitted(), tiny.ROWS.head(0))
    with pytest.raises(InputError, match="the sample has no rows") as caught:
        Out(folder)
    assert caught.value.where == "data/sample.csv"
    (folder / "data" / "sample.csv").write_text("")
    with pytest.raises(InputError, match="the sample cannot be read"):
        Out(folder)


def signature_of(folder):
    """A recorded signature, as training would have left it."""
    recorded = Out(folder).signature
    return recorded, folder / "models" / "signature.json"


def test_a_recorded_signature_is_taken_as_it_is(tmp_path):
    folder, _ = tiny.project(tmp_path)
    tiny.save(folder, tiny.fitted())
    recorded, path = signature_of(folder)
    path.write_bytes(contract.encode(msgspec.structs.replace(recorded, target="left")))
    out = Out(folder)
    assert out.signature.target == "left"
    assert out.result.notes == ()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: {"columns": s.columns[:1]}, "contradict each other in the columns: plan"),
        (lambda s: {"columns": s.columns[::-1]}, "in the columns: their order"),
        (lambda s: {"labels": ("no", "maybe")}, r"labels are \['no', 'maybe'\].*\['no', 'yes'\]"),
    ],
)
def test_a_signature_of_another_model_is_refused(tmp_path, change, said):
    folder, _ = tiny.project(tmp_path)
    tiny.save(folder, tiny.fitted())
    recorded, path = signature_of(folder)
    path.write_bytes(contract.encode(msgspec.structs.replace(recorded, **change(recorded))))
    with pytest.raises(InputError, match=said) as caught:
        Out(folder)
    assert caught.value.where == "models/signature.json"
    assert "mlpack train" in caught.value.hint


@pytest.mark.parametrize("content", [b"", b"{", b'{"format": 99}', b'{"task": "dance"}'])
def test_a_damaged_signature_is_refused(tmp_path, content):
    folder, _ = tiny.project(tmp_path)
    tiny.save(folder, tiny.fitted())
    (folder / "models" / "signature.json").write_bytes(content)
    with pytest.raises(InputError, match=r"signature\.json") as caught:
        Out(folder)
    assert caught.value.hint == "Run: mlpack train"


def save_onnx(folder, sample=tiny.ROWS):
    """A pipeline that became ONNX elsewhere; the project has no pickle."""
    pipeline = tiny.fitted()
    signature = observe(tiny.ROWS, pipeline, target=None, source="train")
    made = SklearnExporter().export(pipeline, signature)
    (folder / "models").mkdir(exist_ok=True)
    model = folder / "models" / "model.onnx"
    model.write_bytes(compose(made.model, made.encoding, signature))
    if sample is not None:
        (folder / "data").mkdir(exist_ok=True)
        sample.to_csv(folder / "data" / "sample.csv", index=False)
    return model, pipeline


def test_a_model_that_is_onnx_already_is_proved_against_its_own_file(tmp_path):
    folder, _ = tiny.project(tmp_path)
    save_onnx(folder)
    out = Out(folder)
    assert (out.result.form, out.result.reason) == ("onnx", None)
    assert out.result.model == contract.ONNX_FILE
    assert out.signature.labels == ("no", "yes")
    assert [column.type for column in out.signature.columns] == ["number", "string"]
    assert out.parity.equal
    assert out.parity.checks[0].name == "sample"
    assert [step.how for step in out.parity.steps] == ["mlpack", "mlpack", "unchanged"]


def test_without_a_sample_the_inputs_of_the_graph_tell(tmp_path):
    folder, _ = tiny.project(tmp_path)
    save_onnx(folder, None)
    out = Out(folder)
    assert out.signature.source == "estimator"
    assert [(column.name, column.type) for column in out.signature.columns] == [
        ("size", "number"),
        ("plan", "string"),
    ]
    assert out.parity.equal


def test_a_model_that_is_onnx_already_never_ships_as_python(tmp_path):
    folder, _ = tiny.project(tmp_path, settings='format = "python"')
    save_onnx(folder)
    with pytest.raises(ProofError, match="ships as a graph or not at all") as caught:
        Out(folder)
    assert caught.value.where == "models/model.onnx"


def test_a_file_that_only_looks_like_onnx_is_refused(tmp_path):
    folder, _ = tiny.project(tmp_path)
    model, pipeline = save_onnx(folder)
    joblib.dump(pipeline, model)
    with pytest.raises(InputError, match="damaged, or no ONNX model at all") as caught:
        Out(folder)
    assert caught.value.where == "models/model.onnx"


def own(folder, package, transform):
    """A fitted pipeline with a step of the project's own."""
    (folder / "src" / package / "steps.py").write_text(transform)
    with importable(inspection.read(folder)):
        step = __import__(f"{package}.steps", fromlist=["step"]).step
        encode = make_column_transformer(
            (OneHotEncoder(handle_unknown="ignore"), ["plan"]), remainder="passthrough"
        )
        keeps = transform is not SINGLE
        steps = (FunctionTransformer(step), *((encode,) if keeps else ()), LogisticRegression())
        model = make_pipeline(*steps)
        tiny.save(folder, model.fit(tiny.ROWS, tiny.LABELS))


LOOP = """
def step(rows):
    return rows.assign(size=[2 * size if size == size else 0.0 for size in rows["size"]])
"""

# Numbers in single precision: what is behind it would compute with them in single precision too.
SINGLE = """
import numpy as np

def step(rows):
    return np.array([[size if size == size else 0.0] for size in rows["size"]], np.float32)
"""


def own_model(folder, package):
    """A fitted pipeline whose model is the project's own."""
    text = (
        "from sklearn.linear_model import LogisticRegression\nclass Own(LogisticRegression): ...\n"
    )
    (folder / "src" / package / "models.py").write_text(text)
    with importable(inspection.read(folder)):
        kind = __import__(f"{package}.models", fromlist=["Own"]).Own
        model = make_pipeline(make_column_transformer((OneHotEncoder(), ["plan"])), kind())
        tiny.save(folder, model.fit(tiny.ROWS, tiny.LABELS))


def test_a_step_of_the_projects_own_stays_python_and_is_named(tmp_path):
    folder, package = tiny.project(tmp_path)
    own(folder, package, LOOP)
    out = Out(folder)
    assert (out.result.form, out.parity.form) == ("hybrid", "hybrid")
    assert "functiontransformer" in out.result.reason
    assert out.result.model == contract.ONNX_FILE
    assert (out.result.encoded, out.result.parts, out.result.own_code) == (True, True, True)
    assert {contract.ONNX_FILE, contract.ENCODING_FILE, contract.PARTS_FILE} <= out.files
    assert out.parity.equal
    assert [step.form for step in out.parity.steps] == ["python", "python", "graph"]
    assert out.parity.steps[0].path.startswith("functiontransformer")
    # What it names, and not what the project depends on besides.
    assert out.result.imports.keys() == {"joblib", "numpy", "scikit-learn"}


def test_the_same_hybrid_gives_the_same_bytes(tmp_path):
    folder, package = tiny.project(tmp_path)
    own(folder, package, LOOP)
    files = [
        {path.name: path.read_bytes() for path in Out(folder).folder.iterdir()} for _ in range(2)
    ]
    assert files[0] == files[1]


def test_a_model_of_the_projects_own_ships_as_python(tmp_path):
    folder, package = tiny.project(tmp_path)
    own_model(folder, package)
    out = Out(folder)
    assert out.result.form == "python"
    assert "Own" in out.result.reason
    assert not out.result.encoded
    assert not {contract.ENCODING_FILE, contract.PARTS_FILE} & out.files
    assert (out.result.parts, out.result.imports) == (False, {})
    assert out.parity.equal
    assert out.parity.form == "python"
    assert [step.form for step in out.parity.steps] == ["python"]
    # The very file that was trained: pickling it again would give other bytes.
    model = folder / "models" / "model.joblib"
    assert (out.folder / contract.PICKLE_FILE).read_bytes() == model.read_bytes()


@pytest.mark.parametrize("demanded", ["onnx", "hybrid"])
def test_where_a_graph_is_demanded_python_is_an_error(tmp_path, demanded):
    folder, package = tiny.project(tmp_path, settings=f'format = "{demanded}"')
    own_model(folder, package)
    with pytest.raises(ProofError, match=r"cannot be exported: .*Own") as caught:
        Out(folder)
    assert 'format = "auto"' in caught.value.hint


def test_where_a_whole_graph_is_demanded_a_hybrid_is_an_error(tmp_path):
    folder, package = tiny.project(tmp_path, settings='format = "onnx"')
    own(folder, package, LOOP)
    with pytest.raises(ProofError, match=r"cannot be exported: .*functiontransformer"):
        Out(folder)


def test_a_hybrid_that_answers_otherwise_ships_as_python_or_not_at_all(tmp_path):
    folder, package = tiny.project(tmp_path)
    own(folder, package, SINGLE)
    out = Out(folder)
    assert out.result.form == "python"
    assert "with that as Python and the rest as a graph, of 12 rows" in out.result.reason
    assert (out.result.parts, out.result.own_code, out.result.imports) == (False, False, {})
    assert {step.form for step in out.parity.steps} == {"python"}
    demanding = 'format = "hybrid"'
    with (folder / "pyproject.toml").open("a") as file:
        file.write(demanding)
    with pytest.raises(ProofError, match="rows are refused by one side only"):
        Out(folder)


def test_a_part_in_no_package_that_can_be_locked_ships_as_python(tmp_path, monkeypatch):
    folder, package = tiny.project(tmp_path)
    (folder / "beside.py").write_text(LOOP)
    own(folder, package, "from beside import step\n")
    monkeypatch.delitem(sys.modules, "beside")
    out = Out(folder)
    assert out.result.form == "python"
    assert "needs beside, which is neither in an installed package" in out.result.reason


def test_python_can_be_demanded(tmp_path):
    folder, _ = tiny.project(tmp_path, settings='format = "python"')
    tiny.save(folder, tiny.fitted())
    out = Out(folder)
    assert (out.result.form, out.parity.equal) == ("python", True)
    assert 'format = "python"' in out.result.reason


@pytest.mark.parametrize(
    "body",
    [
        "rows['size'] + random.random()",  # chance
        "rows['size'] - rows['size'].mean()",  # the other rows
        "rows['size'] + next(COUNT) % 7",  # how often it was asked
    ],
)
def test_a_pipeline_that_answers_otherwise_the_next_time_is_not_shipped(tmp_path, body):
    folder, package = tiny.project(tmp_path)
    text = (
        "import itertools, random\nCOUNT = itertools.count()\n"
        f"def step(rows):\n    return rows.fillna({{'size': 0}}).assign(size=lambda rows: {body})\n"
    )
    own(folder, package, text)
    with pytest.raises(ProofError, match="answers otherwise than the original") as caught:
        Out(folder)
    assert "chance" in caught.value.hint
    assert not list((folder / ".out").iterdir())


# What training left


def trained(folder, rows=tiny.ROWS, **changes):
    tiny.save(folder, tiny.fitted())
    recorded, path = signature_of(folder)
    path.write_bytes(contract.encode(recorded))
    digest = sha256_file(folder / "models" / "model.joblib")
    found = {"format": 1, "model": digest, "metrics": {"accuracy": 0.5}, **changes}
    (folder / "models" / "metrics.json").write_text(json.dumps(found))
    rows.assign(**{"mlpack:refused": False}).to_parquet(folder / "models" / "reference.parquet")


def test_reference_rows_and_metrics_of_this_model_are_taken(tmp_path):
    folder, _ = tiny.project(tmp_path)
    trained(folder)
    out = Out(folder)
    assert (out.parity.checks[0].name, out.parity.checks[0].rows) == ("held-out", 12)
    assert out.result.metrics == {"accuracy": 0.5}
    assert out.result.notes == ()


def test_reference_rows_and_metrics_of_another_model_are_left_out_with_a_note(tmp_path):
    folder, _ = tiny.project(tmp_path)
    trained(folder, pd.DataFrame({"other": [1, 2, 3]}), model="0" * 64)
    out = Out(folder)
    assert out.parity.checks[0].name == "sample"
    assert out.result.metrics == {}
    assert any("belong to another model" in note for note in out.result.notes)


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"metrics": []}', '{"metrics": {"r2": null}}', '{"model": 3}']
)
def test_damaged_metrics_are_refused(tmp_path, content):
    folder, _ = tiny.project(tmp_path)
    trained(folder)
    (folder / "models" / "metrics.json").write_text(content)
    with pytest.raises(InputError, match="damaged") as caught:
        Out(folder)
    assert caught.value.where == "models/metrics.json"


def test_damaged_reference_rows_are_refused(tmp_path):
    folder, _ = tiny.project(tmp_path)
    trained(folder)
    (folder / "models" / "reference.parquet").write_bytes(b"no")
    with pytest.raises(InputError, match="reference rows cannot be read"):
        Out(folder)


def test_the_authors_schema_goes_with_it(tmp_path):
    folder, _ = tiny.project(tmp_path)
    tiny.save(folder, tiny.fitted())
    (folder / "schema.toml").write_text("format = 1\n[columns.size]\nmin = 0\n")
    kept = contract.read(Out(folder).folder, contract.SCHEMA_FILE, Schema)
    assert kept.columns["size"].minimum == 0
    (folder / "schema.toml").write_text("format = 1\n[columns.sise]\nmin = 0\n")
    with pytest.raises(InputError, match="sise"):
        Out(folder)


def test_the_same_project_gives_the_same_bytes(tmp_path):
    folder, _ = tiny.project(tmp_path)
    tiny.save(folder, tiny.fitted())
    files = [
        {path.name: path.read_bytes() for path in Out(folder).folder.iterdir()} for _ in range(2)
    ]
    assert files[0] == files[1]


class Stumbling:
    """An exporter that meets what it does not know, or makes what cannot be loaded."""

    name = "stumbling"

    def __init__(self, made):
        self.made = made

    def accepts(self, pipeline):
        return True

    def export(self, pipeline, signature, *, hybrid=False):
        if isinstance(self.made, Exception):
            raise self.made
        return self.made


@pytest.mark.parametrize(
    "made",
    [
        ValueError("no such thing\nand more"),
        Exported(form="onnx", model=b"no graph", encoding=contract.Encoding(), steps=()),
    ],
)
def test_a_converter_that_stumbles_is_a_reason_and_no_end(made):
    signature = contract.Signature(task="regression", columns=(), outputs=())
    with pytest.raises(NotExportableError, match="making its graph failed"):
        graph(Stumbling(made), object(), signature)
