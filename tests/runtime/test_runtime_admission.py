"""Who is let in: limits for each client, https, and pages of other origins."""

from __future__ import annotations

import ssl
import subprocess
import sys

import httpx
import pytest
from asking import get, post
from hypothesis import given
from hypothesis import strategies as st
from servers import Server

from mlpack.runtime.admission import Admission
from mlpack.runtime.app import App
from mlpack.runtime.operating import surrounded
from mlpack.runtime.problems import ProblemError
from mlpack.runtime.rates import MOST, Rates
from mlpack.runtime.settings import Settings

ROW = {"age": 40, "visits": 3, "plan": "pro", "vip": True, "note": None}
PAGE = "https://app.example"


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_a_second_s_worth_at_once_then_one_at_a_time():
    clock = Clock()
    rates = Rates(4, clock)
    assert [rates.wait("a") for _ in range(4)] == [0.0] * 4
    assert rates.wait("a") == pytest.approx(0.25)
    assert rates.wait("b") == 0.0
    clock.now += 0.25
    assert rates.wait("a") == 0.0
    assert rates.wait("a") == pytest.approx(0.25)
    clock.now += 100
    assert [rates.wait("a") for _ in range(4)] == [0.0] * 4
    assert rates.wait("a") > 0


@given(st.floats(0.1, 50), st.lists(st.floats(0, 2), max_size=60))
def test_nobody_gets_more_than_the_rate_and_a_second_s_worth(rate, pauses):
    clock = Clock()
    rates = Rates(rate, clock)
    begun = clock.now
    passed = 0
    for pause in pauses:
        clock.now += pause
        passed += rates.wait("a") == 0.0
        assert passed <= max(1, rate) + (clock.now - begun) * rate + 1e-6


def test_what_is_remembered_of_clients_has_a_limit():
    clock = Clock()
    rates = Rates(2, clock)
    for client in range(MOST):
        rates.wait(client)
    assert [rates.wait("late"), rates.wait("late"), rates.wait("late") > 0] == [0.0, 0.0, True]
    clock.now += 10
    for client in range(MOST, 3 * MOST):
        rates.wait(client)
    assert len(rates._buckets) <= MOST


def test_who_asked_too_often_is_not_forgotten_with_those_who_did_not():
    clock = Clock()
    rates = Rates(2, clock)
    for client in range(MOST - 1):
        rates.wait(client)
    clock.now += 0.5  # they may ask for a whole second's worth again
    assert [rates.wait("busy"), rates.wait("busy"), rates.wait("late")] == [0.0] * 3
    assert rates.wait("busy") > 0


def test_who_asks_too_often_is_told_when_to_come_again(churn):
    app = App(churn, Settings(rate_limit=0.02))
    answers = [post(app, "/predict", ROW) for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 429]
    last = answers[-1]
    assert 40 <= int(last.headers[b"retry-after"]) <= 50
    assert last.json["type"] == "urn:mlpack:problem:too-many-requests"
    assert get(app, "/readyz").status == 200
    assert app.metrics.problems == {"too-many-requests": 1}


def test_each_key_has_a_limit_of_its_own(churn):
    app = App(churn, Settings(rate_limit=0.02, keys=("one", "two")))

    def asked(key):
        return post(app, "/predict", ROW, headers=[(b"x-api-key", key)]).status

    assert [asked(b"one"), asked(b"one"), asked(b"two"), asked(b"two")] == [200, 429, 200, 429]
    # A wrong key is told so, and takes nothing from anybody.
    assert [asked(b"three"), asked(b"three")] == [401, 401]


def passes(admission, address):
    try:
        admission.count(address, {})
    except ProblemError as problem:
        return dict(problem.headers)[b"retry-after"]
    return True


def test_without_keys_each_address_has_a_limit_of_its_own():
    admission = Admission(Settings(rate_limit=1), Clock())
    assert [passes(admission, one) for one in ("a", "a", "b", "b")] == [True, b"1", True, b"1"]


def test_each_of_several_workers_lets_its_share_pass():
    admission = Admission(Settings(rate_limit=4, workers=2), Clock())
    assert [passes(admission, "a") for _ in range(3)] == [True, True, b"1"]


def test_the_time_to_come_again_is_never_too_early():
    admission = Admission(Settings(rate_limit=0.4), Clock())
    assert [passes(admission, "a") for _ in range(2)] == [True, b"3"]


def test_nothing_is_answered_before_it_was_counted(churn):
    assert not App(churn, Settings(rate_limit=1)).at_once_urls
    assert App(churn, Settings()).at_once_urls


@pytest.fixture(scope="module")
def allowed(churn):
    settings = Settings(cors_origins=(PAGE,), keys=("hush",))
    served, _ = surrounded(App(churn, settings), churn, settings, {})
    return served


def test_a_page_of_a_named_origin_may_ask(allowed):
    headers = [(b"origin", PAGE.encode()), (b"x-api-key", b"hush")]
    answer = post(allowed, "/predict", ROW, headers=headers)
    assert answer.status == 200
    assert answer.headers[b"access-control-allow-origin"] == PAGE.encode()
    told = answer.headers[b"access-control-expose-headers"]
    assert {name.strip() for name in told.split(b",")} == {
        *(b"retry-after", b"x-request-id", b"inference-header-content-length")
    }


def test_a_browser_may_ask_first_without_a_key(allowed):
    wanted = b"content-type,x-api-key,inference-header-content-length"
    asked = [
        (b"origin", PAGE.encode()),
        (b"access-control-request-method", b"POST"),
        (b"access-control-request-headers", wanted),
    ]
    answer = get(allowed, "/predict", "OPTIONS", asked)
    assert answer.status == 200
    assert answer.headers[b"access-control-allow-origin"] == PAGE.encode()


def test_no_other_origin_is_told_anything(allowed):
    headers = [(b"origin", b"https://evil.example"), (b"x-api-key", b"hush")]
    answer = post(allowed, "/predict", ROW, headers=headers)
    assert b"access-control-allow-origin" not in answer.headers
    asked = [*headers, (b"access-control-request-method", b"POST")]
    assert get(allowed, "/predict", "OPTIONS", asked).status == 400


def test_a_refusal_can_be_read_by_the_page(allowed):
    headers = [(b"origin", PAGE.encode()), (b"x-api-key", b"hush")]
    answer = post(allowed, "/predict", {**ROW, "age": "old"}, headers=headers)
    assert (answer.status, answer.headers[b"access-control-allow-origin"]) == (422, PAGE.encode())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(cert)),
        ],
        check=True,
        capture_output=True,
    )
    return cert, key


@pytest.mark.parametrize("workers", ["1", "2"])
def test_https(root, certificate, workers):
    cert, key = certificate
    told = {"MLPACK_TLS_CERT": str(cert), "MLPACK_TLS_KEY": str(key), "MLPACK_WORKERS": workers}
    trust = ssl.create_default_context(cafile=str(cert))
    with Server(root, **told) as server, httpx.Client(verify=trust) as client:
        assert server.url.startswith("https://")
        for _ in range(3):  # on one connection, the short way
            answer = client.post(server.url + "/predict", json=ROW)
            assert (answer.status_code, answer.json()["predictions"][0]["label"]) == (200, "yes")
        with pytest.raises(httpx.TransportError):
            httpx.get(server.url.replace("https", "http") + "/readyz")

        def health(**variables):
            command = [sys.executable, "-m", "churn", "health", "--port", str(server.port)]
            env = {"PYTHONPATH": str(root), **variables}
            return subprocess.run(
                command, cwd=root, env=env, check=False, capture_output=True, text=True
            )

        assert health(**told).returncode == 0
        plain = health()
        assert plain.returncode == 1
        assert "if it speaks TLS, set MLPACK_TLS_CERT" in plain.stderr
        assert server.stop() == 0


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("missing", "cannot be read: No such file"),
        ("no certificate", "has no certificate in PEM"),
        ("other key", "it is another one's key"),
        ("password", "without a password"),
    ],
)
def test_files_that_cannot_be_used_end_the_server(root, certificate, tmp_path, broken, said):
    cert, key = certificate
    if broken == "missing":
        key = tmp_path / "none.pem"
    elif broken == "no certificate":
        cert = tmp_path / "cert.pem"
        cert.write_text("nothing")
    else:
        extra = ("-aes128", "-passout", "pass:secret") if broken == "password" else ()
        key = tmp_path / "key.pem"
        subprocess.run(
            ["openssl", "genrsa", *extra, "-out", str(key), "2048"], check=True, capture_output=True
        )
    done = subprocess.run(
        [sys.executable, "-m", "churn", "serve", "--port", "0"],
        cwd=root,
        env={"PYTHONPATH": str(root), "MLPACK_TLS_CERT": str(cert), "MLPACK_TLS_KEY": str(key)},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 3
    variable, path = ("CERT", cert) if broken == "no certificate" else ("KEY", key)
    assert f"MLPACK_TLS_{variable} is {path}, which " in done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
