"""Text: counting words, characters and n-grams, and weighting the counts.

What a text has is counted before the graph, as the encoding's `Text` says; see
`mlpack.runtime.text`. The weights are the graph's, in double and on the entries alone, in the
order of ``TfidfTransformer.transform`` and ``normalize`` of scikit-learn.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np

from mlpack.exporters.sklearn.features import Context, Feature
from mlpack.exporters.sklearn.sparse import Sparse
from mlpack.exporters.sklearn.steps import Models, Transformers, Walk, describe
from mlpack.ports import NotExportableError
from mlpack.runtime.contract import Text


def read(path: str, step: Any, features: tuple[Feature, ...], context: Context) -> Text:
    """How a vectorizer finds terms in its column; which terms count is not said yet.

    Raises:
        NotExportableError: a function of the user's own finds them, or it is no raw text column.
    """
    for parameter in ("preprocessor", "tokenizer", "analyzer", "strip_accents"):
        if callable(getattr(step, parameter)):
            raise NotExportableError(
                path,
                f"{type(step).__name__}({parameter}=...) calls a function of your own, which only "
                "runs as Python: lowercase, strip_accents, token_pattern and analyzer are exported",
            )
    if step.input != "content":
        raise NotExportableError(path, f"{describe(step, 'input')} reads files: give it the texts")
    if np.dtype(step.dtype) not in (np.int32, np.int64, np.float64):
        raise NotExportableError(
            path, f"{describe(step, 'dtype')} is not exported: leave dtype as it is"
        )
    if len(features) != 1 or features[0].text is None:
        raise NotExportableError(
            path, f"{describe(step)} needs one raw text column: name it as a string, not in a list"
        )
    column = context.signature.column(features[0].text)
    if column.dtype == "category":
        raise NotExportableError(
            path, f"{column.name!r} is categorical, not text: make it a column of strings"
        )
    words = step.analyzer == "word"
    shortest, longest = (int(length) for length in step.ngram_range)
    return Text(
        name="",
        column=column.name,
        lowercase=bool(step.lowercase),
        strip_accents=step.strip_accents or None,
        analyzer=step.analyzer,
        pattern=step.token_pattern if words else "",
        stop_words=tuple(sorted(step.get_stop_words() or ())) if words else (),
        shortest=shortest,
        longest=longest,
        binary=bool(step.binary),
    )


def made(sparse: Sparse, context: Context) -> tuple[Feature, ...]:
    """The columns of a matrix whose entries are known."""
    return context.made(context.graph.full(sparse), [None] * sparse.width, sparse=True)


def _counts(path: str, step: Any, features: tuple[Feature, ...], context: Context) -> Sparse:
    """How often each term of the vocabulary occurs."""
    text = read(path, step, features, context)
    columns: dict[str, int] = step.vocabulary_
    terms = tuple(str(term) for term in sorted(columns, key=lambda term: columns[term]))
    return context.text(
        msgspec.structs.replace(text, terms=terms),
        path=path,
        what=f"the vocabulary of {describe(step)}",
    )


def weigh(sparse: Sparse, step: Any, context: Context) -> Sparse:
    """What TfidfTransformer does with counts; `step` has its parameters."""
    graph = context.graph
    values, finite = sparse.values, sparse.finite
    if step.sublinear_tf:
        # Hashed counts may be 0 or less, of which the original takes the logarithm too.
        values = graph.add(graph.node("Log", [values]), graph.constant(np.float64(1)))
        finite = False
    if step.use_idf:
        idf = np.asarray(step.idf_, np.float64)
        weights = graph.node("Gather", [graph.constant(idf), sparse.column])
        values = graph.multiply(values, weights)
        finite = finite and bool(np.isfinite(idf).all())
    weighed = replace(sparse, values=values, finite=finite)
    return normalized(weighed, step.norm, context)


def normalized(sparse: Sparse, norm: str | None, context: Context) -> Sparse:
    """Every row divided by its size; a row without entries, or with zeros only, stays as it is."""
    if norm is None:
        return sparse
    graph = context.graph
    values = sparse.values
    sizes = graph.multiply(values, values) if norm == "l2" else graph.node("Abs", [values])
    size = graph.summed(sparse, sizes)
    if norm == "l2":
        size = graph.node("Sqrt", [size])
    divisor = graph.node("GatherND", [size, sparse.row])
    empty = graph.node("Equal", [divisor, graph.constant(np.float64(0))])
    divisor = graph.where(empty, graph.constant(np.float64(1)), divisor)
    return replace(sparse, values=graph.divide(values, divisor))


def _count_vectorizer(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> tuple[Feature, ...]:
    return made(_counts(path, step, features, context), context)


def _tfidf_vectorizer(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> tuple[Feature, ...]:
    return made(weigh(_counts(path, step, features, context), step, context), context)


def _tfidf_transformer(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> tuple[Feature, ...]:
    matrix = context.matrix(features, path)
    context.refusals.append(context.graph.not_finite(matrix))
    counts = context.graph.entries(matrix, len(features), path, describe(step))
    return made(weigh(counts, step, context), context)


TRANSFORMERS: Transformers = {
    "CountVectorizer": _count_vectorizer,
    "TfidfVectorizer": _tfidf_vectorizer,
    "TfidfTransformer": _tfidf_transformer,
}
MODELS: Models = {}
