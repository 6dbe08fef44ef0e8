"""A blob on its way into a registry: whole where that works, else in chunks, taken up again.

After the distribution specification 1.1, "Pushing a blob monolithically" and "Pushing a blob in
chunks". Whole comes first, because not every registry takes chunks. They come next for a large
blob, where the connection broke off, or something in front of the registry takes no body of that
size (Cloudflare none above 100 MB): after a break the registry is asked how far it got.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import urlsplit, urlunsplit

import httpx

from mlpack.errors import OutsideError
from mlpack.oci.http import AGAIN, BrokenOffError, Session
from mlpack.oci.values import Descriptor, Opener

CHUNK = 16 << 20
"""Bytes of a chunk, where the registry wants no larger ones. A smaller blob is sent whole again."""

_LARGEST_CHUNK = 1 << 30
_TRIES = 3
"""How often an upload is begun, and how often in a row a chunk may bring nothing."""

_COPY = 1 << 20
_RANGE = re.compile(r"(?:bytes=)?0-([0-9]{1,18})")
_DONE = (httpx.codes.CREATED, httpx.codes.NO_CONTENT)


@dataclass(frozen=True)
class _Place:
    """Where an upload stands.

    Attributes:
        url: where to send what follows; it changes with each answer.
        taken: how many bytes the registry has.
        least: how many bytes every chunk but the last must have.
    """

    url: str
    taken: int = 0
    least: int = 0


class _ForgottenError(Exception):
    """The registry knows nothing of the upload any more."""


@dataclass(frozen=True)
class _Content:
    """The bytes of a blob from `begin` to `end`."""

    opener: Opener
    begin: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.begin

    def pieces(self) -> Iterator[bytes]:
        """A request's body, again for each try."""
        with self.opener() as stream:
            if stream.seekable():
                stream.seek(self.begin)
            else:
                _skip(stream, self.begin)
            left = self.size
            while left and (chunk := stream.read(min(left, _COPY))):
                left -= len(chunk)
                yield chunk


def _skip(stream: BinaryIO, count: int) -> None:
    while count and (chunk := stream.read(min(count, _COPY))):
        count -= len(chunk)


@dataclass(frozen=True)
class Upload:
    """Brings one blob into a repository.

    Attributes:
        session: with the registry.
        repository: its name.
        descriptor: of the blob.
        opener: opens it.
        chunk: bytes of a chunk.
    """

    session: Session
    repository: str
    descriptor: Descriptor
    opener: Opener
    chunk: int = CHUNK

    def run(self, source: str | None = None) -> str:
        """What was done: ``sent``, ``mounted`` from the repository `source`, or found ``there``.

        Raises:
            OutsideError: the registry does not answer, or refuses.
        """
        begun: _Place | None = None
        if source is not None:
            begun = self._begin(source)
            if begun is None:
                return "mounted"
            if not begun.url:  # it cannot mount from there: nothing is lost
                begun = None
        for _ in range(_TRIES):
            begun = begun or self._begin()
            if begun is None:
                return "there"
            try:
                self._send(begun)
            except _ForgottenError:
                begun = None
            else:
                return "sent"
        raise OutsideError(
            f"the registry {self.session.host} forgets uploads",
            where=self._name,
            hint="Run the same command again; if it stays so, ask those who run the registry.",
        )

    def _send(self, place: _Place) -> None:
        if self.descriptor.size <= self.chunk:
            self._check(self._put(place, self._content(0, self.descriptor.size)))
            return
        begun: _Place | None = None
        try:
            answer = self._put(place, self._content(0, self.descriptor.size), resend=False)
        except BrokenOffError:
            self.session.wait(1)
            begun = self._asked(place)
        else:
            if answer.status_code not in (*AGAIN, httpx.codes.REQUEST_ENTITY_TOO_LARGE):
                self._check(answer)
                return
            self.session.wait(1, answer)
        begun = begun or self._begin()
        if begun is not None:
            self._in_chunks(begun)

    def _in_chunks(self, place: _Place) -> None:
        size = min(max(self.chunk, place.least), _LARGEST_CHUNK)
        total = self.descriptor.size
        in_vain = 0
        while place.taken < total:
            before = place.taken
            found = self._next(place, min(before + size, total), in_vain + 1)
            in_vain = 0 if found.taken > before else in_vain + 1
            if in_vain == _TRIES:
                raise OutsideError(
                    f"the registry {self.session.host} takes {before:,} of {total:,} bytes of a "
                    "layer and no more",
                    where=self._name,
                    hint="Run the same command again.",
                )
            place = found
        self._check(self._put(place, None))

    def _next(self, place: _Place, end: int, tries: int) -> _Place:
        """Send what follows, up to `end`; how far the registry is then."""
        content = self._content(place.taken, end)
        headers = {"Content-Range": f"{place.taken}-{end - 1}"}
        try:
            answer = self._request("PATCH", place.url, content, headers, resend=False)
        except BrokenOffError:
            answer = None
        if answer is not None and answer.is_success:
            return self._after(answer, place, end)
        if answer is not None and answer.status_code not in (
            *AGAIN,
            httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE,
        ):
            self._check(answer)
        self.session.wait(tries, answer)
        found = self._asked(place)
        if found is None:
            raise _ForgottenError
        return found

    def _begin(self, source: str | None = None) -> _Place | None:
        """Where to send the blob; None where it is there, or mounted from `source`."""
        path = f"{self.repository}/blobs/uploads/"
        scope = self._scope
        if source is not None:
            path += f"?mount={self.descriptor.digest}&from={source}"
            scope += f" repository:{source}:pull"
        with self.session.request(
            "POST", path, scope=scope, headers={"Content-Length": "0"}, refuse=source is None
        ) as answer:
            if answer.status_code == httpx.codes.CREATED:
                return None
            location = answer.headers.get("Location", "")
            if answer.status_code == httpx.codes.ACCEPTED and location:
                least = answer.headers.get("OCI-Chunk-Min-Length", "")
                number = int(least[:12]) if least.isascii() and least.isdigit() else 0
                return _Place(str(answer.url.join(location)), least=number)
            if source is not None:
                return _Place("")
            raise self.session.odd(answer, "when an upload was begun", self._name)

    def _asked(self, place: _Place) -> _Place | None:
        """How far the upload is; None where the registry does not say, or has forgotten it."""
        with self.session.request("GET", place.url, scope=self._scope) as answer:
            if not answer.is_success or not answer.headers.get("Range"):
                return None
            return self._after(answer, place, 0)

    def _after(self, answer: httpx.Response, place: _Place, end: int) -> _Place:
        found = _RANGE.fullmatch(answer.headers.get("Range", ""))
        # "0-0" stands for nothing, as well as for the first byte.
        taken = int(found[1]) + bool(int(found[1])) if found else end
        location = answer.headers.get("Location", "")
        url = str(answer.url.join(location)) if location else place.url
        return _Place(url, min(taken, self.descriptor.size), place.least)

    def _put(
        self, place: _Place, content: _Content | None, *, resend: bool = True
    ) -> httpx.Response:
        """Finish the upload, with `content` or without."""
        parts = urlsplit(place.url)
        query = f"{parts.query}&" if parts.query else ""
        url = urlunsplit(parts._replace(query=f"{query}digest={self.descriptor.digest}"))
        return self._request("PUT", url, content, {}, resend=resend)

    def _request(
        self,
        method: str,
        url: str,
        content: _Content | None,
        headers: dict[str, str],
        *,
        resend: bool,
    ) -> httpx.Response:
        about = {"Content-Length": str(content.size) if content else "0"}
        if content:
            about["Content-Type"] = "application/octet-stream"
        with self.session.request(
            method,
            url,
            scope=self._scope,
            headers={**about, **headers},
            body=content.pieces if content else None,
            resend=resend,
        ) as answer:
            return answer

    def _check(self, answer: httpx.Response) -> None:
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise _ForgottenError
        if answer.status_code not in _DONE:
            raise self.session.odd(answer, "when a layer was sent", self._name)

    def _content(self, begin: int, end: int) -> _Content:
        return _Content(self.opener, begin, end)

    @property
    def _scope(self) -> str:
        return f"repository:{self.repository}:pull,push"

    @property
    def _name(self) -> str:
        return f"{self.session.host}/{self.repository}"
