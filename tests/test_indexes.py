from __future__ import annotations

import pytest

from mlpack import indexes
from mlpack.errors import OutsideError
from mlpack.process import Completed


def config(**values: str) -> str:
    return "".join(f"{key.replace('__', '.')}={value!r}\n" for key, value in values.items())


def test_the_main_index_comes_before_the_others(tmp_path):
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    text = (
        "global.index-url='https://user:pw@index.example/simple'\n"
        f"global.extra-index-url='{mirror.as_uri()} https://more.example/simple'\n"
    )
    env = indexes.parse(text).for_uv({"PATH": "/bin"})
    assert env["UV_INDEX"] == f"https://user:pw@index.example/simple {mirror.as_uri()}"
    assert env["UV_DEFAULT_INDEX"] == "https://more.example/simple"
    assert env["UV_INDEX_STRATEGY"] == "unsafe-best-match"
    assert env["PATH"] == "/bin"


def test_one_index_needs_no_strategy():
    env = indexes.parse("global.index-url='https://index.example/simple'\n").for_uv({})
    assert env["UV_DEFAULT_INDEX"] == "https://index.example/simple"
    assert "UV_INDEX_STRATEGY" not in env


def test_a_section_and_the_environment_go_before_global():
    text = (
        ":env:.index-url='https://c.example'\n"
        "global.index-url='https://a.example'\n"
        "install.index-url='https://b.example'\n"
        "install.cert='/b.pem'\nglobal.cert='/a.pem'\n"
    )
    found = indexes.parse(text)
    assert (found.index_url, found.cert) == ("https://c.example", "/b.pem")


def test_local_places_that_are_gone_are_left_out_and_named(tmp_path):
    gone = tmp_path / "gone"
    text = (
        f"global.extra-index-url='\\n{gone.as_uri()}\\n{tmp_path.as_uri()}'\n"
        f"global.find-links='{gone} {tmp_path}'\n"
        f"global.constraint='{gone}'\n"
    )
    found = indexes.parse(text)
    assert found.extra == (tmp_path.as_uri(),)
    assert found.find_links == (str(tmp_path),)
    assert found.constraints == ()
    assert found.dead == (gone.as_uri(), str(gone), str(gone))


def test_what_the_user_told_uv_goes_before():
    text = "global.index-url='https://a.example'\nglobal.extra-index-url='https://b.example'\n"
    env = indexes.parse(text).for_uv({"UV_INDEX_URL": "https://mine.example"})
    assert env["UV_INDEX_URL"] == "https://mine.example"
    assert not {"UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_STRATEGY"} & set(env)


def test_the_other_settings_are_translated():
    text = (
        "global.trusted-host='a.example b.example'\nglobal.proxy='http://p.example:3128'\n"
        "global.no-index='true'\n:env:.default-timeout='180'\nglobal.client-cert='/c.pem'\n"
    )
    found = indexes.parse(text)
    assert found.uv_options == ("--no-index",)
    env = found.for_uv({})
    assert env["UV_INSECURE_HOST"] == "a.example b.example"
    assert env["ALL_PROXY"] == "http://p.example:3128"
    assert env["UV_HTTP_TIMEOUT"] == "180"
    assert env["SSL_CLIENT_CERT"] == "/c.pem"


def test_pip_that_fails_is_an_outside_error_without_credentials():
    def runner(argv, **_):
        return Completed(tuple(argv), 1, "", "broken: https://user:secret@a.example/x")

    with pytest.raises(OutsideError) as caught:
        indexes.read(runner, "python", {})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("at https://user:pw@a.example/simple and", "at https://a.example/simple and"),
        ("https://token@a.example", "https://a.example"),
        ("write to me@a.example", "write to me@a.example"),
        ("no https://u:pa@ss@host/x there", "no https://host/x there"),
        ("git+https://host/a@v1 stays", "git+https://host/a@v1 stays"),
        ("https://u:p@a/ and https://u:p@b/@", "https://a/ and https://b/@"),
    ],
)
def test_redact(text, clean):
    assert indexes.redact(text) == clean


def test_a_folder_of_a_user_who_is_not_there_is_dead():
    found = indexes.parse("global.find-links='~no-such-user/wheels https://a/files'\n")
    assert found.find_links == ("https://a/files",)
    assert found.dead == ("~no-such-user/wheels",)
