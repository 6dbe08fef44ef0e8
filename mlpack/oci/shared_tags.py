"""Entries added to what a tag names, where others may do the same at this moment.

A list under a tag (of referrers, of signatures) is read, made longer and written back, and the
distribution specification has no request that does so only if nobody wrote in between
(https://github.com/opencontainers/distribution-spec/pull/251 has been open since 2021). So after
each write the tag is read again, a moment later, and an entry that somebody else's write took away
is added once more.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TypeVar

from mlpack.errors import OutsideError
from mlpack.oci.registry import Registry

_PAUSES = (0.1, 0.2, 0.4, 0.8, 1.6)
"""Seconds between a write and the look at what became of it; each by a random factor, or two who
disturb each other once would go on to."""

_Found = TypeVar("_Found")


def add(
    registry: Registry,
    tag: str,
    read: Callable[[], _Found],
    has: Callable[[_Found], bool],
    write: Callable[[_Found], None],
) -> None:
    """Add an entry to what `tag` names, and see that it stays there.

    Args:
        registry: where the tag is.
        tag: its name, for messages.
        read: what the tag names now.
        has: whether the entry is in it.
        write: let the tag name the same and the entry.

    Raises:
        OutsideError: the registry does not answer, or refuses, or others take the entry away again
            and again.
    """
    for pause in _PAUSES:
        found = read()
        if has(found):
            return
        write(found)
        registry.pause(pause * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
    if not has(read()):
        raise OutsideError(
            f"the tag {tag[:26]}... did not keep what was added to it, {len(_PAUSES)} times: "
            "others write there as well, and the last one stays",
            hint="Run the same command again when nobody else does.",
        )
