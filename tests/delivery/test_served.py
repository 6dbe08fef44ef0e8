"""A server as a process of this machine: a small one, which does what servers do at bad times."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pytest
from bundling import make_project, onnx_bundle

from mlpack.delivery.served import Served
from mlpack.delivery.unpacked import Unpacked
from mlpack.errors import OutsideError

MANIFEST = onnx_bundle(make_project()).manifest

SERVER = """
import http.server, json, os, pathlib, signal, subprocess, sys, time

odd = os.environ.get("ODD", "")
pathlib.Path("pid").write_text(str(os.getpid()))
if odd == "dies":
    sys.exit("no such model, says the server")
if odd == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    helper = subprocess.Popen([sys.executable, "-I", "-c", "import time; time.sleep(60)"])
    pathlib.Path("helper").write_text(str(helper.pid))
asked = 0

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        global asked
        asked += 1
        self.answer(200 if asked > 3 else 503, b"")
        if odd == "gives up":
            os._exit(1)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/garbage":
            self.wfile.write(b"this is no HTTP\\r\\n\\r\\n")
            return
        if self.path == "/end":
            os._exit(0)
        if self.path == "/once" and not pathlib.Path("hung up").exists():
            pathlib.Path("hung up").touch()
            self.close_connection = True
            return
        told = {"argv": sys.argv[1:], "env": dict(os.environ), "cwd": os.getcwd(),
                "peer": self.client_address[1], "kind": self.headers["Content-Type"],
                "body": body.decode()}
        self.answer(200, json.dumps(told).encode())
        if self.path == "/close":
            self.close_connection = True

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print("some lines", "before", flush=True)
print(f"listening on http://127.0.0.1:{server.server_address[1]}", flush=True)
server.serve_forever()
"""
ENV = {"PATH": os.environ["PATH"]}


@pytest.fixture
def model(tmp_path):
    package = tmp_path / "lib" / MANIFEST.package
    package.mkdir(parents=True)
    (package / "__main__.py").write_text(SERVER)
    return Unpacked(tmp_path, MANIFEST, "", True)


def served(model, **env):
    return Served(model, Path(sys.executable), {**ENV, **env})


def ended(model, name="pid"):
    """Whether a process whose number the server wrote down is there no more."""
    number = int((model.library / name).read_text())
    for _ in range(500):
        try:
            os.kill(number, 0)
            state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
        except (ProcessLookupError, FileNotFoundError):
            return True
        if state == "Z":  # it ended, and whoever has it now has not asked yet
            return True
        time.sleep(0.01)
    return False


def test_it_runs_while_it_is_open_and_not_longer(model):
    with served(model) as server:
        assert not ended_now(model)
        assert server.ask("POST", "/predict", b"{}").status == 200
    assert ended(model)


def ended_now(model):
    return not Path(f"/proc/{(model.library / 'pid').read_text()}").exists()


def test_it_is_told_what_it_is_and_nothing_of_this_process(model, monkeypatch):
    monkeypatch.setenv("MLPACK_MAX_ROWS", "1")
    with served(model, A="1") as server:
        reply = server.ask("POST", "/predict", b'{"instances": []}')
    told = json.loads(reply.body)
    assert told["argv"] == ["serve", "--host", "127.0.0.1", "--port", "0"]
    assert told["cwd"] == str(model.library)
    assert (told["kind"], told["body"]) == ("application/json", '{"instances": []}')
    assert told["env"]["A"] == "1"
    assert "MLPACK_MAX_ROWS" not in told["env"]


def test_it_is_open_only_when_it_is_ready(model):
    with served(model) as server:
        # It said three times that it was not.
        assert server.ask("GET", "/readyz").status == 200
        assert 0 < server.start_seconds < 60


def test_requests_share_a_connection_and_one_that_was_closed_is_opened_again(model):
    with served(model) as server:
        peers = [
            json.loads(server.ask("POST", path, b"{}").body)["peer"]
            for path in ("/predict", "/predict", "/close", "/predict")
        ]
    assert peers[0] == peers[1] == peers[2] != peers[3]


def test_one_who_hangs_up_without_an_answer_is_asked_again(model):
    with served(model) as server:
        assert server.ask("POST", "/once", b"{}").status == 200
    assert (model.library / "hung up").exists()


def test_time_is_that_of_the_request(model):
    with served(model) as server:
        began = time.perf_counter()
        seconds = server.ask("POST", "/predict", b"{}").seconds
        assert 0 < seconds <= time.perf_counter() - began


def test_an_answer_that_is_none_does_not_spoil_the_next_one(model):
    with served(model) as server:
        with pytest.raises(OutsideError, match="does not answer") as caught:
            server.ask("POST", "/garbage", b"{}")
        assert caught.value.where == "churn 1.2.0"
        assert server.ask("POST", "/predict", b"{}").status == 200


def test_one_that_ends_while_it_is_asked_is_told(model):
    with served(model) as server, pytest.raises(OutsideError, match="does not answer"):
        server.ask("POST", "/end", b"{}")
    assert ended(model)


def test_what_it_said_before_it_ended_is_told(model):
    with pytest.raises(OutsideError, match="did not start: no such model, says the server"):
        served(model, ODD="dies")
    assert ended(model)


def test_one_that_never_gets_ready_is_told(model):
    with pytest.raises(OutsideError, match="did not get ready"):
        served(model, ODD="gives up")
    assert ended(model)


def test_without_its_python_it_is_told_and_not_thrown(model):
    with pytest.raises(OutsideError, match="cannot be started: No such file") as caught:
        Served(model, model.root / "bin" / "python", ENV)
    assert caught.value.where == "churn 1.2.0"


def test_one_that_does_not_want_to_end_is_ended_with_all_that_it_started(model):
    with served(model, ODD="stubborn"):
        pass
    assert ended(model)
    assert ended(model, "helper")


def test_what_goes_wrong_inside_ends_it_too(model):
    with pytest.raises(KeyboardInterrupt), served(model):
        raise KeyboardInterrupt
    assert ended(model)


def test_its_memory_is_its_own(model):
    with served(model) as server:
        status = Path(f"/proc/{(model.library / 'pid').read_text()}/status").read_text()
        held = int(status.partition("VmRSS:")[2].split()[0]) * 1024 / 1e6
        assert server.megabytes() == pytest.approx(held, rel=0.05)
