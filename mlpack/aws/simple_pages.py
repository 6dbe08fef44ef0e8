"""A package index in a bucket: the pages of the Simple repository API, as objects.

https://packaging.python.org/en/latest/specifications/simple-repository-api/

A page says what the bucket holds and nothing else, so it is made anew from a listing each time. Two
uploads at once lose nothing: a page's entity tag is read before the listing, and the page is
written on the condition that the tag is still the same. Whoever writes last has seen every version
whose manifest was there before, and whoever came too late begins again.
"""

from __future__ import annotations

import html
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from botocore.exceptions import ClientError
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from mlpack import simple_index
from mlpack.errors import OutsideError
from mlpack.records import BUILD_FILE

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

FOLDER = "simple"

_HTML = "text/html; charset=utf-8"
_TRIES = 8
_LOST = frozenset(
    {"412", "PreconditionFailed", "409", "ConditionalRequestConflict", "404", "NoSuchKey"}
)
_NOT_THERE = frozenset({"404", "NoSuchKey", "NotFound"})
_UNCONDITIONAL = frozenset({"501", "NotImplemented"})


@dataclass(frozen=True)
class Wheel:
    """A wheel of a project.

    Attributes:
        version: the folder that it is in.
        file: its name.
        sha256: of its content, in hexadecimal.
    """

    version: str
    file: str
    sha256: str


@dataclass(frozen=True)
class Page:
    """An object of the index.

    Attributes:
        key: its whole name in the bucket.
        content: what it should be.
        media_type: what that is.
        etag: of what is there; None for nothing.
        current: whether it is that already.
    """

    key: str
    content: bytes
    media_type: str
    etag: str | None
    current: bool


class Index:
    """The pages below ``PREFIX/simple/``."""

    def __init__(
        self,
        client: S3Client,
        bucket: str,
        prefix: str,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """The pages of a bucket whose versions lie below `prefix`."""
        self._client = client
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._sleep = sleep

    def pages(self, project: str, coming: Wheel | None = None) -> Sequence[Page]:
        """A project's pages and then the root's, as they should be. Only reads.

        Args:
            project: its name, normalised.
            coming: a wheel that is about to be there.
        """
        named = [*self._project(project), *self._root()]
        return [self._page(key, project, media, coming) for key, media in named]

    def write(self, project: str, coming: Wheel | None = None) -> int:
        """Write the pages that are not as they should be; how many those were.

        Raises:
            OutsideError: others keep writing the same page.
        """
        return sum(
            self._write(key, project, media, coming)
            for key, media in (*self._project(project), *self._root())
        )

    def _project(self, project: str) -> Iterator[tuple[str, str]]:
        # A bucket's own address has no index documents: there the folder is an object. A website
        # and most of what stands before a bucket ask for index.html.
        folder = f"{self._prefix}{FOLDER}/{project}/"
        yield from (
            (f"{folder}index.json", simple_index.JSON),
            (f"{folder}index.html", _HTML),
            (folder, _HTML),
        )

    def _root(self) -> Iterator[tuple[str, str]]:
        folder = f"{self._prefix}{FOLDER}/"
        yield from ((f"{folder}index.html", _HTML), (folder, _HTML))

    def _write(self, key: str, project: str, media: str, coming: Wheel | None) -> bool:
        for attempt in range(_TRIES):
            page = self._page(key, project, media, coming)
            if page.current:
                return False
            condition = {"IfMatch": page.etag} if page.etag else {"IfNoneMatch": "*"}
            try:
                self._put(page, condition)
            except ClientError as error:
                code = str(error.response.get("Error", {}).get("Code", ""))
                if code in _UNCONDITIONAL:  # not every S3 has conditional writes
                    self._put(page, {})
                elif code not in _LOST:
                    raise
                else:
                    self._sleep(0.1 * 2**attempt)
            else:
                return True
        raise OutsideError(
            "others keep writing the index",
            where=f"s3://{self._bucket}/{key}",
            hint="Run the same command again.",
        )

    def _put(self, page: Page, condition: Mapping[str, str]) -> None:
        self._client.put_object(
            Bucket=self._bucket,
            Key=page.key,
            Body=page.content,
            ContentType=page.media_type,
            CacheControl="no-cache",
            **condition,  # type: ignore[arg-type]
        )

    def _page(self, key: str, project: str, media: str, coming: Wheel | None) -> Page:
        there, etag = self._read(key)
        root = not key.startswith(f"{self._prefix}{FOLDER}/{project}/")
        if root:
            content = _root_page(self._projects() | {project})
        else:
            wheels = self._wheels(project, coming)
            make = _json_page if media == simple_index.JSON else _project_page
            content = make(project, wheels)
        return Page(key, content, media, etag, content == there)

    def _read(self, key: str) -> tuple[bytes | None, str | None]:
        try:
            found = self._client.get_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if str(error.response.get("Error", {}).get("Code", "")) in _NOT_THERE:
                return None, None
            raise
        return found["Body"].read(), found["ETag"]

    def _wheels(self, project: str, coming: Wheel | None) -> Sequence[Wheel]:
        """The wheels of the versions that are whole, the lowest version first."""
        folder = f"{self._prefix}{project}/"
        files: dict[str, list[str]] = {}
        whole = set()
        for key, _ in self._listed(folder):
            version, _, name = key.removeprefix(folder).partition("/")
            if name == BUILD_FILE:
                whole.add(version)
            elif name.endswith(".whl"):
                files.setdefault(version, []).append(name)
        known = self._known(project)
        found = [
            Wheel(version, name, known.get(name) or self._digest(f"{folder}{version}/{name}"))
            for version in whole
            for name in files.get(version, ())
        ]
        if coming is not None and coming.version not in whole:
            found.append(coming)
        return sorted(found, key=lambda each: (_order(each.version), each.file))

    def _known(self, project: str) -> Mapping[str, str]:
        """The digests that the page has already: a version's files never change."""
        there, _ = self._read(f"{self._prefix}{FOLDER}/{project}/index.json")
        try:
            found = simple_index.files(there or b'{"files": []}', simple_index.JSON, "s3://page/")
        except OutsideError:
            return {}  # somebody else's page
        return {name: each.sha256 for name, each in found.items()}

    def _digest(self, key: str) -> str:
        return self._client.head_object(Bucket=self._bucket, Key=key)["Metadata"].get("sha256", "")

    def _projects(self) -> set[str]:
        folder = f"{self._prefix}{FOLDER}/"
        return {name for _, name in self._listed(folder, "/") if name}

    def _listed(self, prefix: str, delimiter: str = "") -> Iterator[tuple[str, str]]:
        """The objects below `prefix`, each with no name; or the names of the folders in it."""
        pages = self._client.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self._bucket, Prefix=prefix, Delimiter=delimiter):
            if delimiter:
                for each in page.get("CommonPrefixes", ()):
                    yield "", each.get("Prefix", "").removeprefix(prefix).strip("/")
            else:
                for item in page.get("Contents", ()):
                    yield item.get("Key", ""), ""


def _order(version: str) -> tuple[int, Version | str]:
    try:
        return 1, Version(version)
    except InvalidVersion:
        return 0, version


def _link(project: str, wheel: Wheel) -> str:
    """From a project's page to a file, without the address of either."""
    digest = f"#sha256={wheel.sha256}" if wheel.sha256 else ""
    return f"../../{quote(project)}/{quote(wheel.version)}/{quote(wheel.file)}{digest}"


def _document(title: str, links: Sequence[tuple[str, str]]) -> bytes:
    lines = [
        f'    <a href="{html.escape(address)}">{html.escape(text)}</a><br>'
        for address, text in links
    ]
    head = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        "  <head>",
        '    <meta charset="utf-8">',
        '    <meta name="pypi:repository-version" content="1.0">',
        f"    <title>{html.escape(title)}</title>",
        "  </head>",
        "  <body>",
    ]
    return "\n".join([*head, *lines, "  </body>", "</html>", ""]).encode()


def _root_page(projects: set[str]) -> bytes:
    return _document("Simple index", [(f"{quote(name)}/", name) for name in sorted(projects)])


def _project_page(project: str, wheels: Sequence[Wheel]) -> bytes:
    return _document(
        f"Links for {project}", [(_link(project, wheel), wheel.file) for wheel in wheels]
    )


def _json_page(project: str, wheels: Sequence[Wheel]) -> bytes:
    found = {
        "meta": {"api-version": "1.0"},
        "name": canonicalize_name(project),
        "files": [
            {
                "filename": wheel.file,
                "url": _link(project, wheel).partition("#")[0],
                "hashes": {"sha256": wheel.sha256} if wheel.sha256 else {},
            }
            for wheel in wheels
        ],
    }
    return json.dumps(found, indent=1).encode() + b"\n"
