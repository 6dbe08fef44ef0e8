"""``mlpack pull``: what runs in production, on this machine, in the versions that it runs with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mlpack.delivery.environment import Environments
from mlpack.delivery.unpacked import LIB, found
from mlpack.errors import InputError
from mlpack.files import check_place, write
from mlpack.operating import Sampling
from mlpack.ports import Reporter, Target
from mlpack.runtime.contract import MANIFEST_FILE
from mlpack.sbom import SBOM_FILE
from mlpack.spdx import SPDX_FILE
from mlpack.usecases import operate
from mlpack.user_code import RUNTIME

SAMPLES = "samples.jsonl"

_OURS = frozenset((LIB, SAMPLES, SBOM_FILE, SPDX_FILE))
_MODEL = f"*/{RUNTIME}/data/{MANIFEST_FILE}"


@dataclass(frozen=True)
class Pulled:
    """What came.

    Attributes:
        folder: where it lies.
        name, version: the model's.
        release: its number at the target; 0 where there are none.
        digest: of the artifact.
        python: of an environment with what it was locked to.
        exact: whether those are the locked versions, with hashes.
        library: the folder in which ``PYTHON -m PACKAGE`` runs the model.
        package: the model's import package.
        samples: requests that its servers have sampled; None where there are none.
        rows: how many requests these are.
    """

    folder: Path
    name: str
    version: str
    release: int
    digest: str
    python: Path
    exact: bool
    library: Path
    package: str
    samples: Path | None
    rows: int


def pull(
    target: Target,
    release: int | None,
    into: Path,
    *,
    environments: Environments,
    reporter: Reporter,
) -> Pulled:
    """Bring what runs at a target into a folder, and install what it was locked to.

    Args:
        target: where it runs.
        release: of the history; None for what answers.
        into: the folder; what an earlier pull has left there is replaced.
        environments: makes the environment.
        reporter: hears what happens.

    Raises:
        InputError: nothing runs there, or the folder holds something else.
        OutsideError: the target or an index does not answer, or nothing may be written there.
    """
    check_place(into)
    if not _replaceable(into):
        raise InputError("the folder holds something else", where=str(into), hint="-o FOLDER")
    there = operate.fetch(target, release, into, reporter)
    if there is None:
        raise InputError("nothing is deployed", hint="mlpack deploy ENVIRONMENT")
    model = found(there.folder)
    samples, count = None, 0
    if "samples" in target.verbs:
        sampling: Sampling = target  # type: ignore[assignment]
        with reporter.stage("Fetching sampled requests") as stage:
            content = sampling.samples(release)
            count = content.count(b"\n")
            stage.result(f"{count:,}")
        if content:
            samples = into / SAMPLES
            write(samples, content)
    python = environments.python(model, reporter)
    return Pulled(
        folder=into,
        name=model.manifest.name,
        version=model.manifest.version,
        release=there.release,
        digest=there.digest,
        python=python,
        exact=model.exact,
        library=model.library,
        package=model.manifest.package,
        samples=samples,
        rows=count,
    )


def _replaceable(into: Path) -> bool:
    """Whether nothing is lost where a folder is replaced: it has what a pull has left, alone."""
    if not into.exists():
        return True
    if not into.is_dir():
        return False
    names = {each.name for each in into.iterdir()}
    return not names or (names <= _OURS and any((into / LIB).glob(_MODEL)))
