"""The wheels of a lock for a platform, downloaded without any engine and kept by digest.

pip downloads those that are not in the cache: its configuration (indexes, credentials,
certificates) is the user's, and nothing of it is read or written here. It takes one after the
other, so of many each of some processes is given a share.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec
from packaging.markers import InvalidMarker, Marker
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from mlpack.errors import InputError, OutsideError
from mlpack.files import contained, full_disk, is_full, sha256_file
from mlpack.oci.at_once import at_once
from mlpack.oci.cache import Cache
from mlpack.oci.machine import Machine
from mlpack.process import Runner

_KIND = "wheels"
_PROCESSES, _EACH = 4, 4
"""At most so many, and no fewer packages for each."""
_NO_SPACE = "No space left on device"
_UNREACHABLE = (
    "NewConnectionError",
    "Failed to establish",
    "Retrying (",
    "ConnectionError",
    "ReadTimeoutError",
    "Could not fetch URL",
    "HTTP error 5",
)


class Pinned(Protocol):
    """One package of a lock (`mlpack.lock.Pin`)."""

    @property
    def name(self) -> str:
        """Normalised."""
        ...

    @property
    def version(self) -> str:
        """Exact."""
        ...

    @property
    def hashes(self) -> tuple[str, ...]:
        """``sha256:...`` of every file."""
        ...

    @property
    def marker(self) -> str | None:
        """A PEP 508 marker, or None."""
        ...


class NoWheelError(InputError):
    """A package has no wheel for a machine."""


class Wheel(msgspec.Struct, frozen=True):
    """A wheel: its file name and the digest of its content."""

    file: str
    digest: str


@dataclass(frozen=True)
class Fetched:
    """The wheels of a lock in the cache.

    Attributes:
        wheels: each with its path, sorted by file name.
        downloaded: how many were not in the cache before.
    """

    wheels: tuple[tuple[Wheel, Path], ...]
    downloaded: int


def wanted(pins: Sequence[Pinned], machine: Machine) -> list[Pinned]:
    """The pins whose markers hold on `machine`.

    Raises:
        InputError: a marker is not valid.
    """
    environment = machine.markers()
    return [pin for pin in pins if _holds(pin, environment)]


def _holds(pin: Pinned, environment: dict[str, str]) -> bool:
    try:
        return pin.marker is None or Marker(pin.marker).evaluate(environment)
    except InvalidMarker as error:
        raise InputError(
            f"{pin.name} has a marker that cannot be read: {error}", where="requirements.lock.txt"
        ) from error


def fetch(
    pins: Sequence[Pinned],
    machine: Machine,
    cache: Cache,
    runner: Runner,
    python: str = sys.executable,
) -> Fetched:
    """The best wheel of each pin for `machine`, verified against the lock's digests.

    Args:
        pins: the lock, for all platforms.
        machine: what they are for.
        cache: where they are kept.
        runner: runs pip.
        python: an interpreter that has pip.

    Raises:
        NoWheelError: a package has no wheel for the machine.
        OutsideError: the index does not answer, or gives files that the lock does not know.
    """
    needed = wanted(pins, machine)
    found = {pin.name: _known(pin, machine, cache) for pin in needed}
    missing = [pin for pin in needed if found[pin.name] is None]
    if missing:
        with cache.scratch() as scratch:
            shares = _shares(missing)

            def download(number: int) -> list[Path]:
                return _download(shares[number], machine, scratch / str(number), runner, python)

            folders = at_once(download, range(len(shares)))
            files = {path.name: path for paths in folders for path in paths}
            for pin, wheel in _sorted_out(missing, machine, files):
                cache.keep(wheel.digest, files[wheel.file])
                cache.remember(_KIND, _key(pin, machine), wheel)
                found[pin.name] = wheel
    wheels = sorted((wheel for wheel in found.values() if wheel), key=lambda item: item.file)
    return Fetched(tuple((item, cache.blob(item.digest)) for item in wheels), len(missing))


def _key(pin: Pinned, machine: Machine) -> str:
    glibc = ".".join(map(str, machine.glibc))
    return " ".join(
        (pin.name, pin.version, machine.platform, machine.python, glibc, *sorted(pin.hashes))
    )


def _known(pin: Pinned, machine: Machine, cache: Cache) -> Wheel | None:
    wheel = cache.recall(_KIND, _key(pin, machine), Wheel)
    # A damaged one is downloaded again.
    return None if wheel is None or cache.intact(wheel.digest) is None else wheel


def _shares(pins: Sequence[Pinned]) -> list[Sequence[Pinned]]:
    """For each process its own: to start one takes a third of a second of a processor."""
    count = max(1, min(os.cpu_count() or 1, _PROCESSES, len(pins) // _EACH))
    return [pins[start::count] for start in range(count)]


def _download(
    pins: Sequence[Pinned], machine: Machine, scratch: Path, runner: Runner, python: str
) -> list[Path]:
    scratch.mkdir()
    requirements = scratch / "requirements.txt"
    requirements.write_text("".join(map(_line, pins)), encoding="utf-8")
    platforms = [part for tag in machine.platform_tags() for part in ("--platform", tag)]
    version = "".join(map(str, machine.version))
    argv = [
        python, "-m", "pip", "download",
        "--no-deps", "--only-binary=:all:", "--require-hashes",
        "--disable-pip-version-check", "--no-input", "--progress-bar=off",
        "--implementation", "cp", "--python-version", machine.python, "--abi", f"cp{version}",
        *platforms,
        "--dest", str(scratch / "wheels"), "--requirement", str(requirements),
    ]  # fmt: skip
    # pip writes everything on the cache's own disk, which has the space or is told to have none.
    temporary = scratch / "tmp"
    temporary.mkdir()
    done = runner(argv, env={**os.environ, "TMPDIR": str(temporary)})
    if done.code:
        output = done.stdout + done.stderr
        if _NO_SPACE in output or is_full(scratch):
            raise full_disk(scratch / "wheels")
        raise _failure(output, pins, machine)
    return sorted((scratch / "wheels").iterdir())


def _line(pin: Pinned) -> str:
    hashes = "".join(f" --hash={value}" for value in sorted(pin.hashes))
    return f"{pin.name}=={pin.version}{hashes}\n"


def _sorted_out(
    pins: Sequence[Pinned], machine: Machine, files: Mapping[str, Path]
) -> list[tuple[Pinned, Wheel]]:
    """What pip downloaded, pin by pin; pip verified it, and so is it here."""
    tags = machine.tags()
    by_name: dict[str, Path] = {}
    for path in files.values():
        try:
            name, _, _, fits = parse_wheel_filename(contained(path.name))
        except (InvalidWheelFilename, ValueError) as error:
            raise OutsideError(f"pip downloaded {path.name}, which is no wheel") from error
        if not fits & tags:
            raise OutsideError(f"pip downloaded {path.name}, which is not for {machine.platform}")
        by_name[name] = path
    found = []
    for pin in pins:
        wheel_path = by_name.get(canonicalize_name(pin.name))
        if wheel_path is None:
            raise OutsideError(f"pip did not download {pin.name} {pin.version}")
        digest = f"sha256:{sha256_file(wheel_path)}"
        if digest not in pin.hashes:
            raise _other_bytes(pin)
        found.append((pin, Wheel(wheel_path.name, digest)))
    return found


def _failure(output: str, pins: Sequence[Pinned], machine: Machine) -> InputError | OutsideError:
    if "No module named pip" in output:
        return OutsideError(
            "pip, which downloads the wheels, is not in mlpack's environment",
            hint="Run: uv pip install pip",
        )
    if "DO NOT MATCH THE HASHES" in output:
        named = [pin for pin in pins if f"{pin.name}==" in output.split("MATCH THE HASHES", 1)[1]]
        return _other_bytes(named[0] if named else pins[0])
    if any(sign in output for sign in _UNREACHABLE):
        return OutsideError(
            "the package index does not answer, so the locked wheels could not be downloaded",
            hint="Look at the network and at pip config list, then run the same command again.",
        )
    for pin in pins:
        if f"No matching distribution found for {pin.name}==" in output:
            glibc = ".".join(map(str, machine.glibc))
            return NoWheelError(
                f"{pin.name} {pin.version} has no wheel for {machine.platform}, "
                f"Python {machine.python} and glibc {glibc}",
                where="requirements.lock.txt",
                hint="Take a version that has one, or a base image with a newer C library. To "
                'build it from source: builder = "docker" in [tool.mlpack.image]',
            )
    if "not enough bytes were received" in output or "IncompleteRead" in output:
        return OutsideError(
            "a download of a locked wheel was cut off, again and again",
            hint="Look at the network and at what stands between it and the package index, then "
            "run the same command again.",
        )
    last = [line for line in output.splitlines() if line.startswith("ERROR")]
    return OutsideError(
        f"pip could not download the locked wheels: {last[-1][7:] if last else output[-300:]}"
    )


def _other_bytes(pin: Pinned) -> OutsideError:
    return OutsideError(
        f"the package index gives other bytes for {pin.name} {pin.version} than the lock names",
        where="requirements.lock.txt",
        hint="If the file was replaced on purpose, run: mlpack lock --upgrade-package " + pin.name,
    )
