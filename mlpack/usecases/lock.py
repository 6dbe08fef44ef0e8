"""Lock: decide exact versions for development and production, once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from packaging.utils import canonicalize_name

from mlpack import lock_files, requirements_file
from mlpack.errors import InputError
from mlpack.lock import BaseImage, Lock, Pin
from mlpack.lock_files import Present
from mlpack.lock_inputs import (
    OWN_DISTRIBUTIONS,
    Inputs,
    difference,
    fits_python,
    form_of,
    inputs_of,
)
from mlpack.pin_sets import Change, changes, merge, superset
from mlpack.ports import Reporter, Resolver, ResolveRequest
from mlpack.project import Project
from mlpack.runtime.contract import Form

_PROD = """\
Made by mlpack lock: what production installs. Do not edit it: change the project's dependencies
and run: mlpack lock
To install: pip install --require-hashes --no-deps -r requirements.lock.txt"""
_DEV = """\
Made by mlpack lock: what training, testing and building need. Do not edit it: change the project's
dependencies and run: mlpack lock
To install: mlpack install"""


@dataclass(frozen=True)
class LockResult:
    """What was decided.

    Attributes:
        lock: as it stands in ``mlpack.lock``.
        prod, dev: how many packages each set has.
        changes: by name, both sets together.
        resolved: False where nothing had changed, so that nothing was resolved.
    """

    lock: Lock
    prod: int
    dev: int
    changes: tuple[Change, ...]
    resolved: bool

    @property
    def added(self) -> tuple[Change, ...]:
        """Packages that are new."""
        return tuple(change for change in self.changes if change.before is None)

    @property
    def removed(self) -> tuple[Change, ...]:
        """Packages that are gone."""
        return tuple(change for change in self.changes if change.after is None)

    @property
    def changed(self) -> tuple[Change, ...]:
        """Packages with another version."""
        return tuple(change for change in self.changes if change.before and change.after)


def lock(
    project: Project,
    *,
    resolver: Resolver,
    reporter: Reporter,
    python: str,
    platforms: tuple[str, ...],
    mlpack_requirements: tuple[str, ...],
    form: Form | None = None,
    upgrade: bool = False,
    upgrade_packages: Sequence[str] = (),
) -> LockResult:
    """Decide the versions of both sets and write the three files of the lock, all or none.

    What the present lock says is kept where it still fits, unless an upgrade is asked for. When
    nothing changed, nothing is resolved and no file is touched.

    Args:
        project: whose dependencies to lock.
        resolver: finds the versions.
        reporter: is told of the progress.
        python: the minor version to lock for, such as ``3.11``.
        platforms: that production runs on, such as ``linux/amd64``.
        mlpack_requirements: what mlpack's own distribution requires.
        form: the exporter's verdict; None for that of the present lock, with its imports.
        upgrade: take the newest of everything.
        upgrade_packages: take the newest of these.

    Raises:
        InputError: a requirement cannot be locked, or two contradict each other.
        OutsideError: the index does not answer.
    """
    present = lock_files.present(project, reporter.warn)
    form, imports = (form, ()) if form else form_of(project, present.lock)
    inputs = inputs_of(
        project, mlpack_requirements, python, platforms, resolver.name, form, imports
    )
    fits_python(project, python)
    upgraded = _known(upgrade_packages, present)
    unchanged = present.lock and present.lock.inputs == inputs.digest and not present.fault
    if present.lock and unchanged and not upgrade and not upgraded:
        return LockResult(present.lock, len(present.prod), len(present.dev), (), resolved=False)
    with reporter.stage("Locking the development set") as stage:
        dev = resolver.resolve(
            ResolveRequest(
                requirements=inputs.dev,
                constraints=(),
                preferences=_preferences(present, upgrade, upgraded),
                python=python,
                exclude=OWN_DISTRIBUTIONS,
                upgrade=upgrade,
                upgrade_packages=upgraded,
            )
        )
        stage.result(_packages(dev))
    base = None
    if present.lock and present.lock.base:
        base = present.lock.base.for_platforms(present.lock.platforms, inputs.platforms)
    return _production(project, inputs, dev, present, base, resolver, reporter)


def relock_for_form(
    project: Project,
    form: Form,
    *,
    resolver: Resolver,
    reporter: Reporter,
    mlpack_requirements: tuple[str, ...],
    imports: tuple[str, ...] = (),
) -> LockResult:
    """Bring the production set up to date when training changed the exporter's verdict.

    The development set stays as it is, and its versions hold.

    Args:
        project: whose lock it is.
        form: the verdict.
        resolver: finds the versions.
        reporter: is told of the progress.
        mlpack_requirements: what mlpack's own distribution requires.
        imports: the distributions that the Python parts of a hybrid import.

    Raises:
        CheckFailedError: the lock is stale for another reason than the verdict.
        InputError: as in `lock`; or a part imports what the development set does not have.
        OutsideError: as in `lock`.
    """
    current = check(project, mlpack_requirements=mlpack_requirements)
    present = lock_files.present(project, reporter.warn)
    imports = tuple(sorted(imports))
    if (current.form, current.imports) == (form, imports):
        return LockResult(current, len(present.prod), len(present.dev), (), resolved=False)
    locked = {pin.name for pin in present.dev}
    for name in imports:
        if name not in locked:
            raise InputError(
                f"the model's steps that stay Python import {name}, which the lock does not have",
                where=project.dependencies_from or "pyproject.toml",
                hint=f"Add {name} to the project's dependencies, and run: mlpack lock",
            )
    inputs = inputs_of(
        project,
        mlpack_requirements,
        current.python,
        current.platforms,
        current.resolver,
        form,
        imports,
    )
    return _production(project, inputs, present.dev, present, current.base, resolver, reporter)


def check(
    project: Project,
    *,
    mlpack_requirements: tuple[str, ...],
    python: str | None = None,
    platforms: tuple[str, ...] | None = None,
) -> Lock:
    """The lock, if it is there, unharmed, and made from what the project asks for now.

    Args:
        project: whose lock to check.
        mlpack_requirements: what mlpack's own distribution requires.
        python: what it should be made for; None for what it is made for.
        platforms: likewise; those of the project's settings by default.

    Raises:
        CheckFailedError: it is not; the error names the reason.
        InputError: ``mlpack.lock`` is damaged.
    """
    current = lock_files.unharmed(project)
    wanted = project.settings.resolver
    if current.resolver != wanted:
        raise lock_files.stale(
            f"it was made by {current.resolver}, and pyproject.toml asks for {wanted}"
        )
    asked_for = platforms or project.settings.platforms
    if python and current.python != python:
        raise lock_files.stale(
            f"it was made for Python {current.python}, and this is Python {python}"
        )
    if asked_for and set(current.platforms) != set(asked_for):
        made, asked = ", ".join(current.platforms), ", ".join(asked_for)
        raise lock_files.stale(f"it was made for {made}, and {asked} is asked for")
    inputs = inputs_of(
        project,
        mlpack_requirements,
        current.python,
        current.platforms,
        current.resolver,
        current.form,
        current.imports,
    )
    if inputs.digest != current.inputs:
        raise lock_files.stale(difference(inputs, lock_files.pins(project.dev_lock)))
    return current


def _production(
    project: Project,
    inputs: Inputs,
    dev: tuple[Pin, ...],
    present: Present,
    base: BaseImage | None,
    resolver: Resolver,
    reporter: Reporter,
) -> LockResult:
    """Resolve the production set within the development set, and write everything."""
    found: dict[str, tuple[Pin, ...]] = {}
    with reporter.stage("Locking the production set") as stage:
        for platform in inputs.platforms:
            before = {pin.name: pin for pins in found.values() for pin in pins}
            found[platform] = resolver.resolve(
                ResolveRequest(
                    requirements=inputs.prod,
                    constraints=dev,
                    preferences=tuple({**before, **{pin.name: pin for pin in dev}}.values()),
                    python=inputs.python,
                    platform=platform,
                    exclude=OWN_DISTRIBUTIONS,
                )
            )
        prod = merge(found)
        stage.result(_packages(prod))
    dev = superset(dev, prod, inputs.platforms)
    prod_text = requirements_file.dumps(prod, _PROD)
    dev_text = requirements_file.dumps(dev, _DEV)
    result = Lock(
        inputs=inputs.digest,
        python=inputs.python,
        platforms=tuple(sorted(inputs.platforms)),
        resolver=inputs.resolver,
        form=inputs.form,
        prod=requirements_file.digest(prod_text),
        dev=requirements_file.digest(dev_text),
        base=base,
        imports=inputs.imports,
    )
    lock_files.write(project, result, prod_text, dev_text)
    changed = changes((*present.prod, *present.dev), (*prod, *dev))
    return LockResult(result, len(prod), len(dev), changed, resolved=True)


def _preferences(present: Present, upgrade: bool, upgraded: tuple[str, ...]) -> tuple[Pin, ...]:
    """The pins to keep. Of a file that somebody changed only the versions, not the digests."""
    pins = {pin.name: pin for pin in (*present.prod, *present.dev)}
    kept = [pin for pin in pins.values() if not upgrade and pin.name not in upgraded]
    return tuple(replace(pin, hashes=()) for pin in kept) if present.fault else tuple(kept)


def _known(names: Sequence[str], present: Present) -> tuple[str, ...]:
    known = {pin.name for pin in (*present.prod, *present.dev)}
    wanted = tuple(str(canonicalize_name(name)) for name in names)
    for name in wanted:
        if name not in known:
            raise InputError(
                f"{name} cannot be upgraded: it is not in the lock", hint="mlpack lock --upgrade"
            )
    return wanted


def _packages(pins: Sequence[Pin]) -> str:
    count = len({pin.name for pin in pins})
    return f"{count} package{'' if count == 1 else 's'}"
