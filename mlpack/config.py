"""Configuration: ``config/default.toml`` and the environment's own file over it.

The same code runs under every environment; what differs is written here. Two kinds of
references keep secrets out of the files: ``${env:NAME}`` is a variable of the process's
environment, ``${file:PATH}`` the content of a file. They are looked up by `resolve`, only when
the value is about to be used.
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mlpack.errors import InputError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ENVIRONMENTS = ("development", "test", "production")
"""The names that are valid even where there is no file for them."""

_REFERENCE = re.compile(r"\$\{([^}]*)\}")
_POSITION = re.compile(r" ?\(at line (\d+), column \d+\)$")
_SCHEMES = ("env", "file")


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """``Did you mean "target"?``, or None where nothing known resembles `word`."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f'Did you mean "{close[0]}"?' if close else None


def refuse_unknown(
    given: Iterable[str], known: Iterable[str], kind: str = "", table: str = "deploy"
) -> None:
    """See to it that a table, such as ``[deploy]``, has no key that nobody knows.

    Args:
        given: its keys.
        known: those that there are.
        kind: of ``[deploy]`` the target.
        table: its name.

    Raises:
        InputError: it has one; the nearest that there is is named.
    """
    for key in given:
        if key not in known:
            raise InputError(
                f"[{table}] has no key {key!r}" + (f" for target {kind}" if kind else ""),
                hint=did_you_mean(key, known) or f"There are: {', '.join(known)}",
            )


def parse_toml(text: str, where: str) -> dict[str, Any]:
    """The tables of a TOML 1.0 document.

    Args:
        text: the document.
        where: its file, as messages shall name it.

    Raises:
        InputError: it is no TOML; the error names the line.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        position = _POSITION.search(message)
        line = f":{position[1]}" if position else ""
        raise InputError(
            f"not valid TOML: {_POSITION.sub('', message)}",
            where=f"{where}{line}",
            hint='Correct the line: strings stand in quotes ("..."), tables in brackets ([...]).',
        ) from error


def read_toml(path: Path, where: str) -> dict[str, Any]:
    """The tables of a TOML file; see `parse_toml`.

    Raises:
        InputError: it cannot be read, is not UTF-8 or no TOML.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError("not UTF-8 text", where=where) from error
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=where) from error
    return parse_toml(text, where)


def environments(config_dir: Path | None) -> tuple[str, ...]:
    """The environments that have a file in `config_dir`, sorted; ``default`` is none of them."""
    if config_dir is None or not config_dir.is_dir():
        return ()
    names = {path.stem for path in config_dir.glob("*.toml") if path.is_file()}
    return tuple(sorted(names - {"default"}))


def load(config_dir: Path | None, environment: str) -> dict[str, Any]:
    """The configuration of one environment: ``default.toml`` with the environment's file over it.

    Tables are merged key by key at every depth; any other value, a list too, is replaced whole.
    References stay as they are written. Without a folder or files the result is empty.

    Raises:
        InputError: there is no such environment, or a file is no TOML.
    """
    there = environments(config_dir)
    if environment not in there and environment not in ENVIRONMENTS:
        known = sorted({*there, *ENVIRONMENTS})
        guess = did_you_mean(environment, known)
        raise InputError(
            f'there is no environment "{environment}"; there are {", ".join(known)}',
            hint=guess or f"To add it, write config/{environment}.toml.",
        )
    if config_dir is None:
        return {}
    merged: dict[str, Any] = {}
    for name in ("default", environment):
        path = config_dir / f"{name}.toml"
        if path.is_file():
            merged = merge(merged, read_toml(path, f"{config_dir.name}/{path.name}"))
    return merged


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the values of `over` in their places; tables are merged at every depth."""
    merged = dict(base)
    for key, value in over.items():
        present = merged.get(key)
        both = isinstance(present, Mapping) and isinstance(value, Mapping)
        merged[key] = merge(present, value) if both else value  # type: ignore[arg-type]
    return merged


def resolve(value: Any, env: Mapping[str, str], root: Path) -> Any:  # noqa: ANN401 - any TOML value
    """`value` with its references looked up, in strings at any depth.

    Args:
        value: a value of the configuration.
        env: the process's environment.
        root: what the paths of ``${file:PATH}`` are relative to. A file's last line end is not
            part of the value.

    Raises:
        InputError: a reference names nothing that is there, or is none of the two kinds.
    """
    if isinstance(value, str):
        return _REFERENCE.sub(lambda match: _look_up(match, env, root), value)
    if isinstance(value, Mapping):
        return {key: resolve(inner, env, root) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [resolve(inner, env, root) for inner in value]
    return value


def references(text: str) -> list[tuple[str, str, str]]:
    """The references in a text: as they are written, their kind, and what they name."""
    found = []
    for match in _REFERENCE.finditer(text):
        scheme, _, name = match[1].partition(":")
        found.append((match[0], scheme, name))
    return found


def _look_up(match: re.Match[str], env: Mapping[str, str], root: Path) -> str:
    scheme, colon, name = match[1].partition(":")
    if scheme == "env" and name:
        if name not in env:
            raise InputError(
                f"the environment variable {name}, which {match[0]} refers to, is not set",
                hint=f"export {name}=...",
            )
        return env[name]
    if scheme == "file" and name:
        try:
            text = (root / name).read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"the file that {match[0]} refers to is not UTF-8 text") from error
        except OSError as error:
            raise InputError(
                f"the file that {match[0]} refers to cannot be read: {error.strerror}"
            ) from error
        return text.removesuffix("\n").removesuffix("\r")
    guess = difflib.get_close_matches(scheme, _SCHEMES, n=1) if colon else ["env"]
    name = name if colon else scheme
    raise InputError(
        f"{match[0]} is no reference: there are ${{env:NAME}} and ${{file:PATH}}",
        hint=f"Did you mean ${{{guess[0]}:{name}}}?" if guess and name else None,
    )
