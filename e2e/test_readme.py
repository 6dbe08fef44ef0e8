"""Every command block of the README, run in order as a newcomer would, from an empty folder.

Blocks of ``sh`` run in one shell after another in the same folder and environment; files are
written where the comment above their block says; servers run in the background until the end. The
registry's name is the one of the test.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from environments import ROOT, mlpack_wheel, post, wait_ready

README = (ROOT / "README.md").read_text()
BLOCK = re.compile(r"(?:<!-- (?P<note>[^\n]*) -->\n)?```(?P<kind>\w+)\n(?P<body>.*?)```", re.DOTALL)
DEVELOPMENT = "## Working on mlpack"


@dataclass(frozen=True)
class Block:
    note: str
    kind: str
    body: str


def blocks(text):
    return [Block(m["note"] or "", m["kind"], m["body"]) for m in BLOCK.finditer(text)]


class Terminal:
    """A shell that remembers its folder and variables from block to block."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.state = folder / ".state"
        self.environment = environment
        self.state.write_text(f"cd {folder}\n")
        self.servers: list[subprocess.Popen] = []

    def run(self, body: str) -> str:
        remember = f"export -p > {self.state}; printf 'cd %q\\n' \"$PWD\" >> {self.state}"
        script = f"set -eo pipefail\n. {self.state}\n{body}\n{remember}\n"
        done = subprocess.run(
            ["bash", "-c", script],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert done.returncode == 0, f"{body}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def background(self, body: str, url: str) -> None:
        script = f". {self.state}\nexec {body}"
        self.servers.append(
            subprocess.Popen(["bash", "-c", script], env=self.environment, start_new_session=True)
        )
        wait_ready(url, seconds=120)

    def stop(self) -> None:
        for server in self.servers:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(60)


def test_the_readme_does_what_it_says(tmp_path, registry, engine, base):
    shutil.copy(mlpack_wheel(), tmp_path)
    kept = {"HOME", "LANG", "PATH", "SSL_CERT_FILE", "DOCKER_HOST"}
    environment = {
        name: value
        for name, value in os.environ.items()
        if name in kept or name.startswith(("PIP_", "UV_", "REQUESTS_", "CURL_"))
    }
    environment |= {"MLPACK_BASE": f"archive:{base}", **registry.environment()}
    terminal = Terminal(tmp_path, environment)
    story, _, development = README.partition(DEVELOPMENT)
    found = blocks(story)
    assert [block.kind for block in found].count("sh") >= 10
    try:
        for block in found:
            body = block.body.replace("registry.example", registry.host)
            if block.note.startswith("file: "):
                path = tmp_path / block.note.removeprefix("file: ")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(body)
            elif block.note.startswith("test: background "):
                terminal.background(body, block.note.removeprefix("test: background "))
            elif block.kind == "sh":
                terminal.run(body)
            else:
                assert block.kind == "text"
        penguin = {"island": "Biscoe", "bill_length_mm": 46.1, "flipper_length_mm": 211}
        here, container = (
            post(f"http://127.0.0.1:{port}/predict", penguin)["predictions"][0]
            for port in (8080, 8081)
        )
        assert here == container
        assert here["label"] == "Gentoo"
    finally:
        terminal.stop()
    assert "make demo" in development


def test_ci_calls_the_test_command_of_the_readme():
    commands = [block.body for block in blocks(README.partition(DEVELOPMENT)[2])]
    assert any("make test" in body for body in commands)
    assert re.search(r"^make test$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)


def test_the_table_of_the_readme_is_the_one_that_build_prints(tmp_path):
    """The proof's table stands in the README with the header that the command line prints."""
    source = (ROOT / "mlpack" / "cli" / "show.py").read_text()
    header = next(block.body for block in blocks(README) if block.kind == "text").splitlines()[0]
    for column in re.split(r"\s{2,}", header):
        assert f'"{column}"' in source


@pytest.mark.slow
def test_make_demo_ends_with_a_prediction(tmp_path):
    """``make demo`` on a copy of this checkout."""
    copy = tmp_path / "checkout"
    ignored = shutil.ignore_patterns(".git", ".venv", "demo", "dist", "__pycache__", ".*_cache")
    shutil.copytree(ROOT, copy, ignore=ignored)
    done = subprocess.run(
        ["make", "demo"], cwd=copy, capture_output=True, text=True, check=False, timeout=900
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert '"predictions"' in done.stdout
    assert "== Done in" in done.stdout
