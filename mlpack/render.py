"""Text made from templates: the scaffold, the Dockerfile, reports.

Templates stand in ``templates/`` of a checkout and in ``mlpack/_templates`` of an installed
wheel. A file that ends in ``.j2`` is a Jinja template; any other is copied as it is. In the
paths of a tree ``__package__`` stands for the value ``package``.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import jinja2

_SUFFIX = ".j2"


def templates() -> Path:
    """The folder of templates that came with this mlpack."""
    package = Path(str(files("mlpack")))
    installed = package / "_templates"
    return installed if installed.is_dir() else package.parent / "templates"


def render(name: str, /, **values: object) -> str:
    """The template called `name`, such as ``Dockerfile.j2``, filled in with `values`.

    Raises:
        jinja2.UndefinedError: the template needs a value that was not given.
        jinja2.TemplateNotFound: there is no such template.
    """
    return _environment(templates()).get_template(name).render(values)


def tree(template: str, /, **values: object) -> list[tuple[str, str]]:
    """The files of a folder of templates, filled in with `values`: relative path and text.

    The paths have forward slashes, come sorted and without their ``.j2``.

    Raises:
        jinja2.UndefinedError: a template needs a value that was not given.
        jinja2.TemplateNotFound: there is no such folder.
    """
    folder = templates() / template
    if not folder.is_dir():
        raise jinja2.TemplateNotFound(template)
    environment = _environment(folder)
    found = []
    for source in folder.rglob("*"):
        relative = source.relative_to(folder).as_posix()
        if not source.is_file() or "__pycache__" in relative:
            continue
        if relative.endswith(_SUFFIX):
            text = environment.get_template(relative).render(values)
        else:
            text = source.read_text(encoding="utf-8")
        path = relative.removesuffix(_SUFFIX)
        if "__package__" in path:
            path = path.replace("__package__", str(values["package"]))
        found.append((path, text))
    return sorted(found)


def _environment(root: Path) -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(root),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        # What is made is Python, TOML and Dockerfiles; HTML is escaped where it is made.
        autoescape=jinja2.select_autoescape(["html", "html.j2"], default=False),
    )
