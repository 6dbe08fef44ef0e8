from __future__ import annotations

import inspect
import os
import re
from pathlib import Path

import pytest

from mlpack.runtime.keys import Keys
from mlpack.runtime.settings import Settings, SettingsError, from_environment


def test_defaults():
    settings = from_environment({})
    assert settings == Settings()
    assert (settings.host, settings.port, settings.loopback, settings.guarded) == (
        "127.0.0.1",
        8080,
        True,
        False,
    )


@pytest.mark.parametrize(
    ("environ", "field", "value"),
    [
        ({"PORT": "9000"}, "port", 9000),
        ({"AIP_HTTP_PORT": "9001", "PORT": "9000"}, "port", 9001),
        ({"MLPACK_PORT": "9002", "AIP_HTTP_PORT": "9001"}, "port", 9002),
        ({"PORT": ""}, "port", 8080),
        ({"HOST": "0.0.0.0"}, "host", "0.0.0.0"),
        ({"HOST": "::"}, "host", "::"),
        ({"HOST": "x86_64-conda-linux-gnu"}, "host", "127.0.0.1"),
        ({"MLPACK_HOST": "::1", "HOST": "0.0.0.0"}, "host", "::1"),
        ({"WORKERS": "3"}, "workers", 3),
        ({"MLPACK_MAX_BODY": "5"}, "max_body", 5),
        ({"MLPACK_ACCESS_LOG": "OFF"}, "access_log", False),
        ({"MLPACK_API_KEYS": "a, b,,c"}, "keys", ("a", "b", "c")),
        ({"MLPACK_API_KEYS": ""}, "keys", ()),
        ({"MLPACK_API_KEYS_FILE": "/k"}, "keys_file", Path("/k")),
        ({"MLPACK_WORKERS": "auto"}, "workers", 0),
        ({"MLPACK_WORKERS": "Auto", "WORKERS": "3"}, "workers", 3),
        ({"MLPACK_WORKERS": "2", "WORKERS": "3"}, "workers", 2),
        ({"MLPACK_THREADS": "auto"}, "threads", 0),
        ({"MLPACK_THREADS": "4"}, "threads", 4),
        ({"MLPACK_RATE_LIMIT": "50"}, "rate_limit", 50),
        ({"MLPACK_CORS_ORIGINS": "*"}, "cors_origins", ("*",)),
        (
            {"MLPACK_CORS_ORIGINS": "https://a.example, http://localhost:3000,http://[::1]:80"},
            "cors_origins",
            ("https://a.example", "http://localhost:3000", "http://[::1]:80"),
        ),
        ({"MLPACK_TLS_CERT": "/c", "MLPACK_TLS_KEY": "/k"}, "tls_key", Path("/k")),
        ({"MLPACK_TLS_CERT": "", "MLPACK_TLS_KEY": ""}, "tls_cert", None),
        ({"MLPACK_SAMPLE_FILE": "/s"}, "sample_file", Path("/s")),
        ({"MLPACK_SAMPLE_RATE": "0.5"}, "sample_rate", 0.5),
        ({"MLPACK_SAMPLE_ERRORS": "1"}, "sample_errors", 1.0),
        ({"MLPACK_SAMPLE_MAX_BYTES": "500000"}, "sample_max_bytes", 500_000),
    ],
)
def test_variables(environ, field, value):
    assert getattr(from_environment(environ), field) == value


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"PORT": "http"}, "PORT"),
        ({"MLPACK_RATE_LIMIT": "-1"}, "MLPACK_RATE_LIMIT"),
        ({"MLPACK_CORS_ORIGINS": "app.example"}, "MLPACK_CORS_ORIGINS"),
        ({"MLPACK_CORS_ORIGINS": "https://a.example/"}, "MLPACK_CORS_ORIGINS"),
        ({"MLPACK_CORS_ORIGINS": "https://a.example\r\nx: y"}, "MLPACK_CORS_ORIGINS"),
        ({"MLPACK_CORS_ORIGINS": " , "}, "names no origin"),
        ({"MLPACK_CORS_ORIGINS": "*,https://a.example"}, "alone"),
        ({"MLPACK_TLS_CERT": "/c"}, "MLPACK_TLS_KEY"),
        ({"MLPACK_TLS_KEY": "/k"}, "MLPACK_TLS_CERT"),
        ({"PORT": "-1"}, "PORT"),
        ({"PORT": "70000"}, "65535"),
        ({"PORT": "²"}, "PORT"),
        ({"WORKERS": "0"}, "WORKERS"),
        ({"MLPACK_ACCESS_LOG": "maybe"}, "MLPACK_ACCESS_LOG"),
        ({"MLPACK_API_KEYS": " , "}, "MLPACK_API_KEYS"),
        ({"MLPACK_WORKERS": "many"}, "MLPACK_WORKERS"),
        ({"MLPACK_PORT": "auto"}, "MLPACK_PORT"),
        ({"MLPACK_SAMPLE_RATE": "1.5"}, "MLPACK_SAMPLE_RATE"),
        ({"MLPACK_SAMPLE_RATE": "nan"}, "MLPACK_SAMPLE_RATE"),
        ({"MLPACK_SAMPLE_ERRORS": "some"}, "MLPACK_SAMPLE_ERRORS"),
        ({"MLPACK_SAMPLE_MAX_BYTES": "5"}, "MLPACK_SAMPLE_MAX_BYTES"),
    ],
)
def test_wrong_variables(environ, named):
    with pytest.raises(SettingsError, match=named):
        from_environment(environ)


def documented() -> dict[tuple[str, ...], str]:
    """The variables of the documents' table, and their defaults."""
    text = (Path(__file__).parents[2] / "docs" / "server.md").read_text()
    table = text.partition("### Settings")[2].partition("\n\n**")[0]
    rows = [line.split("|")[1:3] for line in table.splitlines() if line.startswith("| `")]
    return {tuple(re.findall(r"`(\w+)`", names)): default.strip(" `") for names, default in rows}


def test_the_documents_have_every_variable():
    source = Path(inspect.getsourcefile(Settings)).read_text()
    known = set(re.findall(r'"((?:(?:MLPACK|AIP|SAGEMAKER)_[A-Z_]+)|HOST|PORT|WORKERS)"', source))
    assert len(known) > 20
    assert {name for names in documented() for name in names} == known


def test_the_documents_have_the_defaults():
    plain = Settings()
    for names, default in documented().items():
        if not default or default == "auto":
            continue
        # To say it is to say nothing.
        assert from_environment({names[0]: default}) == plain, names
    said = " ".join(default for default in documented().values() if default)
    for value in (plain.max_body, plain.max_rows, plain.sample_rate, plain.sample_max_bytes):
        assert str(value) in said


def test_arguments_go_before_variables():
    settings = from_environment({"PORT": "9000"}, port=1234, host=None)
    assert (settings.port, settings.host) == (1234, "127.0.0.1")


def test_keys_are_read_again_when_their_file_changes(tmp_path):
    file = tmp_path / "keys"
    file.write_text("old\n")
    now = 0.0
    keys = Keys(("fixed",), file, lambda: now)

    def allowed(key: bytes) -> bool:
        return keys.allow({b"x-api-key": key})

    assert allowed(b"old")
    assert not allowed(b"new")
    file.write_text("new\n")
    os.utime(file, ns=(1, 1))
    assert not allowed(b"new")
    now = 2.0
    assert allowed(b"new")
    assert not allowed(b"old")
    assert allowed(b"fixed")
    file.unlink()
    now = 4.0
    assert allowed(b"new")
    file.write_text("newest\n")
    now = 6.0
    assert allowed(b"newest")


def test_without_keys_everybody_is_welcome():
    keys = Keys((), None, lambda: 0.0)
    assert not keys
    assert keys.allow({})
