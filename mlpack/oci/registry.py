"""Images in a registry: pulled and pushed after the OCI distribution specification 1.1."""

from __future__ import annotations

import functools
import io
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import httpx

from mlpack.errors import OutsideError
from mlpack.oci.at_once import at_once
from mlpack.oci.cache import Cache
from mlpack.oci.credentials import Credential
from mlpack.oci.http import Session, make_client
from mlpack.oci.layout import choose_platform, layers_of
from mlpack.oci.reference import Reference
from mlpack.oci.upload import CHUNK, Upload
from mlpack.oci.values import (
    DOCKER_INDEX,
    DOCKER_MANIFEST,
    DOCUMENT_LIMIT,
    INDEX,
    MANIFEST,
    AnyImage,
    Descriptor,
    Image,
    Index,
    Layer,
    Manifest,
    MultiImage,
    Opener,
    checked_digest,
    decode,
    digest_of,
    media_type_of,
    read_image,
)

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

    def __init__(self, session: Session, repository: str, chunk: int = CHUNK) -> None:
        """A repository of the registry that `session` talks to; see `Upload` for `chunk`."""
        self._chunk = chunk
        self._session = session
        self._repository = repository
        self._name = f"{session.host}/{repository}"

    def resolve(self, version: str) -> str | None:
        """The digest of the manifest that a tag (or digest) stands for; None if it is not there.

        Raises:
            OutsideError: the registry does not answer, or refuses.
        """
        found = self.get_manifest(version)
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
        return digest, self._image(data, reference, cache)

    def pull_whole(self, reference: Reference, cache: Cache) -> AnyImage:
        """The image that `reference` names, for all its platforms; otherwise as `pull`."""
        data, media_type = self._wanted(reference, cache)
        if media_type not in (INDEX, DOCKER_INDEX):
            return self._image(data, reference, cache)
        each = decode(data, Index, str(reference)).manifests
        images = [
            self._image(self._document(item, cache, manifest=True), reference, cache)
            for item in each
        ]
        return MultiImage(data, tuple(images), media_type)

    def _image(self, data: bytes, reference: Reference, cache: Cache) -> Image:
        where = str(reference)
        config = self._document(decode(data, Manifest, where).config, cache, manifest=False)
        return read_image(
            data, config, lambda item: self._opener(item, cache), where, origin=reference.name
        )

    def missing(self, image: AnyImage) -> tuple[Layer, ...]:
        """The layers that are not in the repository yet, those that platforms share once."""
        return tuple(
            layer for layer in layers_of(image).values() if not self.has(layer.descriptor.digest)
        )

    def has(self, digest: str) -> bool:
        """Whether the repository has a blob."""
        path = f"{self._repository}/blobs/{checked_digest(digest, self._name)}"
        with self._session.request("HEAD", path, scope=self._scope("pull,push")) as response:
            if response.status_code in (httpx.codes.OK, httpx.codes.NOT_FOUND):
                return response.status_code == httpx.codes.OK
            raise self._odd(response, "whether it has a layer")

    def push(
        self,
        image: AnyImage,
        tags: tuple[str, ...],
        on_layer: Callable[[Layer, str], None] = lambda _layer, _what: None,
    ) -> Pushed:
        """Send what is not there yet, then the manifest, then name it by `tags`.

        Of an image for several platforms the manifest of each is sent by its digest, and the
        index, which a registry only takes when all that it names is there, comes last.

        Args:
            image: what to push.
            tags: its names.
            on_layer: told of each layer, as it is done: ``sent``, ``there`` or ``mounted``.

        Raises:
            OutsideError: the registry does not answer, or refuses.
        """
        layers = layers_of(image).values()
        became: dict[str, str] = {}

        def push(layer: Layer) -> Layer:
            blob = layer.descriptor
            became[blob.digest] = self._push_blob(blob, layer.open, layer.origin)
            return layer

        # The smallest alone, since it logs in for all; then the largest first.
        ordered = sorted(layers, key=lambda layer: layer.descriptor.size)
        for layer in chain(map(push, ordered[:1]), at_once(push, ordered[:0:-1])):
            on_layer(layer, became[layer.descriptor.digest])
        for each in image.images:
            opener = functools.partial(io.BytesIO, each.config_bytes)
            self._push_blob(each.manifest.config, opener, None)
            if each.digest != image.digest:
                self.put_manifest(each.digest, each.document, each.media_type)
        for name in tags or (image.digest,):
            self.put_manifest(name, image.document, image.media_type)

        def those(what: str) -> tuple[Descriptor, ...]:
            return tuple(e.descriptor for e in layers if became[e.descriptor.digest] == what)

        return Pushed(image.digest, those("sent"), those("there"), those("mounted"))

    def put_blob(self, data: bytes, media_type: str) -> Descriptor:
        """Send a small blob, if it is not there; its descriptor."""
        descriptor = Descriptor(media_type=media_type, digest=digest_of(data), size=len(data))
        self._push_blob(descriptor, lambda: io.BytesIO(data), None)
        return descriptor

    def get_blob(self, descriptor: Descriptor) -> bytes:
        """A small blob, checked against its digest."""
        path = f"{self._repository}/blobs/{checked_digest(descriptor.digest, self._name)}"
        with self._session.request("GET", path, scope=self._scope("pull")) as response:
            if response.status_code != httpx.codes.OK:
                raise self._odd(response, "for a document")
            data = self._limited(response)
        if digest_of(data) != descriptor.digest:
            raise OutsideError(f"the registry {self._session.host} sent other bytes")
        return data

    def referrers(self, digest: str, after: str = "") -> tuple[bytes, str] | None:
        """What refers to a manifest: an index, and where the next one is.

        None where the registry has no referrers API: those before version 1.1 of the specification.
        """
        path = after or f"{self._repository}/referrers/{checked_digest(digest, self._name)}"
        with self._session.request("GET", path, scope=self._scope("pull")) as response:
            if response.status_code in (400, 404, 405, 501):
                return None
            if response.status_code != httpx.codes.OK:
                raise self._odd(response, "for what refers to the image")
            following = response.links.get("next", {}).get("url", "")
            target = str(response.url.join(following)) if following else ""
            return self._limited(response), target

    def pause(self, seconds: float) -> None:
        """Let the registry and others get on for a moment."""
        self._session.pause(seconds)

    def tag(self, image: AnyImage, tag: str) -> None:
        """Let `tag` name an image whose layers are there already."""
        self.put_manifest(tag, image.document, image.media_type)

    def _wanted(self, reference: Reference, cache: Cache) -> tuple[bytes, str]:
        """The document that `reference` names: from the cache where its digest is known."""
        known = cache.read(reference.digest) if reference.digest else None
        if known is not None:
            return known, media_type_of(known, "")
        found = self.get_manifest(reference.version)
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

    def get_manifest(self, version: str) -> tuple[bytes, str] | None:
        """A manifest or index, and its media type; None if it is not there."""
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
            return data, media_type_of(data, media_type)

    def _document(self, descriptor: Descriptor, cache: Cache, *, manifest: bool) -> bytes:
        digest = checked_digest(descriptor.digest, self._name)
        if descriptor.size > DOCUMENT_LIMIT:
            raise OutsideError(f"a document of {self._name} is too large: {descriptor.size} bytes")
        known = cache.read(digest)
        if known is not None:
            return known
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
        host, _, source = (origin or "").partition("/")
        elsewhere = host == self._session.host and source != self._repository
        upload = Upload(self._session, self._repository, descriptor, opener, self._chunk)
        return upload.run(source if elsewhere else None)

    def put_manifest(self, name: str, data: bytes, media_type: str) -> Mapping[str, str]:
        """Send a manifest whose blobs are there; the headers of the answer."""
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
            return response.headers

    def _scope(self, actions: str) -> str:
        return f"repository:{self._repository}:{actions}"

    def _limited(self, response: httpx.Response) -> bytes:
        data = bytearray()
        try:
            for chunk in response.iter_bytes():
                data += chunk
                if len(data) > DOCUMENT_LIMIT:
                    raise OutsideError(f"a manifest of {self._name} is larger than 8 MiB")
        except httpx.RequestError as error:
            raise OutsideError(
                f"the registry {self._session.host} broke off an answer: {error}",
                hint="Run the same command again.",
            ) from error
        return bytes(data)

    def _odd(self, response: httpx.Response, when: str) -> OutsideError:
        return self._session.odd(response, when, self._name)


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
