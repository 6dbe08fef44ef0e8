"""Terms are found as scikit-learn finds them, on any text."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer
from sklearn.utils import murmurhash3_32

from mlpack.runtime.contract import Text
from mlpack.runtime.text import SHORT, Terms, murmur3

TEXTS = st.lists(
    st.one_of(
        st.text(),
        st.sampled_from(
            ["É", "ß", "İ", "ΣΊΣΥΦΟΣ", "٣٤", "x²", "e\u0301", "a_b", "don't", "x" * 40]
        ),
        st.sampled_from([" ", "  ", "\t\n", "\u00a0", "\u200b", "\x1c", "\x85", ",", "the", "of"]),
    ),
    max_size=8,
).map("".join)

WAYS = [
    {},
    {"lowercase": False},
    {"token_pattern": r"(?u)\b\w+\b", "ngram_range": (1, 3)},
    {"ngram_range": (2, 2)},
    {"ngram_range": (1, 2), "stop_words": ["the", "of", "é"], "token_pattern": r"\w+"},
    {"token_pattern": r"(\w+)\W", "strip_accents": "unicode"},
    {"token_pattern": r"\S*", "strip_accents": "ascii"},
    {"analyzer": "char", "ngram_range": (1, 2)},
    {"analyzer": "char", "ngram_range": (3, 4), "strip_accents": "unicode"},
    {"analyzer": "char_wb", "ngram_range": (1, 3)},
    {"analyzer": "char_wb", "ngram_range": (3, 5), "lowercase": False},
    {"binary": True},
]


def text(step, **given):
    words = step.analyzer == "word"
    return Text(
        name="text_0",
        column="s",
        lowercase=step.lowercase,
        strip_accents=step.strip_accents,
        analyzer=step.analyzer,
        pattern=step.token_pattern if words else "",
        stop_words=tuple(step.stop_words or ()),
        shortest=step.ngram_range[0],
        longest=step.ngram_range[1],
        binary=step.binary,
        **given,
    )


def entries(matrix):
    """What a row of a sparse matrix has, in the order of the matrix."""
    return [(int(c), int(v)) for c, v in zip(matrix.indices, matrix.data, strict=True)]


def counted(value, way):
    """What the runtime says of a text, in its order."""
    return list(Terms(way)(value).items())


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_known_terms_are_counted_as_the_original_counts_them(way):
    @settings(max_examples=30, deadline=None)
    @given(TEXTS, TEXTS)
    @example("", " ")
    @example("The cat of É sat, THE CAT OF é sat on the mat of cats", "the cat the cat of cats")
    def check(first, second):
        step = CountVectorizer(**way)
        known = sorted(set(step.build_analyzer()(first)))
        if not known:
            return
        step.set_params(vocabulary=known)
        told = text(step, terms=tuple(known))
        for value in (first, second):
            assert counted(value, told) == entries(step.transform([value]))

    check()


@pytest.mark.parametrize(
    "way",
    [
        {"n_features": 7},
        {"n_features": 2**20, "analyzer": "char_wb", "ngram_range": (2, 3)},
        {"n_features": 3, "alternate_sign": False, "token_pattern": r"\w+"},
        {"n_features": 2, "binary": True, "analyzer": "char"},
        {"n_features": 5, "stop_words": ["the"], "ngram_range": (1, 2)},
    ],
    ids=str,
)
def test_hashed_terms_are_counted_as_the_original_counts_them(way):
    @settings(max_examples=30, deadline=None)
    @given(TEXTS)
    @example("")
    @example("the cat of the house, " + "x" * (SHORT + 1))
    def check(value):
        step = HashingVectorizer(norm=None, **way)
        told = text(step, hashed=step.n_features, alternate_sign=step.alternate_sign)
        assert counted(value, told) == entries(step.transform([value]))

    check()


@given(st.binary(max_size=50))
@example(b"")
@example(bytes(range(256)))
def test_the_hash_is_murmur3(data):
    assert murmur3(data) == murmurhash3_32(data, seed=0)


def test_the_smallest_hash_has_a_column_too():
    # abs(-2**31) is no number of 32 bits: the original has a formula of its own for it.
    for columns in (1, 2, 3, 7, 1000, 2**20):
        assert abs(-(2**31)) % columns == (2147483647 - (columns - 1)) % columns


def test_terms_that_cancel_are_still_there():
    step = HashingVectorizer(n_features=1, norm=None)
    words = [f"w{i}" for i in range(50)]
    signs = {word: np.sign(murmurhash3_32(word, seed=0)) for word in words}
    plus = next(word for word in words if signs[word] > 0)
    minus = next(word for word in words if signs[word] < 0)
    assert counted(f"{plus} {minus}", text(step, hashed=1, alternate_sign=True)) == [(0, 0)]
    step.set_params(binary=True)
    assert counted(f"{plus} {minus}", text(step, hashed=1, alternate_sign=True)) == [(0, 1)]


def test_counting_texts_needs_the_standard_library_and_the_contract_only():
    code = (
        "import sys, mlpack.runtime.text; "
        "print(sorted({'numpy', 'onnxruntime', 'sklearn', 'onnx'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
