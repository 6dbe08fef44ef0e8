"""What an artifact declares that it needs: ranges around the proved versions, or exactly these.

A graph runs on any version of the runtime that can read it, so the wheel's metadata leaves room:
from the proved minor version up to the next major one. A pickle runs only on what made it. The
lock beside the wheel is exact in both cases.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from packaging.markers import Marker
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from mlpack import requirements_file
from mlpack.errors import InputError
from mlpack.lock import Pin
from mlpack.runtime.contract import Form
from mlpack.serving import requirements

LOCK_NAME = "requirements.lock.txt"

_PICKLED = ("joblib", "numpy", "pandas", "scikit-learn", "scipy")
"""What a pickle of a fitted pipeline names, whether or not the project declares it."""


def read_pins(text: str) -> tuple[Pin, ...]:
    """The pins of a production lock's text.

    Raises:
        InputError: it is damaged.
    """
    return requirements_file.loads(text, LOCK_NAME)


def declared(
    form: Form, pins: Sequence[Pin], python: str, project: Iterable[str] = ()
) -> tuple[str, ...]:
    """The requirements of a wheel's metadata, sorted.

    Args:
        form: a graph declares ranges only; the other forms pin what their pickles need.
        pins: the production lock.
        python: the minor version that the lock was made for.
        project: further run-time requirements: the project's own where its whole pipeline ships,
            what the Python parts of a hybrid import; a graph has none.

    Raises:
        InputError: something that is needed is not in the lock.
    """
    found: dict[str, str] = {}
    exact = set() if form == "onnx" else set(_PICKLED)
    for text in requirements(form):
        requirement = _parse(text)
        name = canonicalize_name(requirement.name)
        versions = _versions(requirement, pins)
        found[name] = (
            _line(requirement, f"=={versions[-1]}")
            if name in exact
            else _line(requirement, _range(versions))
        )
    if form == "onnx":
        return tuple(found[name] for name in sorted(found))
    for pin in pins:
        if pin.name in exact and pin.name not in found:
            marker = f" ; {pin.marker}" if pin.marker else ""
            found[pin.name] = f"{pin.name}=={pin.version}{marker}"
    for text in project:
        requirement = _parse(text)
        if not _wanted(requirement, python):
            continue
        name = canonicalize_name(requirement.name)
        found[name] = _line(requirement, f"=={_versions(requirement, pins)[-1]}")
    return tuple(found[name] for name in sorted(found))


def _parse(text: str) -> Requirement:
    try:
        return Requirement(text)
    except InvalidRequirement as error:
        raise InputError(
            f"{text!r} is not a requirement: {str(error).splitlines()[0]}", where="pyproject.toml"
        ) from error


def _wanted(requirement: Requirement, python: str) -> bool:
    """Whether it holds where artifacts run: Linux, and no extra asked for."""
    marker = requirement.marker
    return marker is None or any(
        _holds(marker, python, machine) for machine in ("x86_64", "aarch64")
    )


def _holds(marker: Marker, python: str, machine: str) -> bool:
    return marker.evaluate(
        {
            "extra": "",
            "implementation_name": "cpython",
            "os_name": "posix",
            "platform_machine": machine,
            "platform_python_implementation": "CPython",
            "platform_system": "Linux",
            "python_full_version": f"{python}.0",
            "python_version": python,
            "sys_platform": "linux",
        }
    )


def _versions(requirement: Requirement, pins: Sequence[Pin]) -> list[Version]:
    """The locked versions of a package, ascending; several where they differ by platform."""
    name = canonicalize_name(requirement.name)
    versions = sorted(Version(pin.version) for pin in pins if pin.name == name)
    if not versions:
        raise InputError(
            f"{requirement.name} is needed and is not in the production lock",
            where=LOCK_NAME,
            hint="mlpack lock",
        )
    return versions


def _range(versions: list[Version]) -> str:
    """From the minor version of the lowest up to the next major version of the highest.

    >>> _range([Version("2.4.6")])
    '>=2.4,<3'
    """
    low, high = versions[0], versions[-1]
    # 2.0rc1 is below 2.0, so it is its own floor.
    floor = low.public if low.is_prerelease else _join(low.epoch, low.release[:2])
    return f">={floor},<{_join(high.epoch, (high.major + 1,))}"


def _join(epoch: int, release: Sequence[int]) -> str:
    return (f"{epoch}!" if epoch else "") + ".".join(str(part) for part in release)


def _line(requirement: Requirement, specifier: str) -> str:
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    marker = f" ; {requirement.marker}" if requirement.marker else ""
    return f"{canonicalize_name(requirement.name)}{extras}{specifier}{marker}"
