"""What a server costs that does nothing: it reads the body and answers the same bytes every time.

``constant.py PORT ANSWER``, where ANSWER is a file.
"""

from __future__ import annotations

import sys
from pathlib import Path

import uvicorn

BODY = Path(sys.argv[2]).read_bytes()
HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))]


async def app(_scope, receive, send):
    """Answer the same to everything."""
    message = await receive()
    while message.get("more_body"):
        message = await receive()
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})


if __name__ == "__main__":
    uvicorn.run(
        app,
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="warning",
    )
