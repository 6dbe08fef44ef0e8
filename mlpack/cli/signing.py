"""Puts together what ``sign`` needs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from mlpack import files, records
from mlpack.cli import identities, targets, wiring
from mlpack.cli.console import Console
from mlpack.cli.identities import NOBODY, Keyless
from mlpack.errors import InputError
from mlpack.plugins import load
from mlpack.ports import Checker
from mlpack.project import Project
from mlpack.usecases import keyless, signature
from mlpack.usecases.signature import ByKey, Place, Signed

PASSWORD = "COSIGN_PASSWORD"  # noqa: S105 - the variable's name, which is cosign's own

PRIVATE, PUBLIC = "cosign.key", "cosign.pub"


def sign(
    project: Callable[[], Project],
    console: Console,
    *,
    folder: Path,
    environment: str | None,
    key: Path | None,
    check: bool,
    new_key: bool,
    identity: Keyless = NOBODY,
) -> tuple[Signed, ...]:
    """See the command ``sign``."""
    identity.refuse_with(key, new_key=new_key)
    if identity.wanted:
        return _keyless(project(), console, environment=environment, check=check, asked=identity)
    cosign = _cosign()
    if new_key:
        return _new_key(cosign, console, folder)
    if key is None:
        wanted = PUBLIC if check else PRIVATE
        raise InputError(
            "no key is given",
            where="--key",
            hint=f"--key {wanted}; to make a pair: mlpack sign --new-key",
        )
    found = project()
    built = records.read_build(found.dist_dir)
    if check:
        return signature.check(built, ByKey(public_key(key)), _place(found, environment))
    signer = cosign("private_key")(_read(key), _password(), str(key))
    return signature.sign(built, signer, _place(found, environment), console)


def _keyless(
    project: Project, console: Console, *, environment: str | None, check: bool, asked: Keyless
) -> tuple[Signed, ...]:
    built = records.read_build(project.dist_dir)
    place = _place(project, environment)
    if check:
        return signature.check(built, identities.checker(asked), place)
    return keyless.sign(built, identities.signer(asked, project.root), place, console)


def public_key(key: Path) -> Checker:
    """What checks signatures by the key in a file.

    Raises:
        InputError: there is no such key, or what reads keys is not installed.
    """
    made: Checker = _cosign()("public_key")(_read(key), str(key))
    return made


def _read(key: Path) -> bytes:
    try:
        return key.read_bytes()
    except OSError as error:
        raise InputError(f"the key cannot be read: {error.strerror}", where=str(key)) from error


def show(console: Console, outcome: tuple[Signed, ...], *, checked: bool) -> None:
    """What is signed."""
    for each in outcome:
        said = "good" if checked else "signed" if each.fresh else "was signed"
        console.say(f"  {said}: {each.what}  ({each.signature})")


def _cosign() -> Callable[[str], Any]:
    def named(name: str) -> Any:  # noqa: ANN401 - a function of the plugin
        return load(f"mlpack.signers.cosign:{name}")

    try:
        named("new_key")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("cryptography", "nacl"):
            raise
        raise InputError(
            f"signing needs {error.name}, which is not installed",
            hint=f'pip install "{wiring.DISTRIBUTION}[sign]"',
        ) from error
    return named


def _new_key(cosign: Callable[[str], Any], console: Console, folder: Path) -> tuple[Signed, ...]:
    if not folder.is_dir():
        raise InputError("there is no such folder", where=str(folder))
    secret, known = folder / PRIVATE, folder / PUBLIC
    for path in (secret, known):
        if path.exists():
            raise InputError("there is one already, and keys are not overwritten", where=str(path))
    private, public = cosign("new_key")(_password(new=True))
    with files.staged(secret) as stage:
        stage.touch(mode=0o600)
        stage.write_bytes(private)
    files.write(known, public)
    console.say(f"Wrote {secret} (keep it secret, and out of version control) and {known}.")
    return ()


def _password(*, new: bool = False) -> bytes:
    """The key's password: from the environment, or asked for at a terminal, if `new` twice."""
    given = os.environ.get(PASSWORD)
    if given is not None:
        return given.encode()
    if not sys.stdin.isatty():
        raise InputError(
            "the new key needs a password" if new else "the private key has a password",
            where="environment",
            hint=f"export {PASSWORD}=...",
        )
    asked = typer.prompt(
        "Password of the private key",
        hide_input=True,
        confirmation_prompt=new,
        default="",
        show_default=False,
        err=True,
    )
    return str(asked).encode()


def _place(project: Project, environment: str | None) -> Place | None:
    if environment is None:
        return None
    settings = targets.deploy_settings(project, environment)
    if settings["target"] not in targets.PUSHING:
        raise InputError(
            f"images are signed in a registry; {environment} has the target {settings['target']}",
            where=f"config/{environment}.toml",
            hint="mlpack sign --key cosign.key signs the wheel and the zip",
        )
    pusher = load("mlpack.delivery.pushing:pusher")(settings, os.environ)
    return Place(pusher.repository.name, pusher.connect(), environment)
