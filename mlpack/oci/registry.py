"""Images in a registry: pulled and pushed after the OCI distribution specification 1.1."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit, urlunsplit

import httpx
import msgspec

from mlpack.errors import OutsideError
from mlpack.oci.cache import Cache
from mlpack.oci.credentials import Credential, docker_config_file, from_docker
from mlpack.oci.http import Body, Session, make_client, pieces
from mlpack.oci.layout import choose_platform
from mlpack.oci.reference import Reference
from mlpack.oci.values import (
    DOCKER_INDEX,
    DOCKER_MANIFEST,
    DOCUMENT_LIMIT,
    INDEX,
    MANIFEST,
    Descriptor,
    Image,
    Index,
    Layer,
    Manifest,
    Opener,
    checked_digest,
    decode,
    digest_of,
    read_image,
)
from mlpack.process import Runner, run

_ACCEPT = f"{MANIFEST}, {INDEX}, {DOCKER_MANIFEST}, {DOCKER_INDEX}"
_TRIES = 3
_COPY = 1 << 20


@dataclass(frozen=True)
class Pushed:
    """What a push did, layer by layer: sent, found there, or mounted from another repository."""

    digest: str
    sent: tuple[Descriptor, ...]
    there: tuple[Descriptor, ...]
    mounted: tuple[Descriptor, ...]


class Registry:
    """One repository of a registry."""

    def __init__(self, session: Session, repository: str) -> None:
        self._session = session
        self._repository = repository
        self._name = f"{session.host}/{repository}"

    def resolve(self, version: str) -> str | None:
        """The digest of the manifest that a tag (or digest) stands for; None if it is not there.

        Raises:
            OutsideError: the registry does not answer, or refuses.
        """
        found = self._manifest(version)
        return digest_of(found[0]) if found else None

    def pull(self, reference: Reference, platform: str, cache: Cache) -> tuple[str, Image]:
        """The image that `reference` names: its identity's digest, and the image for `platform`.

        The digest is that of what the tag stands for, an index or a manifest. Layers are
        downloaded when they are opened, verified as they come, and stay in the cache.

        Raises:
            InputError: the image is not there for `platform`.
            OutsideError: there is no such image, or the registry does not answer, refuses, or
                sends other bytes.
        """
        where = str(reference)
        data, media_type = self._wanted(reference, cache)
        digest = digest_of(data)
        if media_type in (INDEX, DOCKER_INDEX):
            chosen = choose_platform(decode(data, Index, where), platform, where)
            data = self._document(chosen, cache, manifest=True)
        config = self._document(decode(data, Manifest, where).config, cache, manifest=False)
        image = read_image(
            data, config, lambda item: self._opener(item, cache), where, origin=reference.name
        )
        return digest, image

    def missing(self, image: Image) -> tuple[Layer, ...]:
        """The layers that are not in the repository yet."""
        return tuple(layer for layer in image.layers if not self.has(layer.descriptor.digest))

    def has(self, digest: str) -> bool:
        """Whether the repository has a blob."""
        path = f"{self._repository}/blobs/{checked_digest(digest, self._name)}"
        with self._session.request("HEAD", path, scope=self._scope("pull,push")) as response:
            if response.status_code in (httpx.codes.OK, httpx.codes.NOT_FOUND):
                return response.status_code == httpx.codes.OK
            raise self._odd(response, "whether it has a layer")

    def push(
        self,
        image: Image,
        tags: tuple[str, ...],
        on_layer: Callable[[Layer, str], None] = lambda _layer, _what: None,
    ) -> Pushed:
        """Send what is not there yet, then the manifest, then name it by `tags`.

        Args:
            image: what to push.
            tags: its names.
            on_layer: told of each layer and what became of it: ``sent``, ``there``, ``mounted``.

        Raises:
            OutsideError: the registry does not answer, or refuses.
        """
        done: dict[str, list[Descriptor]] = {"sent": [], "there": [], "mounted": []}
        seen: set[str] = set()
        for layer in image.layers:
            if layer.descriptor.digest in seen:
                continue
            seen.add(layer.descriptor.digest)
            what = self._push_blob(layer.descriptor, layer.open, layer.origin)
            done[what].append(layer.descriptor)
            on_layer(layer, what)
        self._push_blob(image.manifest.config, lambda: io.BytesIO(image.config_bytes), None)
        media_type = image.manifest.media_type or MANIFEST
        for name in tags or (image.digest,):
            self._put_manifest(name, image.manifest_bytes, media_type)
        return Pushed(
            image.digest, tuple(done["sent"]), tuple(done["there"]), tuple(done["mounted"])
        )

    def tag(self, image: Image, tag: str) -> None:
        """Let `tag` name an image whose layers are there already."""
        self._put_manifest(tag, image.manifest_bytes, image.manifest.media_type or MANIFEST)

    def _wanted(self, reference: Reference, cache: Cache) -> tuple[bytes, str]:
        """The document that `reference` names: from the cache where its digest is known."""
        if reference.digest and cache.blob(reference.digest).exists():
            data = cache.blob(reference.digest).read_bytes()
            if digest_of(data) == reference.digest:
                return data, _media_type(data, "")
        found = self._manifest(reference.version)
        if found is None:
            raise OutsideError(
                f"the registry {self._session.host} has no image {reference}",
                hint="Look at its name and tag."
                if not reference.digest
                else "Run: mlpack lock --upgrade-base",
            )
        data, media_type = found
        if reference.digest and digest_of(data) != reference.digest:
            raise OutsideError(f"the registry {self._session.host} sent another image")
        cache.add(digest_of(data), [data], self._session.host)
        return data, media_type

    def _manifest(self, version: str) -> tuple[bytes, str] | None:
        path = f"{self._repository}/manifests/{version}"
        headers = {"Accept": _ACCEPT}
        with self._session.request(
            "GET", path, scope=self._scope("pull"), headers=headers
        ) as response:
            if response.status_code == httpx.codes.NOT_FOUND:
                return None
            if response.status_code != httpx.codes.OK:
                raise self._odd(response, "for the manifest")
            data = self._limited(response)
            said = response.headers.get("Docker-Content-Digest", "")
            if said.startswith("sha256:") and said != digest_of(data):
                raise OutsideError(f"the registry {self._session.host} sent a damaged manifest")
            media_type = response.headers.get("Content-Type", "").partition(";")[0].strip()
            return data, _media_type(data, media_type)

    def _document(self, descriptor: Descriptor, cache: Cache, *, manifest: bool) -> bytes:
        digest = checked_digest(descriptor.digest, self._name)
        if descriptor.size > DOCUMENT_LIMIT:
            raise OutsideError(f"a document of {self._name} is too large: {descriptor.size} bytes")
        if not cache.blob(digest).exists():
            self._download(digest, cache, "manifests" if manifest else "blobs")
        return cache.blob(digest).read_bytes()

    def _opener(self, descriptor: Descriptor, cache: Cache) -> Opener:
        def opened() -> BinaryIO:
            path = cache.blob(descriptor.digest)
            if not path.exists():
                self._download(descriptor.digest, cache, "blobs")
            return path.open("rb")

        return opened

    def _download(self, digest: str, cache: Cache, kind: str) -> None:
        for _ in range(_TRIES):
            broken = self._try_download(digest, cache, kind)
            if broken is None:
                return
        raise OutsideError(
            f"the registry {self._session.host} broke off a download: {broken}",
            hint="Run the same command again.",
        ) from broken

    def _try_download(self, digest: str, cache: Cache, kind: str) -> httpx.TransportError | None:
        path = f"{self._repository}/{kind}/{digest}"
        headers = {"Accept-Encoding": "identity"}
        if kind == "manifests":
            headers["Accept"] = _ACCEPT
        try:
            with self._session.request(
                "GET", path, scope=self._scope("pull"), headers=headers
            ) as response:
                if response.status_code != httpx.codes.OK:
                    raise self._odd(response, "for a layer")
                cache.add(digest, response.iter_raw(_COPY), self._session.host)
        except httpx.TransportError as error:
            return error
        return None

    def _push_blob(self, descriptor: Descriptor, opener: Opener, origin: str | None) -> str:
        if self.has(descriptor.digest):
            return "there"
        location = None
        host, _, source = (origin or "").partition("/")
        if host == self._session.host and source != self._repository:
            location = self._start(descriptor, source)
            if location is None:
                return "mounted"
        for attempt in range(_TRIES):
            location = location or self._start(descriptor, None)
            if location is None:
                return "there"
            response = self._finish(location, descriptor, lambda: pieces(opener()))
            if response.status_code in (httpx.codes.CREATED, httpx.codes.NO_CONTENT):
                return "sent"
            # An upload that broke off cannot go on where the registry forgot it: start again.
            if response.status_code != httpx.codes.NOT_FOUND or attempt == _TRIES - 1:
                raise self._odd(response, "when a layer was sent")
            location = None
        raise OutsideError(f"the registry {self._session.host} forgets uploads")

    def _start(self, descriptor: Descriptor, source: str | None) -> str | None:
        """Begin an upload: where to send it; None where the blob is there, mounted from `source`.

        Empty where the registry cannot mount from `source`: nothing is lost then.
        """
        path = f"{self._repository}/blobs/uploads/"
        scope = self._scope("pull,push")
        if source is not None:
            path += f"?mount={descriptor.digest}&from={source}"
            scope += f" repository:{source}:pull"
        with self._session.request(
            "POST", path, scope=scope, headers={"Content-Length": "0"}, refuse=source is None
        ) as response:
            if response.status_code == httpx.codes.CREATED:
                return None
            location = response.headers.get("Location", "")
            if response.status_code == httpx.codes.ACCEPTED and location:
                return str(response.url.join(location))
            if source is not None:
                return ""
            raise self._odd(response, "when an upload was begun")

    def _finish(self, location: str, descriptor: Descriptor, body: Body) -> httpx.Response:
        parts = urlsplit(location)
        query = f"{parts.query}&" if parts.query else ""
        target = urlunsplit(parts._replace(query=f"{query}digest={descriptor.digest}"))
        headers = {
            "Content-Length": str(descriptor.size),
            "Content-Type": "application/octet-stream",
        }
        with self._session.request(
            "PUT", target, scope=self._scope("pull,push"), headers=headers, body=body
        ) as response:
            return response

    def _put_manifest(self, name: str, data: bytes, media_type: str) -> None:
        path = f"{self._repository}/manifests/{name}"
        with self._session.request(
            "PUT",
            path,
            scope=self._scope("pull,push"),
            headers={"Content-Type": media_type},
            body=lambda: data,
        ) as response:
            if not response.is_success:
                raise self._odd(response, "when the manifest was sent")

    def _scope(self, actions: str) -> str:
        return f"repository:{self._repository}:{actions}"

    def _limited(self, response: httpx.Response) -> bytes:
        data = bytearray()
        for chunk in response.iter_bytes():
            data += chunk
            if len(data) > DOCUMENT_LIMIT:
                raise OutsideError(f"a manifest of {self._name} is larger than 8 MiB")
        return bytes(data)

    def _odd(self, response: httpx.Response, when: str) -> OutsideError:
        what = "has no such thing" if response.status_code == httpx.codes.NOT_FOUND else "answered"
        return OutsideError(
            f"the registry {self._session.host} {what} with HTTP {response.status_code} {when}",
            where=self._name,
            hint="Run the same command again; if it stays so, ask those who run the registry.",
        )


def connect(
    reference: Reference,
    credential: Credential | None,
    ca_file: Path | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Registry:
    """The repository of `reference`. Nothing is sent yet.

    Raises:
        InputError: `ca_file` is not there or holds no certificate.
    """
    client = make_client(reference.host, reference.scheme, ca_file)
    session = Session(reference.host, reference.scheme, credential, client, sleep)
    return Registry(session, reference.repository)


def puller(
    env: Mapping[str, str], home: Path, runner: Runner = run, ca_file: Path | None = None
) -> Callable[[Reference], Registry]:
    """What `mlpack.oci.source.open_base` asks: registries, with the logins that Docker knows.

    The credential in mlpack's own variables is for the registry that is deployed to, and is never
    sent to the one that a base image comes from.
    """

    def connected(reference: Reference) -> Registry:
        credential = from_docker(reference.host, docker_config_file(env, home), runner)
        return connect(reference, credential, ca_file)

    return connected


def _media_type(data: bytes, said: str) -> str:
    """What a document is: by itself, else by what the registry called it, else by its content."""
    try:
        head = msgspec.json.decode(data, type=_Head)
    except msgspec.DecodeError:
        return said
    if head.media_type:
        return head.media_type
    return said or (INDEX if head.manifests is not None else MANIFEST)


class _Head(msgspec.Struct, frozen=True, rename="camel"):
    media_type: str | None = None
    manifests: list[msgspec.Raw] | None = None
