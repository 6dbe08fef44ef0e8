from __future__ import annotations

import pytest
from resolvers.resolving import DIGEST, PROJECT, SERVER, FakeTool, pin, request

from mlpack.errors import InputError, OutsideError
from mlpack.resolvers.pip_tools import PipToolsResolver

ANSWER = f"""\
h11==0.16.0 \\
    --hash={DIGEST}

# The following packages are considered to be unsafe in a requirements file:
pip==26.3 \\
    --hash={DIGEST}
"""
IMPOSSIBLE = "pip._vendor.resolvelib.resolvers.ResolutionImpossible: "
LATER = "\n\nThe above exception was the direct cause of the following exception:\n"


def resolver(tool, platform="linux/amd64"):
    return PipToolsResolver(
        tool, {"PIP_INDEX_URL": "x"}, python="py", python_version="3.11", platform=platform
    )


def failure(asked, message):
    with pytest.raises((InputError, OutsideError)) as caught:
        resolver(FakeTool(error=message)).resolve(asked)
    return caught.value


def test_the_answer_becomes_pins():
    tool = FakeTool(ANSWER + f"mlpack-builder==1 --hash={DIGEST}\n")
    found = resolver(tool).resolve(request("h11", "mlpack-builder", exclude=("mlpack-builder",)))
    assert found == (pin("h11", "0.16.0"), pin("pip", "26.3"))
    assert tool.argv[:4] == ("py", "-m", "piptools", "compile")
    assert {"--generate-hashes", "--allow-unsafe", "--no-emit-index-url"} <= set(tool.argv)
    assert tool.files["wanted.in"] == "h11\n"
    assert tool.env == {"PIP_INDEX_URL": "x"}


def test_present_versions_are_kept_but_for_what_is_upgraded():
    tool = FakeTool(ANSWER)
    present = (pin("h11", "0.14.0"), pin("numpy", "2.0.0"))
    resolver(tool).resolve(request("h11", preferences=present, upgrade_packages=("h11",)))
    assert "numpy==2.0.0" in tool.files["locked.txt"]
    assert "h11" not in tool.files["locked.txt"]
    resolver(tool).resolve(request("h11", preferences=present, upgrade=True))
    assert "==" not in tool.files["locked.txt"]


def test_constraints_reach_pip_tools():
    tool = FakeTool(ANSWER)
    resolver(tool).resolve(request("h11", constraints=(pin("h11", "0.16.0"),)))
    assert tool.files["constraints.txt"] == "h11==0.16.0\n"


def test_only_this_machine_and_this_python():
    tool = FakeTool(ANSWER)
    assert resolver(tool).resolve(request("h11", platform="linux/amd64"))
    with pytest.raises(InputError, match="resolves only for this machine") as caught:
        resolver(tool, "darwin/arm64").resolve(request("h11", platform="linux/amd64"))
    assert 'resolver = "uv"' in caught.value.hint
    with pytest.raises(InputError, match=r"Python 3\.11\), not for Python 3\.12"):
        resolver(tool).resolve(request("h11", python="3.12"))


def test_two_direct_requirements_clash():
    error = failure(
        request("packaging<20", ("packaging>=24", SERVER)),
        IMPOSSIBLE
        + "[RequirementInformation(requirement=SpecifierRequirement('packaging<20'), parent=None), "
        "RequirementInformation(requirement=SpecifierRequirement('packaging>=24'), parent=None)]"
        + LATER,
    )
    assert error.what == (
        f"packaging<20 (asked for by {PROJECT}) and packaging>=24 (asked for by mlpack's server) "
        "cannot both be met"
    )


def test_a_direct_requirement_clashes_with_a_dependency():
    error = failure(
        request("fastapi==0.60.0", ("pydantic>=2", SERVER)),
        IMPOSSIBLE
        + "[RequirementInformation(requirement=SpecifierRequirement('pydantic>=2'), parent=None), "
        "RequirementInformation(requirement=SpecifierRequirement('pydantic<2.0.0,>=0.32.2'), "
        "parent=LinkCandidate('https://files.example/packages/0c/fastapi-0.60.0-py3-none-any.whl "
        "(from https://index.example/simple/fastapi/) (requires-python:>=3.6)'))]" + LATER,
    )
    assert error.what == (
        "pydantic>=2 (asked for by mlpack's server) and pydantic<2.0.0,>=0.32.2 "
        f"(asked for by fastapi 0.60.0, from {PROJECT}) cannot both be met"
    )


def test_a_clash_with_a_version_of_the_development_set():
    error = failure(
        request(("h11>=0.16", SERVER), constraints=(pin("h11", "0.14.0"),)),
        IMPOSSIBLE
        + "[RequirementInformation(requirement=SpecifierRequirement('h11>=0.16'), parent=None)]",
    )
    assert "h11==0.14.0 (asked for by the development set)" in error.what


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (
            (
                "  ERROR: Could not find a version that satisfies the requirement numpy>=99 (from "
                "versions: 1.3.0, 2.4.6)\nDistributionNotFound: No matching distribution found"
            ),
            "the newest is 2.4.6",
        ),
        (
            (
                "  ERROR: Could not find a version that satisfies the requirement numpy>=99 (from "
                "versions: none)\nDistributionNotFound: No matching distribution found "
                "for numpy>=99"
            ),
            f"there is no package 'numpy' on the index; it is asked for by {PROJECT}",
        ),
        (
            (
                "ERROR: Ignored the following versions that require a different python "
                "version: 99.0 "
                "Requires-Python >=3.12\n  ERROR: Could not find a version that satisfies the "
                "requirement numpy>=99 (from versions: 1.0, 2.4.6)\n"
            ),
            "needs Python >=3.12",
        ),
        (
            (
                "  ERROR: Could not find a version that satisfies the requirement "
                "other>=2 (from aaa) "
                "(from versions: none)\n"
            ),
            "there is no package 'other' on the index; it is asked for by aaa",
        ),
        (
            (
                "pip._internal.exceptions.DistributionNotFound: No matching distribution found for "
                "numpy>=99"
            ),
            "there is no package 'numpy'",
        ),
        (
            (
                "Collecting brk\npip._internal.exceptions.MetadataGenerationFailed: metadata "
                "generation failed"
            ),
            "brk has no ready-made file",
        ),
    ],
)
def test_a_version_that_is_not_there(message, said):
    error = failure(request("numpy>=99"), message)
    assert isinstance(error, InputError)
    assert said in error.what


@pytest.mark.parametrize(
    "message",
    [
        (
            "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError("
            "'http://user:secret@index.example:9/')': /simple/\nNo matching "
            "distribution found for h11"
        ),
        (
            "WARNING: 401 Error, Credentials not correct for "
            "http://index.example:8765/simple/h11/\n"
            "No matching distribution found for h11"
        ),
    ],
)
def test_an_index_that_does_not_answer(message):
    error = failure(request("h11"), message)
    assert isinstance(error, OutsideError)
    assert "index.example" in error.what
    assert "secret" not in str(error)


def test_a_message_that_nobody_knows_is_shown_without_credentials():
    error = failure(request("h11"), "Boom at https://user:secret@x.example/")
    assert "Boom at https://x.example/" in error.hint
