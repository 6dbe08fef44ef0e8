"""How the public registries differ: where they are, how they ask for a login, where they send one.

Their answers are written down from what is known of them; none of them was asked.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from mlpack.errors import OutsideError
from mlpack.oci.credentials import Credential
from mlpack.oci.http import Session

BLOB = b"a layer"


@dataclass(frozen=True)
class Host:
    """A registry.

    Attributes:
        name: as it stands in references.
        server: where requests go.
        challenge: what it answers to whoever has not logged in.
        login: user name and password.
        storage: where it redirects those to who want a blob; empty for nowhere.
        key: under which the token stands.
    """

    name: str
    server: str
    challenge: str
    login: tuple[str, str] | None
    storage: str = ""
    key: str = "token"


HOSTS = (
    Host(
        "docker.io", "registry-1.docker.io",
        'Bearer realm="https://auth.docker.io/token",service="registry.docker.io"',
        ("alice", "dckr_pat_x"), "https://production.cloudflare.docker.com", "access_token",
    ),
    Host(
        "docker.io", "registry-1.docker.io",
        'Bearer realm="https://auth.docker.io/token",service="registry.docker.io"', None,
    ),
    Host(
        "ghcr.io", "ghcr.io",
        'Bearer realm="https://ghcr.io/token",service="ghcr.io",scope="repository:user/image:pull"',
        ("alice", "ghp_x"), "https://pkg-containers.githubusercontent.com",
    ),
    Host(
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
        'Basic realm="https://123456789012.dkr.ecr.eu-west-1.amazonaws.com/",'
        'service="ecr.amazonaws.com"',
        ("AWS", "e" * 2500), "https://prod-eu-west-1-starport-layer-bucket.s3.amazonaws.com",
    ),
    Host(
        "europe-docker.pkg.dev", "europe-docker.pkg.dev",
        'Bearer realm="https://europe-docker.pkg.dev/v2/token",service="europe-docker.pkg.dev"',
        ("_json_key", '{"type": "service_account", "private_key": "x:y\\n"}'),
        "https://storage.googleapis.com",
    ),
    Host(
        "harbor.example", "harbor.example",
        'Bearer realm="https://harbor.example/service/token",service="harbor-registry"',
        ("robot$team+ci", "s"),
    ),
)  # fmt: skip


class World:
    """The servers of a registry, its login and its storage."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.good = "good"
        self.busy: list[int] = []
        self.requests: list[httpx.Request] = []

    def session(self, waits=None) -> Session:
        login = Credential(*self.host.login) if self.host.login else None
        client = httpx.Client(transport=httpx.MockTransport(self.answer), follow_redirects=False)
        sleep = (lambda _: None) if waits is None else waits.append
        return Session(self.host.name, "https", login, client, sleep)

    def basic(self) -> str:
        user, password = self.host.login or ("", "")
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        url, said = str(request.url), request.headers.get("Authorization")
        realm = self.host.challenge.partition('realm="')[2].partition('"')[0]
        if realm.startswith("https:") and "Bearer" in self.host.challenge and url.startswith(realm):
            if self.busy:
                return httpx.Response(self.busy.pop())
            allowed = said == (self.basic() if self.host.login else None)
            return httpx.Response(200 if allowed else 401, json={self.host.key: self.good})
        if self.host.storage and url.startswith(self.host.storage):
            return httpx.Response(400 if said else 200, content=BLOB)  # S3 takes no second login
        assert request.url.host == self.host.server
        wanted = f"Bearer {self.good}" if "Bearer" in self.host.challenge else self.basic()
        if said != wanted:
            return httpx.Response(401, headers={"WWW-Authenticate": self.host.challenge})
        if self.host.storage:
            return httpx.Response(307, headers={"Location": f"{self.host.storage}/blob?signed=x"})
        return httpx.Response(200, content=BLOB)

    def to(self, prefix: str) -> list[httpx.Request]:
        return [each for each in self.requests if str(each.url).startswith(prefix)]


def ask(session: Session, scope: str = "repository:team/churn:pull") -> bytes:
    with session.request("GET", "team/churn/blobs/x", scope=scope) as answer:
        assert answer.status_code == 200
        return answer.read()


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: f"{host.name}-{bool(host.login)}")
def test_each_is_logged_in_to_in_its_own_way(host):
    world = World(host)
    session = world.session()
    assert ask(session) == ask(session) == BLOB
    tokens = [each for each in world.requests if "token" in each.url.path]
    assert len(tokens) == (1 if "Bearer" in host.challenge else 0)
    for each in tokens:
        query = parse_qs(urlsplit(str(each.url)).query)
        assert "repository:team/churn:pull" in query["scope"]
        assert query["service"] == [host.challenge.partition('service="')[2].partition('"')[0]]
    if host.storage:
        assert len(world.to(host.storage)) == 2
        assert all("Authorization" not in each.headers for each in world.to(host.storage))


def test_a_token_that_has_expired_is_asked_for_again():
    """Docker Hub's last five minutes, a push may take longer."""
    world = World(HOSTS[0])
    session = world.session()
    ask(session)
    world.good = "newer"
    assert ask(session) == BLOB
    assert len(world.to("https://auth.docker.io")) == 2


def test_each_scope_has_a_token_of_its_own():
    world = World(HOSTS[0])
    session = world.session()
    for scope in ("repository:team/churn:pull", "repository:team/churn:pull,push"):
        ask(session, scope)
    scopes = [parse_qs(each.url.query.decode())["scope"] for each in world.to("https://auth.")]
    assert scopes == [["repository:team/churn:pull"], ["repository:team/churn:pull,push"]]


def test_a_login_server_that_is_busy_is_asked_again():
    world = World(HOSTS[0])
    world.busy = [429, 503]
    waits: list[float] = []
    assert ask(world.session(waits)) == BLOB
    assert waits == [0.5, 1.0]


def test_a_redirect_out_of_tls_is_not_followed():
    host = HOSTS[2]
    world = World(
        Host(host.name, host.server, host.challenge, host.login, "http://storage.example")
    )
    with pytest.raises(OutsideError, match="without TLS"):
        ask(world.session())
    assert not world.to("http://")


@pytest.mark.parametrize(
    ("challenge", "said"),
    [
        ('Negotiate realm="x"', "does not know: Negotiate"),
        ("", "does not say which"),
        ('Bearer service="x"', "without TLS"),
        ('Bearer realm="http://login.example/token"', "without TLS"),
    ],
)
def test_a_challenge_that_cannot_be_met_is_told(challenge, said):
    world = World(Host("registry.example", "registry.example", challenge, ("alice", "s")))
    with pytest.raises(OutsideError, match=said):
        ask(world.session())
    assert len(world.requests) == 1


def test_a_login_server_that_gives_no_token_is_told():
    host = HOSTS[5]
    world = World(Host(host.name, host.server, host.challenge, host.login, key="other"))
    with pytest.raises(OutsideError, match="gave no token"):
        ask(world.session())
