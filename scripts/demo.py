#!/usr/bin/env python3
"""The main job on a real example: ``make demo``.

Makes an environment, installs mlpack from this checkout into it, creates a project, locks, trains,
builds, and asks a container of the image that was just built for a prediction over HTTP. Where no
image can be made or run, it says why, and the installed wheel's server answers instead.

Nothing but the standard library is needed to start it. It works in ``demo/`` beside this folder.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "demo"
VENV = DEMO / "venv"
PROJECT = DEMO / "penguins"
PORT = 18080
PENGUIN = {
    "island": "Biscoe",
    "bill_length_mm": 46.1,
    "bill_depth_mm": 13.2,
    "flipper_length_mm": 211,
    "body_mass_g": 4500,
    "sex": "female",
}


def say(text: str) -> None:
    """A line of the demo itself."""
    print(f"\n== {text}", flush=True)


def run(*argv: str | Path, cwd: Path = DEMO, check: bool = True) -> int:
    """Show a command and run it; the demo ends where a command fails that must not."""
    shown = [str(word).replace(str(VENV / "bin") + os.sep, "") for word in argv]
    print(f"$ {' '.join(shown)}", flush=True)
    code = subprocess.run([str(word) for word in argv], cwd=cwd, check=False).returncode
    if check and code:
        sys.exit(f"demo: {shown[0]} ended with {code}")
    return code


def silent(*argv: str) -> bool:
    """Whether a command can be run and succeeds."""
    try:
        return subprocess.run(argv, capture_output=True, check=False, timeout=60).returncode == 0
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False


def docker() -> str | None:
    """The docker command, if an engine answers it."""
    for program in ("docker", "/usr/bin/docker"):
        if silent(program, "info"):
            return program
    return None


def bases(program: str | None) -> list[tuple[str, str]]:
    """Base images to try, best first, each with what to say of it."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    official = f"python:{version}-slim"
    found = []
    if program and silent(program, "image", "inspect", official):
        found.append((f"docker:{official}", f"{official} of the local engine"))
    else:
        found.append((f"docker.io/library/{official}", f"{official} from its registry"))
    return found


def debian_base() -> str | None:
    """A base made on the spot from Debian's packages, as root on Debian with Debian's Python."""
    debian = Path("/etc/debian_version").is_file()
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    if not (debian and root and sys.version_info[:2] == (3, 11)):
        return None
    archive = DEMO / "debian-base.tar"
    if not archive.is_file():
        if not shutil.which("mmdebstrap"):
            silent("apt-get", "update", "-qq")
            environment = ("env", "DEBIAN_FRONTEND=noninteractive")
            if run(*environment, "apt-get", "install", "-y", "-qq", "mmdebstrap", check=False):
                return None
        script = ROOT / "scripts" / "debian_base.py"
        if run(VENV / "bin" / "python", script, archive, check=False):
            return None
    return f"archive:{archive}"


def build(program: str | None) -> bool:
    """Build all three artifacts on the first base that serves; whether there is an image."""
    mlpack = VENV / "bin" / "mlpack"
    for base, name in bases(program):
        say(f"Build the wheel, the zip and the image on {name}")
        if run(mlpack, "build", "--base", base, cwd=PROJECT, check=False) == 0:
            return True
    archive = debian_base()
    if archive:
        say("That base cannot be had here: one made on the spot from Debian's packages takes it")
        return run(mlpack, "build", "--base", archive, cwd=PROJECT, check=False) == 0
    say("No base image can be had here: the wheel and the zip alone")
    run(mlpack, "build", "--only", "wheel", "--only", "zip", cwd=PROJECT)
    return False


def ask() -> dict[str, object]:
    """Wait until the server is ready and ask it for a prediction."""
    url = f"http://127.0.0.1:{PORT}"
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(f"{url}/readyz", timeout=5).close()
            break
        except (urllib.error.URLError, OSError):
            if time.monotonic() > deadline:
                sys.exit("demo: the server did not become ready within 60 s")
            time.sleep(0.2)
    body = json.dumps(PENGUIN).encode()
    request = urllib.request.Request(
        f"{url}/predict", body, {"Content-Type": "application/json"}, method="POST"
    )
    print(f"$ curl {url}/predict -H 'Content-Type: application/json' -d '{json.dumps(PENGUIN)}'")
    with urllib.request.urlopen(request, timeout=10) as answer:
        found: dict[str, object] = json.load(answer)
    print(json.dumps(found, indent=2), flush=True)
    return found


def serve_image(program: str) -> dict[str, object]:
    """A prediction from a container of the image: not root, read-only, without capabilities."""
    name = "mlpack-demo"
    silent(program, "rm", "-f", name)
    run(
        program, "run", "--detach", "--name", name, "--read-only", "--cap-drop", "ALL",
        "--publish", f"127.0.0.1:{PORT}:8080", "penguins:0.1.0",
    )  # fmt: skip
    try:
        return ask()
    finally:
        silent(program, "rm", "-f", name)


def serve_wheel() -> dict[str, object]:
    """A prediction from the wheel's own server, in an environment with the production set only."""
    python = DEMO / "serving" / "bin" / "python"
    run(VENV / "bin" / "uv", "venv", "--quiet", "--clear", DEMO / "serving")
    lock = PROJECT / "requirements.lock.txt"
    pip = (VENV / "bin" / "uv", "pip", "install", "--quiet", "--python", python, "--no-deps")
    run(*pip, "--require-hashes", "-r", lock)
    run(*pip, next((PROJECT / "dist").glob("*.whl")))
    server = subprocess.Popen([python, "-m", "penguins", "serve", "--port", str(PORT)], cwd=DEMO)
    try:
        return ask()
    finally:
        server.terminate()
        server.wait(30)


def main() -> None:
    """Run the demo from an empty folder."""
    start = time.monotonic()
    shutil.rmtree(PROJECT, ignore_errors=True)
    DEMO.mkdir(exist_ok=True)
    program = docker()
    say("An environment with mlpack from this checkout")
    if not (VENV / "bin" / "uv").is_file():
        run(sys.executable, "-m", "venv", "--clear", VENV)
        run(VENV / "bin" / "python", "-m", "pip", "install", "--quiet", "uv")
    uv = (VENV / "bin" / "uv", "pip", "install", "--quiet", "--python", VENV / "bin" / "python")
    run(*uv, "--reinstall-package", "mlpack-builder", ROOT)
    mlpack = VENV / "bin" / "mlpack"
    say("A project that already works, on real data (Palmer penguins)")
    run(mlpack, "new", "penguins")
    say("Lock it, install the lock, train")
    run(mlpack, "lock", cwd=PROJECT)
    run(mlpack, "install", cwd=PROJECT)
    run(mlpack, "train", cwd=PROJECT)
    image = build(program)
    if image and program:
        say("Run the image and ask it")
        answer = serve_image(program)
    else:
        say("No Docker engine answers here: the installed wheel's own server takes its place"
            if image else "No image: the installed wheel's own server takes its place")  # fmt: skip
        answer = serve_wheel()
    if "predictions" not in answer:
        sys.exit(f"demo: no prediction in {answer}")
    say(f"Done in {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
