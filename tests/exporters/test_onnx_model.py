"""Models that are ONNX already: understood, exported, and proved against the author's own file."""

from __future__ import annotations

import contextlib
import json
import random
import warnings

import numpy as np
import onnx
import pandas as pd
import pytest
from exporting import NODES, NUMBERS, PENGUINS
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from mlpack.errors import InputError
from mlpack.exporters.onnx_model import OnnxExporter, OnnxModel
from mlpack.exporters.portable import compose
from mlpack.exporters.sklearn import SklearnExporter
from mlpack.ports import NotExportableError
from mlpack.proof.prove import prove
from mlpack.proof.rows import batches
from mlpack.runtime.onnx_session import OnnxEngine
from mlpack.runtime.session import Session
from mlpack.training.columns import real_rows
from mlpack.training.observe import observe

WHERE = "models/model.onnx"
WHOLE = PENGUINS.dropna().reset_index(drop=True)
X, SPECIES, MASS = WHOLE[NUMBERS], WHOLE["species"], WHOLE["body_mass_g"]
FREE = [("X", FloatTensorType([None, 3]))]
TARGET = {"": 17, "ai.onnx.ml": 3}


def converted(model, inputs=FREE, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = to_onnx(model, initial_types=inputs, target_opset=TARGET, **options)
    return made.SerializeToString()


def proved(data, frame):
    """Export an ONNX file as a project's is, and prove it equal."""
    model = OnnxModel(data, list(frame.columns), WHERE)
    frame = frame[list(model.feature_names_in_)]
    signature = observe(frame, model, target=None, source="sample")
    exported = OnnxExporter().export(model, signature)
    session = Session(signature, OnnxEngine(exported.model, exported.encoding, signature))
    rows = batches(signature, real_rows(frame), exported, nodes=NODES)
    report, worst = prove(model, session, signature, exported, rows)
    assert report.equal, worst[:3]
    return model, signature, exported, report


def graph(nodes, inputs, outputs, constants=(), *, opset=17, ml=None, props=None, ir=8):
    """A model by hand: inputs and outputs are (name, type, shape)."""
    domains = [helper.make_opsetid("", opset)] if opset else []
    domains += [helper.make_opsetid("ai.onnx.ml", ml)] if ml else []
    made = helper.make_model(
        helper.make_graph(
            nodes,
            "g",
            [helper.make_tensor_value_info(*each) for each in inputs],
            [helper.make_tensor_value_info(*each) for each in outputs],
            [numpy_helper.from_array(np.asarray(value), name) for name, value in constants],
        ),
        opset_imports=domains,
        ir_version=ir,
    )
    helper.set_model_props(made, props or {})
    return made.SerializeToString()


@pytest.mark.parametrize("zipmap", [True, False])
@pytest.mark.parametrize(
    "names", [SPECIES, SPECIES.map({"Adelie": 2, "Chinstrap": 5, "Gentoo": 9})]
)
def test_a_classifier_with_and_without_its_zipmap(names, zipmap):
    fitted = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, names)
    data = converted(fitted, options={"zipmap": zipmap})
    model, signature, exported, report = proved(data, X)
    assert signature.labels == tuple(fitted.classes_.tolist())
    assert (signature.task, signature.has("probabilities")) == ("classification", True)
    assert exported.encoding.numbers == tuple(NUMBERS)
    assert (model.predict(X) == fitted.predict(X)).all()
    assert np.abs(model.predict_proba(X) - fitted.predict_proba(X)).max() < 1e-5
    assert "float, rounded from float64" in exported.steps[0].path
    assert exported.steps[-1].how == "unchanged"
    kept = {node.op_type for node in onnx.load_from_string(exported.model).graph.node}
    assert "ZipMap" not in kept
    assert max(check.largest for check in report.checks) < 1e-6


def test_the_opset_of_the_author_is_kept():
    _, _, exported, _ = proved(converted(LinearRegression().fit(X, MASS)), X)
    opsets = {
        each.domain: each.version for each in onnx.load_from_string(exported.model).opset_import
    }
    assert opsets[""] <= 17


@pytest.mark.parametrize("target", [MASS, WHOLE[["body_mass_g", "year"]]])
@pytest.mark.parametrize("kind", [LinearRegression, RandomForestRegressor])
def test_a_regressor(kind, target):
    options = {} if kind is LinearRegression else {"n_estimators": 5, "random_state": 0}
    _, signature, _, _ = proved(converted(kind(**options).fit(X.to_numpy(), target)), X)
    assert signature.task == "regression"
    assert signature.outputs[0].size == (1 if target is MASS else 2)


def test_a_forest_of_many_rows_at_once_and_of_one():
    fitted = RandomForestClassifier(10, random_state=0).fit(X.to_numpy(), SPECIES)
    _, signature, _, report = proved(converted(fitted), X)
    assert signature.labels == ("Adelie", "Chinstrap", "Gentoo")
    assert report.rows > 500


def by_column(model, frame):
    """One input for each column, as skl2onnx takes data frames."""
    kinds = {"str": StringTensorType, "int64": Int64TensorType, "float64": FloatTensorType}
    return converted(
        model,
        [
            (name, kinds[str(frame[name].dtype).replace("object", "str")]([None, 1]))
            for name in frame
        ],
    )


def test_one_input_for_each_column_whose_texts_are_looked_up():
    frame = WHOLE[["year", "island", "bill_length_mm", "sex"]]
    encode = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["island", "sex"]),
        (StandardScaler(), ["bill_length_mm", "year"]),
    )
    fitted = make_pipeline(encode, LogisticRegression(max_iter=2000)).fit(frame, SPECIES)
    model, signature, exported, report = proved(by_column(fitted, frame), frame)
    assert [codes.column for codes in exported.encoding.codes] == ["island", "sex"]
    assert set(exported.encoding.codes[0].categories) == {"Biscoe", "Dream", "Torgersen"}
    assert not signature.column("sex").nullable
    assert {"unknown and odd strings", "every category"} <= {check.name for check in report.checks}
    assert set(model.text_columns) == {"island", "sex"}


def test_what_mlpack_wrote_comes_back():
    frame = PENGUINS[["bill_length_mm", "island", "year", "sex"]]
    encode = make_column_transformer(
        (SimpleImputer(), ["bill_length_mm", "year"]),
        (OneHotEncoder(handle_unknown="ignore"), ["sex"]),
        (OrdinalEncoder(), ["island"]),
    )
    fitted = make_pipeline(encode, LogisticRegression(max_iter=2000)).fit(
        frame, PENGUINS["species"]
    )
    first = observe(frame, fitted, target=None, source="train")
    made = SklearnExporter().export(fitted, first)
    portable = compose(made.model, made.encoding, first)
    model, signature, exported, report = proved(portable, frame)
    assert signature.labels == first.labels
    assert [column.nullable for column in signature.columns] == [
        column.nullable for column in first.columns
    ]
    shares = fitted.predict_proba(frame)
    assert np.abs(model.predict_proba(frame) - shares).max() < 1e-12
    session = Session(signature, OnnxEngine(exported.model, exported.encoding, signature))
    served = session.columns({name: frame[name].tolist() for name in frame})
    assert np.abs(served.probabilities - shares).max() < 1e-12
    assert sum(check.refused for check in report.checks) > 0
    with pytest.raises(InputError, match="refuses a row"):
        model.predict(frame.head(1).assign(island="Elsewhere"))


def linear(**changes):
    given = {
        "nodes": [helper.make_node("MatMul", ["in", "w"], ["out"])],
        "inputs": [("in", TensorProto.DOUBLE, ["n", 2])],
        "outputs": [("out", TensorProto.DOUBLE, ["n", 1])],
        "constants": [("w", np.array([[2.0], [3.0]]))],
    }
    return graph(**(given | changes))


TWO = pd.DataFrame({"a": [1.0, 2.0, -3.0], "b": [0.5, 4.0, 1.0]})


def test_a_matrix_takes_its_names_from_the_sample_or_makes_them_up():
    model, signature, _, _ = proved(linear(), TWO)
    assert [column.name for column in signature.columns] == ["a", "b"]
    assert model.predict(TWO).ravel().tolist() == [3.5, 16.0, -3.0]
    assert OnnxModel(linear(), [], WHERE).feature_names_in_.tolist() == ["x0", "x1"]
    with pytest.raises(InputError, match="takes 2 columns, and the sample or the signature has 3"):
        OnnxModel(linear(), ["a", "b", "c"], WHERE)


@pytest.mark.parametrize("opset", [7, 11, 13, 21])
def test_every_opset_can_stand_in_the_core(opset):
    nodes = [
        helper.make_node("Add", ["a", "b"], ["sum"]),
        helper.make_node("Less", ["sum", "w"], ["label"]),
    ]
    data = graph(
        nodes,
        [("a", TensorProto.FLOAT, ["n"]), ("b", TensorProto.FLOAT, ["n"])],
        [("label", TensorProto.BOOL, ["n"])],
        [("w", np.float32([1.0]))],
        opset=opset,
        ir=4,
    )
    _, signature, _, _ = proved(data, TWO)
    assert (signature.labels, signature.outputs[0].type) == ((False, True), "boolean")


def test_a_graph_may_know_ai_onnx_ml_alone_or_call_the_default_domain_by_its_other_name():
    scale = {"domain": "ai.onnx.ml", "offset": [1.0], "scale": [2.0]}
    nodes = [helper.make_node("Scaler", ["in"], ["out"], **scale)]
    ends = [("in", TensorProto.FLOAT, ["n", 2])], [("out", TensorProto.FLOAT, ["n", 2])]
    model, *_ = proved(graph(nodes, *ends, opset=None, ml=1), TWO)
    assert model.predict(TWO)[0].tolist() == [0.0, -1.0]
    named = onnx.load_from_string(linear())
    named.opset_import[0].domain = "ai.onnx"
    proved(named.SerializeToString(), TWO)


def test_the_portable_graph_needs_a_newer_opset_than_the_core():
    for opset, said in ((17, "ONNX already, in opset 17; .* need 19"), (21, None)):
        _, signature, exported, _ = proved(linear(opset=opset), TWO)
        if said is None:
            assert compose(exported.model, exported.encoding, signature)
        else:
            with pytest.raises(NotExportableError, match=said):
                compose(exported.model, exported.encoding, signature)


def test_whole_numbers_and_booleans_take_nothing_else():
    data = graph(
        [
            helper.make_node("Cast", ["k"], ["kf"], to=TensorProto.FLOAT),
            helper.make_node("Cast", ["f"], ["ff"], to=TensorProto.FLOAT),
            helper.make_node("Cast", ["i"], ["if"], to=TensorProto.FLOAT),
            helper.make_node("Sum", ["kf", "ff", "if"], ["out"]),
        ],
        [("k", 7, ["n", 1]), ("f", 9, ["n", 1]), ("i", 6, ["n", 1])],
        [("out", 1, ["n", 1])],
    )
    frame = pd.DataFrame({"k": [1, 2, 3], "f": [True, False, True], "i": [4.0, np.nan, 6.0]})
    _, signature, _, report = proved(data, frame)
    assert [column.type for column in signature.columns] == ["integer", "boolean", "number"]
    assert not any(column.nullable for column in signature.columns)
    assert sum(check.refused for check in report.checks) > 10
    bare = OnnxModel(data, [], WHERE).blank()
    assert bare.dtypes.astype(str).tolist() == ["int64", "bool", "int64"]


def test_a_missing_number_goes_through():
    nodes = [
        helper.make_node("IsNaN", ["in"], ["gone"]),
        helper.make_node("Where", ["gone", "zero", "in"], ["there"]),
        helper.make_node("MatMul", ["there", "w"], ["out"]),
    ]
    weights = [("w", np.array([[2.0], [3.0]])), ("zero", np.array(0.0))]
    _, signature, _, _ = proved(linear(nodes=nodes, constants=weights), TWO)
    assert all(column.nullable for column in signature.columns)
    _, signature, _, _ = proved(linear(), TWO)
    assert not any(column.nullable for column in signature.columns)


SCORED = {
    "nodes": [helper.make_node("Softmax", ["in"], ["out"], axis=1)],
    "outputs": [("out", TensorProto.DOUBLE, ["n", 2])],
    "constants": [],
}


def test_probabilities_alone_are_values_unless_the_author_names_the_classes():
    _, signature, _, _ = proved(linear(**SCORED), TWO)
    assert (signature.task, signature.outputs[0].size) == ("regression", 2)
    props = {"mlpack.labels": json.dumps(["no", "yes"])}
    model, signature, _, _ = proved(linear(**SCORED, props=props), TWO)
    assert (signature.task, signature.labels) == ("classification", ("no", "yes"))
    assert model.predict(TWO).tolist() == ["no", "yes", "yes"]
    for wrong in ("[", "[]", '["a", "a"]', '["a", 1]', "[[1], [2]]", '["a", "b", "c"]'):
        with pytest.raises(InputError, match=r"mlpack\.labels|3 classes"):
            OnnxModel(linear(**SCORED, props={"mlpack.labels": wrong}), [], WHERE)


def labelled(**changes):
    """A label by the largest of the columns, and the columns beside it, which are no shares."""
    nodes = [
        helper.make_node("ArgMax", ["in"], ["label"], axis=1, keepdims=0),
        helper.make_node("Identity", ["in"], ["scores"]),
    ]
    outputs = [("label", TensorProto.INT64, ["n"]), ("scores", TensorProto.DOUBLE, ["n", 2])]
    return linear(**({"nodes": nodes, "outputs": outputs, "constants": []} | changes))


def test_scores_beside_a_label_are_no_probabilities():
    model, signature, exported, _ = proved(labelled(props={"mlpack.labels": "[0, 1]"}), TWO)
    assert not signature.has("probabilities")
    assert [step.path for step in exported.steps if step.form == "dropped"] == ["scores"]
    assert not hasattr(model, "predict_proba")
    with pytest.raises(InputError, match="nothing in the graph tells the classes") as caught:
        OnnxModel(labelled(), [], WHERE)
    assert "mlpack.labels" in caught.value.hint


def test_a_graph_inside_a_node_keeps_its_names():
    then, other = (
        helper.make_graph(
            [helper.make_node("Mul", ["in", factor], ["made"])],
            "branch",
            [],
            [helper.make_tensor_value_info("made", TensorProto.DOUBLE, None)],
        )
        for factor in ("w", "v")
    )
    nodes = [helper.make_node("If", ["yes"], ["out"], then_branch=then, else_branch=other)]
    constants = [("w", np.array([2.0])), ("v", np.array([3.0])), ("yes", np.array(False))]
    outputs = [("out", TensorProto.DOUBLE, ["n", 2])]
    model, *_ = proved(linear(nodes=nodes, constants=constants, outputs=outputs), TWO)
    assert model.predict(TWO)[0].tolist() == [3.0, 1.5]


def test_a_comparison_of_shapes_is_none_of_rows():
    nodes = [
        helper.make_node("Shape", ["in"], ["shape"]),
        helper.make_node("Greater", ["shape", "zero"], ["more"]),
        helper.make_node("Cast", ["more"], ["one"], to=TensorProto.DOUBLE),
        helper.make_node("Mul", ["in", "one"], ["out"]),
    ]
    constants = [("zero", np.array([0], np.int64))]
    outputs = [("out", TensorProto.DOUBLE, ["n", 2])]
    proved(linear(nodes=nodes, constants=constants, outputs=outputs), TWO)


def refused(data, said, told=()):
    with pytest.raises(InputError, match=said) as caught:
        OnnxModel(data, told, WHERE)
    assert caught.value.where == WHERE
    return caught.value


def test_what_is_no_model_is_refused():
    for data in (b"", b"no model", b"\x80\x04\x95", linear()[:40]):
        refused(data, "no ONNX model|damaged|no valid")
    chance = random.Random(0)
    for _ in range(150):
        data = bytearray(linear())
        data[chance.randrange(len(data))] = chance.randrange(256)
        with contextlib.suppress(InputError):  # and no other
            OnnxModel(bytes(data), [], WHERE)
    refused(linear(ir=99), "IR version 99, and onnx .* reads up to")
    refused(linear(opset=99), "opset 99")


def test_weights_in_another_file_are_refused(tmp_path):
    path = tmp_path / "model.onnx"
    model = onnx.load_from_string(linear(constants=[("w", np.ones((2, 1)))]))
    onnx.save(model, path, save_as_external_data=True, location="w.bin", size_threshold=0)
    refused(path.read_bytes(), "keeps w in another file")


def test_an_operator_that_onnx_runtime_lacks_is_refused():
    nodes = [helper.make_node("Magic", ["in"], ["out"], domain="my.ops")]
    model = onnx.load_from_string(linear(nodes=nodes, constants=[]))
    model.opset_import.append(helper.make_opsetid("my.ops", 1))
    refused(model.SerializeToString(), r"does not have: my\.ops\.Magic")


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ([("in", TensorProto.DOUBLE, ["n", 2, 2])], r"tensor\(double\) \[n, 2, 2\]; understood"),
        ([("in", TensorProto.DOUBLE, [1, 2])], r"\[1, 2\]; understood .* rows is free"),
        ([("in", TensorProto.FLOAT16, ["n", 2])], r"tensor\(float16\)"),
    ],
)
def test_inputs_of_another_kind_are_refused(inputs, said):
    kind, shape = inputs[0][1:]
    nodes = [helper.make_node("Identity", ["in"], ["out"])]
    refused(graph(nodes, inputs, [("out", kind, shape)]), said)


def test_outputs_of_another_kind_are_refused():
    split = [helper.make_node("SplitToSequence", ["in"], ["out"], axis=1)]
    model = onnx.load_from_string(linear(constants=[]))
    model.graph.node[0].CopyFrom(split[0])
    kind = helper.make_tensor_sequence_value_info("out", TensorProto.DOUBLE, None)
    model.graph.output[0].CopyFrom(kind)
    refused(model.SerializeToString(), r"'out' is seq\(tensor\(double\)\); understood")
    nodes = [helper.make_node("Unsqueeze", ["in", "axis"], ["out"])]
    data = linear(
        nodes=nodes,
        constants=[("axis", np.array([2]))],
        outputs=[("out", TensorProto.DOUBLE, ["n", 2, 1])],
    )
    refused(data, r"'out' is tensor\(double\) \[3, 2, 1\]; understood")
    nodes = [helper.make_node("ReduceSum", ["in"], ["out"], keepdims=1)]
    data = linear(nodes=nodes, constants=[], outputs=[("out", TensorProto.DOUBLE, [1, 1])])
    refused(data, r"'out' is tensor\(double\) \[1, 1\]")


def test_texts_that_are_not_looked_up_are_not_exportable():
    nodes = [
        helper.make_node("StringConcat", ["in", "in"], ["low"]),
        helper.make_node(
            "LabelEncoder",
            ["low"],
            ["out"],
            domain="ai.onnx.ml",
            keys_strings=["a"],
            values_floats=[1.0],
        ),
    ]
    inputs, outputs = [("in", TensorProto.STRING, ["n"])], [("out", TensorProto.FLOAT, ["n"])]
    model = OnnxModel(graph(nodes, inputs, outputs, opset=20, ml=3), ["in"], WHERE)
    signature = observe(pd.DataFrame({"in": ["a", "A"]}), model, target=None, source="sample")
    with pytest.raises(NotExportableError, match="the node StringConcat"):
        OnnxExporter().export(model, signature)


def test_a_graph_that_raises_for_some_numbers_is_not_exportable():
    data = graph(
        [helper.make_node("Gather", ["table", "in"], ["out"])],
        [("in", TensorProto.INT64, ["n"])],
        [("out", TensorProto.DOUBLE, ["n"])],
        [("table", np.arange(3.0))],
    )
    model = OnnxModel(data, ["in"], WHERE)
    signature = observe(pd.DataFrame({"in": [0, 1]}), model, target=None, source="sample")
    with pytest.raises(NotExportableError, match="raises for some numbers"):
        OnnxExporter().export(model, signature)


def test_a_column_of_texts_does_not_go_into_numbers():
    model = OnnxModel(linear(), ["a", "b"], WHERE)
    with pytest.raises(InputError, match="column 'b' holds other things than numbers"):
        observe(TWO.assign(b=["x", "y", "1"]), model, target=None, source="sample")
