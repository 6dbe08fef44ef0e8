"""The machines that images are for, as wheels name them: tags and markers of another platform."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from packaging.tags import Tag, compatible_tags, cpython_tags

from mlpack.errors import InputError

_MACHINES = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}
PLATFORMS = tuple(_MACHINES)
"""What images can be for."""

# The oldest glibc that any manylinux tag of the processor names (PEP 600, PEP 513, PEP 571).
_OLDEST = {"x86_64": 5, "aarch64": 17}
_LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}


@dataclass(frozen=True)
class Machine:
    """A platform, its Python and its C library.

    Attributes:
        platform: ``linux/amd64`` or ``linux/arm64``.
        python: the minor version, such as ``3.11``.
        glibc: such as (2, 36); wheels that need a newer one do not fit.
    """

    platform: str
    python: str
    glibc: tuple[int, int]

    @property
    def processor(self) -> str:
        """As Python's ``platform.machine()`` has it.

        Raises:
            InputError: the platform is not known.
        """
        try:
            return _MACHINES[self.platform]
        except KeyError:
            raise InputError(
                f"there is no platform {self.platform!r}",
                hint=f"Platforms are: {', '.join(PLATFORMS)}.",
            ) from None

    @property
    def version(self) -> tuple[int, int]:
        """The minor version as numbers."""
        major, _, minor = self.python.partition(".")
        return int(major), int(minor)

    def platform_tags(self) -> tuple[str, ...]:
        """The platform tags that fit, the most specific first."""
        return tuple(self._platform_tags())

    def _platform_tags(self) -> Iterator[str]:
        processor = self.processor
        for minor in range(self.glibc[1], _OLDEST[processor] - 1, -1):
            yield f"manylinux_2_{minor}_{processor}"
            if minor in _LEGACY:
                yield f"{_LEGACY[minor]}_{processor}"
        yield f"linux_{processor}"

    def tags(self) -> frozenset[Tag]:
        """Every tag of a wheel that fits."""
        platforms = self.platform_tags()
        version = self.version
        interpreter = f"cp{version[0]}{version[1]}"
        return frozenset(
            (
                *cpython_tags(version, [interpreter], platforms),
                *compatible_tags(version, interpreter, platforms),
            )
        )

    def markers(self) -> dict[str, str]:
        """The environment that PEP 508 markers are evaluated in."""
        return {
            "implementation_name": "cpython",
            "implementation_version": f"{self.python}.0",
            "os_name": "posix",
            "platform_machine": self.processor,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": f"{self.python}.0",
            "python_version": self.python,
            "sys_platform": "linux",
            "extra": "",
        }
