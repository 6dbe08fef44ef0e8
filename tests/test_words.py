"""Grammars of words that reach a Dockerfile: what is one, and what is none."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mlpack import words

GRAMMARS = {
    "package": words.package,
    "image": words.image,
    "variable": words.variable,
    "secret": words.secret,
    "distribution": words.distribution,
    "index": words.index,
}

# What ends a word, a line or a command for a Dockerfile, a shell, JSON, CSV or an option parser.
DANGEROUS = set(" \t\r\n\v\f\x00\x1b'\"`$\\;&|<>(){}[]*?!#,^") | {"\x85", "\u2028", "\u2029"}


@pytest.mark.parametrize(
    ("grammar", "word"),
    [
        *(("package", word) for word in ("libgomp1", "g++", "libc6.1", "python3.11-dev", "7zip")),
        *(("package", word) for word in ("libgomp1=12.2.0-14", "bind9=1:9.18.33-1~deb12u2")),
        *(("image", word) for word in ("python:3.11", "registry:5000/a@sha256:" + "a" * 64)),
        *(("image", word) for word in ("oci:../base:tag", "archive:/a/b.tar", "docker:mine:1")),
        *(("variable", word) for word in ("TOKEN", "_a", "index_token2")),
        *(("secret", word) for word in ("token", "netrc", "pip.conf", "a-b_c")),
        *(("distribution", word) for word in ("lightgbm", "scikit-learn", "zope.interface", "a")),
        ("distribution", ":all:"),
        *(("index", word) for word in ("https://pypi.org/simple", "https://host", "http://h:81/")),
        ("index", "https://registry.example/team/%7Epypi/simple/"),
    ],
)
def test_what_is_one(grammar, word):
    assert GRAMMARS[grammar](word) is None


@pytest.mark.parametrize(
    ("grammar", "word"),
    [
        *(("package", word) for word in ("", "a", "Lib", "-y", "--yes", "lib_x", "libé", "lib/x")),
        # apt-get would remove it, or install it for a release of somebody's choice.
        *(("package", word) for word in ("libgomp1-", "libgomp1/sid", "libgomp1=", "libgomp1=a")),
        *(("package", word) for word in ("-o=DPkg::Pre-Invoke::=id", "./evil.deb", "/x.deb")),
        *(("image", word) for word in ("", "-a", "a b", "a\nRUN id", "$BASE", "a AS b")),
        *(("variable", word) for word in ("", "1A", "A-B", "A=B", "A B", "É")),
        *(("secret", word) for word in ("", ".hidden", "../x", "a/b", "a,src=b", "mlpack-pip")),
        *(("distribution", word) for word in ("", "-r", "a b", "a==1", ":none:", "a,b")),
        *(("index", word) for word in ("", "pypi.org", "file:///x", "ftp://a/b", "https://")),
        *(("index", word) for word in ("https://a:b@c/d", "https://a:99999/x", "https://a/?q=1")),
        ("package", "a" * 600),
        ("index", "https://a/" + "b" * 600),
    ],
)
def test_what_is_none(grammar, word):
    assert GRAMMARS[grammar](word)


def test_a_user_in_an_index_is_told_where_it_belongs():
    assert "pip's own configuration" in words.index("https://me:secret@registry.example/simple")


def valid(alphabet: str, first: str) -> st.SearchStrategy[str]:
    return st.builds(str.__add__, st.sampled_from(first), st.text(alphabet, min_size=1))


LOWER = string.ascii_lowercase + string.digits


@given(valid(LOWER, LOWER), st.sampled_from(sorted(DANGEROUS)), st.data())
def test_one_dangerous_character_anywhere_is_refused(word, character, data):
    place = data.draw(st.integers(0, len(word)))
    for name, grammar in GRAMMARS.items():
        base = f"https://{word}/" if name == "index" else word
        broken = base[:place] + character + base[place:]
        assert grammar(broken), (name, broken)
        assert grammar(base + character)
        assert grammar(character + base)


@given(st.text())
@example("libgomp1\n")
@example("https://pypi.org/simple\n")
def test_what_passes_is_one_plain_word(word):
    for name, grammar in GRAMMARS.items():
        if grammar(word) is None:
            assert word.isascii(), name
            assert not set(word) & DANGEROUS, name
            assert not word.startswith("-"), name
            assert re.fullmatch(r"[!-~]+", word), name


@given(valid(LOWER + "+.", LOWER), st.none() | valid(LOWER + "+.~", string.digits))
def test_every_name_of_the_policy_is_taken(name, version):
    assert words.package(name if version is None else f"{name}={version}") is None


@given(st.text())
def test_a_path_has_no_control_character(word):
    if words.path(word) is None:
        assert word
        assert len(word.splitlines()) == 1


@given(st.text())
def test_what_is_shown_is_one_short_line(word):
    shown = words.shown(word)
    assert len(shown.splitlines()) == 1
    assert len(shown) <= 82


def test_an_address_with_a_login_is_not_shown():
    assert words.shown("https://u:hunter2@h/") == '"..."'
    assert words.shown("u:hunter2@h") == '"..."'
    # What has an @ and no login stays: a digest, a package's version.
    assert words.shown("a/b@sha256:0 0") == '"a/b@sha256:0 0"'
    assert words.shown("numpy@2") == '"numpy@2"'
