"""A wheel goes to a private index that wants a password, and comes back by pip."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pypiserver
import pytest
from bundling import Remembering, make_project, onnx_bundle
from environments import Environment

from mlpack.errors import InputError, OutsideError
from mlpack.packagers.wheel import WheelPackager
from mlpack.ports import Built
from mlpack.targets.index import make
from mlpack.usecases.deploy import deploy, plan


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def serving(folder: Path, *guarded: str) -> Iterator[str]:
    """A pypiserver that wants a password for some of what it does."""
    app = pypiserver.app(
        roots=[folder],
        authenticate=list(guarded),
        auther=lambda user, password: (user, password) == ("alice", "secret"),
        disable_fallback=True,
    )

    def whole(environ, start_response):
        """Bodies are read before they are refused, as servers in front of pypiserver do."""
        length = int(environ.get("CONTENT_LENGTH") or 0)
        environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(length))
        return app(environ, start_response)

    with make_server("127.0.0.1", 0, whole, handler_class=Quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def config(host: str, **more: str) -> dict[str, str]:
    given = {"url": f"http://{host}/", "username": "alice", "password": "secret", **more}
    return {"target": "index", **given}


def build(dist: Path, factor: float = 2.0) -> Built:
    bundle = onnx_bundle(make_project(), factor=factor)
    wheel = WheelPackager().package(bundle, dist, Remembering())
    lock = bundle.manifest.lock
    return Built("churn", "1.2.0", "onnx", lock, bundle.digest, {"wheel": wheel}, dist)


def test_from_dist_to_the_index_and_back(tmp_path):
    (tmp_path / "index").mkdir()
    with serving(tmp_path / "index", "update", "list", "download") as host:
        built = build(tmp_path / "dist")
        target = make(config(host), os.environ)
        assert plan(built, target).changes
        deployment = deploy(built, target, "production", Remembering())
        assert deployment.reference == f"http://{host}/simple/churn/"
        with pytest.raises(OutsideError, match="refused the user name and password"):
            make(config(host, password="wrong"), os.environ).plan(built)

        # The same again sends nothing, other bytes are refused.
        assert not plan(built, target).changes
        assert not deploy(built, target, "production", Remembering()).actions[0].needed
        other = build(tmp_path / "other", factor=3.0)
        with pytest.raises(InputError, match="is there with other content"):
            deploy(other, target, "production", Remembering())

        clean = Environment(tmp_path / "env")
        subprocess.run(
            [
                *(sys.executable, "-m", "pip", "--python", str(clean.python), "install"),
                *("--disable-pip-version-check", "--no-deps", "--isolated", "--no-cache-dir"),
                *("--index-url", f"http://alice:secret@{host}/simple/", "churn==1.2.0"),
            ],
            check=True,
            env={**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"},
        )
    version = "from importlib.metadata import version as v; print(v('churn'))"
    assert clean.run("python", "-c", version).stdout.strip() == "1.2.0"


def test_a_wrong_password_is_told_where_only_uploads_want_one(tmp_path):
    (tmp_path / "index").mkdir()
    built = build(tmp_path / "dist")
    with serving(tmp_path / "index", "update") as host:
        wrong = make(config(host, password="wrong"), os.environ)
        assert plan(built, wrong).changes
        with pytest.raises(OutsideError, match="refused the user name and password"):
            deploy(built, wrong, "production", Remembering())
    assert list((tmp_path / "index").iterdir()) == []
