"""OSV's service: https://google.github.io/osv.dev/post-v1-querybatch/ and ``/v1/vulns/ID``.

It is asked with names and versions; nothing else leaves this machine.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from typing import TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec
from packaging.version import Version

from mlpack.errors import InputError, OutsideError
from mlpack.lock import Pin
from mlpack.oci.http import UNREACHABLE, make_client
from mlpack.osv import ECOSYSTEM, Record

URL = "https://api.osv.dev"

_BATCH = 500  # the service takes 1,000
_MOST_PAGES = 50
_MOST_TRIES = 4
_FIRST_WAIT = 0.5
_LONGEST_WAIT = 20.0
_AGAIN = frozenset((429, 500, 502, 503, 504))
_HOPELESS = httpx.UnsupportedProtocol
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,100}")
_OFFLINE = (
    "Look at the network and the proxy, then run it again, or fetch OSV's export of PyPI where "
    "there is one:\nmlpack audit --database all.zip"
)

_T = TypeVar("_T")


class _Vulnerability(msgspec.Struct, frozen=True):
    id: str


class _Result(msgspec.Struct, frozen=True):
    vulns: tuple[_Vulnerability, ...] = ()
    next_page_token: str = ""


class _Answer(msgspec.Struct, frozen=True):
    results: tuple[_Result | None, ...] = ()


class OsvApi:
    """Advisories of OSV's service."""

    def __init__(
        self,
        client: httpx.Client,
        url: str = URL,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """A service.

        Args:
            client: sends requests.
            url: the service's, without a path.
            sleep: waits, seconds.
        """
        self._client = client
        self._url = url.rstrip("/")
        self._sleep = sleep
        self.name = self._url

    def about(self, pins: Sequence[Pin]) -> Sequence[tuple[Pin, Record]]:
        """The pins with the records that the service has about them.

        Raises:
            OutsideError: the service does not answer, or not as it should.
        """
        found: list[tuple[Pin, str]] = []
        for start in range(0, len(pins), _BATCH):
            found += self._batch(pins[start : start + _BATCH])
        records = {name: self._record(name) for name in dict.fromkeys(name for _, name in found)}
        return [(pin, records[name]) for pin, name in found if records[name].withdrawn is None]

    def _batch(self, pins: Sequence[Pin]) -> list[tuple[Pin, str]]:
        found = []
        waiting = [(pin, "") for pin in pins]
        for _ in range(_MOST_PAGES):
            queries = [_query(pin, token) for pin, token in waiting]
            answer = self._ask("POST", "/v1/querybatch", _Answer, {"queries": queries})
            if len(answer.results) != len(waiting):
                raise self._odd(f"{len(answer.results)} answers to {len(waiting)} questions")
            following = []
            for (pin, _token), result in zip(waiting, answer.results, strict=True):
                if result is None:
                    continue
                found += [(pin, each.id) for each in result.vulns]
                if result.next_page_token:
                    following.append((pin, result.next_page_token))
            if not following:
                return found
            waiting = following
        raise self._odd("its list does not end")

    def _record(self, name: str) -> Record:
        if not _ID.fullmatch(name):
            raise self._odd(f"{name[:80]!r} is no identifier")
        return self._ask("GET", f"/v1/vulns/{name}", Record, None)

    def _ask(self, method: str, path: str, kind: type[_T], body: object) -> _T:
        response = self._send(method, path, body)
        if response.status_code != httpx.codes.OK:
            raise self._odd(f"HTTP {response.status_code}")
        try:
            return msgspec.json.decode(response.content, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._odd(str(error)) from error

    def _send(self, method: str, path: str, body: object) -> httpx.Response:
        for attempt in range(1, _MOST_TRIES + 1):
            asked = ""
            try:
                response = self._client.request(method, f"{self._url}{path}", json=body)
            except UNREACHABLE as error:
                passing = isinstance(error, httpx.TransportError)
                if not passing or attempt == _MOST_TRIES or isinstance(error, _HOPELESS):
                    raise OutsideError(
                        f"{self._url} cannot be reached: {error or type(error).__name__}",
                        hint=_OFFLINE,
                    ) from error
            else:
                if response.status_code not in _AGAIN or attempt == _MOST_TRIES:
                    return response
                asked = response.headers.get("Retry-After", "")
            known = asked.isascii() and asked.isdigit()
            wait = float(asked) if known else _FIRST_WAIT * 2 ** (attempt - 1)
            self._sleep(min(wait, _LONGEST_WAIT))
        raise OutsideError(f"{self._url} cannot be reached", hint=_OFFLINE)

    def _odd(self, what: str) -> OutsideError:
        return OutsideError(f"{self._url} did not answer as OSV does: {what}", hint=_OFFLINE)


def connect(url: str = URL) -> OsvApi:
    """The service at `url`; nothing is sent yet.

    Raises:
        InputError: it is no URL.
    """
    try:
        parts = urlsplit(url)
        known = bool(httpx.URL(url).host) and parts.port != 0
    except (httpx.InvalidURL, ValueError):
        known = False
    if not known:
        raise InputError("the address of OSV's service is no URL", where="MLPACK_OSV_URL")
    return OsvApi(make_client(parts.netloc, parts.scheme), url)


def _query(pin: Pin, token: str) -> dict[str, object]:
    query: dict[str, object] = {
        "package": {"ecosystem": ECOSYSTEM, "name": pin.name},
        "version": Version(pin.version).public,
    }
    if token:
        query["page_token"] = token
    return query
