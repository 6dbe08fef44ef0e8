"""Text: counting words and n-grams, and weighting them.

Tokens are found and counted in the graph (ONNX Runtime's Tokenizer and ONNX's TfIdfVectorizer
count in float32, which is exact for counts); everything after the count is in double. Lower-casing
is done before the graph with Python's own rules, which no C library's locale has.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpack.exporters.sklearn.features import Context, Feature
from mlpack.exporters.sklearn.graph import DOUBLE
from mlpack.exporters.sklearn.steps import Models, Transformers, Walk, describe
from mlpack.ports import NotExportableError

DEFAULT_PATTERN = r"(?u)\b\w\w+\b"
# The same tokens in RE2's syntax: runs of two or more letters, numbers or underscores.
WORDS = r"[\pL\pN_]{2,}"


def _refuse_unless_plain(path: str, step: Any) -> None:
    """Only what is counted exactly is exported; the reason names the parameter."""
    for parameter, plain in (
        ("analyzer", "word"),
        ("preprocessor", None),
        ("tokenizer", None),
        ("strip_accents", None),
        ("token_pattern", DEFAULT_PATTERN),
    ):
        if getattr(step, parameter) != plain:
            raise NotExportableError(
                path, f"{describe(step, parameter)}: only {parameter}={plain!r} is exported"
            )
    if step.stop_words is not None and step.ngram_range[1] > 1:
        raise NotExportableError(
            path, f"{describe(step, 'ngram_range')} with stop_words is not exported: leave one out"
        )


def _counts(path: str, step: Any, features: tuple[Feature, ...], context: Context) -> str:
    """How often each term of the vocabulary occurs: float64 [rows, terms]."""
    _refuse_unless_plain(path, step)
    if len(features) != 1 or features[0].text is None:
        raise NotExportableError(
            path, f"{describe(step)} needs one raw text column: name it as a string, not in a list"
        )
    graph = context.graph
    text = context.text(features[0].text, lowercase=bool(step.lowercase), path=path)
    vocabulary: dict[str, int] = step.vocabulary_
    pad = "#"  # no token: tokens have letters, numbers and underscores only
    tokens = graph.node(
        "Tokenizer",
        [graph.reshape(text, [-1])],
        domain="com.microsoft",
        mark=0,
        mincharnum=1,
        pad_value=pad,
        tokenexp=WORDS,
    )
    # The pool holds all terms of one word, then all of two, and so on, each with its column.
    terms = sorted(vocabulary, key=lambda term: (term.count(" "), vocabulary[term]))
    lengths = [term.count(" ") + 1 for term in terms]
    longest = step.ngram_range[1]
    starts: list[int] = []
    position = 0
    for length in range(1, longest + 1):
        starts.append(position)
        position += sum(length for each in lengths if each == length)
    counts = graph.node(
        "TfIdfVectorizer",
        [tokens],
        mode="TF",
        min_gram_length=step.ngram_range[0],
        max_gram_length=longest,
        max_skip_count=0,
        ngram_counts=starts,
        ngram_indexes=[int(vocabulary[term]) for term in terms],
        pool_strings=[word for term in terms for word in term.split(" ")],
    )
    doubled = graph.reshape(graph.cast(counts, DOUBLE), [-1, len(vocabulary)])
    if step.binary:
        return graph.node("Min", [doubled, graph.constant(np.float64(1))])
    return doubled


def _weigh(counts: str, step: Any, idf: Any, context: Context) -> str:
    """What TfidfTransformer does with counts: float64 [rows, terms]."""
    graph = context.graph
    weighed = counts
    if step.sublinear_tf:
        one = graph.constant(np.float64(1))
        # log(0) + 1 would be -inf: where there is no term the count stays 0.
        at_least_one = graph.node("Max", [weighed, one])
        logged = graph.add(graph.node("Log", [at_least_one]), one)
        weighed = graph.where(
            graph.node("Greater", [weighed, graph.constant(np.float64(0))]), logged, weighed
        )
    if step.use_idf:
        weighed = graph.multiply(
            weighed, graph.constant(np.asarray(idf, np.float64).reshape(1, -1))
        )
    if step.norm is None:
        return weighed
    axis = graph.constant(np.array([1], np.int64))
    if step.norm == "l2":
        size = graph.node(
            "Sqrt", [graph.node("ReduceSum", [graph.multiply(weighed, weighed), axis], keepdims=1)]
        )
    else:
        size = graph.node("ReduceSum", [graph.node("Abs", [weighed]), axis], keepdims=1)
    # A row without any known term stays zero, as in the original.
    empty = graph.node("Equal", [size, graph.constant(np.float64(0))])
    return graph.divide(weighed, graph.where(empty, graph.constant(np.float64(1)), size))


def _count_vectorizer(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> tuple[Feature, ...]:
    counts = _counts(path, step, features, context)
    return context.made(counts, [None] * len(step.vocabulary_))


def _tfidf_vectorizer(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> tuple[Feature, ...]:
    counts = _counts(path, step, features, context)
    idf = step.idf_ if step.use_idf else None
    return context.made(_weigh(counts, step, idf, context), [None] * len(step.vocabulary_))


def _tfidf_transformer(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> tuple[Feature, ...]:
    counts = context.matrix(features, path)
    idf = step.idf_ if step.use_idf else None
    return context.made(_weigh(counts, step, idf, context), [None] * len(features))


TRANSFORMERS: Transformers = {
    "CountVectorizer": _count_vectorizer,
    "TfidfVectorizer": _tfidf_vectorizer,
    "TfidfTransformer": _tfidf_transformer,
}
MODELS: Models = {}
