"""``python -m churn``: serve, predict, replay, health, info. What an artifact does by itself."""

from __future__ import annotations

import argparse
import http.client
import importlib
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .contract import MANIFEST_FILE, SIGNATURE_FILE, ContractError, Manifest, Signature, read
from .faults import FileError, InvalidInputError, ModelError, ServerError
from .settings import Settings, SettingsError, from_environment

_HEALTH_SECONDS = 3.0
_FUNCTION = "AWS_LAMBDA_RUNTIME_API"
"""Tells that this process is a function of AWS Lambda; there is no port to listen on."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the process's exit code.

    0 all went well, 1 a check said no, 2 a wrong command line, 3 a wrong input or a damaged
    artifact, 4 something outside said no, 130 interrupted.
    """
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
    except (ContractError, ModelError, SettingsError, InvalidInputError, FileError) as error:
        return _fail(error, 3)
    except ServerError as error:
        return _fail(error, 4)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read stdout has enough; nothing is left to flush there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 4
    return code


def _parser() -> argparse.ArgumentParser:
    package = (__package__ or "mlpack").partition(".")[0]
    parser = argparse.ArgumentParser(
        prog=f"python -m {package}", description="Serve a model, or predict with it."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", help="answer over HTTP until told to stop")
    serve.add_argument("--host", help="the address to listen on (default 127.0.0.1)")
    serve.add_argument("--port", type=int, help="the port (default 8080, 0 for any free one)")
    serve.add_argument("--workers", type=_count, help="processes (default 1), or auto")
    serve.set_defaults(run=_serve)

    predict = commands.add_parser("predict", help="add predictions to a CSV or JSON lines file")
    predict.add_argument("source", type=Path, metavar="IN", help=".csv, .jsonl or .ndjson")
    predict.add_argument("target", metavar="OUT", help="the file to write, - for stdout")
    predict.add_argument(
        "--skip-bad", action="store_true", help="leave the predictions of refused rows empty"
    )
    predict.set_defaults(run=_predict)

    replay = commands.add_parser("replay", help="ask sampled requests again, compare the answers")
    replay.add_argument("source", type=Path, metavar="FILE", help="what MLPACK_SAMPLE_FILE named")
    replay.add_argument("--request-id", metavar="ID", help="only the requests with this id")
    replay.add_argument("--url", help="ask this server (default: the model, in this process)")
    replay.set_defaults(run=_replay)

    health = commands.add_parser("health", help="ask the server on this machine if it is ready")
    health.add_argument("--port", type=int, help="the port (default as for serve)")
    health.set_defaults(run=_health)

    info = commands.add_parser("info", help="what this model is")
    info.set_defaults(run=_info)
    return parser


def _count(text: str) -> int:
    """How many; 0 for ``auto``."""
    if text == "auto":
        return 0
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _load(module: str) -> Any:  # noqa: ANN401 - a module of this package
    """A module by name: a health check, which runs every few seconds, needs none of them."""
    return importlib.import_module(f".{module}", __package__)


def _fail(error: Exception | str, code: int) -> int:
    sys.stderr.write(f"ERROR {error}\n")
    return code


def _serve(options: argparse.Namespace) -> int:
    try:
        machine = _load("machine")
        if os.environ.get(_FUNCTION):
            machine.limit_threads(os.environ, 1, machine.read())
            return int(_load("lambda_loop").run(os.environ))
        settings = from_environment(
            os.environ, host=options.host, port=options.port, workers=options.workers
        )
        # Before numpy is loaded, whose libraries count the host's cores.
        machine.limit_threads(os.environ, settings.workers, machine.read())
        code: int = _load("server").serve(settings)
    except (ContractError, ModelError, SettingsError, FileError, ServerError) as error:
        if sys.stderr.isatty():
            raise
        # Whoever collects the log reads a line for a machine; a person at a terminal does not.
        _load("logs").fatal(str(error))
        return 4 if isinstance(error, ServerError) else 3
    return code


def _predict(options: argparse.Namespace) -> int:
    model = _load("model").Model()
    bad: int = _load("batch").predict_file(
        model, options.source, options.target, skip_bad=options.skip_bad, told=_progress()
    )
    if bad:
        sys.stderr.write(f"{bad} rows were refused: their predictions are empty\n")
    return 0


def _replay(options: argparse.Namespace) -> int:
    replay = _load("replay")
    settings = from_environment(os.environ)
    if options.url is None:
        model = _load("model").Model()
        ask = replay.in_process(model, settings)
        sha256 = model.manifest.model.sha256
        asked = f"{model.name} {model.version} ({sha256[:12]})"
    else:
        key = settings.keys[0] if settings.keys else None
        ask, sha256, asked = replay.at_url(options.url, key), None, ""
    outcome = replay.replay(options.source, ask, sha256=sha256, request_id=options.request_id)
    for line in replay.lines(outcome, asked):
        sys.stdout.write(line + "\n")
    return 1 if outcome.differences else 0


def _progress() -> Callable[[int], None]:
    """Tells on standard error how many rows are done, at most once a second."""
    last = time.monotonic()

    def told(rows: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= 1:
            last = now
            sys.stderr.write(f"{rows:,} rows\n")

    return told


def _health(options: argparse.Namespace) -> int:
    settings = from_environment(os.environ, port=options.port)
    connection = _connection(settings)
    try:
        connection.request("GET", "/readyz")
        status = connection.getresponse().status
    except (http.client.RemoteDisconnected, ConnectionResetError) as error:
        speaks = "" if settings.tls_cert else ": if it speaks TLS, set MLPACK_TLS_CERT as it has it"
        return _fail(f"no answer on port {settings.port}: {error}{speaks}", 1)
    except (OSError, http.client.HTTPException) as error:
        return _fail(f"no answer on port {settings.port}: {error}", 1)
    finally:
        connection.close()
    return 0 if status == 200 else _fail(f"/readyz answered {status}", 1)


def _connection(settings: Settings) -> http.client.HTTPConnection:
    where = (_reachable(settings), settings.port)
    if settings.tls_cert is None:
        return http.client.HTTPConnection(*where, timeout=_HEALTH_SECONDS)
    ssl = importlib.import_module("ssl")
    # The server asks itself: its certificate has another name than this machine's loopback.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(*where, timeout=_HEALTH_SECONDS, context=context)


def _reachable(settings: Settings) -> str:
    """Where a server that listens on the settings' host can be asked on this machine."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104


def _info(_options: argparse.Namespace) -> int:
    folder = _load("model").bundled()
    manifest = read(folder, MANIFEST_FILE, Manifest)
    signature = read(folder, SIGNATURE_FILE, Signature)
    lines = [
        f"{manifest.name} {manifest.version}",
        f"form      {manifest.form}" + (f" ({manifest.reason})" if manifest.reason else ""),
        f"task      {signature.task}",
    ]
    if signature.labels:
        lines.append("labels    " + ", ".join(map(str, signature.labels)))
    lines += [
        f"sha256    {manifest.model.sha256}",
        f"lock      {manifest.lock}",
        "columns",
        *(
            f"  {column.name}: {column.type}{'' if column.nullable else ', required'}"
            for column in signature.columns
        ),
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0
