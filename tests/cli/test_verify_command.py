import io
import json
from dataclasses import replace

import pytest
from bundling import make_project

from mlpack.cli.console import Console
from mlpack.cli.show_verified import MOST, as_json, table
from mlpack.cli.verifying import _is_file, demand
from mlpack.comparing.difference import BYTES, Difference
from mlpack.errors import CheckFailedError
from mlpack.project import ImageSettings, Settings
from mlpack.usecases.verify import Verified

SAME = Verified("a.whl", "wheel", same=True, sha256="1" * 64, rebuilt="1" * 64)
OTHER = Verified(
    "a.zip", "zip", same=False, sha256="2" * 64, rebuilt="3" * 64,
    differences=(Difference("a/b.py", BYTES, "1 byte"),),
)  # fmt: skip

PROJECT = make_project()
DOCKER = replace(PROJECT, settings=Settings(image=ImageSettings(builder="docker")))


@pytest.fixture
def console():
    return Console(io.StringIO(), io.StringIO())


def said(console):
    return console._out.getvalue(), console._err.getvalue()


def test_a_line_for_what_is_the_same_and_a_table_for_what_is_not(console):
    table(console, [SAME, OTHER])
    out, err = said(console)
    assert out.splitlines() == [
        f"a.whl: the same, byte for byte: sha256:{'1' * 64}",
        f"a.zip: not the same: sha256:{'2' * 64}, rebuilt sha256:{'3' * 64}",
    ]
    assert err.splitlines()[1].split("  ")[1:] == ["a/b.py", "other bytes", "1 byte"]


def test_what_lies_beside_an_image_is_told_apart_from_it(console):
    beside = Difference("a.oci.tar.intoto.json.predicate", BYTES)
    table(console, [replace(SAME, artifact="a.oci.tar", same=False, differences=(beside,))])
    out, err = said(console)
    assert out == f"a.oci.tar: the same, but not what lies beside it: sha256:{'1' * 64}\n"
    assert beside.file in err


def test_an_image_has_its_digest_too(console):
    table(console, [replace(SAME, digest="sha256:5")])
    assert said(console)[0].endswith(f"sha256:{'1' * 64}, image sha256:5\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dist/churn-1.0-py3-none-any.whl", True),
        ("./churn-1.2.0.oci.tar", True),
        ("/nowhere/churn.zip", True),
        ("churn", True),
        ("dist/churn", True),
        ("../dist/churn", True),
        ("registry.example/team/churn:1.2.0", False),
        ("localhost/churn", False),
        ("127.0.0.1:5000/churn:1.2.0", False),
        ("churn@sha256:" + "1" * 64, False),
    ],
)
def test_what_is_a_file_and_what_an_image_in_a_registry(text, expected):
    assert _is_file(text) is expected


def test_of_many_differences_the_first_are_shown_and_json_has_all(console):
    many = Verified(
        "a.zip", "zip", same=False, sha256="2", rebuilt="3",
        differences=tuple(Difference(str(n), BYTES) for n in range(MOST + 7)),
    )  # fmt: skip
    table(console, [many])
    assert "and 7 more: mlpack verify --json" in said(console)[1]
    as_json(console, [SAME, many])
    found = json.loads("[" + said(console)[0].partition("[")[2])
    assert (found[0]["same"], len(found[1]["differences"])) == (True, MOST + 7)
    assert found[1]["differences"][0] == {"file": "0", "what": BYTES, "detail": ""}


def test_one_that_is_not_the_same_fails_the_command():
    demand([SAME, SAME], PROJECT)
    with pytest.raises(CheckFailedError, match="1 of 2 artifacts is not what this") as refused:
        demand([SAME, OTHER], PROJECT)
    assert refused.value.code == 1


@pytest.mark.parametrize(
    ("project", "kinds", "expected"),
    [
        (PROJECT, ["image"], "Look at the commit"),
        (DOCKER, ["image"], 'With builder = "docker"'),
        (DOCKER, ["image", "wheel"], "Look at the commit"),
    ],
)
def test_the_hint_does_not_blame_the_commit_for_what_an_engine_does(project, kinds, expected):
    with pytest.raises(CheckFailedError) as refused:
        demand([replace(OTHER, kind=kind) for kind in kinds], project)
    assert expected in str(refused.value.hint)


def test_what_is_not_signed_is_named_even_if_it_is_the_same():
    good, bad = (
        Verified(name, "wheel", same=True, sha256="a", rebuilt="a", signed=signed)
        for name, signed in (("good.whl", True), ("bad.whl", False))
    )
    demand([good], PROJECT)
    with pytest.raises(CheckFailedError, match=r"not signed by this key: bad\.whl"):
        demand([good, bad], PROJECT)
    # Nobody is told to sign what is not what it should be.
    with pytest.raises(CheckFailedError, match="is not what this project builds") as caught:
        demand([good, replace(OTHER, signed=False)], PROJECT)
    assert "sign" not in caught.value.hint
