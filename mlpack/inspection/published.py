"""What a project tells the world of itself: its licence, and where its sources are.

Formats: https://packaging.python.org/en/latest/specifications/pyproject-toml/ (PEP 639 for the
licence) and https://packaging.python.org/en/latest/specifications/well-known-project-urls/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

_SOURCES = ("source", "repository", "sourcecode", "github")
_LONGEST = 1000


def license_of(value: object) -> str | None:
    """The SPDX expression that ``license`` of ``[project]`` is, in its normal form.

    The older form, ``{text = "MIT"}``, counts where its text is one. None for anything else: what
    is no SPDX expression cannot stand where one is expected.
    """
    text = value.get("text") if isinstance(value, Mapping) else value
    if not isinstance(text, str) or len(text) > _LONGEST:
        return None
    try:
        return str(canonicalize_license_expression(text))
    except InvalidLicenseExpression:
        return None


def source_of(urls: Mapping[str, object]) -> str | None:
    """The repository's URL among ``[project.urls]``; one with a login in it is not told."""
    labels = {re.sub(r"[^a-z0-9]", "", label.lower()): url for label, url in urls.items()}
    for label in _SOURCES:
        url = labels.get(label)
        if isinstance(url, str) and is_source(url):
            return url
    return None


def is_source(url: str) -> bool:
    """Whether it is the plain URL of a page or repository: no login, no blank."""
    if not re.fullmatch(r"https?://[!-~]+", url) or len(url) > _LONGEST:
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return bool(parts.hostname) and "@" not in parts.netloc and not parts.query
