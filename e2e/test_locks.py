"""Locks against a real index: both resolvers, and pip as the judge of what they wrote."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from mlpack import lock_files
from mlpack.errors import CheckFailedError, InputError
from mlpack.inspection import inspect_project as inspect
from mlpack.process import run
from mlpack.resolvers.pip_tools import PipToolsResolver
from mlpack.resolvers.uv import UvResolver
from mlpack.usecases.install import install
from mlpack.usecases.lock import check, lock, relock_for_form

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
OWN = tuple(importlib.metadata.requires("mlpack-builder") or ())
TRAINING = {"scikit-learn", "pandas", "scipy", "joblib", "skl2onnx", "onnx"}
BUILDING = {"mlpack", "mlpack-builder", "pip-tools", "uv", "docker", "boto3"}


class Quiet:
    @contextlib.contextmanager
    def stage(self, title):
        yield self

    def advance(self, done, total=None): ...

    def result(self, text): ...

    def note(self, text): ...

    def warn(self, text):
        print(text)
