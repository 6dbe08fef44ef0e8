"""The user's own package with room made for the model: what collides with it is refused."""

from __future__ import annotations

import ast

from mlpack.bundle import UserPackage
from mlpack.errors import InputError
from mlpack.files import contained
from mlpack.secret_files import secrets_in

RUNTIME = "_mlpack"
"""The folder inside the model's package that holds the runtime; its data is in ``data/``."""

# Appended to the user's own __init__. The import waits until somebody asks for the model, so
# that importing the package for anything else costs what it did before.
_GETATTR = """

# Added by mlpack.
def __getattr__(name: str) -> object:
    if name == "Model":
        from ._mlpack.model import Model

        return Model
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
"""


def user_files(package: str, user: UserPackage) -> dict[str, bytes]:
    """The files of the user's package, its ``__init__`` giving ``Model`` too.

    Args:
        package: the import package that holds the model.
        user: what the user's own backend built.

    Raises:
        InputError: a file looks like a secret, a name collides, or `package` is not in it.
        ValueError: a path climbs out of the package.
    """
    for name, kind in secrets_in({**user.tree, **user.extra}).items():
        raise InputError(
            f"{name} looks like {kind}, and secrets never enter an artifact",
            where=name,
            hint="Move it out of the package, or leave it out of what the build backend packs.",
        )
    tree = {contained(name): data for name, data in user.tree.items()}
    for name in tree:
        top, _, rest = name.partition("/")
        first = rest.split("/")[0].split(".")[0]
        if top == f"{package}.py":
            raise InputError(
                f"{package} is a single module, and the model needs a folder to live in",
                where=name,
                hint=f"mkdir {package} && git mv {package}.py {package}/__init__.py",
            )
        if top == package and first == RUNTIME:
            raise InputError(
                f"{name} is in the place of mlpack's runtime",
                where=name,
                hint=f"Rename {rest.split('/')[0]}.",
            )
        if top == package and first == "__main__":
            raise InputError(
                f"{name} would be overwritten: `python -m {package} serve` starts the server",
                where=name,
                hint="Rename it; keep the command with an entry in [project.scripts].",
            )
    if not any(name.startswith(f"{package}/") for name in tree):
        raise InputError(
            f"the project's own build backend packs no package {package!r}",
            where="pyproject.toml",
            hint="Tell the backend where it is, or mlpack its name: [tool.mlpack] package.",
        )
    init = f"{package}/__init__.py"
    if init in tree:
        tree[init] = with_model(tree[init], init)
    return tree


def with_model(source: bytes, name: str) -> bytes:
    """The source of an ``__init__`` that also gives ``Model``, by a module ``__getattr__``.

    Args:
        source: the user's own.
        name: its path, for messages.

    Raises:
        InputError: it is not Python, or has a ``Model`` or a ``__getattr__`` of its own.
    """
    try:
        module = ast.parse(source, filename=name)
    except (SyntaxError, ValueError) as error:  # ValueError: a NUL in it
        line = getattr(error, "lineno", None)
        raise InputError(
            f"it is not Python: {getattr(error, 'msg', error)}",
            where=f"{name}:{line}" if line else name,
        ) from error
    for node in _module_level(module):
        for bound in _bound(node) & {"Model", "__getattr__"}:
            raise InputError(
                f"it defines {bound}, and mlpack adds one of its own to it",
                where=f"{name}:{getattr(node, 'lineno', 1)}",
                hint=f"Move {bound} into a module of its own.",
            )
    kept = source.rstrip()
    return kept + (_GETATTR if kept else _GETATTR.lstrip()).encode()


_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


def _module_level(node: ast.AST) -> list[ast.AST]:
    """Every node that runs in the module's own scope: not what is inside functions and classes."""
    found: list[ast.AST] = []
    for child in ast.iter_child_nodes(node):
        found.append(child)
        if not isinstance(
            child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda
        ):
            found += _module_level(child)
    return found


def _bound(node: ast.AST) -> set[str]:
    """The names that a node gives a value."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.alias):
        return {node.asname or node.name.split(".")[0]}
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        return {node.id}
    return set()
