"""The slow routes, by FastAPI: ``/``, ``/docs``, ``/openapi.json``. Nothing loads from outside."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response
from starlette.exceptions import HTTPException

from .model import Model
from .openapi import document
from .problems import CONTENT_TYPE, ProblemError

_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
    "x-content-type-options": "nosniff",
}
_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .4rem .6rem }
tr { border-bottom: 1px solid #8886 }
pre { background: #8882; padding: 1rem; overflow-x: auto }
"""


def build(model: Model) -> FastAPI:
    """The application for everything that is not a prediction or a probe."""
    api = model.openapi or document(model.name, model.version, model.signature, model.schema)
    data = json.dumps(api, ensure_ascii=False).encode()
    app = FastAPI(
        title=model.name, version=model.version, openapi_url=None, docs_url=None, redoc_url=None
    )
    # The document was made at build time; FastAPI gives out that one.
    app.openapi = lambda: api  # type: ignore[method-assign]

    @app.get("/openapi.json")
    async def openapi() -> Response:
        return Response(data, media_type="application/json", headers=_HEADERS)

    @app.get("/docs")
    async def docs() -> HTMLResponse:
        return HTMLResponse(_docs(api), headers=_HEADERS)

    @app.get("/")
    async def home() -> HTMLResponse:
        return HTMLResponse(_home(model, api), headers=_HEADERS)

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


def _problem(
    request: Request, problem: ProblemError, headers: Mapping[str, str] | None = None
) -> Response:
    return Response(
        problem.body(request.scope.get("mlpack.request_id", "")),
        status_code=problem.status,
        media_type=CONTENT_TYPE.decode(),
        headers=None if headers is None else dict(headers),
    )


def _page(title: str, body: str) -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{_text(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
        f"<body>{body}</body></html>"
    )


def _text(value: object) -> str:
    return html.escape(str(value))


def _home(model: Model, api: dict[str, Any]) -> str:
    return _page(
        model.name,
        f"<h1>{_text(model.name)} {_text(model.version)}</h1>"
        f"<p>{_text(api['info']['description'])}</p>"
        '<ul><li><a href="/docs">Columns and examples</a></li>'
        '<li><a href="/openapi.json">OpenAPI document</a></li>'
        '<li><a href="/metrics">Metrics</a></li></ul>' + _example(api),
    )


def _docs(api: dict[str, Any]) -> str:
    row = api["components"]["schemas"]["Row"]
    lines = "".join(
        f"<tr><th scope=row><code>{_text(name)}</code></th>"
        f"<td>{_text(_type(column))}</td>"
        f"<td>{'yes' if name in row['required'] else ''}</td>"
        f"<td>{_text(_demands(column))}</td>"
        f"<td>{_text(column.get('description', ''))}</td></tr>"
        for name, column in row["properties"].items()
    )
    statuses = "".join(
        f"<tr><th scope=row>{_text(status)}</th><td>{_text(response['description'])}</td></tr>"
        for status, response in api["paths"]["/predict"]["post"]["responses"].items()
    )
    title = f"{api['info']['title']} {api['info']['version']}"
    return _page(
        title,
        f"<h1>{_text(title)}</h1><p>{_text(api['info']['description'])}</p>{_example(api)}"
        "<h2>Columns</h2><table><thead><tr><th>column<th>type<th>required<th>allowed<th>about"
        f"</thead><tbody>{lines}</tbody></table>"
        f"<h2>Answers</h2><table><tbody>{statuses}</tbody></table>"
        '<p>The whole contract: <a href="/openapi.json">openapi.json</a></p>',
    )


def _type(column: dict[str, Any]) -> str:
    kind = column["type"]
    return str(kind[0] if isinstance(kind, list) else kind)


def _demands(column: dict[str, Any]) -> str:
    words = {"minimum": "at least {}", "maximum": "at most {}", "pattern": "matches {}"}
    parts = [word.format(column[key]) for key, word in words.items() if key in column]
    if "enum" in column:
        parts.append("one of " + ", ".join(json.dumps(v) for v in column["enum"] if v is not None))
    return ", ".join(parts)


def _example(api: dict[str, Any]) -> str:
    row = json.dumps(api["components"]["schemas"]["Row"]["examples"][0], ensure_ascii=False)
    quoted = row.replace("'", "'\\''")
    command = (
        f"curl -X POST -H 'Content-Type: application/json' \\\n  -d '{quoted}' \\\n"
        "  http://localhost:8080/predict"
    )
    return f"<h2>Ask it</h2><pre>{_text(command)}</pre>"
