"""A container registry: the image is pushed, a version's tag once and for all, channels move."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

from mlpack.config import did_you_mean
from mlpack.errors import InputError
from mlpack.oci.archive import read_archive
from mlpack.oci.cache import Cache, default_root
from mlpack.oci.credentials import docker_config_file, from_docker, from_environment
from mlpack.oci.reference import Reference, is_tag, parse
from mlpack.oci.registry import Registry, connect
from mlpack.oci.values import Image, Layer
from mlpack.ports import Action, Built, Deployment, Reporter
from mlpack.process import run

_KEYS = ("ca_file", "channel", "insecure", "repository", "target")
_SECRETS = ("username", "user", "password", "token", "auth")
_BASE_NAME = "org.opencontainers.image.base.name"
_EXAMPLE = '[deploy]\ntarget = "registry"\nrepository = "registry.example/team/churn"'


@dataclass(frozen=True)
class _Found:
    """How the image stands to what the registry has.

    Attributes:
        image: the built one.
        tag: the version's tag.
        missing: the layers that are not there.
        version: the digest that the version's tag stands for, or None.
        channel: the digest that the channel's tag stands for, or None.
    """

    image: Image
    tag: str
    missing: frozenset[str]
    version: str | None
    channel: str | None


class RegistryTarget:
    """Pushes ``dist/``'s image."""

    kind = "registry"
    verbs = frozenset({"plan", "apply"})

    def __init__(
        self,
        repository: Reference,
        registry: Callable[[], Registry],
        cache: Cache,
        channel: str | None = None,
    ) -> None:
        """A repository of a registry.

        Args:
            repository: where to; its tag is not used.
            registry: connects to it.
            cache: for reading the image's archive.
            channel: a tag that moves to what is deployed, such as ``production``.
        """
        self._repository = repository
        self._registry = registry
        self._cache = cache
        self._channel = channel

    def plan(self, built: Built) -> Sequence[Action]:
        """What `apply` would do. Only reads.

        Raises:
            InputError: there is no image, or the version is there with other content.
            OutsideError: the registry does not answer, or refuses.
        """
        return self._actions(self._look(built, self._registry()))

    def apply(self, built: Built, reporter: Reporter) -> Deployment:
        """Push what is not there, then name it.

        Raises:
            InputError: there is no image, or the version is there with other content.
            OutsideError: the registry does not answer, or refuses.
        """
        registry = self._registry()
        found = self._look(built, registry)
        actions = self._actions(found)
        if found.version is None:
            self._push(found, registry, reporter)
        if self._channel is not None and found.channel != found.image.digest:
            registry.tag(found.image, self._channel)
            reporter.note(f"{self._repository.name}:{self._channel} is now {found.tag}")
        return Deployment(
            target=self.kind,
            reference=f"{self._repository.name}:{found.tag}",
            digest=found.image.digest,
            actions=tuple(actions),
        )

    def _push(self, found: _Found, registry: Registry, reporter: Reporter) -> None:
        total = sum(layer.descriptor.size for layer in found.image.layers)
        done = 0
        with reporter.stage(f"Pushing to {self._repository.name}") as stage:

            def on_layer(layer: Layer, _: str) -> None:
                nonlocal done
                done += layer.descriptor.size
                stage.advance(done, total)

            pushed = registry.push(found.image, (found.tag,), on_layer)
            sent = sum(item.size for item in pushed.sent)
            stage.result(
                f"{_megabytes(sent)} sent, {len(pushed.there) + len(pushed.mounted)} of "
                f"{len(found.image.layers)} layers were there"
            )

    def _look(self, built: Built, registry: Registry) -> _Found:
        image, tag = self._image(built)
        version = registry.resolve(tag)
        if version not in (None, image.digest):
            raise InputError(
                f"{self._repository.name}:{tag} is there with other content "
                f"({str(version)[:19]}, not {image.digest[:19]})",
                hint="A version is never overwritten. Raise it: mlpack version patch",
            )
        missing: frozenset[str] = frozenset()
        if version is None:
            missing = frozenset(layer.descriptor.digest for layer in registry.missing(image))
        channel = registry.resolve(self._channel) if self._channel else None
        return _Found(image, tag, missing, version, channel)

    def _image(self, built: Built) -> tuple[Image, str]:
        artifact = built.artifacts.get("image")
        if artifact is None or artifact.image is None:
            raise InputError("no image is built", where=built.dist.name, hint="Run: mlpack build")
        tag = artifact.image.rpartition(":")[2]
        if tag == self._channel:
            raise InputError(f"[deploy] channel: {tag!r} is the version's own tag")
        image = read_archive(built.dist / artifact.file, "", self._cache)
        if image.digest != artifact.digest:
            raise InputError(
                f"{artifact.file} is not the image that was built",
                where=built.dist.name,
                hint="Run: mlpack build",
            )
        # Where the base comes from the same registry, its layers need not be sent.
        base = (image.manifest.annotations or {}).get(_BASE_NAME)
        if base is not None:
            name = parse(base, "the image's base").name
            layers = tuple(replace(layer, origin=name) for layer in image.layers)
            image = replace(image, layers=layers)
        return image, tag

    def _actions(self, found: _Found) -> list[Action]:
        image = found.image
        actions = []
        for layer in image.layers:
            there = layer.descriptor.digest not in found.missing
            size = _megabytes(layer.descriptor.size)
            actions.append(
                Action(
                    verb="keep" if there else "push",
                    what=f"layer {layer.descriptor.digest[:19]}",
                    detail=f"{size}, is there" if there else size,
                    needed=not there,
                )
            )
        named = f"{self._repository.name}:{found.tag}"
        actions.append(_tagging(named, image.digest, found.version))
        if self._channel is not None:
            actions.append(
                _tagging(f"{self._repository.name}:{self._channel}", image.digest, found.channel)
            )
        return actions


def _tagging(what: str, digest: str, present: str | None) -> Action:
    if present == digest:
        return Action("keep", what, f"{digest}, is there", needed=False)
    before = f", was {present[:19]}" if present else ""
    return Action("tag", what, f"{digest}{before}")


def make(config: Mapping[str, Any], env: Mapping[str, str]) -> RegistryTarget:
    """The target that ``[deploy]`` describes.

    Args:
        config: ``repository`` (``registry.example:5000/team/churn``); optionally ``channel`` (a
            tag that moves), ``insecure`` (without TLS) and ``ca_file`` (a private authority's
            certificates).
        env: ``MLPACK_REGISTRY_USERNAME`` and ``MLPACK_REGISTRY_PASSWORD``; where they are not
            set, what ``docker login`` has written down is used.

    Raises:
        InputError: a key is missing, unknown or wrong.
    """
    for key in config:
        if key in _SECRETS:
            raise InputError(
                f"[deploy] {key}: logins do not belong into a configuration file",
                hint="Set MLPACK_REGISTRY_USERNAME and MLPACK_REGISTRY_PASSWORD, "
                "or run: docker login",
            )
        if key not in _KEYS:
            raise InputError(
                f"[deploy] has no key {key!r} for target registry",
                hint=did_you_mean(key, _KEYS) or f"There are: {', '.join(_KEYS)}",
            )
    repository = _repository(config)
    ca_file = _ca_file(config)
    home = Path.home()

    def registry() -> Registry:
        credential = from_environment(env) or from_docker(
            repository.host, docker_config_file(env, home), run
        )
        return connect(repository, credential, ca_file)

    return RegistryTarget(repository, registry, Cache(default_root(env, home)), _channel(config))


def _repository(config: Mapping[str, Any]) -> Reference:
    where = "[deploy] repository"
    text = config.get("repository")
    if text is None:
        raise InputError("[deploy] has no repository", hint=_EXAMPLE)
    if not isinstance(text, str):
        raise InputError("it is not a text", where=where, hint=_EXAMPLE)
    if "://" in text or "@" in text or ":" in text.rpartition("/")[2]:
        raise InputError(
            "a repository has no scheme, login, tag or digest in it", where=where, hint=_EXAMPLE
        )
    insecure = config.get("insecure", False)
    if not isinstance(insecure, bool):
        raise InputError("it is neither true nor false", where="[deploy] insecure")
    return parse(f"http://{text}" if insecure else text, where)


def _ca_file(config: Mapping[str, Any]) -> Path | None:
    value = config.get("ca_file")
    if value is None:
        return None
    if not isinstance(value, str) or not value:
        raise InputError("it is not a path", where="[deploy] ca_file")
    return Path(value)


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


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
