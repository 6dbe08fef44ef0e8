"""What stories are made of: mlpack's own wheel, clean environments, commands."""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
APT_ROOT = "debian-bookworm-apt:12"
"""What the engine calls a root of Debian's packages with apt-get, which is no official image."""


def kept_until_the_end(prefix: str) -> Path:
    """A folder of this process, for what many tests share; gone when it ends."""
    folder = tempfile.mkdtemp(prefix=prefix)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


@functools.cache
def mlpack_wheel() -> Path:
    """mlpack's wheel, built from this checkout once."""
    out = kept_until_the_end("mlpack-wheel-")
    run(sys.executable, "-m", "build", "--wheel", "--outdir", out, ROOT)
    return next(out.glob("*.whl"))


def run(*argv, cwd=None, env=None, code=0, timeout=600, stdin=None):
    """Run a command that must end with `code`; what it wrote."""
    # Processes start several times slower where they may not keep their bytecode.
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    kept["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    done = subprocess.run(
        [str(word) for word in argv],
        cwd=cwd,
        env={**kept, "NO_COLOR": "1", **(env or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
        input=stdin,
    )
    assert done.returncode == code, (
        f"{' '.join(map(str, argv))} ended with {done.returncode}, not {code}\n"
        f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    )
    return done


def missing(sentence: str) -> None:
    """Skip the test, or fail it where every real part is required."""
    if os.environ.get("MLPACK_REQUIRE_ALL") == "1":
        pytest.fail(sentence, pytrace=False)
    pytest.skip(sentence)


class Environment:
    """A virtual environment in `folder`, made empty."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.python = self.bin / "python"
        run("uv", "venv", "--quiet", "--python", sys.executable, folder)

    def install(self, *arguments, cwd=None):
        """``uv pip install`` into it."""
        command = ("uv", "pip", "install", "--quiet", "--python", self.python)
        return run(*command, *arguments, cwd=cwd)

    @property
    def active(self) -> dict[str, str]:
        """The variables of whom it is active for."""
        path = f"{self.bin}{os.pathsep}{os.environ['PATH']}"
        return {"VIRTUAL_ENV": str(self.folder), "PATH": path}

    def run(self, program, *arguments, cwd=None, env=None, code=0):
        """Run one of its programs."""
        active = {**self.active, **(env or {})}
        return run(self.bin / program, *arguments, cwd=cwd, env=active, code=code)

    def mlpack(self, *arguments, cwd, env=None, code=0):
        """Run mlpack in a project."""
        return self.run("mlpack", *arguments, cwd=cwd, env=env, code=code)


def with_mlpack(folder: Path) -> Environment:
    """An environment with the installed wheel of mlpack."""
    environment = Environment(folder)
    environment.install(mlpack_wheel())
    return environment


def copied(source: Path, root: Path) -> Path:
    """A project without what was made of it."""
    made = ("models", "dist", ".mlpack", "__pycache__", "*.lock*")
    return Path(shutil.copytree(source, root, ignore=shutil.ignore_patterns(*made)))


def built_penguins(folder: Path, base: Path) -> tuple[Environment, Path]:
    """The penguins with an image, and the environment that built them."""
    environment = with_mlpack(folder / "environment")
    root = copied(EXAMPLES / "penguins", folder / "penguins")
    for words in (["lock"], ["install"], ["train"]):
        environment.mlpack(*words, cwd=root)
    environment.mlpack("build", "--base", f"archive:{base}", "--no-load", cwd=root)
    return environment, root


def damage(root: Path, line: str) -> None:
    """Let the penguins' ``data.load`` do one thing more to what it has ``found``."""
    with (root / "src" / "penguins" / "data.py").open("a") as out:
        out.write(
            "\n_real = load\n\n\ndef load(config):\n    found = _real(config).copy()\n"
            f"    {line}\n    return found\n"
        )


def free_port() -> int:
    """A port of loopback that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def running(engine, image, **options):
    """The address of a container of `image` that is ready, with as little as it needs."""
    port = free_port()
    container = engine.containers.run(
        image,
        detach=True,
        read_only=True,
        cap_drop=["ALL"],
        ports={"8080/tcp": ("127.0.0.1", port)},
        **options,
    )
    try:
        wait_ready(f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"
    finally:
        container.remove(force=True)


def get(url, timeout=10):
    """The JSON, or the text, that a URL answers."""
    with urllib.request.urlopen(url, timeout=timeout) as answer:
        data = answer.read()
    return json.loads(data) if data[:1] in b"{[" else data.decode()


def post(url, value, timeout=60):
    """The JSON that a URL answers to a JSON body."""
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(value).encode(), headers, method="POST")
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        return json.load(answer)


def wait_ready(url, seconds=60):
    """Wait until a server says that it is ready."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(f"{url}/readyz", timeout=5).close()
        except (urllib.error.URLError, OSError):
            assert time.monotonic() < deadline, f"{url} is not ready after {seconds} s"
            time.sleep(0.1)
        else:
            return
