"""Disks that are soon full."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path

from environments import missing


@contextlib.contextmanager
def small_disk(folder: Path, size: str):
    """A disk of its own at `folder`, as small as `size` says."""
    if os.name != "posix" or os.geteuid() != 0:
        missing("a small disk is mounted as root only")
    folder.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        missing(f"a small disk cannot be mounted here: {done.stderr}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
