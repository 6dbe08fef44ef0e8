"""Why there is no resolution, in the project's own words: what was asked for, and by whom.

Each resolver finds out in its own way what went wrong; the errors that come of it are made here,
so that they are the same from all of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from mlpack.errors import InputError, OutsideError
from mlpack.indexes import redact

_AGAIN = "Change one of the two, then run: mlpack lock"
_URL = re.compile(r"\b(?:https?|file)://[^\s'\"()<>`]+")


@dataclass(frozen=True)
class Asked:
    """A requirement and who asks for it.

    Attributes:
        requirement: such as ``numpy<2``.
        who: such as ``mlpack's server``, or another package with its version.
    """

    requirement: str
    who: str

    @property
    def name(self) -> str:
        """The package's normalised name."""
        return name_of(self.requirement)

    def __str__(self) -> str:
        return f"{self.requirement} (asked for by {self.who})"


@dataclass(frozen=True)
class Requests:
    """All that was asked for directly.

    Attributes:
        requirements: each with who asks for it.
        constraints: exact versions that were decided before, as requirements.
    """

    requirements: Sequence[tuple[str, str]]
    constraints: Sequence[str] = ()

    def of(self, name: str) -> tuple[Asked, ...]:
        """Who asks for a package, each requirement once."""
        asked: dict[str, list[str]] = {}
        for requirement, who in self.requirements:
            if name_of(requirement) == canonicalize_name(name):
                people = asked.setdefault(_plain(requirement), [])
                if who not in people:
                    people.append(who)
        for pin in self.constraints:
            if name_of(pin) == canonicalize_name(name):
                asked.setdefault(_plain(pin), ["the development set"])
        return tuple(Asked(text, " and ".join(people)) for text, people in asked.items())

    def like(self, text: str) -> Asked | None:
        """The direct request that a resolver's ``numpy>=1.26,<2`` means, if there is one."""
        wanted = specifier_of(text)
        same = [a for a in self.of(name_of(text)) if specifier_of(a.requirement) == wanted]
        return same[0] if same else None

    def who(self, name: str) -> str:
        """Who asks for a package, in words; its own name where nobody does directly."""
        return " and ".join(dict.fromkeys(a.who for a in self.of(name))) or name


def clash(first: Asked, second: Asked) -> InputError:
    """Two requirements that cannot both be met."""
    return InputError(f"{first} and {second} cannot both be met", hint=_AGAIN)


def not_found(name: str, who: str) -> InputError:
    """A package that no index knows."""
    return InputError(
        f"there is no package {name!r} on the index; it is asked for by {who}",
        hint=(
            "Correct its name. If a private index holds it, see that pip's configuration names "
            "that index, with a password that it takes: pip config list"
        ),
    )


def no_version(asked: Asked, newest: str | None = None) -> InputError:
    """No release of a package is what was asked for."""
    known = f"; the newest is {newest}" if newest else ""
    return InputError(
        f"no release of {asked.name} fits {asked}{known}",
        hint="Ask for a version that exists, then run: mlpack lock",
    )


def needs_python(asked: Asked, wanted: str, python: str) -> InputError:
    """The releases that fit need another Python."""
    return InputError(
        f"{asked} needs Python {wanted}, and the lock is for Python {python}",
        hint="Ask for an older version, or lock with a newer Python.",
    )


def no_file(name: str, who: str, machine: str) -> InputError:
    """A package has no file for the machine that the lock is for."""
    return InputError(
        f"{name} has no file that runs on {machine}; it is asked for by {who}",
        hint=f"Leave it out there with a marker, such as: {name}; sys_platform == 'win32'",
    )


def unbuildable(name: str, who: str, detail: str) -> InputError:
    """A package that has only sources, which do not build here."""
    return InputError(
        f"{name} has no ready-made file for this machine and could not be built from its source; "
        f"it is asked for by {who}",
        hint=f"Ask for a version that has wheels. Its build said: {redact(detail.strip())[-400:]}",
    )


def outside(text: str) -> OutsideError | None:
    """The error of an index that does not answer or refuses, if a tool's output says that."""
    lowered = text.lower()
    if any(
        sign in lowered for sign in ("401 unauthorized", "403 forbidden", "401 error", "403 err")
    ):
        return OutsideError(
            f"the package index refuses{_at(text)}",
            hint="Correct its user and password in pip's configuration: pip config list",
        )
    signs = (
        "error sending request",
        "request failed after",
        "dns error",
        "newconnectionerror",
        "connecttimeouterror",
        "readtimeouterror",
        "max retries exceeded",
        "certificate verify failed",
        "invalid peer certificate",
        "5xx server error",
        "500 server error",
        "502 server error",
        "503 server error",
        "http status server error",
        "network connectivity is disabled",
    )
    if any(sign in lowered for sign in signs):
        return OutsideError(
            f"the package index does not answer{_at(text)}",
            hint="Check the network, and the index in pip's configuration: pip config list",
        )
    return None


def unexplained(tool: str, text: str, requests: Requests) -> OutsideError:
    """A failure that nobody has translated yet: the tool's own last words, without credentials."""
    people = ", ".join(dict.fromkeys(who for _, who in requests.requirements))
    return OutsideError(
        f"{tool} found no versions for what is asked for by {people}",
        hint=redact(text.strip())[-2000:] or None,
    )


def name_of(requirement: str) -> str:
    """The normalised name that a requirement begins with."""
    match = re.match(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)", requirement)
    return canonicalize_name(match[1]) if match else requirement


def specifier_of(requirement: str) -> SpecifierSet:
    """The versions that a requirement allows; all of them where it cannot be read."""
    try:
        return Requirement(_plain(requirement)).specifier
    except InvalidRequirement:
        return SpecifierSet()


def _plain(requirement: str) -> str:
    """A requirement without its marker."""
    return requirement.partition(";")[0].strip()


def _at(text: str) -> str:
    """`` at HOST``, with neither path nor credentials."""
    match = _URL.search(redact(text))
    host = urlsplit(match[0]).netloc.rpartition("@")[2] if match else ""
    return f" at {host}" if host else ""
