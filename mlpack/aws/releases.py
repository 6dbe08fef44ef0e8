"""What the targets of AWS at which a model runs have in common: a release, and who is told what."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from mlpack.delivery.guessing import slow_digest
from mlpack.errors import CheckFailedError, InputError

LOST = "somebody else deploys at this moment"
NOTHING = "nothing is deployed"


@dataclass(frozen=True)
class Release:
    """A version of the model at a target, with what decides about it beside its image.

    Attributes:
        number: AWS's own: a function's version, a revision of a task definition ...
        version: the model's.
        digest: of its image.
        settings: a digest of all that is not the image.
        by: who made it.
    """

    number: int
    version: str = ""
    digest: str = ""
    settings: str = ""
    by: str = ""

    def same(self, digest: str, settings: str) -> bool:
        """Whether nothing would be another."""
        return bool(self.digest) and (self.digest, self.settings) == (digest, settings)


def digest_of(settings: Mapping[str, object]) -> str:
    """A short digest of what was asked for, to see whether it changed.

    Variables go into it, which may be secrets, and it can be read in tags: it is slow to guess.
    """
    text = json.dumps(settings, sort_keys=True, default=str).encode()
    return slow_digest(text, b"mlpack", 8)


def lost() -> CheckFailedError:
    """Somebody else was faster."""
    return CheckFailedError(LOST, hint="Wait until it has ended, then run the same command again.")


def canary_there(number: int) -> CheckFailedError:
    """A canary is there, and nobody said what shall become of it."""
    return CheckFailedError(
        f"release {number} is a canary",
        hint="mlpack promote ENVIRONMENT, or mlpack rollback ENVIRONMENT",
    )


def nothing() -> InputError:
    """Nothing is deployed."""
    return InputError(NOTHING, hint="mlpack deploy ENVIRONMENT")


def nowhere(live: int) -> InputError:
    """There is nothing to go back to."""
    return InputError(
        f"nothing answered before release {live}", hint="mlpack history ENVIRONMENT names releases."
    )


def unknown(number: int) -> InputError:
    """There is no such release."""
    return InputError(
        f"there is no release {number}", hint="mlpack history ENVIRONMENT names releases."
    )
