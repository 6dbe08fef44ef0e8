from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpack.inspection import read
from mlpack.inspection.published import is_source, license_of, source_of

URL = "https://git.example/team/churn"


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        ("MIT", "MIT"),
        ("mit or apache-2.0", "MIT OR Apache-2.0"),
        ("LicenseRef-Ours", "LicenseRef-Ours"),
        ({"text": "MIT"}, "MIT"),
        ({"text": "MIT License\n\nCopyright ..."}, None),
        ({"file": "LICENSE"}, None),
        ("Proprietary, all rights reserved", None),
        ("MIT\nEvil: header", None),
        ("", None),
        (7, None),
        (None, None),
    ],
)
def test_a_licence_is_an_spdx_expression_or_not_told(written, read_as):
    assert license_of(written) == read_as


@pytest.mark.parametrize(
    ("urls", "found"),
    [
        ({"Source": URL}, URL),
        ({"source code": URL, "Homepage": "https://other.example"}, URL),
        ({"GitHub": URL}, URL),
        ({"Repository": URL, "Source": "https://first.example/x"}, "https://first.example/x"),
        ({"Homepage": URL}, None),
        ({"Source": "https://alice:secret@git.example/churn"}, None),
        ({"Source": "https://git.example/churn?token=secret"}, None),
        ({"Source": "file:///home/alice/churn"}, None),
        ({"Source": "https://git.example/a b"}, None),
        ({"Source": "https://git.example/a\nb"}, None),
        ({"Source": "https://[::1/churn"}, None),
        ({"Source": 7, "Repository": URL}, URL),
        ({}, None),
    ],
)
def test_the_repository_is_one_of_the_well_known_urls(urls, found):
    assert source_of(urls) == found


@given(st.text(st.characters(exclude_characters="/?#\\")), st.text())
def test_whatever_is_written_it_is_read_without_an_error(text, tail):
    assert license_of(text) is None or len(license_of(text).splitlines()) == 1
    assert not is_source(f"https://{text}@host/{tail}")


def test_both_come_from_pyproject(tmp_path):
    (tmp_path / "pyproject.toml").write_text(
        f'[project]\nname = "churn"\nlicense = "MIT"\n[project.urls]\nSource = "{URL}"\n'
    )
    project = read(tmp_path)
    assert (project.license, project.source) == ("MIT", URL)
