"""Texts in the portable graph: their terms come in, and count as the runtime counts them."""

from __future__ import annotations

import functools
import json

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
from exporting import proved
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler

from mlpack.exporters.portable import MISSING, compose
from mlpack.exporters.portable_texts import FILL, inputs
from mlpack.ports import NotExportableError
from mlpack.proof.portable import PortableEngine, PortableSession
from mlpack.proof.prove import prove
from mlpack.proof.rows import batches
from mlpack.runtime.contract import Column, Encoding, Output, Signature, Text
from mlpack.runtime.encode import Encoder
from mlpack.runtime.text import murmur3, splitter
from mlpack.training.columns import real_rows
from mlpack.training.observe import observe

TEXTS = {
    "words": Text(name="text_0", column="said", terms=("a", "b c", "ab", "b"), longest=2),
    "letters": Text(name="text_0", column="said", analyzer="char", terms=("a", " ", "b")),
    "once": Text(name="text_0", column="said", terms=("aa", "ab"), binary=True),
    "hashes": Text(name="text_0", column="said", hashed=3, alternate_sign=True),
    "unsigned": Text(name="text_0", column="said", hashed=5),
    "hashed once": Text(name="text_0", column="said", hashed=3, alternate_sign=True, binary=True),
}


@functools.cache
def passed_on(name):
    """The portable graph of a core that answers what it is given for a text, and its encoder."""
    text = TEXTS[name]
    column = Column(name="said", type="string", dtype="object", nullable=False)
    signature = Signature(
        task="regression",
        columns=(column,),
        outputs=(Output(name="value", type="number", size=4),),
    )
    core = helper.make_model(
        helper.make_graph(
            [
                helper.make_node("Concat", ["rows", "rows", "rows"], ["last"], axis=0),
                helper.make_node("Unsqueeze", ["last", "zero"], ["line"]),
                helper.make_node("Concat", ["text_0", "line"], ["all"], axis=0),
                helper.make_node("Cast", ["all"], ["value"], to=TensorProto.DOUBLE),
            ],
            "core",
            [
                helper.make_tensor_value_info("text_0", TensorProto.INT64, ["entries", 3]),
                helper.make_tensor_value_info("rows", TensorProto.INT64, [1]),
            ],
            [helper.make_tensor_value_info("value", TensorProto.DOUBLE, ["lines", 3])],
            [helper.make_tensor("zero", TensorProto.INT64, [1], [0])],
        ),
        opset_imports=[helper.make_opsetid("", 19)],
        ir_version=9,
    )
    encoding = Encoding(texts=(text,), rows=True)
    made = compose(core.SerializeToString(), encoding, signature)
    session = onnxruntime.InferenceSession(made, providers=["CPUExecutionProvider"])
    return session, Encoder(signature, encoding)


@pytest.mark.parametrize("name", TEXTS)
@settings(max_examples=40, deadline=None)
@given(st.lists(st.text("ab c", max_size=12), min_size=1, max_size=6))
def test_terms_count_as_the_runtime_counts_them(name, said):
    session, encoder = passed_on(name)
    text = TEXTS[name]
    rows = [list(splitter(text)(each)) for each in said]
    longest = max(map(len, rows))
    if text.hashed:
        hashed = [[murmur3(term.encode()) for term in terms] for terms in rows]
        fed = np.array([[*row, *[FILL] * (longest - len(row))] for row in hashed], np.int64)
    else:
        fed = np.array([[*row, *[MISSING] * (longest - len(row))] for row in rows], object)
    of = next(iter(inputs((text,))))
    (value,) = session.run(["value"], {of: fed.reshape(len(rows), longest)})
    expected, _ = encoder.many([said], len(said))
    np.testing.assert_array_equal(value[:-1], expected["text_0"])
    assert value[-1].tolist() == [len(said)] * 3


SAID = [
    "The cat sat on the mat, the cat!",
    "Ein Bär, ein Bär aß Äpfel in Århus",
    "don't stop: under_score 3 4",
    "THE DOG OF THE HOUSE",
    "σίσυφος ΣΊΣΥΦΟΣ naïve café",
    "",
    "a b c the of",
    "the dog sat, the bear sat",
]
FRAME = pd.DataFrame({"said": SAID * 6, "age": np.linspace(-1, 9, 48)})
Y = (["yes", "no", "no"] * 16)[:48]
HASHING = HashingVectorizer(n_features=64)
VECTORIZERS = {
    "words": TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
    "in two ways": FeatureUnion(
        [("words", CountVectorizer(binary=True)), ("letters", TfidfVectorizer(analyzer="char_wb"))]
    ),
    "hashes": HASHING,
    "known and hashed": FeatureUnion([("known", CountVectorizer()), ("hashed", HASHING)]),
}


def exported(vectorizer):
    columns = ColumnTransformer([("said", vectorizer, "said"), ("age", StandardScaler(), ["age"])])
    pipeline = make_pipeline(columns, LogisticRegression()).fit(FRAME, Y)
    signature = observe(FRAME, pipeline, target="y", source="train")
    _, _, made = proved(pipeline, FRAME)
    return pipeline, signature, made


@pytest.mark.parametrize("name", VECTORIZERS)
def test_it_passes_the_gate_that_the_bundle_passes(name):
    pipeline, signature, made = exported(VECTORIZERS[name])
    graph = compose(made.model, made.encoding, signature)
    texts = inputs(made.encoding.texts)
    session = PortableSession(signature, PortableEngine(graph, MISSING, signature, texts, FILL))
    rows = batches(signature, real_rows(FRAME), made)
    report, worst = prove(pipeline, session, signature, made, rows)
    assert report.equal, worst[:3]
    assert report.rows > 500


def test_with_what_scikit_learn_finds_it_answers_as_the_pipeline():
    vectorizer = TfidfVectorizer(ngram_range=(1, 2))
    pipeline, signature, made = exported(vectorizer)
    graph = compose(made.model, made.encoding, signature)
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    assert [each.name for each in session.get_inputs()] == ["age", "said/terms"]
    terms = [vectorizer.build_analyzer()(text) for text in SAID]
    longest = max(map(len, terms))
    said = np.array([[*each, *[MISSING] * (longest - len(each))] for each in terms], object)
    fed = {"said/terms": said, "age": FRAME[["age"]].head(8).to_numpy()}
    label, probabilities = session.run(["label", "probabilities"], fed)
    assert label.tolist() == pipeline.predict(FRAME.head(8)).tolist()
    expected = pipeline.predict_proba(FRAME.head(8))
    np.testing.assert_allclose(probabilities, expected, atol=1e-12)


def test_inputs_say_how_terms_are_found():
    _, signature, made = exported(VECTORIZERS["known and hashed"])
    graph = onnx.load_from_string(compose(made.model, made.encoding, signature)).graph
    told = {each.name: each.doc_string.partition("; filled up with ") for each in graph.input}
    rules, _, fill = told["said/0/terms"]
    assert json.loads(fill) == MISSING
    assert json.loads(rules) == {
        "analyzer": "word",
        "lowercase": True,
        "strip_accents": None,
        "ngram_range": [1, 1],
        "token_pattern": r"(?u)\b\w\w+\b",
        "stop_words": [],
    }
    assert told["said/1/hashes"][2] == str(FILL)


def test_what_fills_up_may_be_no_term():
    _, signature, made = exported(VECTORIZERS["words"])
    text = Text(name="text_0", column="said", terms=(MISSING,))
    encoding = Encoding(numbers=made.encoding.numbers, texts=(text,), rows=made.encoding.rows)
    with pytest.raises(NotExportableError, match="term of said"):
        compose(made.model, encoding, signature)


def test_a_column_may_not_be_called_as_the_terms_of_another():
    _, signature, made = exported(VECTORIZERS["words"])
    taken = Column(name="said/terms", type="number", dtype="float64")
    signature = Signature(
        task=signature.task,
        columns=(*signature.columns, taken),
        outputs=signature.outputs,
        labels=signature.labels,
    )
    with pytest.raises(NotExportableError, match="said/terms"):
        compose(made.model, made.encoding, signature)


def test_two_inputs_may_not_have_one_name():
    texts = [Text(name="a", column="a"), Text(name="b", column="a", lowercase=False)]
    with pytest.raises(NotExportableError, match="a/0/terms"):
        inputs((*texts, Text(name="c", column="a/0")))
