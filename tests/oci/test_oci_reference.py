import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpack.errors import InputError
from mlpack.oci.reference import Reference, is_loopback, is_tag, parse

DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("python", Reference("docker.io", "library/python", "latest")),
        ("python:3.11-slim", Reference("docker.io", "library/python", "3.11-slim")),
        ("docker.io/library/python:3.11", Reference("docker.io", "library/python", "3.11")),
        ("docker.io/python", Reference("docker.io", "library/python", "latest")),
        ("index.docker.io/me/x", Reference("docker.io", "me/x", "latest")),
        ("me/x:1", Reference("docker.io", "me/x", "1")),
        ("ghcr.io/a/b/c:1", Reference("ghcr.io", "a/b/c", "1")),
        ("registry.example:5000/x", Reference("registry.example:5000", "x", "latest")),
        ("localhost/x", Reference("localhost", "x", "latest", scheme="http")),
        ("localhost:5000/x:1", Reference("localhost:5000", "x", "1", scheme="http")),
        ("127.0.0.1:5000/x", Reference("127.0.0.1:5000", "x", "latest", scheme="http")),
        ("[::1]:5000/x", Reference("[::1]:5000", "x", "latest", scheme="http")),
        ("https://localhost:5000/x", Reference("localhost:5000", "x", "latest")),
        ("http://registry.example/x", Reference("registry.example", "x", "latest", scheme="http")),
        (f"python@{DIGEST}", Reference("docker.io", "library/python", None, DIGEST)),
        (f"python:3.11@{DIGEST}", Reference("docker.io", "library/python", "3.11", DIGEST)),
        ("r.example/a__b/c-d.e:v1.0_x", Reference("r.example", "a__b/c-d.e", "v1.0_x")),
    ],
)
def test_references(text, expected):
    assert parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", ":", "/", "x:", "x:-1", "x:" + "a" * 129, "X", "a/B", "r.example/", "r.example//x",
        "x@sha256:0", "x@md5:0", "x y", "x\ny", "x:1\n", "-x", "x-", "x..y", "ftp://r.example/x",
        "r.example/x?y", "r.example/../x", "user:pass@r.example/x", "r.example:port/x",
        "r.example/" + "a" * 300, "${HOME}", "x;rm",
    ],
)  # fmt: skip
def test_what_is_none(text):
    with pytest.raises(InputError, match="no image reference"):
        parse(text)


def test_a_password_in_a_reference_is_not_shown():
    with pytest.raises(InputError) as refused:
        parse("https://alice:secret@registry.example/x:1")
    assert "secret" not in str(refused.value)


@given(st.text(max_size=60))
def test_any_text_is_a_reference_or_a_clear_error(text):
    try:
        found = parse(text)
    except InputError:
        return
    again = str(found) if found.scheme == "https" else f"http://{found}"
    assert parse(again).name == found.name
    assert parse(again).version == found.version


def test_this_machine():
    assert all(map(is_loopback, ("localhost", "127.0.0.1", "127.1.2.3:80", "[::1]:5000")))
    assert not any(
        map(is_loopback, ("localhost.example", "127.0.0.1.example", "10.0.0.1", "1127.0.0.1"))
    )


def test_tags():
    assert is_tag("1.2.0")
    assert is_tag("_x")
    assert not any(map(is_tag, ("", ".x", "-x", "a/b", "a:b", "a b", "ä", "x\n")))
