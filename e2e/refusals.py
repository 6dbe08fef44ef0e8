"""What cases of bad input are made of: a prepared project, copies of it, and the check of an end.

Every refusal keeps to the same terms: the exit code of the table in `mlpack.errors`, nothing on
standard output, one message on standard error that names what is at fault, a next step after it,
no traceback, and not a file of the project other than before.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from environments import EXAMPLES, copied, kept_until_the_end

CHECK, WRONG, OUTSIDE, UNPROVED, INTERRUPTED = 1, 3, 4, 5, 130
NAME = "penguins"
BYTECODE = str(kept_until_the_end("mlpack-bytecode-"))
"""Bytecode is kept here, whatever the machine's settings are: a worker starts in half the time."""


def environ(env=None) -> dict[str, str]:
    """The environment of a command: no colours, no loading of images, bytecode kept."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "NO_COLOR": "1", "PYTHONPYCACHEPREFIX": BYTECODE, **(env or {})}


def command(*arguments) -> list[str]:
    """The command line of mlpack in this environment."""
    return [sys.executable, "-m", "mlpack", *map(str, arguments)]


def mlpack(*arguments, cwd, env=None, timeout=300) -> subprocess.CompletedProcess[str]:
    """Run mlpack to its end, whatever that is."""
    return subprocess.run(
        command(*arguments),
        cwd=cwd,
        env=environ(env),
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )


def succeeded(*arguments, cwd, env=None) -> subprocess.CompletedProcess[str]:
    """Run mlpack; it ends well."""
    done = mlpack(*arguments, cwd=cwd, env=env)
    assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
    return done


def tree(root: Path) -> dict[str, str]:
    """Every file of a folder with its digest. What can be made again is left out: ``.mlpack``."""
    found = {}
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in (".mlpack", "__pycache__")]
        for name in files:
            path = Path(folder) / name
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            found[path.relative_to(root).as_posix()] = content
        for name in folders:
            found[(Path(folder) / name).relative_to(root).as_posix() + "/"] = ""
    return found


def scraps(root: Path) -> list[str]:
    """What a command that broke off left behind, in ``.mlpack`` too."""
    return sorted(
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if path.name.endswith(".tmp") or path.name.startswith(".scratch.")
    )


@dataclass(frozen=True)
class Refusal:
    """How a command said no.

    Attributes:
        message: the line that begins with ``error:``.
        hint: the lines after it.
        stderr: everything.
    """

    message: str
    hint: str
    stderr: str


def refusal(done: subprocess.CompletedProcess[str], code: int, *words: str) -> Refusal:
    """The refusal that a command ended with; `words` stand in its message or its hint."""
    told = f"ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert done.returncode == code, told
    assert done.stdout == "", told
    assert "Traceback" not in done.stderr, told
    assert "this is a bug" not in done.stderr, told
    lines = done.stderr.splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("error: ")]
    assert len(starts) == 1, told
    message, hint = lines[starts[0]], "\n".join(lines[starts[0] + 1 :])
    assert hint.strip(), f"there is no next step\n{told}"
    assert all(line.startswith("  ") for line in hint.splitlines()), told
    whole = f"{message}\n{hint}"
    for word in words:
        assert word in whole, f"{word!r} is not said\n{told}"
    # Neither this installation's folders nor an object's address help anybody.
    assert "site-packages" not in whole, told
    assert not re.search(r"0x[0-9a-f]{6,}", whole), told
    return Refusal(message, hint, done.stderr)


def refused(project: Path, *arguments, code: int, says=(), env=None) -> Refusal:
    """Run mlpack in a project: it refuses, and leaves the folder as it was."""
    before = tree(project)
    done = mlpack(*arguments, cwd=project, env=env)
    found = refusal(done, code, *says)
    assert tree(project) == before
    assert scraps(project) == []
    return found


def refused_by_artifact(project: Path, *arguments, code: int, says=()) -> None:
    """The same of the artifact's own command, whose message has the next step in it."""
    before = tree(project)
    done = mlpack(*arguments, cwd=project)
    told = f"ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert (done.returncode, done.stdout) == (code, ""), told
    assert "Traceback" not in done.stderr, told
    message = done.stderr.lower().partition("error")[2]
    assert all(word.lower() in message for word in says), told
    assert tree(project) == before
    assert scraps(project) == []


@functools.cache
def prepare(base: Path) -> Path:
    """The example of the penguins, locked, trained and built once: what every case begins with."""
    project = kept_until_the_end("mlpack-prepared-") / NAME
    copied(EXAMPLES / NAME, project)
    for words in (["lock"], ["train"], ["build", "--base", f"archive:{base}", "--no-load"]):
        succeeded(*words, cwd=project)
    return project


def replace(path: Path, old: str, new: str) -> None:
    """Put `new` in the place of `old`, which stands in the file once."""
    text = path.read_text()
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {path.name}"
    path.write_text(text.replace(old, new))
