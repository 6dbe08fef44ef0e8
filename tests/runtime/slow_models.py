"""A model that takes its time, so that a server of it has a small capacity that is known."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import bundles
import joblib
import pandas as pd
from sleepy import Sleepy

from mlpack.runtime.contract import Column, Output, Signature


def sleepy_package(root: Path) -> None:
    """A package whose model answers one row of one number, or some, every `sleepy.SECONDS`."""
    root.mkdir(exist_ok=True)
    shutil.copy(Path(__file__).with_name("sleepy.py"), root)
    stream = io.BytesIO()
    joblib.dump(Sleepy().fit(pd.DataFrame({"a": [1.0]})), stream)
    signature = Signature(
        task="regression",
        columns=(Column(name="a", type="number", dtype="float64"),),
        outputs=(Output(name="value", type="number"),),
    )
    bundles.package(
        root, signature=signature, model=stream.getvalue(), encoding=None, form="python"
    )
