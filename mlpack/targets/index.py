"""A private package index: the wheel is uploaded, a version once and for all.

The upload is uv's (``uv publish``, which comes with mlpack), in the form that twine has and every
index takes (https://docs.pypi.org/api/upload/). What is there already is looked up in the index's
Simple API.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from packaging.utils import canonicalize_name

from mlpack import simple_index
from mlpack.bundle import Artifact
from mlpack.config import refuse_unknown
from mlpack.errors import InputError, OutsideError
from mlpack.indexes import redact, uv_program
from mlpack.oci.http import UNREACHABLE, make_client
from mlpack.oci.reference import is_loopback
from mlpack.ports import Action, Built, Deployment, Reporter
from mlpack.process import Runner, run
from mlpack.sizes import megabytes

_KEYS = ("ca_file", "insecure", "password", "simple", "target", "url", "username")
_URL = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(?:/[A-Za-z0-9._~+/-]*)?")
_EXAMPLE = (
    '[deploy]\ntarget = "index"\nurl = "https://pypi.example/upload/"\n'
    'simple = "https://pypi.example/simple/"\n'
    'username = "${env:INDEX_USERNAME}"\npassword = "${env:INDEX_PASSWORD}"'
)
# uv's own words for an answer of the index; sizes and names beside them may hold any number.
_DENIED = re.compile(r"status code (?:401|403)\b")
_SECONDS = 900.0
_PAGE = 64 << 20


@dataclass(frozen=True)
class Index:
    """Where an index is, and who the user is to it.

    Attributes:
        upload: the address that files are sent to.
        simple: the root of its Simple API, which ends in a slash: what pip calls the index URL.
        username, password: both, or neither.
        ca_file: the certificates of a private authority.
    """

    upload: str
    simple: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None


class IndexTarget:
    """Uploads ``dist/``'s wheel."""

    kind = "index"
    verbs = frozenset({"plan", "apply"})

    def __init__(
        self,
        index: Index,
        client: Callable[[], httpx.Client],
        runner: Runner,
        env: Mapping[str, str],
    ) -> None:
        """An index.

        Args:
            index: where it is.
            client: makes what asks its Simple API.
            runner: runs uv.
            env: the environment that uv gets, with the login beside it.
        """
        self._index = index
        self._client = client
        self._runner = runner
        self._env = env

    def plan(self, built: Built) -> Sequence[Action]:
        """What `apply` would do. Only reads.

        Raises:
            InputError: no wheel is built, or the version is there with other content.
            OutsideError: the index does not answer, or refuses.
        """
        wheel = _wheel(built)
        return (self._action(wheel, there=self._there(built, wheel)),)

    def apply(self, built: Built, reporter: Reporter, *, why: str = "") -> Deployment:  # noqa: ARG002
        """Upload the wheel, if it is not there.

        Raises:
            InputError: no wheel is built, or the version is there with other content.
            OutsideError: the index does not answer, or refuses.
        """
        wheel = _wheel(built)
        there = self._there(built, wheel)
        if not there:
            with reporter.stage(f"Uploading {wheel.file}") as stage:
                self._upload(built, wheel)
                stage.result(megabytes(wheel.size))
            # Somebody else may have uploaded the same version meanwhile: look again.
            if not self._there(built, wheel):
                reporter.note("the index does not list it yet; some take a moment")
        return Deployment(
            target=self.kind,
            reference=self._page(built),
            digest=f"sha256:{wheel.sha256}",
            actions=(self._action(wheel, there=there),),
        )

    def _action(self, wheel: Artifact, *, there: bool) -> Action:
        what = f"{wheel.file} at {self._index.upload}"
        if there:
            return Action("keep", what, "is there already", needed=False)
        return Action("upload", what, megabytes(wheel.size))

    def _page(self, built: Built) -> str:
        return f"{self._index.simple}{canonicalize_name(built.name)}/"

    def _there(self, built: Built, wheel: Artifact) -> bool:
        """Whether the index has the very wheel.

        Raises:
            InputError: it has another one under this name.
        """
        with self._client() as client:
            page = self._get(client, self._page(built))
            if page is None:
                return False
            listed = simple_index.files(
                page.content, page.headers.get("Content-Type", ""), str(page.url)
            )
            found = listed.get(wheel.file)
            if found is None:
                return False
            digest = found.sha256 or self._digest(client, found.url)
        if digest != wheel.sha256:
            raise InputError(
                f"{wheel.file} is there with other content ({digest[:12]}, not "
                f"{wheel.sha256[:12]})",
                where=self._page(built),
                hint="A version is never overwritten. Raise it: mlpack version patch",
            )
        return True

    def _get(self, client: httpx.Client, url: str) -> httpx.Response | None:
        """A page; None where there is none."""
        try:
            response = client.get(
                url,
                headers={"Accept": simple_index.ACCEPT},
                auth=self._auth(url),
                follow_redirects=True,
            )
        except UNREACHABLE as error:
            raise self._unreachable(error) from error
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        self._check(response)
        if len(response.content) > _PAGE:
            raise OutsideError("the index's page is larger than 64 MiB", where=url)
        return response

    def _digest(self, client: httpx.Client, url: str) -> str:
        """The SHA-256 of a file whose index does not tell it: from the file itself."""
        digest = hashlib.sha256()
        try:
            with client.stream("GET", url, auth=self._auth(url), follow_redirects=True) as response:
                self._check(response)
                for chunk in response.iter_bytes():
                    digest.update(chunk)
        except UNREACHABLE as error:
            raise self._unreachable(error) from error
        return digest.hexdigest()

    def _auth(self, url: str) -> httpx.BasicAuth | None:
        """The login, for the index itself alone: its files may be on another host."""
        index = self._index
        if index.username is None or index.password is None:
            return None
        ours, theirs = urlsplit(index.simple), urlsplit(url)
        same = (ours.scheme, ours.netloc) == (theirs.scheme, theirs.netloc)
        return httpx.BasicAuth(index.username, index.password) if same else None

    def _check(self, response: httpx.Response) -> None:
        if response.status_code in (401, 403):
            raise self._refused()
        if response.status_code != httpx.codes.OK:
            raise OutsideError(
                f"the index answered with HTTP {response.status_code}", where=self._index.simple
            )

    def _upload(self, built: Built, wheel: Artifact) -> None:
        index = self._index
        given = {
            "UV_PUBLISH_USERNAME": index.username or "",
            "UV_PUBLISH_PASSWORD": index.password or "",
            "SSL_CERT_FILE": str(index.ca_file) if index.ca_file else "",
            "NO_COLOR": "1",
        }
        parts = urlsplit(index.upload)
        if is_loopback(parts.netloc):  # a proxy is never on the way to this machine itself
            given["NO_PROXY"] = given["no_proxy"] = parts.hostname or ""
        # Of the user's own settings for uv none may send it elsewhere, or as somebody else.
        kept = {key: value for key, value in self._env.items() if not key.startswith("UV_PUBLISH_")}
        done = self._runner(
            [
                *(uv_program(), "publish", "--no-config", "--no-progress"),
                *("--trusted-publishing", "never", "--keyring-provider", "disabled"),
                *("--no-attestations", "--publish-url", index.upload),
                str(built.dist / wheel.file),
            ],
            env={**kept, **{key: value for key, value in given.items() if value}},
            timeout=_SECONDS,
        )
        if done.code == 0:
            return
        said = redact(done.stderr)
        if _DENIED.search(said):
            raise self._refused()
        if self._there(built, wheel):
            return  # somebody else uploaded the same bytes
        last = [line.strip() for line in said.splitlines() if line.strip()][-3:]
        raise OutsideError(
            "the index did not take the wheel: " + " ".join(last)[-500:],
            where=index.upload,
            hint="Check url in [deploy], and whether the index takes uploads.",
        )

    def _refused(self) -> OutsideError:
        what = "refused the user name and password" if self._index.username else "wants a login"
        return OutsideError(
            f"the index {what}",
            where=self._index.upload,
            hint='[deploy]\nusername = "${env:INDEX_USERNAME}"\npassword = "${env:INDEX_PASSWORD}"',
        )

    def _unreachable(self, error: Exception) -> OutsideError:
        return OutsideError(
            f"the index cannot be reached: {error or type(error).__name__}",
            where=self._index.simple,
            hint="Check url and simple in [deploy], and the network.",
        )


def _wheel(built: Built) -> Artifact:
    wheel = built.artifacts.get("wheel")
    if wheel is None:
        raise InputError(
            "an index takes a wheel, and none is built", where=built.dist.name, hint="mlpack build"
        )
    return wheel


def make(config: Mapping[str, Any], env: Mapping[str, str]) -> IndexTarget:
    """The target that ``[deploy]`` describes.

    Args:
        config: ``url`` (where files are sent to); optionally ``simple`` (the index URL as pip
            has it; ``url`` with ``simple/`` behind it by default), ``username`` and
            ``password``, ``insecure`` (a login without TLS) and ``ca_file``.
        env: the environment that uv gets.

    Raises:
        InputError: a key is missing, unknown or wrong.
    """
    refuse_unknown(config, _KEYS, "index")
    upload = _url(config, "url")
    if upload is None:
        raise InputError("[deploy] has no url", hint=_EXAMPLE)
    simple = _url(config, "simple") or f"{upload.rstrip('/')}/simple/"
    username, password = _text(config, "username"), _text(config, "password")
    if (username is None) != (password is None):
        raise InputError("[deploy] has only one of username and password", hint=_EXAMPLE)
    insecure = config.get("insecure", False)
    if not isinstance(insecure, bool):
        raise InputError("it is neither true nor false", where="[deploy] insecure")
    for url in (upload, simple):
        parts = urlsplit(url)
        if password and parts.scheme == "http" and not (insecure or is_loopback(parts.netloc)):
            raise InputError(
                f"the password would go to {parts.netloc} without TLS",
                where="[deploy] url",
                hint="Write https://, or insecure = true where the network can be trusted.",
            )
    ca_file = _text(config, "ca_file")
    index = Index(
        upload, f"{simple.rstrip('/')}/", username, password, Path(ca_file) if ca_file else None
    )
    parts = urlsplit(index.simple)
    return IndexTarget(
        index, lambda: make_client(parts.netloc, parts.scheme, index.ca_file), run, env
    )


def _url(config: Mapping[str, Any], key: str) -> str | None:
    value = _text(config, key)
    if value is not None and not (_URL.fullmatch(value) and _is_address(value)):
        raise InputError(f"[deploy] {key} is not a URL without login and query", hint=_EXAMPLE)
    return value


def _is_address(url: str) -> bool:
    """Whether a host and a port can be read from it."""
    try:
        return bool(httpx.URL(url).host) and urlsplit(url).port != 0
    except (httpx.InvalidURL, ValueError):
        return False


def _text(config: Mapping[str, Any], key: str) -> str | None:
    """A value; errors do not show it, since it may be secret."""
    value = config.get(key)
    if value is None:
        return None
    if not isinstance(value, str) or not value or not value.isprintable():
        raise InputError(f"[deploy] {key} is not a text")
    return value
