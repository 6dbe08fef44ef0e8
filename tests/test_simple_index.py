from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpack.errors import OutsideError
from mlpack.simple_index import JSON, File, files

URL = "https://pypi.example/simple/churn/"
DIGEST = "a" * 64


def page(text, kind="text/html; charset=utf-8"):
    return dict(files(text.encode(), kind, URL))


def test_a_page_of_links():
    found = page(
        "<html><body>"
        f'<a href="../../files/churn-1.0%2Bcpu-py3-none-any.whl#sha256={"A" * 64}">x</a>'
        '<a href="churn-1.1.whl#md5=0">y</a><a HREF="https://cdn.example/churn-2.whl">z</a>'
        "<a>no address</a><a href='http://[broken/'>broken</a></body>"
    )
    assert found == {
        "churn-1.0+cpu-py3-none-any.whl": File(
            "https://pypi.example/files/churn-1.0%2Bcpu-py3-none-any.whl", DIGEST
        ),
        "churn-1.1.whl": File(f"{URL}churn-1.1.whl"),
        "churn-2.whl": File("https://cdn.example/churn-2.whl"),
    }


def test_links_start_from_the_pages_base():
    found = page('<base href="https://cdn.example/a/"><a href="churn-1.whl?x=1">x</a>')
    assert found["churn-1.whl"].url == "https://cdn.example/a/churn-1.whl?x=1"


def test_a_base_that_is_no_address_is_refused():
    with pytest.raises(OutsideError, match="no address as its base"):
        page('<base href="http://[broken/"><a href="churn-1.whl">x</a>')


@pytest.mark.parametrize("kind", [JSON, "application/json", f"{JSON}; charset=utf-8"])
def test_json(kind):
    document = {
        "meta": {"api-version": "1.3"},
        "files": [
            {"filename": "churn-1.whl", "url": "/f/churn-1.whl", "hashes": {"sha256": DIGEST}},
            {"filename": "churn-2.whl", "url": "https://cdn.example/2", "hashes": {"md5": "0"}},
        ],
    }
    assert page(json.dumps(document), kind) == {
        "churn-1.whl": File("https://pypi.example/f/churn-1.whl", DIGEST),
        "churn-2.whl": File("https://cdn.example/2"),
    }


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"files": [{"filename": 7}]}', '{"a": ' + "[" * 200_000]
)
def test_json_that_is_none_is_refused(text):
    with pytest.raises(OutsideError, match="cannot be read"):
        page(text, JSON)


@given(st.text())
def test_no_page_breaks_it(text):
    assert isinstance(page(text), dict)
    assert isinstance(page(f'<a href="{text}">'), dict)
