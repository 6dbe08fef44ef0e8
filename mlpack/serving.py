"""What an artifact of an exported pipeline installs, and no more: the serving set.

Each package earns its place:

==================  ==========================================================
onnxruntime         runs the graph
numpy               holds the columns on their way into the graph
msgspec             decodes and validates a request (1 µs a row)
fastapi             OpenAPI document, interactive docs, the slow routes
uvicorn             the HTTP server
uvloop, httptools   its event loop and parser, twice as fast as the standard ones
prometheus-client   ``/metrics``
==================  ==========================================================
"""

from __future__ import annotations

ONNX_RUNTIME = ("onnxruntime>=1.21", "numpy>=1.26")
SERVER = (
    "msgspec>=0.19",
    "fastapi>=0.115",
    "uvicorn>=0.30",
    "uvloop>=0.19; sys_platform != 'win32'",
    "httptools>=0.6",
    "prometheus-client>=0.20",
)


def requirements(form: str) -> tuple[str, ...]:
    """What a bundle of `form` needs to serve."""
    if form == "python":
        return ("numpy>=1.26", "pandas>=2.1", "joblib>=1.3", *SERVER)
    if form == "hybrid":
        return (*ONNX_RUNTIME, "pandas>=2.1", "joblib>=1.3", *SERVER)
    return (*ONNX_RUNTIME, *SERVER)
