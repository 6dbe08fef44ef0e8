"""The pages, which are FastAPI's: imported when the first of them is asked for, beside the loop."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable
from typing import Any

from .admission import Admission
from .bodies import Receive
from .model import Model
from .page_paths import OPEN
from .problems import CONTENT_TYPE, ProblemError
from .routes import Headers


class LatePages:
    """Answers requests for pages.

    Args:
        model: what they are about.
        admission: guards those that are not open to everybody.
    """

    def __init__(self, model: Model, admission: Admission) -> None:
        self._model = model
        self._admission = admission
        self._app: Any = None

    async def __call__(
        self,
        scope: dict[str, Any],
        headers: Headers,
        receive: Receive,
        send: Callable[[dict[str, Any]], Any],
        request_id: bytes,
    ) -> int:
        """Let FastAPI answer; the status that it sent."""
        status = 500

        async def noting(message: dict[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id)]
            await send(message)

        try:
            if scope["path"] not in OPEN:
                self._admission.authorize(headers)
        except ProblemError as problem:
            body = problem.body(request_id.decode())
            kind = (b"content-type", CONTENT_TYPE)
            start = [kind, (b"content-length", b"%d" % len(body)), *problem.headers]
            await noting(
                {"type": "http.response.start", "status": problem.status, "headers": start}
            )
            await send({"type": "http.response.body", "body": body})
            return status
        if self._app is None:
            loop = asyncio.get_running_loop()
            self._app = await loop.run_in_executor(None, self._build)
        scope["mlpack.request_id"] = request_id.decode()
        await self._app(scope, receive, noting)
        return status

    def _build(self) -> Any:  # noqa: ANN401 - an ASGI application
        return importlib.import_module(".pages", __package__).build(self._model)
