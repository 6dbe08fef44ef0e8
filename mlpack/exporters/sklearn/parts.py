"""What has no graph stays Python: the smallest run of steps that begins at raw columns.

A step that fails, and in its branch all steps before it, become a *part* of a hybrid. The served
part is given raw columns just as the original's first step is, so that nothing of the graph has to
be turned back into a data frame. Where the failing step stands behind a column transformer, that
is a step before it like any other.
"""

from __future__ import annotations

import copy
import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import joblib

from mlpack.export import Step
from mlpack.exporters.sklearn.features import Context, Feature, Kept
from mlpack.exporters.sklearn.holders import held
from mlpack.exporters.sklearn.steps import Walk, describe, join
from mlpack.exporters.sklearn.stored import stored
from mlpack.ports import NotExportableError
from mlpack.runtime.contract import Category, Column, Part, Signature
from mlpack.runtime.frames import frame
from mlpack.runtime.hybrid_session import answer, given, narrowed

Steps = Sequence[tuple[str, Any]]


def through(
    walk: Walk,
    told: list[Step],
    path: str,
    steps: Steps,
    features: tuple[Feature, ...],
    context: Context,
    width: int | None,
) -> tuple[Feature, ...]:
    """See `Walk.through`; `told` is what became of each step so far."""
    first, before, snapshot = features, len(told), context.snapshot()
    failed: dict[str, NotExportableError] = {}
    part: Part | None = None
    for index, (name, step) in enumerate(steps):
        if not failed or part is not None:
            try:
                features = _converted(walk, join(path, name), step, features, context)
                continue
            except NotExportableError as error:
                failed[name] = error
        kept = steps[: index + 1]
        last = len(kept) == len(steps)
        size = width if last else getattr(steps[index + 1][1], "n_features_in_", None)
        part = _part(kept, first, size, context.signature, f"python_{len(snapshot['parts'])}")
        if part is not None:
            context.restore(snapshot)
            del told[before:]
            told += _told(path, kept, failed)
            reason = str(next(iter(failed.values())))
            context.parts.append(Kept(part, tuple(inner for _, inner in kept), reason))
            features = _answered(step, context.made(part.name, [None] * part.width))
    if failed and part is None:
        raise next(iter(failed.values()))
    return features


def pickled(parts: Sequence[Kept]) -> bytes:
    """The steps of each part by its name. Not compressed: zlib's output differs by version."""
    out = io.BytesIO()
    joblib.dump({kept.part.name: list(kept.steps) for kept in parts}, out)
    return out.getvalue()


def _converted(
    walk: Walk, path: str, step: Any, features: tuple[Feature, ...], context: Context
) -> tuple[Feature, ...]:
    """The columns that one step makes: no longer those of the raw data frame, whatever it does."""
    try:
        made = walk.transform(path, step, features, context)
    except (NotExportableError, MemoryError):
        raise
    except Exception as error:
        # A converter met something that it does not know.
        said = (str(error).splitlines() or [""])[0][:200]
        raise NotExportableError(
            join(path, describe(step)), f"making its graph failed: {type(error).__name__}: {said}"
        ) from error
    return tuple(replace(each, given=None) if each.given else each for each in made)


def _answered(step: Any, made: tuple[Feature, ...]) -> tuple[Feature, ...]:
    """The columns of a part, as what its last step makes; one's own may be in any container."""
    return held(step, stored(step, (), tuple(replace(each, holder="other") for each in made)))


def _told(path: str, steps: Steps, failed: Mapping[str, NotExportableError]) -> list[Step]:
    """What became of the steps of a part: which of them failed and why, or for whose sake."""
    said = []
    for name, step in steps:
        error = failed.get(name)
        here = error.path if error else join(join(path, name), describe(step))
        reason = error.reason if error else "it feeds a step that stays Python"
        said.append(Step(path=here, form="python", reason=reason))
    return said


def _part(
    steps: Steps, features: tuple[Feature, ...], width: int | None, signature: Signature, name: str
) -> Part | None:
    """The part of these steps; None where it cannot be cut out of the pipeline."""
    columns = tuple(str(each.raw) for each in features)
    ways = {each.given for each in features}
    # Raw columns only, all handed on in one way, none of them twice: a frame can be made of those.
    if len(ways) != 1 or None in ways or len(set(columns)) != len(columns):
        return None
    draft = Part(name=name, columns=columns, width=0, series=ways == {"series"})
    if width is None:
        width = _tried([step for _, step in steps], draft, signature)
    if width is None:
        return None
    return Part(name=name, columns=columns, width=int(width), series=draft.series)


def _tried(steps: Sequence[Any], part: Part, signature: Signature) -> int | None:
    """How many numbers the steps make of a row, where one that is made up shows it."""
    row = {column.name: _typical(column) for column in signature.columns}
    rows = frame(narrowed(signature, part.columns), [row])
    # On a copy: some steps remember what they were asked, and would be pickled with it.
    copied = copy.deepcopy(list(steps))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            shape = answer(copied, given(rows, series=part.series)).shape
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - the user's own code may raise anything
        return None
    return shape[1] if len(shape) == 2 and shape[0] == 1 else None


def _typical(column: Column) -> Category:
    if column.type in ("date", "datetime"):
        day, time = "2026-01-31", "T12:30:00" + ("Z" if column.zone is not None else "")
        return day if column.type == "date" else day + time
    if column.categories:
        return column.categories[0]
    if column.type == "string":
        return ""
    return False if column.type == "boolean" else column.minimum or 0
