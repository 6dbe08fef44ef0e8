"""Configuration: merged, looked up on demand, and helpful about mistakes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpack import config
from mlpack.errors import InputError


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "default.toml").write_text(
        'target = "species"\nlist = [1, 2]\n[model]\nC = 1.0\nmax_iter = 1000\n'
        "[model.deep]\na = 1\nb = 2\n"
    )
    (tmp_path / "config" / "test.toml").write_text(
        "list = [3]\n[model]\nmax_iter = 200\n[model.deep]\nb = 3\n"
    )
    (tmp_path / "config" / "staging.toml").write_text("")
    return tmp_path / "config"


def test_the_environment_is_merged_over_the_default_at_every_depth(folder):
    assert config.load(folder, "test") == {
        "target": "species",
        "list": [3],
        "model": {"C": 1.0, "max_iter": 200, "deep": {"a": 1, "b": 3}},
    }


def test_the_three_environments_need_no_file(folder):
    assert config.load(folder, "production")["model"]["max_iter"] == 1000
    assert config.load(None, "development") == {}


def test_an_environment_that_is_not_there_is_refused_with_those_that_are(folder):
    with pytest.raises(InputError) as caught:
        config.load(folder, "stagign")
    assert "development, production, staging, test" in caught.value.what
    assert caught.value.hint == 'Did you mean "staging"?'
    with pytest.raises(InputError) as caught:
        config.load(folder, "default")
    with pytest.raises(InputError) as caught:
        config.load(folder, "../secret")
    with pytest.raises(InputError) as caught:
        config.load(None, "qa")
    assert caught.value.hint == "To add it, write config/qa.toml."


def test_what_is_no_toml_is_refused_with_its_line(folder):
    (folder / "test.toml").write_text("a = 1\nb = = 2\n")
    with pytest.raises(InputError) as caught:
        config.load(folder, "test")
    assert caught.value.where == "config/test.toml:2"
    assert "(at line" not in caught.value.what


def test_what_is_no_text_is_refused(folder):
    (folder / "test.toml").write_bytes(b"a = '\xff'")
    with pytest.raises(InputError, match="not UTF-8"):
        config.load(folder, "test")


def test_a_table_in_the_place_of_a_value_replaces_it():
    assert config.merge({"a": 1}, {"a": {"b": 2}}) == {"a": {"b": 2}}
    assert config.merge({"a": {"b": 2}}, {"a": 1}) == {"a": 1}


_TABLES = st.recursive(
    st.integers(), lambda inner: st.dictionaries(st.sampled_from("abc"), inner), max_leaves=8
).map(lambda value: value if isinstance(value, dict) else {"a": value})


@given(_TABLES, _TABLES)
def test_merging_keeps_what_only_one_side_has_and_changes_neither(base, over):
    before = repr((base, over))
    merged = config.merge(base, over)
    assert repr((base, over)) == before
    assert merged.keys() == base.keys() | over.keys()
    assert config.merge(merged, over) == merged


def test_references_are_looked_up_at_every_depth(tmp_path):
    (tmp_path / "password.txt").write_text("hush\n")
    value = {
        "url": "https://${env:HOST}:${env:PORT}/v2",
        "auth": [{"password": "${file:password.txt}"}, 5, True],
        "plain": "$HOME {x} 100%",
    }
    assert config.resolve(value, {"HOST": "example", "PORT": "443"}, tmp_path) == {
        "url": "https://example:443/v2",
        "auth": [{"password": "hush"}, 5, True],
        "plain": "$HOME {x} 100%",
    }


def test_a_file_may_lie_anywhere(tmp_path):
    (tmp_path / "secret").write_text("a\r\nb\r\n")
    assert config.resolve(f"${{file:{tmp_path}/secret}}", {}, tmp_path / "x").endswith("b")


@pytest.mark.parametrize(
    ("value", "what", "hint"),
    [
        ("${env:GONE}", "GONE", "export GONE=..."),
        ("${file:gone.txt}", "cannot be read", None),
        ("${evn:TOKEN}", "is no reference", "Did you mean ${env:TOKEN}?"),
        ("${TOKEN}", "is no reference", "Did you mean ${env:TOKEN}?"),
        ("${env:}", "is no reference", None),
        ("${}", "is no reference", None),
    ],
)
def test_references_to_nothing_are_refused(tmp_path, value, what, hint):
    with pytest.raises(InputError) as caught:
        config.resolve({"a": [value]}, {}, tmp_path)
    assert what in caught.value.what
    assert caught.value.hint == hint


def test_what_a_reference_finds_is_not_looked_up_again(tmp_path):
    assert config.resolve("${env:A}", {"A": "${env:B}"}, tmp_path) == "${env:B}"
