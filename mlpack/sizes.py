"""Sizes as people are told them."""

from __future__ import annotations

MEGABYTE = 1e6


def megabytes(size: int) -> str:
    """A size in bytes as megabytes, such as ``12.3 MB``; a small one as ``4.2 kB``."""
    return f"{size / MEGABYTE:.1f} MB" if size >= 100_000 else f"{size / 1e3:.1f} kB"
