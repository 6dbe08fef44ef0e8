"""What of well-known packages has no place in an image that only serves.

Each rule was reviewed: what it names is a part that a package's own code does not load to import
it or to predict, and the end-to-end tests serve from trees without it. A package that is not named
here is left whole. ``RECORD`` and the image's bill of materials say what is gone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

TESTS = "its tests"
SOURCES = "stubs, headers and sources for compilers and type checkers"
SYMBOLS = "symbols for debuggers"


@dataclass(frozen=True)
class Rule:
    """What is left out of one package.

    Attributes:
        folder: the package's folder in ``site-packages``.
        paths: a regular expression for the whole of a path within it.
        what: what these files are, in words.
    """

    folder: str
    paths: str
    what: str


@dataclass(frozen=True)
class Pruning:
    """What becomes of the files of packages. Paths are relative to ``site-packages``.

    Attributes:
        rules: what is left out, in the order in which they are tried.
        with_symbols: packages of whose shared objects only what is loaded stays.
        unused: packages that others declare and that no server imports: they need no bytecode to
            start fast.
    """

    rules: tuple[Rule, ...] = ()
    with_symbols: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()

    def left_out(self, path: str) -> str | None:
        """What a file is that is left out, in words; None for one that stays."""
        folder, _, inside = path.partition("/")
        for rule in self.rules:
            if rule.folder == folder and re.fullmatch(rule.paths, inside):
                return rule.what
        return None

    def strips(self, path: str) -> bool:
        """Whether a file is a shared object of which only what is loaded stays."""
        return path.partition("/")[0] in self.with_symbols and path.endswith(".so")

    def compiles(self, path: str) -> bool:
        """Whether a source is worth its bytecode."""
        return path.partition("/")[0] not in self.unused


WHOLE = Pruning()
"""Every package as its wheel has it."""

PRUNED = Pruning(
    rules=(
        Rule(
            "onnxruntime",
            r"capi/libonnxruntime\.so\.[0-9.]+|capi/libonnxruntime\.[0-9.]+\.dylib",
            "the library for programs in C, which the Python module does not link to",
        ),
        Rule(
            "onnxruntime",
            r"(backend|datasets|quantization|tools|transformers)/.+",
            "tools that make and change models",
        ),
        # All of numpy names f2py, which SciPy therefore imports: only what it compiles may go.
        Rule("numpy", r"(.+/)?tests/.+", TESTS),
        Rule("numpy", r"distutils/.+", "the builder of extension modules"),
        Rule(
            "numpy",
            r".+\.(pyi|pxd)|_core/(include|lib)/.+|random/(_examples|lib)/.+|f2py/src/.+",
            SOURCES,
        ),
        Rule("scipy", r"(.+/)?tests/.+", TESTS),
        Rule("scipy", r".+\.(pyi|pxd|pyx|h|hpp)", SOURCES),
        Rule("pandas", r"tests/.+", TESTS),
        Rule("pandas", r".+\.(pyi|pxd|pyx|h)", SOURCES),
        Rule("sklearn", r"(.+/)?tests/.+", TESTS),
        Rule("sklearn", r".+\.(pyx|pxd|pyx\.tp|pxd\.tp|pxi|h|cpp)", SOURCES),
        Rule("joblib", r"test/.+", TESTS),
        Rule("uvloop", r".+\.(pyx|pxd|pyi)", SOURCES),
        Rule("httptools", r".+\.(pyx|pxd|pyi)", SOURCES),
        Rule("pydantic", r"(v1/)?mypy\.py", "its plugins for mypy"),
        Rule("pydantic_core", r".+\.pyi", SOURCES),
    ),
    with_symbols=("httptools", "uvloop"),
    unused=("flatbuffers", "google", "h11", "idna", "packaging"),
)
"""What serves, and no more."""
