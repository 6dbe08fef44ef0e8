"""Texts export exactly: words, characters, hashes, and what is done with them."""

from __future__ import annotations

import msgspec
import numpy as np
import pandas as pd
import pytest
from exporting import assert_equal, proved
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfTransformer,
    TfidfVectorizer,
)
from sklearn.feature_selection import SelectKBest, chi2
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import LinearSVC

from mlpack.exporters.sklearn import SklearnExporter
from mlpack.exporters.sklearn.converters.hashing import MOST, TRANSFORMERS
from mlpack.exporters.sklearn.exporter import CELLS, FEWEST
from mlpack.exporters.sklearn.sparse import WIDEST
from mlpack.ports import NotExportableError
from mlpack.runtime.onnx_session import OnnxEngine
from mlpack.runtime.session import Session
from mlpack.training.observe import observe

SAID = [
    "The cat sat on the mat, the cat!",
    "Ein Bär, ein Bär aß Äpfel in Århus",
    "don't stop: under_score 3 4 x² ٣٤",
    "THE DOG OF THE HOUSE",
    "σίσυφος ΣΊΣΥΦΟΣ naïve café",
    "日本語 text   with \t spaces",
    "a b c the of",
    "the dog sat, the bear sat, nobody stood",
]
FRAME = pd.DataFrame({"said": SAID * 2, "age": np.linspace(-1, 9, 16)})
WHO = ["cat", "bear", "rock", "dog"] * 4
TWO = (["yes", "no", "no"] * 6)[:16]


def built(said, last=None, target=TWO, **further):
    columns = [("said", said, "said"), ("age", StandardScaler(), ["age"])]
    made = make_pipeline(
        ColumnTransformer(columns, **further), LogisticRegression() if last is None else last
    )
    return made.fit(FRAME, target)


@pytest.mark.parametrize(
    "vectorizers",
    [
        [
            TfidfVectorizer(),
            TfidfVectorizer(sublinear_tf=True, norm="l1", token_pattern=r"\w+"),
            TfidfVectorizer(norm=None, smooth_idf=False, binary=True),
            CountVectorizer(token_pattern=r"(\w+),", strip_accents="ascii"),
        ],
        [
            CountVectorizer(stop_words=["the", "of"], ngram_range=(1, 2)),
            CountVectorizer(stop_words="english", lowercase=False),
            CountVectorizer(vocabulary=["cat", "dog", "nobody has this"], dtype=np.float64),
        ],
        [
            TfidfVectorizer(analyzer="char", ngram_range=(1, 3), strip_accents="unicode"),
            TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), max_features=40),
        ],
        [
            HashingVectorizer(n_features=16),
            HashingVectorizer(n_features=8, binary=True, norm="l1", analyzer="char"),
        ],
        [
            make_pipeline(CountVectorizer(), TfidfTransformer(sublinear_tf=True)),
            make_pipeline(TfidfVectorizer(), SelectKBest(chi2, k=7)),
            make_pipeline(TfidfVectorizer(), TruncatedSVD(3, random_state=0)),
        ],
    ],
    ids=["words", "stop words", "characters", "hashes", "further steps"],
)
def test_what_is_made_of_a_text_is_exact(vectorizers):
    union = FeatureUnion([(f"{index}", each) for index, each in enumerate(vectorizers)])
    assert_equal(built(union), FRAME)


@pytest.mark.parametrize(
    "last",
    [
        LogisticRegression(),
        LinearSVC(random_state=0),
        RandomForestClassifier(5, random_state=0),
        make_pipeline(TfidfTransformer(norm="l1"), LogisticRegression()),
    ],
    ids=lambda step: type(step).__name__,
)
def test_models_behind_a_text_alone_are_exact(last):
    frame = FRAME[["said"]]
    made = make_pipeline(ColumnTransformer([("said", TfidfVectorizer(), "said")]), last)
    assert_equal(made.fit(frame, WHO), frame)


def test_a_column_may_be_read_in_several_ways():
    several = FeatureUnion(
        [
            ("words", TfidfVectorizer()),
            ("cased", CountVectorizer(lowercase=False)),
            ("characters", CountVectorizer(analyzer="char_wb", ngram_range=(2, 2))),
            ("again", CountVectorizer(lowercase=False)),
        ]
    )
    _, exported = assert_equal(built(several), FRAME)
    assert [text.name for text in exported.encoding.texts] == ["text_0", "text_1", "text_2"]


def test_a_text_that_nothing_is_kept_of_is_not_counted():
    labels = np.array([0.0, 1.0] * 8)
    frame = FRAME.assign(age=labels)
    made = make_pipeline(
        ColumnTransformer(
            [("said", CountVectorizer(), "said"), ("age", FunctionTransformer(), ["age"])]
        ),
        SelectKBest(lambda matrix, _: np.arange(matrix.shape[1], dtype=float), k=1),
        Ridge(),
    ).fit(frame, labels)
    report, _, exported = proved(made, frame)
    assert report.equal
    assert exported.encoding.texts == ()


def test_a_weight_without_bound_is_refused_where_the_original_refuses():
    vectorizer = TfidfVectorizer(vocabulary=["cat", "never"], smooth_idf=False, norm=None)
    with np.errstate(divide="ignore"):
        made = built(vectorizer)
        _, exported = assert_equal(made, FRAME)
        signature = observe(FRAME, made, target="y", source="train")
    session = Session(signature, OnnxEngine(exported.model, exported.encoding, signature))
    rows = [{"said": "cat", "age": 1.0}, {"said": "never", "age": 1.0}]
    assert session.rows(rows).refused.tolist() == [False, True]


def test_missing_texts_are_refused_as_by_the_original():
    report, _ = assert_equal(built(TfidfVectorizer(analyzer="char")), FRAME)
    (missing,) = [check for check in report.checks if check.name == "each column missing"]
    assert missing.refused > 0


def test_hashed_columns_cost_no_more_than_the_entries_unless_all_are_needed():
    hashing = HashingVectorizer(n_features=WIDEST + 1)
    _, exported = assert_equal(built(hashing), FRAME)
    assert exported.encoding.texts[0].hashed == WIDEST + 1
    assert exported.encoding.at_once == CELLS // FEWEST
    forest = RandomForestClassifier(2, max_depth=2, random_state=0)
    with pytest.raises(NotExportableError) as error:
        proved(built(hashing, forest), FRAME)
    assert error.value.path.startswith("columntransformer → said")
    assert f"n_features={WIDEST + 1}" in error.value.reason


def test_more_hashed_columns_than_a_model_should_have_are_refused():
    step = HashingVectorizer(n_features=MOST + 1)
    with pytest.raises(NotExportableError, match=f"n_features={MOST + 1}"):
        TRANSFORMERS["HashingVectorizer"]("", step, (), None, None)


def test_a_weight_of_the_whole_text_leaves_its_entries_as_they_are():
    made = built(HashingVectorizer(n_features=4096), transformer_weights={"said": 0.3})
    _, exported = assert_equal(made, FRAME)
    assert exported.encoding.at_once == CELLS // FEWEST


def test_a_large_batch_is_taken_in_parts_and_its_rows_keep_their_places():
    made = built(TfidfVectorizer(), RandomForestClassifier(3, random_state=0))
    signature = observe(FRAME, made, target="y", source="train")
    exported = SklearnExporter().export(made, signature)
    assert exported.encoding.at_once > 0
    step = 100
    encoding = msgspec.structs.replace(exported.encoding, at_once=step)
    session = Session(signature, OnnxEngine(exported.model, encoding, signature))
    rows = FRAME.sample(2 * step + 5, replace=True, random_state=0).reset_index(drop=True)
    columns = {name: rows[name].tolist() for name in rows}
    columns["said"][step] = columns["said"][-1] = None
    answers = session.columns(columns)
    assert np.flatnonzero(answers.refused).tolist() == [step, len(rows) - 1]
    kept = ~answers.refused
    expected = made.predict_proba(rows[kept])
    assert np.abs(answers.probabilities[kept] - expected).max() == 0


def _split(value):
    return value.split()


@pytest.mark.parametrize(
    ("vectorizer", "named"),
    [
        (TfidfVectorizer(tokenizer=_split, token_pattern=None), "tokenizer="),
        (CountVectorizer(preprocessor=str.strip), "preprocessor="),
        (HashingVectorizer(analyzer=_split, n_features=8), "analyzer="),
        (CountVectorizer(strip_accents=str.strip), "strip_accents="),
        (TfidfVectorizer(dtype=np.float32), "dtype"),
    ],
)
def test_functions_and_float32_are_refused_by_name(vectorizer, named):
    with pytest.raises(NotExportableError) as error:
        proved(built(vectorizer), FRAME)
    assert error.value.path.startswith("columntransformer → said")
    assert named in error.value.reason


def test_a_categorical_column_is_no_text():
    frame = FRAME.assign(said=FRAME.said.astype("category"))
    made = make_pipeline(
        ColumnTransformer([("said", TfidfVectorizer(), "said")]), LogisticRegression()
    ).fit(frame, TWO)
    with pytest.raises(NotExportableError, match="'said' is categorical"):
        proved(made, frame)
