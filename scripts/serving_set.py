"""Prints what production installs, for docs/serving-set.md: ``PYTHON scripts/serving_set.py NAME``.

PYTHON is the interpreter of an environment that was made from the production lock of the project
NAME and has the project's wheel besides. Sizes are those that the wheels' records tell, in millions
of bytes and without bytecode. It needs nothing that such an environment lacks.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib.metadata import Distribution, distribution, distributions

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

RUNTIME = "the runtime"

WHY = {
    "annotated-doc": "descriptions of FastAPI's own parameters",
    "annotated-types": "what pydantic calls its constraints",
    "anyio": "the asynchronous input and output that Starlette is written with",
    "click": "uvicorn's command line, which uvicorn imports at start",
    "fastapi": "the pages and the documents that they show; loaded when first asked for",
    "flatbuffers": "declared for ONNX Runtime's tools; never imported by a server",
    "h11": "uvicorn's parser where httptools is missing; never imported by a server",
    "httptools": "HTTP's parser, in C",
    "idna": "names of hosts in anyio's client; never imported by a server",
    "msgspec": "decodes and validates a request in about a microsecond",
    "numpy": "holds the columns on their way into the graph",
    "onnxruntime": "runs the graph",
    "opentelemetry-api": "FastAPI's spans, which go nowhere without an SDK; loaded with FastAPI",
    "packaging": "declared for ONNX Runtime's tools; never imported by a server",
    "prometheus-client": "`/metrics`; loaded when first asked for",
    "protobuf": "declared for ONNX Runtime's tools; never imported by a server",
    "pydantic": "FastAPI's models; loaded with FastAPI",
    "pydantic-core": "pydantic's core, in Rust",
    "starlette": "what FastAPI is built on: routes, requests, responses",
    "typing-extensions": "types that Python 3.11 has not yet",
    "typing-inspection": "reads the types of FastAPI's and pydantic's models",
    "uvicorn": "the HTTP server",
    "uvloop": "its event loop; with httptools twice as fast as the standard ones",
}
"""Why each package is there."""

# The table is of one platform, and the same wherever it is looked at.
_LINUX = {
    "os_name": "posix",
    "platform_system": "Linux",
    "python_full_version": "3.11.0",
    "python_version": "3.11",
    "sys_platform": "linux",
}


def needed(direct: Iterable[str]) -> dict[str, list[str]]:
    """Every package that is installed for some requirements, with the packages that ask for it.

    Args:
        direct: requirements of the runtime itself.

    Raises:
        PackageNotFoundError: one is not in this environment.
    """
    found: dict[str, list[str]] = {}
    waiting = [(RUNTIME, requirement) for requirement in direct]
    while waiting:
        who, text = waiting.pop(0)
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate(
            {**default_environment(), **_LINUX, "extra": ""}
        ):
            continue
        name = canonicalize_name(requirement.name)
        if name not in found:
            waiting += [(name, each) for each in distribution(name).requires or ()]
        if who not in found.setdefault(name, []):
            found[name].append(who)
    return dict(sorted(found.items()))


def size(package: Distribution) -> float:
    """What a package has installed, in millions of bytes, without bytecode."""
    return sum(file.size or 0 for file in package.files or () if file.suffix != ".pyc") / 1e6


def main(project: str) -> None:
    """Print the table of the environment in which this runs."""
    packages = needed(distribution(project).requires or ())
    installed = {canonicalize_name(each.metadata["Name"]) for each in distributions()}
    strange = installed - set(packages) - {canonicalize_name(project)}
    unexplained = set(packages) - set(WHY)
    if strange or unexplained:
        sys.exit(f"nobody needs: {sorted(strange)}; no reason is told: {sorted(unexplained)}")
    sizes = {name: size(distribution(name)) for name in packages}
    print("| package | version | MB | needed by | why |")
    print("|---|---|---:|---|---|")
    for name in sorted(packages, key=lambda each: -sizes[each]):
        version, askers = distribution(name).version, ", ".join(packages[name])
        print(f"| {name} | {version} | {sizes[name]:.2f} | {askers} | {WHY[name]} |")
    print(f"| **{len(sizes)} packages** | | **{sum(sizes.values()):.1f}** | | |")


if __name__ == "__main__":
    main(*sys.argv[1:])
