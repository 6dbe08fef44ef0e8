"""What a package index lists of a project: the Simple repository API, as HTML or as JSON.

https://packaging.python.org/en/latest/specifications/simple-repository-api/
"""

from __future__ import annotations

from collections.abc import Mapping
from html.parser import HTMLParser
from urllib.parse import unquote, urljoin, urlsplit

import msgspec

from mlpack.errors import OutsideError

JSON = "application/vnd.pypi.simple.v1+json"
ACCEPT = f"{JSON}, application/vnd.pypi.simple.v1+html;q=0.5, text/html;q=0.2"

_SHA256 = "sha256"


class File(msgspec.Struct, frozen=True):
    """A file of a project.

    Attributes:
        url: where it is, absolute.
        sha256: its digest in hexadecimal; empty where the index does not say it.
    """

    url: str
    sha256: str = ""


class _JsonFile(msgspec.Struct, frozen=True):
    filename: str
    url: str
    hashes: dict[str, str] = {}


class _Json(msgspec.Struct, frozen=True):
    files: tuple[_JsonFile, ...]


class _Links(HTMLParser):
    """The links of a page, and what its ``<base>`` says."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.base = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A link, or the address that links start from."""
        href = dict(attrs).get("href")
        if tag == "a" and href:
            self.links.append(href)
        if tag == "base" and href:
            self.base = href


def files(data: bytes, content_type: str, url: str) -> Mapping[str, File]:
    """The files on a project's page, by their names.

    Args:
        data: the page.
        content_type: what the index called it.
        url: where it came from: links may be relative to it.

    Raises:
        OutsideError: it cannot be read.
    """
    if content_type.partition(";")[0].strip().lower() in (JSON, "application/json"):
        return _from_json(data, url)
    page = _Links()
    page.feed(data.decode("utf-8", "replace"))
    try:
        base = urljoin(url, page.base)
    except ValueError as error:
        raise OutsideError(f"the index's page has no address as its base: {error}", url) from error
    found = {}
    for link in page.links:
        try:
            target = urljoin(base, link)
            parts = urlsplit(target)
        except ValueError:
            continue  # not an address
        kind, _, digest = parts.fragment.partition("=")
        name = unquote(parts.path.rpartition("/")[2])
        found[name] = File(
            parts._replace(fragment="").geturl(), digest.lower() if kind == _SHA256 else ""
        )
    return found


def _from_json(data: bytes, url: str) -> Mapping[str, File]:
    try:
        page = msgspec.json.decode(data, type=_Json)
        return {
            each.filename: File(urljoin(url, each.url), each.hashes.get(_SHA256, "").lower())
            for each in page.files
        }
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise OutsideError(f"the index sent a page that cannot be read: {error}", url) from error
