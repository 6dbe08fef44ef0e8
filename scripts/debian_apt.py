"""Makes a root of Debian with apt-get and Python: ``python3 scripts/debian_apt.py OUT [PACKAGE]``.

A base for images that Docker builds, on machines that no registry answers to; with the package
haproxy also what stands before containers there. As root on Debian,
with mmdebstrap; needs nothing but the standard library. ``docker import`` reads the tar. It is
Debian 12's own packages and neither Debian's nor Python's official image.
"""

from __future__ import annotations

import subprocess
import sys

SUITE = "bookworm"
PACKAGES = ("ca-certificates", "python3")
LEFT_OUT = ("doc", "info", "locale", "man")


def main(argv: list[str]) -> int:
    """Make the tar that the first argument names, with the packages that the others name."""
    if not argv or any(word.startswith("-") for word in argv):
        sys.stderr.write(f"{(__doc__ or '').splitlines()[0]}\n")
        return 2
    made = subprocess.run(
        [
            "/usr/bin/mmdebstrap",
            "--variant=apt",
            f"--include={','.join((*PACKAGES, *argv[1:]))}",
            "--dpkgopt=force-unsafe-io",
            *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in LEFT_OUT),
            "--quiet",
            SUITE,
            argv[0],
        ],
        check=False,
    )
    return made.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
