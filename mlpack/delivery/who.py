"""Who deploys."""

from __future__ import annotations

import getpass
import socket


def who() -> str:
    """This process's user and machine, such as ``alice@laptop``."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a process without a user, in some containers
        user = "somebody"
    return f"{user}@{socket.gethostname()}"
