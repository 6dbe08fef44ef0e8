"""A container registry: the image is pushed, a version's tag once and for all, channels move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

from mlpack.config import refuse_unknown
from mlpack.delivery.pushing import KEYS, Pusher, Stand, pusher, tagging
from mlpack.errors import InputError
from mlpack.oci.cache import Cache, default_root
from mlpack.oci.reference import is_tag
from mlpack.oci.registry import Registry
from mlpack.operating import Fetched
from mlpack.ports import Action, Built, Deployment, Reporter


class RegistryTarget:
    """Pushes ``dist/``'s image."""

    kind = "registry"

    def __init__(self, pusher: Pusher, cache: Cache, channel: str | None = None) -> None:
        """A repository of a registry.

        Args:
            pusher: brings images there.
            cache: keeps what is pulled.
            channel: a tag that moves to what is deployed, such as ``production``.

        Attributes:
            verbs: ``fetch`` is among them where a channel says what runs.
        """
        self._pusher = pusher
        self._cache = cache
        self._channel = channel
        self.verbs = frozenset({"plan", "apply", *(["fetch"] if channel else [])})

    def plan(self, built: Built) -> Sequence[Action]:
        """What `apply` would do. Only reads.

        Raises:
            InputError: there is no image, or the version is there with other content.
            OutsideError: the registry does not answer, or refuses.
        """
        registry = self._pusher.connect()
        return self._actions(*self._look(built, registry))

    def apply(self, built: Built, reporter: Reporter, *, why: str = "") -> Deployment:  # noqa: ARG002
        """Push what is not there, then name it.

        Raises:
            InputError: there is no image, or the version is there with other content.
            OutsideError: the registry does not answer, or refuses.
        """
        registry = self._pusher.connect()
        found, channel = self._look(built, registry)
        actions = self._actions(found, channel)
        self._pusher.bring(found, registry, reporter)
        name = self._pusher.repository.name
        if self._channel is not None and channel != found.image.digest:
            registry.tag(found.image, self._channel)
            reporter.note(f"{name}:{self._channel} is now {found.tag}")
        return Deployment(
            target=self.kind,
            reference=f"{name}:{found.tag}",
            digest=found.image.digest,
            actions=tuple(actions),
        )

    def fetch(self, release: int | None, into: Path, reporter: Reporter) -> Fetched | None:
        """Bring the model's files of the image that the channel's tag is on.

        Raises:
            InputError: a release is asked for by number, which nobody counts here, or the channel
                is on no image of mlpack's.
            OutsideError: the registry does not answer, or refuses.
        """
        if release is not None or self._channel is None:
            raise InputError("a registry counts no releases", hint="mlpack pull ENVIRONMENT")
        digest = self._pusher.connect().resolve(self._channel)
        if digest is None:
            return None
        name = f"{self._pusher.repository.name}:{self._channel}"
        with reporter.stage(f"Fetching {name}") as stage:
            model = self._pusher.pull(digest, self._cache, into)
            stage.result(f"{model.manifest.version}, {digest[:19]}")
        return Fetched(into, model.manifest.version, digest=digest)

    def _look(self, built: Built, registry: Registry) -> tuple[Stand, str | None]:
        """How the image stands to the registry, and the digest that the channel's tag is on."""
        found = self._pusher.look(built, registry)
        if found.tag == self._channel:
            raise InputError(f"[deploy] channel: {found.tag!r} is the version's own tag")
        return found, registry.resolve(self._channel) if self._channel else None

    def _actions(self, found: Stand, channel: str | None) -> list[Action]:
        actions = self._pusher.actions(found)
        if self._channel is not None:
            named = f"{self._pusher.repository.name}:{self._channel}"
            actions.append(tagging(named, found.image.digest, channel))
        return actions


def make(config: Mapping[str, Any], env: Mapping[str, str]) -> RegistryTarget:
    """The target that ``[deploy]`` describes.

    Args:
        config: see `mlpack.delivery.pushing.pusher`; optionally ``channel`` (a tag that moves).
        env: the process's environment.

    Raises:
        InputError: a key is missing, unknown or wrong.
    """
    made = pusher(config, env)
    refuse_unknown(config, ("channel", "target", *KEYS), "registry")
    return RegistryTarget(made, Cache(default_root(env, Path.home())), _channel(config))


def _channel(config: Mapping[str, Any]) -> str | None:
    channel = config.get("channel")
    if channel is None:
        return None
    where = "[deploy] channel"
    if not isinstance(channel, str) or not is_tag(channel):
        raise InputError(f"{str(channel)[:80]!r} is no tag", where=where)
    try:
        Version(channel)
    except InvalidVersion:
        return channel
    raise InputError(f"{channel!r} is a version; a channel moves, a version never", where=where)
