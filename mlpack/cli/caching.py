"""Puts together what ``cache`` needs."""

from __future__ import annotations

import os
import time
from pathlib import Path

from mlpack.cli.console import Console
from mlpack.errors import InputError
from mlpack.oci.cache import default_root
from mlpack.sizes import megabytes
from mlpack.usecases import cache as cache_use_case
from mlpack.usecases.cache import DAY, Contents


def cache(console: Console, *, clean: bool, older_than: int) -> Contents:
    """See the command ``cache``."""
    root = default_root(os.environ, Path.home())
    if not clean:
        if older_than:
            raise InputError(
                "--older-than says what to remove",
                where="--older-than",
                hint=f"mlpack cache --clean --older-than {older_than}",
            )
        return cache_use_case.contents(root)
    with console.stage("Cleaning the cache") as stage:
        found = cache_use_case.clean(root, before=time.time() - older_than * DAY)
        removed = sum(kind.size for kind in found.removed)
        stage.result(f"{megabytes(removed)} removed")
    return found
