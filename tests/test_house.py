"""The rules of the house, read from the syntax trees."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import mlpack

PACKAGE = Path(mlpack.__file__).parent
ROOT = PACKAGE.parent
MODULES = sorted(
    path for path in PACKAGE.rglob("*.py") if "_templates" not in path.relative_to(PACKAGE).parts
)
TEXT = frozenset(
    [
        *(".py", ".md", ".toml", ".txt", ".cfg", ".ini", ".yml", ".yaml", ".json", ".sh"),
        *(".html", ".css", ".js", ".svg", ".j2", ".jinja"),
    ]
)
LEFT_OUT = frozenset({"dist", "build", "node_modules", "__pycache__", "venv"})
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def offences(rule, paths: list[Path]) -> list[str]:
    """Where the modules break a rule: the file, and the line or the name."""
    return [f"{name_of(path)}: {found}" for path in paths for found in rule(tree(path))]


def test_there_are_modules_to_look_at():
    assert len(MODULES) > 100


def own_imports_in_functions(module: ast.Module) -> Iterator[int]:
    for function in ast.walk(module):
        if isinstance(function, FUNCTIONS):
            for node in ast.walk(function):
                if isinstance(node, ast.ImportFrom) and (
                    node.level or (node.module or "").split(".")[0] == "mlpack"
                ):
                    yield node.lineno
                if isinstance(node, ast.Import) and any(
                    alias.name.split(".")[0] == "mlpack" for alias in node.names
                ):
                    yield node.lineno


def test_own_modules_are_imported_at_the_top():
    assert offences(own_imports_in_functions, MODULES) == []


def assertions(module: ast.Module) -> Iterator[int]:
    yield from (node.lineno for node in ast.walk(module) if isinstance(node, ast.Assert))


def test_no_product_code_asserts():
    # `python -O` takes assertions out: what must hold is checked in another way.
    assert offences(assertions, MODULES) == []


def shells(module: ast.Module) -> Iterator[int]:
    for node in ast.walk(module):
        if isinstance(node, ast.Call):
            for keyword in node.keywords:
                if keyword.arg == "shell" and not (
                    isinstance(keyword.value, ast.Constant) and keyword.value.value is False
                ):
                    yield node.lineno
            if ast.unparse(node.func) in ("os.system", "os.popen", "subprocess.getoutput"):
                yield node.lineno


def test_nothing_goes_through_a_shell():
    assert offences(shells, MODULES) == []


def test_modules_are_small():
    sizes = {name_of(path): len(path.read_text("utf-8").splitlines()) for path in MODULES}
    assert {name: size for name, size in sizes.items() if size > 400} == {}


def undocumented(body: list[ast.stmt], prefix: str = "") -> Iterator[str]:
    """Public functions and classes, methods too, without a docstring."""
    for node in body:
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)) and not node.name.startswith("_"):
            overload = any("overload" in ast.unparse(each) for each in node.decorator_list)
            if ast.get_docstring(node) is None and not overload:
                yield f"{prefix}{node.name}"
            if isinstance(node, ast.ClassDef):
                yield from undocumented(node.body, f"{node.name}.")


def test_what_is_public_says_what_it_is():
    assert offences(lambda module: undocumented(module.body), MODULES) == []


def prints(module: ast.Module) -> Iterator[int]:
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "pprint"):
            yield node.lineno


def test_only_the_command_lines_print():
    speakers = [path for path in MODULES if name_of(path).startswith("cli/")]
    speakers.append(PACKAGE / "runtime" / "cli.py")
    assert offences(prints, [path for path in MODULES if path not in speakers]) == []


def foreign(module: ast.Module, depth: int) -> Iterator[str]:
    """Imports of mlpack by its name, or relative ones that climb out of the runtime."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names if each.name.split(".")[0] == "mlpack")
        if isinstance(node, ast.ImportFrom) and (
            node.level > depth or (not node.level and node.module.split(".")[0] == "mlpack")
        ):
            yield ast.unparse(node)


def test_what_ships_refers_to_itself_alone():
    # It is copied into the user's package, where there is no mlpack.
    runtime = PACKAGE / "runtime"
    paths = [path for path in MODULES if path.is_relative_to(runtime)]
    assert len(paths) > 20
    found = {
        name_of(path): list(foreign(tree(path), len(path.relative_to(runtime).parts)))
        for path in paths
    }
    assert {name: imports for name, imports in found.items() if imports} == {}


def texts(folder: Path) -> Iterator[Path]:
    """The text files of the repository; hidden folders, environments and what is built left out."""
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            if (
                not path.is_symlink()
                and path.name not in LEFT_OUT
                and (not path.name.startswith(".") or path.name in (".ci", ".github"))
                and not (path / "pyvenv.cfg").exists()
            ):
                yield from texts(path)
        elif path.suffix in TEXT or path.name in ("Makefile", "Dockerfile.base", "LICENSE"):
            yield path


OTHER = re.compile(
    r"(?:pip|pipx|uv|uv tool|uv pip) (?:install|add)(?: -\S+)* [\"']?mlpack(?!-builder|\w)"
)


def test_nobody_is_told_to_install_another_distribution():
    told = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in texts(ROOT)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if OTHER.search(line)
    ]
    assert told == []


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("def f():\n    from mlpack import lock\n", own_imports_in_functions),
        ("def f():\n    from . import lock\n", own_imports_in_functions),
        ("async def f():\n    import mlpack.lock\n", own_imports_in_functions),
        ("run(['a'], shell=True)\n", shells),
        ("run('a', shell=wanted)\n", shells),
        ("os.system('a')\n", shells),
        ("assert 1\n", assertions),
        ("def f():\n    print(1)\n", prints),
        ("import mlpack.files\n", lambda module: foreign(module, 1)),
        ("from mlpack import files\n", lambda module: foreign(module, 1)),
        ("from ..files import write\n", lambda module: foreign(module, 1)),
        (
            "class A:\n    '''A.'''\n    def b(self): ...\n",
            lambda module: undocumented(module.body),
        ),
        ("def a(): ...\n", lambda module: undocumented(module.body)),
    ],
)
def test_the_rules_find_what_breaks_them(text, rule):
    assert list(rule(ast.parse(text)))


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("pip install " + "mlpack", True),
        ("uv add " + "mlpack", True),
        ("pip install --upgrade " + "mlpack", True),
        ("pip install mlpack-builder", False),
        ("pip install --upgrade mlpack-builder", False),
    ],
)
def test_the_other_distributions_name_is_recognised(line, wrong):
    assert bool(OTHER.search(line)) == wrong
