"""A wheel goes to a package index: what is asked and told, against an index that is scripted."""

from __future__ import annotations

import contextlib
from http.server import BaseHTTPRequestHandler

import httpx
import pytest
from bundling import Remembering
from loopback import answering

from mlpack.bundle import Artifact
from mlpack.errors import InputError, OutsideError
from mlpack.files import sha256
from mlpack.ports import Built
from mlpack.process import Completed
from mlpack.targets.index import Index, IndexTarget, make

WHEEL = b"a wheel"
NAME = "my_churn-1.2.0-py3-none-any.whl"


class Scripted:
    """An index: a page of links, files, and what uploads come to."""

    def __init__(self):
        self.files = {}
        self.hashes = True
        self.status = 200
        self.asked = []
        self.uploads = []
        self.code, self.stderr, self.takes = 0, "", True

    def page(self):
        return "".join(
            f'<a href="/files/{name}{f"#sha256={sha256(data)}" if self.hashes else ""}">x</a>'
            for name, data in self.files.items()
        ).encode()

    def uv(self, argv, *, env, timeout):
        """What `uv publish` does, as far as the target can see."""
        self.uploads.append((list(argv), dict(env)))
        if self.takes:
            self.files[NAME] = WHEEL
        return Completed(tuple(argv), self.code, "", self.stderr)


@contextlib.contextmanager
def serving(scripted):
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            scripted.asked.append((self.path, self.headers.get("Authorization")))
            name = self.path.rpartition("/")[2]
            if scripted.status != 200:
                status, data = scripted.status, b""
            elif self.path == "/simple/my-churn/":
                status, data = (200, scripted.page()) if scripted.files else (404, b"")
            else:
                status, data = (200, scripted.files[name]) if name in scripted.files else (404, b"")
            self.send_response(status)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    with answering(Handler) as address:
        yield address


@pytest.fixture
def scripted():
    return Scripted()


@pytest.fixture
def url(scripted):
    with serving(scripted) as address:
        yield address


@pytest.fixture
def target(scripted, url):
    index = Index(f"{url}/legacy/", f"{url}/simple/", "alice", "secret")
    env = {"PATH": "/bin", "UV_PUBLISH_TOKEN": "another", "UV_PUBLISH_CHECK_URL": "https://x"}
    return IndexTarget(index, lambda: httpx.Client(trust_env=False), scripted.uv, env)


@pytest.fixture
def built(tmp_path):
    (tmp_path / NAME).write_bytes(WHEEL)
    wheel = Artifact(kind="wheel", file=NAME, sha256=sha256(WHEEL), size=len(WHEEL))
    return Built("My_Churn", "1.2.0", "onnx", "l", "b", {"wheel": wheel}, tmp_path)


def test_a_plan_changes_nothing(target, built, scripted):
    (action,) = target.plan(built)
    assert (action.verb, action.needed) == ("upload", True)
    assert action.what.startswith(f"{NAME} at http://127.0.0.1")
    assert not scripted.uploads


def test_the_wheel_is_uploaded_by_uv_with_the_login_in_its_environment(
    target, built, scripted, url, tmp_path
):
    deployment = target.apply(built, Remembering())
    assert (deployment.target, deployment.reference) == ("index", f"{url}/simple/my-churn/")
    assert deployment.digest == f"sha256:{sha256(WHEEL)}"
    ((argv, env),) = scripted.uploads
    assert argv[1] == "publish"
    assert argv[-3:] == ["--publish-url", f"{url}/legacy/", str(tmp_path / NAME)]
    assert "secret" not in " ".join(argv)
    assert (env["UV_PUBLISH_USERNAME"], env["UV_PUBLISH_PASSWORD"]) == ("alice", "secret")
    assert {key for key in env if key.startswith("UV_PUBLISH")} == {
        *("UV_PUBLISH_USERNAME", "UV_PUBLISH_PASSWORD"),
    }
    assert env["PATH"] == "/bin"
    assert "secret" not in repr(target._index)


@pytest.mark.parametrize(
    ("host", "direct"),
    [
        ("[::1]:8080", "::1"),
        ("127.0.0.1:8080", "127.0.0.1"),
        ("localhost", "localhost"),
        ("pypi.example:8080", None),
    ],
)
def test_no_proxy_is_on_the_way_to_this_machine(scripted, url, built, host, direct):
    index = Index(f"http://{host}/legacy/", f"{url}/simple/", "alice", "secret")
    IndexTarget(index, lambda: httpx.Client(trust_env=False), scripted.uv, {}).apply(
        built, Remembering()
    )
    ((_, env),) = scripted.uploads
    assert env.get("NO_PROXY") == env.get("no_proxy") == direct


@pytest.mark.parametrize("hashes", [True, False])
def test_the_same_wheel_is_not_sent_again(target, built, scripted, hashes):
    scripted.files, scripted.hashes = {NAME: WHEEL}, hashes
    (action,) = target.plan(built)
    assert (action.verb, action.needed) == ("keep", False)
    assert target.apply(built, Remembering()).actions == (action,)
    assert not scripted.uploads
    assert all(login and login.startswith("Basic") for _, login in scripted.asked)


@pytest.mark.parametrize("hashes", [True, False])
def test_other_bytes_under_the_same_version_are_refused(target, built, scripted, hashes):
    scripted.files, scripted.hashes = {NAME: b"other"}, hashes
    for attempt in (lambda: target.plan(built), lambda: target.apply(built, Remembering())):
        with pytest.raises(InputError, match="is there with other content") as no:
            attempt()
        assert "mlpack version patch" in no.value.hint
    assert not scripted.uploads


def test_other_versions_are_no_matter(target, built, scripted):
    scripted.files = {"my_churn-1.1.0-py3-none-any.whl": b"old"}
    assert target.plan(built)[0].needed


def test_who_was_faster_with_the_same_bytes_is_welcome_and_with_others_is_not(
    target, built, scripted
):
    scripted.code, scripted.stderr = 2, "error: 409 Conflict"
    assert target.apply(built, Remembering()).digest == f"sha256:{sha256(WHEEL)}"
    scripted.files = {}

    def uv(argv, *, env, timeout):
        scripted.files[NAME] = b"theirs"
        return Completed(tuple(argv), 2, "", "error: 409 Conflict")

    target._runner = uv
    with pytest.raises(InputError, match="other content"):
        target.apply(built, Remembering())


@pytest.mark.parametrize("code", [0, 2])
def test_what_was_taken_and_is_another_is_told(target, built, scripted, code):
    def uv(argv, *, env, timeout):
        scripted.files[NAME] = b"broken on the way"
        return Completed(tuple(argv), code, "", "")

    target._runner = uv
    with pytest.raises(InputError, match="other content"):
        target.apply(built, Remembering())


def test_an_index_that_lists_late_is_believed(target, built, scripted):
    scripted.takes = False
    reporter = Remembering()
    target.apply(built, reporter)
    assert "does not list it yet" in reporter.told[-1]


@pytest.mark.parametrize(
    ("stderr", "said"),
    [
        ("error: Server returned status code 403 Forbidden", "refused the user name and password"),
        (
            "error: Permission denied (status code 401 Unauthorized): who are you?",
            "refused the user name and password",
        ),
        (
            (
                "Uploading forbidden_fruit-4.0.1-py3-none-any.whl (403.6KiB)\n"
                "error: Server returned status code 400 Bad Request. Server says: bad metadata"
            ),
            "400 Bad Request. Server says: bad metadata",
        ),
        (
            "Publishing\nerror: sending to https://alice:secret@x failed",
            "did not take the wheel: Publishing error: sending to https://x failed",
        ),
    ],
)
def test_why_uv_failed_is_told_without_secrets(target, built, scripted, stderr, said):
    scripted.code, scripted.takes, scripted.stderr = 2, False, stderr
    with pytest.raises(OutsideError) as no:
        target.apply(built, Remembering())
    assert said in str(no.value)
    assert "secret" not in str(no.value)


@pytest.mark.parametrize(
    ("status", "said"), [(401, "refused the user"), (403, "refused the user"), (500, "HTTP 500")]
)
def test_an_index_that_says_no(target, built, scripted, status, said):
    scripted.status = status
    with pytest.raises(OutsideError, match=said):
        target.plan(built)


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (302, {"Location": "/simple/my-churn/"}),
        (302, {"Location": "http://[x/"}),
        (200, {"Content-Encoding": "gzip"}),
    ],
)
def test_an_index_that_answers_nonsense(built, status, headers):
    transport = httpx.MockTransport(
        lambda request: httpx.Response(status, headers=headers, stream=httpx.ByteStream(b"no gzip"))
    )
    index = Index("http://127.0.0.1:9/", "http://127.0.0.1:9/simple/")
    target = IndexTarget(index, lambda: httpx.Client(transport=transport), Scripted().uv, {})
    with pytest.raises(OutsideError, match="cannot be reached"):
        target.plan(built)


@pytest.mark.parametrize(
    "link", ["http://h:99999/", "http://h:x/", "//xn--\u00df/", f"//{'a' * 70}.example/"]
)
def test_an_index_whose_links_lead_nowhere(target, built, scripted, link):
    scripted.files = {NAME: WHEEL}
    scripted.page = f'<a href="{link}{NAME}">x</a>'.encode
    with pytest.raises(OutsideError, match="cannot be reached"):
        target.plan(built)


def test_an_index_that_is_not_there(built):
    target = make({"target": "index", "url": "http://127.0.0.1:9/"}, {})
    with pytest.raises(OutsideError, match="cannot be reached"):
        target.plan(built)


def test_the_login_is_not_sent_to_another_host(scripted, built):
    scripted.files, scripted.hashes = {NAME: WHEEL}, False
    other = Scripted()
    other.files = {NAME: WHEEL}
    with serving(scripted) as one, serving(other) as two:
        scripted.page = f'<a href="{two}/files/{NAME}">x</a>'.encode
        index = Index(f"{one}/", f"{one}/simple/", "alice", "secret")
        target = IndexTarget(index, lambda: httpx.Client(trust_env=False), scripted.uv, {})
        assert not target.plan(built)[0].needed
    assert scripted.asked[0][1]
    assert other.asked == [(f"/files/{NAME}", None)]


def test_without_a_wheel_there_is_nothing_to_upload(target, built):
    without = Built("a", "1", "onnx", "l", "b", {}, built.dist)
    with pytest.raises(InputError, match="none is built"):
        target.plan(without)


GOOD = {"target": "index", "url": "https://pypi.example/upload", "username": "a", "password": "b"}


def test_the_configuration():
    found = make(GOOD, {})._index
    assert found == Index(
        "https://pypi.example/upload", "https://pypi.example/upload/simple/", "a", "b"
    )
    devpi = make({**GOOD, "simple": "https://pypi.example/+simple"}, {})._index
    assert devpi.simple == "https://pypi.example/+simple/"
    assert make({**GOOD, "url": "http://127.0.0.1:8080"}, {})._index.password == "b"
    plain = {**GOOD, "url": "http://pypi.example/"}
    assert make({**plain, "insecure": True}, {})._index.upload == "http://pypi.example/"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"url": None}, "has no url"),
        ({"url": 7}, "url is not a text"),
        ({"url": "ftp://x"}, "not a URL"),
        ({"url": "https://alice:secret@pypi.example/"}, "not a URL"),
        ({"url": "https://pypi.example/?token=secret"}, "not a URL"),
        ({"url": "https://pypi.example/\n"}, "not a text"),
        ({"url": "http://[x/"}, "not a URL"),
        ({"url": "http://[x]/"}, "not a URL"),
        ({"url": "http://pypi.example:99999/"}, "not a URL"),
        ({"simple": "https://[::1/"}, "not a URL"),
        ({"url": "http://pypi.example/"}, "without TLS"),
        ({"simple": "http://pypi.example/"}, "without TLS"),
        ({"password": None}, "only one of"),
        ({"password": "a\nb"}, "password is not a text"),
        ({"insecure": "yes"}, "neither true nor false"),
        ({"uri": "x"}, "no key 'uri'"),
    ],
)
def test_a_wrong_configuration_is_told(change, said):
    with pytest.raises(InputError) as no:
        make({**GOOD, **change}, {})
    assert said in str(no.value)
    assert "secret" not in str(no.value)
