"""The pages, by FastAPI: what they are made of, and the two documents that they show.

The pages are files in ``static/``, the same for every model; nothing loads from outside.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import msgspec
from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from .about import about
from .model import Model
from .openapi import document
from .page_paths import OPEN
from .problems import CONTENT_TYPE, ProblemError

_STATIC = Path(__file__).parent / "static"
_SHELLS = {"/": "page.html", "/docs": "docs.html"}
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    # The next version of the model may stand at the same address: a browser asks every time.
    "cache-control": "no-cache",
}


def build(model: Model) -> FastAPI:
    """The application for everything that is not a prediction or a probe."""
    api = model.openapi or document(model.name, model.version, model.signature, model.schema)
    app = FastAPI(
        title=model.name, version=model.version, openapi_url=None, docs_url=None, redoc_url=None
    )
    # The document was made at build time; FastAPI gives out that one.
    app.openapi = lambda: api  # type: ignore[method-assign]
    _give(app, "/openapi.json", json.dumps(api, ensure_ascii=False).encode(), "application/json")
    _give(app, "/model.json", msgspec.json.encode(about(model)), "application/json")
    for path in OPEN:
        file = _STATIC / _SHELLS.get(path, path.removeprefix("/static/"))
        _give(app, path, file.read_bytes(), f"{_TYPES[file.suffix]}; charset=utf-8")

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        kind = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, "failed")
        detail = f"{request.method} {request.url.path[:200]}: {error.detail}"
        return _problem(request, ProblemError(error.status_code, kind, detail), error.headers)

    @app.exception_handler(Exception)
    async def failed(request: Request, _error: Exception) -> Response:
        # The framework raises it again for the log, after this was sent.
        return _problem(request, ProblemError(500, "internal-error", "the server failed to answer"))

    return app


def _give(app: FastAPI, path: str, data: bytes, media_type: str) -> None:
    """Answer a path with bytes that never change."""

    async def given() -> Response:
        return Response(data, media_type=media_type, headers=_HEADERS)

    app.add_api_route(path, given, methods=["GET"])


def _problem(
    request: Request, problem: ProblemError, headers: Mapping[str, str] | None = None
) -> Response:
    return Response(
        problem.body(request.scope.get("mlpack.request_id", "")),
        status_code=problem.status,
        media_type=CONTENT_TYPE.decode(),
        headers=None if headers is None else dict(headers),
    )
