"""Compiles Python sources, each in a process of its own; run by `mlpack.oci.bytecode` as a program.

What ``marshal`` writes depends on what else the process holds: an object that somebody else refers
to is marked (FLAG_REF), and names are shared by the whole process. So every source is compiled in
a fork of the same, fresh process, which has compiled nothing before: the bytes depend on the
source, its path and the interpreter alone, not on the order or the number of sources.

Argument: a folder with ``list`` (a path in the image per line) and the sources ``0.py``,
``1.py`` ... in that order. Writes ``0.pyc`` ...; a source that is no valid Python gets none.
Imports nothing but the standard library, of any Python 3.
"""

from __future__ import annotations

import gc
import importlib.util
import marshal
import os
import sys

_UNCHECKED_HASH = b"\x01\x00\x00\x00"  # PEP 552


def compile_one(folder: str, number: int, path: str) -> None:
    """Write the bytecode of one source."""
    with open(f"{folder}/{number}.py", "rb") as stream:  # noqa: PTH123 - pathlib is not loaded here
        source = stream.read()
    try:
        code = compile(source, path, "exec", dont_inherit=True, optimize=0)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    data = importlib.util.MAGIC_NUMBER + _UNCHECKED_HASH + importlib.util.source_hash(source)
    with open(f"{folder}/{number}.pyc", "wb") as out:  # noqa: PTH123
        out.write(data + marshal.dumps(code))


def main() -> None:
    """Compile all, as many at a time as there are processors."""
    folder = sys.argv[1]
    with open(f"{folder}/list", encoding="utf-8") as stream:  # noqa: PTH123
        paths = stream.read().split("\n")[:-1]
    limit = os.cpu_count() or 1
    gc.disable()
    gc.freeze()
    running = 0
    failed = False
    for number, path in enumerate(paths):
        if running == limit:
            failed |= os.wait()[1] != 0
            running -= 1
        if os.fork() == 0:
            status = 1
            try:
                compile_one(folder, number, path)
                status = 0
            finally:
                os._exit(status)
        running += 1
    while running:
        failed |= os.wait()[1] != 0
        running -= 1
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
