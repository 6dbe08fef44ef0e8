"""The paths of the pages, known before FastAPI is loaded to answer them."""

from __future__ import annotations

OPEN = frozenset(
    (
        "/",
        "/docs",
        *(
            f"/static/{name}"
            for name in (
                "page.css",
                "answer.js",
                "code.js",
                "common.js",
                "csv.js",
                "docs.js",
                "drop.js",
                "form.js",
                "joined.js",
                "page.js",
            )
        ),
    )
)
"""Shells that are the same for every model and say nothing of this one: a browser cannot send an
API key with what it loads by itself. What they show, they fetch with the key of their reader."""

PAGES = OPEN | {"/openapi.json", "/model.json"}
"""Everything that FastAPI answers."""


def label(path: str) -> str:
    """What figures call a path at which a page is, or nothing: few words, whatever is asked for."""
    if path not in PAGES:
        return "other"
    return "/static" if path.startswith("/static/") else path
