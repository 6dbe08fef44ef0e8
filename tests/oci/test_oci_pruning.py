"""What is left out of packages is missed by nobody: imports and predictions without it."""

from __future__ import annotations

import subprocess
import sys
import sysconfig

import joblib
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, PowerTransformer, StandardScaler
from sklearn.svm import SVC

WITHOUT = """
import importlib.machinery, os, sys
from mlpack.oci.pruning import PRUNED

SITE = {site!r} + os.sep

class Pruned(importlib.machinery.PathFinder):
    # Modules that no image has are not there.
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        found = super().find_spec(name, path, target)
        if found is not None and found.origin and found.origin.startswith(SITE):
            if PRUNED.left_out(found.origin.removeprefix(SITE)) is not None:
                return None
        return found

finders = [each for each in sys.meta_path if each is not importlib.machinery.PathFinder]
sys.meta_path = [*finders, Pruned]
"""
MODULES = """
import importlib
for name in {names!r}:
    importlib.import_module(name)
try:
    importlib.import_module("numpy.tests")
except ModuleNotFoundError:
    print("pruned")
"""
NAMES = {
    "numpy": (
        *("numpy", "numpy.f2py", "numpy.testing", "numpy.random", "numpy.linalg", "numpy.ma"),
        *("numpy.fft", "numpy.polynomial", "numpy.typing", "onnxruntime"),
    ),
    "scipy": (
        *("scipy.sparse", "scipy.stats", "scipy.optimize", "scipy.special", "scipy.linalg"),
        *("scipy.spatial", "scipy.signal", "scipy.interpolate", "scipy.ndimage"),
    ),
    "sklearn": (
        *("sklearn.ensemble", "sklearn.linear_model", "sklearn.svm", "sklearn.neighbors"),
        *("sklearn.compose", "sklearn.impute", "sklearn.feature_extraction.text", "sklearn.utils"),
        *("sklearn.gaussian_process", "sklearn.manifold", "sklearn.datasets", "pandas", "joblib"),
        *("pandas.testing", "pandas.io.parquet", "uvloop", "httptools", "pydantic"),
    ),
}


def without(code, *arguments):
    """Run code in a process that has no module which the rules name."""
    site = sysconfig.get_path("purelib")
    text = WITHOUT.format(site=site) + code
    return subprocess.run(
        [sys.executable, "-c", text, *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("kind", NAMES)
def test_packages_are_imported_without_it(kind):
    done = without(MODULES.format(names=NAMES[kind]))
    assert (done.returncode, done.stdout) == (0, "pruned\n"), done.stderr


def test_pipelines_predict_without_it(tmp_path):
    rows = pd.DataFrame(
        {
            "size": [float(i % 7) for i in range(40)],
            "plan": ["ab"[i % 2] for i in range(40)],
            "note": ["good day", "bad night"] * 20,
        }
    )
    columns = make_column_transformer(
        (make_pipeline(StandardScaler(), PowerTransformer()), ["size"]),
        (OneHotEncoder(sparse_output=False), ["plan"]),
        (TfidfVectorizer(), "note"),
        sparse_threshold=0,
    )
    target = [i % 3 for i in range(40)]
    for number, model in enumerate(
        (
            RandomForestClassifier(3),
            HistGradientBoostingClassifier(max_iter=3),
            SVC(probability=True),
            KNeighborsClassifier(),
            GaussianProcessClassifier(),
        )
    ):
        joblib.dump(make_pipeline(columns, model).fit(rows, target), tmp_path / f"{number}.joblib")
    rows.to_pickle(tmp_path / "rows.pickle")
    code = """
import joblib, pandas as pd, pathlib
folder = pathlib.Path(sys.argv[1])
rows = pd.read_pickle(folder / "rows.pickle")
for path in sorted(folder.glob("*.joblib")):
    model = joblib.load(path)
    print(len(model.predict(rows)), model.predict_proba(rows).shape)
"""
    done = without(code, str(tmp_path))
    assert done.stdout == "40 (40, 3)\n" * 5, done.stderr
