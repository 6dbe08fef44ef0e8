"""The Dockerfile of a project, written from values that all have a grammar.

Every instruction that starts something is in exec form, as JSON; the one shell that runs, for
apt-get, gets the packages as arguments that it does not read. What came from the configuration is
checked a second time here, whoever made the settings.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence

from mlpack import container, words
from mlpack.errors import InputError
from mlpack.oci.install import HOME, LIBRARY
from mlpack.project import ImageSettings, PipSettings
from mlpack.render import render

TEMPLATE = "Dockerfile.j2"
LOCK = "requirements.lock.txt"
MODEL = "model"
"""The folder of the build's context that becomes the layer of the model."""

PIP_SECRET = f"{words.OWN}pip"
CA_SECRET = f"{words.OWN}ca"
CLIENT_SECRET = f"{words.OWN}client"
APT_SECRET = f"{words.OWN}apt"
SECRETS = "/run/secrets"

_TABLE = "[tool.mlpack.image]"
_APT = (
    f"export DEBIAN_FRONTEND=noninteractive APT_CONFIG={SECRETS}/{APT_SECRET}; "
    "apt-get update --quiet; "
    'apt-get install --yes --quiet --no-install-recommends "$@"; '
    "rm -rf /var/log/apt /var/log/dpkg.log"
)
# Files that do not compile are left: packages have some for other Pythons.
_COMPILE = (
    f"import compileall, py_compile; compileall.compile_dir('/{LIBRARY}', quiet=2, "
    "invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)"
)
_PIP = {
    "PIP_CONFIG_FILE": f"{SECRETS}/{PIP_SECRET}",
    "PIP_CACHE_DIR": "/var/cache/pip",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_INPUT": "1",
    "PIP_PROGRESS_BAR": "off",
    # A variable and no option: a pip that is too old for it does not mind.
    "PIP_ROOT_USER_ACTION": "ignore",
    # Where pip takes logins from, if the project has a secret of this name.
    "NETRC": f"{SECRETS}/netrc",
}


def dockerfile(base: str, python: str, package: str, settings: ImageSettings) -> str:
    """The Dockerfile.

    Args:
        base: the base image as the engine finds it: by digest, or by a name made from one.
        python: the path of the image's interpreter.
        package: the import package that is served.
        settings: packages, pip's options and the names of secrets.

    Raises:
        InputError: a value is none that may stand in a Dockerfile; the message names the setting.
    """
    check(base, settings)
    start = container.entry_point(python, package)
    return render(
        TEMPLATE,
        base=base,
        system_packages=_packages(settings.system_packages),
        build_packages=_packages(settings.build_packages),
        secrets=[secret.name for secret in settings.secrets],
        install=_exec([python, "-m", "pip", "install", *options(settings.pip)]),
        compiling=_exec([python, "-c", _COMPILE]),
        pip_variables=assigned(_PIP),
        variables=assigned(container.VARIABLES),
        user=container.USER,
        port=container.PORT,
        stop_signal=container.STOP_SIGNAL,
        health_options=f"--interval={container.INTERVAL}s --timeout={container.TIMEOUT}s "
        f"--start-period={container.START_PERIOD}s --retries={container.RETRIES}",
        health=_exec([*start, "health"]),
        entry_point=_exec(start),
        command=_exec(container.COMMAND),
        home=HOME,
        pip_secret=PIP_SECRET,
        ca_secret=CA_SECRET,
        client_secret=CLIENT_SECRET,
        apt_secret=APT_SECRET,
    )


def options(pip: PipSettings) -> list[str]:
    """What follows ``pip install``: the locked files, checked by their digests, and no others."""
    given = {
        "--index-url": pip.index_url,
        "--no-binary": ",".join(pip.no_binary),
        "--only-binary": ",".join(pip.only_binary),
        "--timeout": pip.timeout,
        "--retries": pip.retries,
    }
    return [
        *("--require-hashes", "--no-deps", "--no-compile"),
        *(f"{name}={value}" for name, value in given.items() if value not in (None, "")),
        *(f"--extra-index-url={url}" for url in pip.extra_index_urls),
        *("--target", f"/{LIBRARY}", "--requirement", f"/build/{LOCK}"),
    ]


def check(base: str, settings: ImageSettings) -> None:
    """Check everything that the configuration brings into the Dockerfile.

    Raises:
        InputError: a value does not have its grammar; the message names the setting.
    """
    pip = settings.pip
    index = (pip.index_url,) if pip.index_url is not None else ()
    _check("base", (base,), words.image)
    _check("system-packages", settings.system_packages, words.package)
    _check("build-packages", settings.build_packages, words.package)
    _check("pip.index-url", index, words.index)
    _check("pip.extra-index-urls", pip.extra_index_urls, words.index)
    _check("pip.no-binary", pip.no_binary, words.distribution)
    _check("pip.only-binary", pip.only_binary, words.distribution)
    _check("secrets", (secret.name for secret in settings.secrets), words.secret)
    variables = (secret.source for secret in settings.secrets if secret.kind == "env")
    _check("secrets", variables, words.variable)


def _check(setting: str, values: Iterable[str], grammar: Callable[[str], str | None]) -> None:
    for value in values:
        if (reason := grammar(value)) is not None:
            raise InputError(f"{setting} in {_TABLE}: {words.shown(value)} {reason}")


def _packages(names: Sequence[str]) -> str:
    # Sorted, so that another order of the same packages is the same layer.
    return _exec(["/bin/sh", "-ec", _APT, "-", *sorted(set(names))]) if names else ""


def assigned(variables: Mapping[str, str]) -> str:
    """Variables as ``ENV`` takes them.

    Raises:
        InputError: a value would be read as something else.
    """
    return " ".join(f"{name}={_quoted(value)}" for name, value in variables.items())


def _exec(argv: Sequence[str]) -> str:
    return json.dumps(list(argv))


def _quoted(value: str) -> str:
    """A value as ``ENV`` takes it, with nothing in it that a Dockerfile would replace."""
    if not value.isascii() or not value.isprintable() or set(value) & set('"\\$'):
        raise InputError(f"{words.shown(value)} cannot stand in a Dockerfile")
    return f'"{value}"'
