#!/usr/bin/env python3
"""How long trees take in large batches and for one row, beside their own library, on one thread.

100,000 flights that no model has seen, numbers only. Every figure is the least of rounds that take
turns, in seconds of the processor, so that a busy machine disturbs little. Nothing here is a test:
the ratios are read by people. ``python benchmarks/forests.py forest trees`` runs those whose name
holds one of the words.
"""

from __future__ import annotations

import os
import sys

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))

import time
import warnings
from importlib.util import find_spec

import numpy as np
import onnxruntime
from flights import NUMBERS, flights
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.tree import DecisionTreeClassifier

from mlpack.exporters.sklearn import SklearnExporter
from mlpack.training.observe import observe

FIT, ROWS = 40_000, 100_000
ROUNDS, ONE = 3, 300


def asked():
    """The numbers of each flight, medians where one is missing, and how late it was."""
    table = flights(FIT + ROWS)
    numbers = table[NUMBERS]
    return numbers.fillna(numbers.median()), table["minutes"].to_numpy()


def models():
    """Each model by its name, and what it learns: two classes, three or minutes."""
    late = {"n_estimators": 50, "random_state": 0}
    found = {
        "tree, 2 classes": (DecisionTreeClassifier(random_state=0), 2),
        "forest of 50, 2 classes": (RandomForestClassifier(**late), 2),
        "forest of 50, leaves of 5": (RandomForestClassifier(**late, min_samples_leaf=5), 2),
        "forest of 100, depth 8": (
            RandomForestClassifier(n_estimators=100, max_depth=8, random_state=0),
            2,
        ),
        "forest of 50, 3 classes": (RandomForestClassifier(**late), 3),
        "forest of 50, numbers": (RandomForestRegressor(**late), 0),
        "forest of 50, numbers, depth 8": (RandomForestRegressor(**late, max_depth=8), 0),
        "extra trees, 30": (ExtraTreesClassifier(n_estimators=30, random_state=0), 2),
        "gradient boosting, 100": (GradientBoostingClassifier(random_state=0), 2),
        "gradient boosting, depth 8": (
            GradientBoostingClassifier(max_depth=8, random_state=0, subsample=0.5),
            2,
        ),
        "gradient boosting, 3 classes": (
            GradientBoostingClassifier(n_estimators=50, random_state=0),
            3,
        ),
        "histograms, 100": (
            HistGradientBoostingClassifier(random_state=0, early_stopping=False),
            2,
        ),
        "histograms, 500": (
            HistGradientBoostingClassifier(max_iter=500, random_state=0, early_stopping=False),
            2,
        ),
    }
    if find_spec("lightgbm") is not None:
        from lightgbm import LGBMClassifier

        for count in (100, 500):
            found[f"LightGBM, {count}"] = (
                LGBMClassifier(n_estimators=count, random_state=0, n_jobs=1, verbose=-1),
                2,
            )
    return found


def least(calls, rounds=ROUNDS):
    """The least time of each named call, in seconds, over rounds that take turns."""
    times = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.process_time()
            call()
            times[name].append(time.process_time() - start)
    return {name: min(found) for name, found in times.items()}


def peer(model, matrix):
    """Treelite's own prediction, where it is installed and takes the model."""
    if find_spec("treelite") is None:
        return None
    import treelite

    try:
        forest = (
            treelite.frontend.from_lightgbm(model.booster_.model_to_string())
            if type(model).__module__.startswith("lightgbm")
            else treelite.sklearn.import_model(model)
        )
    except (treelite.TreeliteError, ValueError):
        return None
    return lambda: treelite.gtil.predict(forest, matrix, nthread=1)


def measured(model, rows, answers, test):
    """Fit, export, and time both sides."""
    model.fit(rows, answers)
    if hasattr(model, "n_jobs"):
        model.n_jobs = 1
    began = time.process_time()
    signature = observe(rows.head(2000), model, target="y", source="train")
    exported = SklearnExporter().export(model, signature)
    made = time.process_time() - began
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    began = time.process_time()
    session = onnxruntime.InferenceSession(exported.model, options)
    loaded = time.process_time() - began
    matrix = test.to_numpy()
    names = [output.name for output in session.get_outputs()]
    ask = getattr(model, "predict_proba", model.predict)
    output = "probabilities" if "probabilities" in names else "value"

    def run(numbers):
        return session.run([output], {"numbers": numbers})[0]

    used = [list(test.columns).index(name) for name in exported.encoding.numbers]
    matrix_used = matrix[:, used]
    # One row after another, and never the same: its way through the trees would stay in a cache.
    single = [np.ascontiguousarray(matrix_used[i : i + 1]) for i in range(0, 10 * ONE, 10)]
    calls = {"original": lambda: ask(test), "exported": lambda: run(matrix_used)}
    other = peer(model, matrix.astype(np.float32))
    if other is not None:
        calls["treelite"] = other
    times = least(calls)
    said, wanted = run(matrix_used), np.asarray(ask(test)).reshape(len(test), -1)
    times["one"] = least({"one": lambda: [run(row) for row in single]}, rounds=5)["one"] / ONE
    labels = said.argmax(axis=1) != wanted.argmax(axis=1) if said.shape[1] > 1 else said != wanted
    return times, {
        "export": made,
        "load": loaded,
        "size": len(exported.model) / 1e6,
        "wrong": int(labels.sum()),
        "largest": float(np.abs(said - wanted).max()),
    }


def main():
    """Print one line for every model."""
    warnings.simplefilter("ignore")
    numbers, delay = asked()
    targets = {0: delay, 2: delay > 15, 3: np.digitize(delay, [-10, 15])}
    if find_spec("treelite") is None:
        print("treelite is not installed: it is left out")
    print(f"{ROWS:,} rows, fitted on {FIT:,}; onnxruntime {onnxruntime.__version__}, one thread")
    print(
        f"{'':<32}{'original':>9} {'exported':>9} {'ratio':>6} {'treelite':>9}"
        f" {'one row':>9} {'load':>7} {'export':>7} {'size':>8}  wrong, largest difference"
    )
    for name, (model, classes) in models().items():
        if sys.argv[1:] and not any(word in name for word in sys.argv[1:]):
            continue
        answers = targets[classes]
        times, facts = measured(model, numbers.iloc[:FIT], answers[:FIT], numbers.iloc[FIT:])
        ratio = times["exported"] / times["original"]
        rival = f"{times['treelite'] / times['original']:8.2f}x" if "treelite" in times else "-"
        print(
            f"{name:<32}{times['original']:8.2f}s {times['exported']:8.2f}s {ratio:5.2f}x"
            f" {rival:>9} {times['one'] * 1e6:7.1f}µs {facts['load']:6.2f}s {facts['export']:6.1f}s"
            f" {facts['size']:6.1f}MB  {facts['wrong']}, {facts['largest']:.1e}",
            flush=True,
        )


if __name__ == "__main__":
    main()
