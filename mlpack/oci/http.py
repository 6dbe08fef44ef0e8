"""HTTP to a registry: logging in, trying again, and never giving the password to another host.

After the OCI distribution specification 1.1 and Docker's token authentication
(https://distribution.github.io/distribution/spec/auth/token/).
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx

from mlpack.errors import InputError, OutsideError
from mlpack.oci.credentials import Credential
from mlpack.oci.reference import DOCKER_HUB, is_loopback

AGAIN = frozenset((429, 500, 502, 503, 504))
"""What a registry answers that may do better a moment later."""

_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_MOST_REDIRECTS = 5
_MOST_TRIES = 5
_LONGEST_WAIT = 30.0
_FIRST_WAIT = 0.5
_TOKEN_LIMIT = 1 << 20
_PARAMETER = re.compile(r'([a-zA-Z_]+)="([^"]*)"')

UNREACHABLE = (httpx.RequestError, httpx.InvalidURL, UnicodeError)
"""What a request may raise: besides broken connections an answer in no known packing, redirects in
a circle, an address of no host, and a host's name that the system cannot ask for."""

Body = Callable[[], "Iterator[bytes] | bytes"]
"""Makes a request's body, again for each try."""


def make_client(host: str, scheme: str, ca_file: Path | None = None) -> httpx.Client:
    """A client for `host`: the system's certificates, and those of `ca_file` if it is given.

    Raises:
        InputError: `ca_file` is not there or holds no certificate.
    """
    local = is_loopback(host)
    return httpx.Client(
        # Without TLS on this machine there is nothing to trust, and loading takes 80 ms.
        verify=_trust_nobody() if local and scheme == "http" else _trust(ca_file),
        follow_redirects=False,
        timeout=httpx.Timeout(60.0, connect=10.0),
        # A proxy is never on the way to this machine itself.
        trust_env=not local,
        headers={"User-Agent": "mlpack"},
    )


def _trust_nobody() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    paths = ssl.get_default_verify_paths()
    if not (context.cert_store_stats()["x509_ca"] or paths.capath):
        context = httpx.create_ssl_context()  # a Python that brings no certificates of its own
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except (OSError, ssl.SSLError) as error:
            raise InputError(
                f"this is no file with certificates: {error}", where=str(ca_file)
            ) from error
    return context


class BrokenOffError(OutsideError):
    """The connection broke under a request that may not simply be sent again."""


class Session:
    """Requests to one registry."""

    def __init__(
        self,
        host: str,
        scheme: str,
        credential: Credential | None,
        client: httpx.Client,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """A session; nothing is sent yet.

        Args:
            host: as it stands in references; Docker Hub's own servers stand for ``docker.io``.
            scheme: ``https``, or ``http``.
            credential: what to log in with; None for an anonymous user.
            client: sends; must not follow redirects.
            sleep: waits, seconds.
        """
        server = "registry-1.docker.io" if host == DOCKER_HUB else host
        self.host = host
        self._root = f"{scheme}://{server}/v2/"
        self._scheme = scheme
        self._credential = credential
        self._client = client
        self._sleep = sleep
        self._authorization: dict[str, str] = {}

    def pause(self, seconds: float) -> None:
        """Wait."""
        self._sleep(seconds)

    @contextmanager
    def request(
        self,
        method: str,
        path: str,
        *,
        scope: str,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        refuse: bool = True,
        resend: bool = True,
    ) -> Iterator[httpx.Response]:
        """Send a request and give its answer, whatever its code; the body is not read yet.

        Args:
            method: the HTTP method.
            path: after ``/v2/``, or a whole URL that the registry gave.
            scope: what a token must allow, such as ``repository:team/churn:pull,push``.
            headers: further ones.
            body: makes the body.
            refuse: whether "unauthorized" and "forbidden" are errors.
            resend: whether the same request may be sent again where it broke off or the registry
                is busy.

        Raises:
            BrokenOffError: with `resend` off, the connection broke.
            OutsideError: the registry does not answer, also not later, or refuses the password.
        """
        url = urljoin(self._root, path)
        tried_login = False
        tries = 0
        while True:
            tries += 1
            response = self._send(method, url, scope, headers or {}, body, tries, resend=resend)
            if response is None:
                continue
            try:
                if response.status_code == httpx.codes.UNAUTHORIZED and not tried_login:
                    self._log_in(response.headers.get("WWW-Authenticate", ""), scope)
                    tried_login = True
                    continue
                if response.status_code in AGAIN and tries < _MOST_TRIES and resend:
                    self.wait(tries, response)
                    continue
                if refuse and response.status_code in (401, 403):
                    raise self._refused()
                yield response
                return
            finally:
                response.close()

    def _send(
        self,
        method: str,
        url: str,
        scope: str,
        headers: Mapping[str, str],
        body: Body | None,
        tries: int,
        *,
        resend: bool,
    ) -> httpx.Response | None:
        """One try with the redirects that it leads to; None where it broke and may be repeated."""
        try:
            for _ in range(_MOST_REDIRECTS):
                request = self._client.build_request(
                    method,
                    url,
                    headers={**headers, **self._authorized(url, scope)},
                    content=body() if body else None,
                )
                response = self._client.send(request, stream=True)
                target = response.headers.get("Location")
                if response.status_code not in _REDIRECTS or not target:
                    return response
                response.close()
                url = self._followed(url, target)
        except UNREACHABLE as error:
            passing = isinstance(error, httpx.TransportError)
            if passing and not resend and not isinstance(error, httpx.ConnectError):
                raise BrokenOffError(f"the registry {self.host} broke off: {error}") from error
            if tries < _MOST_TRIES and passing and not isinstance(error, httpx.UnsupportedProtocol):
                if isinstance(error, httpx.ConnectError) and tries > 1:
                    raise self._unreachable(error) from error
                self.wait(tries)
                return None
            raise self._unreachable(error) from error
        raise OutsideError(f"the registry {self.host} redirects in a circle")

    def _authorized(self, url: str, scope: str) -> dict[str, str]:
        """The authorization, for the registry itself only."""
        ours = urlsplit(self._root)
        theirs = urlsplit(url)
        if (ours.scheme, ours.netloc) != (theirs.scheme, theirs.netloc):
            return {}
        known = self._authorization.get(scope) or self._authorization.get("")
        return {"Authorization": known} if known else {}

    def _followed(self, url: str, location: str) -> str:
        try:
            target = urljoin(url, location)
            safe = urlsplit(url).scheme != "https" or urlsplit(target).scheme == "https"
        except ValueError as error:
            raise OutsideError(f"the registry {self.host} redirects to nowhere: {error}") from error
        if not safe:
            raise OutsideError(f"the registry {self.host} redirects to a place without TLS")
        return target

    def _log_in(self, challenge: str, scope: str) -> None:
        kind, _, rest = challenge.partition(" ")
        if kind.lower() == "basic":
            if self._credential is None:
                raise self._refused()
            basic = httpx.BasicAuth(self._credential.username, self._credential.password)
            request = next(basic.auth_flow(httpx.Request("GET", self._root)))
            self._authorization[""] = request.headers["Authorization"]
            return
        if kind.lower() != "bearer":
            raise OutsideError(
                f"the registry {self.host} wants a kind of login that mlpack does not know: "
                f"{kind[:40] or 'it does not say which'}"
            )
        parameters = dict(_PARAMETER.findall(rest))
        self._authorization[scope] = "Bearer " + self._token(parameters, scope)

    def _token(self, parameters: Mapping[str, str], scope: str) -> str:
        realm = parameters.get("realm", "")
        parts = urlsplit(realm)
        safe = parts.scheme == "https" or (
            parts.scheme == "http"
            and (is_loopback(parts.netloc) or parts.hostname == urlsplit(self._root).hostname)
            and self._scheme == "http"
        )
        if not safe:
            raise OutsideError(f"the registry {self.host} wants the password sent without TLS")
        scopes = dict.fromkeys((*parameters.get("scope", "").split(), *scope.split()))
        query: dict[str, str | list[str]] = {"scope": list(scopes)}
        if service := parameters.get("service"):
            query["service"] = service
        response = self._ask_for_token(realm, query)
        if response.status_code in (401, 403):
            raise self._refused()
        try:
            answer = response.json() if response.status_code == httpx.codes.OK else {}
        except ValueError:
            answer = {}
        token = answer.get("token") or answer.get("access_token") if isinstance(answer, dict) else 0
        if not isinstance(token, str) or not token:
            raise OutsideError(
                f"the login server of {self.host} gave no token (HTTP {response.status_code})"
            )
        return token

    def _ask_for_token(self, realm: str, query: Mapping[str, str | list[str]]) -> httpx.Response:
        credential = self._credential
        tries = 0
        while True:
            tries += 1
            try:
                if credential and credential.identity_token:
                    refresh = {"grant_type": "refresh_token", "client_id": "mlpack"}
                    scope = {"scope": " ".join(query["scope"])}
                    secret = {"refresh_token": credential.identity_token}
                    form = {**query, **scope, **refresh, **secret}
                    response = self._client.post(realm, data=form)
                else:
                    auth = (credential.username, credential.password) if credential else None
                    response = self._client.get(realm, params=query, auth=auth)
            except UNREACHABLE as error:
                raise self._unreachable(error) from error
            if response.status_code not in AGAIN or tries == _MOST_TRIES:
                return response
            self.wait(tries, response)

    def wait(self, tries: int, answer: httpx.Response | None = None) -> None:
        """Wait after a try that failed: longer each time, or as long as the answer asks for."""
        asked = answer.headers.get("Retry-After") if answer is not None else None
        seconds = _FIRST_WAIT * 2 ** (tries - 1)
        if asked and asked.isascii() and asked.isdigit():
            seconds = float(asked[:6])
        self._sleep(min(seconds, _LONGEST_WAIT))

    def _refused(self) -> OutsideError:
        what = (
            "refused the user name and password"
            if self._credential
            else "wants a user name and a password, or has no such repository"
        )
        return OutsideError(
            f"the registry {self.host} {what}",
            hint="Set MLPACK_REGISTRY_USERNAME and MLPACK_REGISTRY_PASSWORD, or run: "
            f"docker login {self.host}",
        )

    def _unreachable(self, error: Exception) -> OutsideError:
        return OutsideError(
            f"the registry {self.host} cannot be reached: {error or type(error).__name__}",
            hint="Look at its name and at the network, then run the same command again.",
        )

    def odd(self, answer: httpx.Response, when: str, where: str) -> OutsideError:
        """What to tell of an answer that is none to what was asked."""
        what = "has no such thing" if answer.status_code == httpx.codes.NOT_FOUND else "answered"
        return OutsideError(
            f"the registry {self.host} {what} with HTTP {answer.status_code} {when}",
            where=where,
            hint="Run the same command again; if it stays so, ask those who run the registry.",
        )
