"""The three files of a lock as they stand in a project's folder."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mlpack import files, requirements_file
from mlpack import lock as lock_file
from mlpack.errors import CheckFailedError, InputError
from mlpack.lock import Lock, Pin
from mlpack.project import Project


@dataclass(frozen=True)
class Present:
    """The lock as it stands in the project's folder.

    Attributes:
        lock: ``mlpack.lock``, if it is there.
        prod, dev: pins, where the files are there and can be read.
        fault: why the requirement files are not what ``mlpack.lock`` says, or None.
    """

    lock: Lock | None
    prod: tuple[Pin, ...]
    dev: tuple[Pin, ...]
    fault: str | None


def present(project: Project, warn: Callable[[str], None]) -> Present:
    """What is there. A requirement file that cannot be read counts as empty, which is warned of.

    Raises:
        InputError: ``mlpack.lock`` is damaged.
    """
    current = lock_file.read(project.lock_file)
    fault = _fault(project, current) if current else "there is no lock"
    found = [_readable(path, warn) for path in (project.prod_lock, project.dev_lock)]
    return Present(current, found[0], found[1], fault)


def unharmed(project: Project) -> Lock:
    """The lock, if all its files are there and as mlpack wrote them.

    Raises:
        CheckFailedError: they are not; the error names the file.
        InputError: ``mlpack.lock`` is damaged.
    """
    current = lock_file.read(project.lock_file)
    if not current:
        raise stale(f"there is no {project.lock_file.name}")
    if fault := _fault(project, current):
        raise stale(fault)
    return current


def write(project: Project, lock: Lock, prod: str, dev: str) -> None:
    """All three files or none. ``mlpack.lock``, which vouches for the others, is replaced last."""
    texts = {
        project.lock_file: lock_file.dumps(lock),
        project.dev_lock: dev,
        project.prod_lock: prod,
    }
    with contextlib.ExitStack() as stack:
        for path, text in texts.items():
            data = text.encode()
            if not path.is_file() or path.read_bytes() != data:
                stack.enter_context(files.staged(path)).write_bytes(data)


def stale(reason: str) -> CheckFailedError:
    """The error of a lock that does not stand, and for what reason."""
    return CheckFailedError(f"the lock is stale: {reason}", hint="mlpack lock")


def _fault(project: Project, current: Lock) -> str | None:
    for path, digest in ((project.prod_lock, current.prod), (project.dev_lock, current.dev)):
        text = requirements_file.read(path)
        if text is None:
            return f"there is no {path.name}"
        if requirements_file.digest(text) != digest:
            return f"{path.name} was changed after mlpack wrote it"
    return None


def _readable(path: Path, warn: Callable[[str], None]) -> tuple[Pin, ...]:
    try:
        return pins(path)
    except InputError as error:
        warn(f"{error.where}: {error.what}; the file is made anew")
        return ()


def pins(path: Path) -> tuple[Pin, ...]:
    """The pins of a requirement file; none where there is no such file.

    Raises:
        InputError: it is damaged.
    """
    text = requirements_file.read(path)
    return requirements_file.loads(text, path.name) if text else ()
