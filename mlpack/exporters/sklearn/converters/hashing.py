"""Text hashed into a fixed number of columns; the hash is computed before the graph."""

from __future__ import annotations

from typing import Any

import msgspec

from mlpack.exporters.sklearn.converters.text import made, normalized, read
from mlpack.exporters.sklearn.features import Context, Feature
from mlpack.exporters.sklearn.steps import Models, Transformers, Walk, describe
from mlpack.ports import NotExportableError

MOST = 2**20
"""The default of the original; each column is a number of the model behind it."""


def _hashing_vectorizer(
    path: str, step: Any, features: tuple[Feature, ...], context: Context, _walk: Walk
) -> tuple[Feature, ...]:
    what = describe(step, "n_features")
    if step.n_features > MOST:
        raise NotExportableError(path, f"{what} is not exported: choose at most {MOST}")
    text = msgspec.structs.replace(
        read(path, step, features, context),
        hashed=int(step.n_features),
        alternate_sign=bool(step.alternate_sign),
    )
    counts = context.text(text, path=path, what=what)
    return made(normalized(counts, step.norm, context), context)


TRANSFORMERS: Transformers = {"HashingVectorizer": _hashing_vectorizer}
MODELS: Models = {}
