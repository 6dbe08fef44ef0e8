from __future__ import annotations

import pytest
from resolvers.resolving import DIGEST, PROJECT, SERVER, FakeTool, pin, request

from mlpack.errors import InputError, OutsideError
from mlpack.resolvers.uv import UvResolver

ANSWER = f"uvloop==0.22.1 \\\n    --hash={DIGEST}\nNumPy==2.4.6 \\\n    --hash={DIGEST}\n"
HEAD = "error: No solution found when resolving dependencies\n  cause: "


def resolve(tool, asked, environ=None):
    return UvResolver(tool, environ or {"PATH": "/bin"}, python="/env/bin/python").resolve(asked)


def failure(asked, message):
    with pytest.raises((InputError, OutsideError)) as caught:
        resolve(FakeTool(error=message), asked)
    return caught.value


def test_the_answer_becomes_sorted_pins_without_what_is_excluded():
    tool = FakeTool(ANSWER + f"mlpack-builder==0.1 --hash={DIGEST}\n")
    asked = request("numpy", "mlpack_builder>=0.1", "uvloop", exclude=("mlpack-builder",))
    assert resolve(tool, asked) == (pin("numpy", "2.4.6"), pin("uvloop", "0.22.1"))
    assert tool.files["wanted.in"] == "numpy\nuvloop\n"


def test_python_platform_constraints_and_preferences_reach_uv():
    tool = FakeTool(ANSWER)
    asked = request(
        "numpy",
        platform="linux/arm64",
        python="3.12",
        constraints=(pin("numpy", "2.4.6", 'sys_platform == "linux"'),),
        preferences=(pin("uvloop", "0.22.1"),),
    )
    resolve(tool, asked)
    joined = " ".join(tool.argv)
    assert "--python-version 3.12" in joined
    assert "--python-platform aarch64-manylinux_2_28" in joined
    assert "--generate-hashes" in joined
    assert tool.files["constraints.txt"] == 'numpy==2.4.6 ; sys_platform == "linux"\n'
    assert f"uvloop==0.22.1 \\\n    --hash={DIGEST}" in tool.files["locked.txt"]
    assert "upgrade" not in joined


def test_upgrades_reach_uv():
    tool = FakeTool(ANSWER)
    resolve(tool, request("numpy", upgrade=True))
    assert "--upgrade" in tool.argv
    resolve(tool, request("numpy", upgrade_packages=("numpy",)))
    assert tool.argv[tool.argv.index("--upgrade-package") + 1] == "numpy"


def test_an_unknown_platform_is_an_input_error():
    with pytest.raises(InputError, match="'beos/ppc'"):
        resolve(FakeTool(ANSWER), request("numpy", platform="beos/ppc"))


def test_pip_s_index_reaches_uv_by_the_environment_alone():
    url = "https://user:secret@index.example/simple"
    tool = FakeTool(ANSWER, config=f"global.index-url='{url}'\n")
    resolve(tool, request("numpy"))
    assert tool.env["UV_DEFAULT_INDEX"] == url
    assert "secret" not in " ".join([*tool.argv, *tool.files.values()])


def test_constraints_of_pip_and_of_uv_hold_too(tmp_path):
    tool = FakeTool(ANSWER, config=f"global.constraint='{tmp_path}'\n")
    resolve(tool, request("numpy"), {"UV_CONSTRAINT": "/mine.txt"})
    named = [tool.argv[i + 1] for i, part in enumerate(tool.argv) if part == "-c"]
    assert named == ["constraints.txt", str(tmp_path), "/mine.txt"]


def test_dead_places_are_warned_of():
    said = []
    tool = FakeTool(ANSWER, config="global.find-links='/not/there/at/all'\n")
    UvResolver(tool, {}, python="python", warn=said.append).resolve(request("numpy"))
    assert said == ["pip's configuration names /not/there/at/all, which is not there"]


def test_two_direct_requirements_clash():
    error = failure(
        request("scikit-learn<1.0", ("scikit-learn>=1.5", "mlpack"), ("scikit-learn>=1.5", SERVER)),
        HEAD + "Because you require scikit-learn<1.0 and scikit-learn>=1.5, we can conclude that "
        "your requirements are unsatisfiable.\n",
    )
    assert isinstance(error, InputError)
    assert f"scikit-learn<1.0 (asked for by {PROJECT})" in error.what
    assert "scikit-learn>=1.5 (asked for by mlpack and mlpack's server)" in error.what
    assert "cannot both be met" in error.what
    assert error.hint == "Change one of the two, then run: mlpack lock"


def test_a_direct_requirement_clashes_with_a_dependency():
    error = failure(
        request("fastapi==0.60.0", ("pydantic>=2", SERVER)),
        HEAD + "Because fastapi==0.60.0 depends on pydantic>=0.32.2,<2.0.0 and you require "
        "fastapi==0.60.0, we can conclude that you require pydantic>=0.32.2,<2.0.0.\n         And "
        "because you require pydantic>=2, we can conclude that your requirements are "
        "unsatisfiable.\n",
    )
    assert error.what == (
        "pydantic>=2 (asked for by mlpack's server) and pydantic>=0.32.2,<2.0.0 "
        f"(asked for by fastapi 0.60.0, from {PROJECT}) cannot both be met"
    )


def test_a_dependency_with_several_ranges():
    error = failure(
        request("fastapi==0.100.0", ("pydantic>=99", SERVER)),
        HEAD
        + """Because fastapi==0.100.0 depends on one of:
             pydantic>=1.7.4,<1.8
             pydantic>1.8,<1.8.1
         and you require fastapi==0.100.0, we can conclude that you require one of:
             pydantic>=1.7.4,<1.8
             pydantic>1.8,<1.8.1

         And because you require pydantic>=99, we can conclude that your requirements are unsat.
""",
    )
    assert "pydantic>=1.7.4,<1.8 or >1.8,<1.8.1 (asked for by fastapi 0.100.0" in error.what


def test_a_chain_of_ranges_ends_at_the_direct_requirement():
    error = failure(
        request("scikit-learn>=1.5", ("numpy==1.16.0", "penguins' dev group")),
        HEAD + "Because scikit-learn>=1.5.0,<=1.6.1 depends on numpy>=1.19.5 and "
        "scikit-learn>=1.7.0rc1,<=1.7.2 depends on numpy>=1.22.0, we can conclude that "
        "scikit-learn>=1.5.0,<=1.7.2 depends on numpy>=1.19.5.\n  And because "
        "scikit-learn>=1.8.0rc1 depends on numpy>=1.24.1, we can conclude that "
        "scikit-learn>=1.5.0 depends on numpy>=1.19.5.\n  And because you require "
        "scikit-learn>=1.5 and numpy==1.16.0, we can conclude that your requirements are unsat.\n",
    )
    assert "numpy==1.16.0 (asked for by penguins' dev group)" in error.what
    assert f"numpy>=1.19.5 (asked for by scikit-learn>=1.5.0, from {PROJECT})" in error.what


def test_two_dependencies_clash():
    error = failure(
        request("bbb", ("ccc", "penguins' dev group")),
        HEAD + "Because all versions of ccc depend on h11>=0.15 and all versions of bbb depend on "
        "h11<0.14, we can conclude that all versions of bbb and all versions of ccc are "
        "incompatible.\n         And because you require bbb and ccc, we can conclude that your "
        "requirements are unsatisfiable.\n",
    )
    assert "h11>=0.15 (asked for by ccc, from penguins' dev group)" in error.what
    assert f"h11<0.14 (asked for by bbb, from {PROJECT})" in error.what


def test_a_clash_with_a_version_of_the_development_set():
    error = failure(
        request(("h11>=0.16", SERVER), constraints=(pin("h11", "0.14.0"),)),
        HEAD + "Because you require h11>=0.16 and h11==0.14.0, we can conclude that your "
        "requirements are unsatisfiable.\n",
    )
    assert "h11==0.14.0 (asked for by the development set)" in error.what


@pytest.mark.parametrize(
    ("requirement", "shown", "other", "who"),
    [
        ("torch>=2.20", "torch>=2.20", "torch<=2.14.1", "a constraint in pip's configuration"),
        ("torch~=2.20", "torch>=2.20,<3", "torch<=2.14.1", "a constraint in pip's configuration"),
        ("torch==2.*", "torch>=2.dev0,<3.dev0", "torch>=3", SERVER),
    ],
)
def test_a_clash_with_a_constraint_of_pip_and_rewritten_ranges(requirement, shown, other, who):
    asked = request(requirement, *([(other, who)] if who == SERVER else []))
    message = f"Because you require {shown} and {other}, we can conclude that your requirements"
    error = failure(asked, HEAD + message)
    assert f"{requirement} (asked for by {PROJECT})" in error.what
    assert f"{other} (asked for by {who})" in error.what


def test_a_package_that_is_not_there():
    message = (
        HEAD + "Because no-such was not found in the package registry and you require no-such, we "
        "can conclude that your requirements are unsatisfiable.\n"
    )
    error = failure(request("no-such", "numpy"), message)
    assert error.what == f"there is no package 'no-such' on the index; it is asked for by {PROJECT}"
    message = (
        HEAD + "Because no-such was not found in the package registry and all versions of aaa "
        "depend on no-such>=2, we can conclude that all versions of aaa cannot be used.\n And "
        "because you require aaa, we can conclude that your requirements are unsatisfiable.\n"
    )
    error = failure(request("aaa"), message)
    assert error.what.endswith(f"it is asked for by aaa, from {PROJECT}")


@pytest.mark.parametrize(
    ("requirement", "message", "said"),
    [
        (
            "numpy>=99",
            "Because only numpy<=2.5.5 is available and you require numpy>=99, we can conclude",
            "the newest is 2.5.5",
        ),
        (
            "numpy==2.1.99",
            "Because there is no version of numpy==2.1.99 and you require numpy==2.1.99, we can",
            "no release of numpy fits numpy==2.1.99",
        ),
        (
            "scikit-learn>=1.8",
            (
                "Because the requested Python version (>=3.10) does not satisfy Python>=3.11 and "
                "scikit-learn>=1.8.0 depends on Python>=3.11, we can conclude that "
                "scikit-learn>=1.8.0 cannot be used. And because you require scikit-learn>=1.8, we"
            ),
            (
                "scikit-learn>=1.8 (asked for by [project] dependencies in pyproject.toml) needs "
                "Python >=3.11"
            ),
        ),
        (
            "pywin32",
            (
                "Because pywin32<=302 has no wheels with a matching Python ABI tag "
                "(e.g., `cp311`) and "
                "only the following versions of pywin32 are available: pywin32<=302 "
                "pywin32>=303 we "
                "can conclude that pywin32<303 cannot be used. And because "
                "pywin32>=303 has no wheels "
                "with a matching platform tag (e.g., `manylinux_2_28_x86_64`) and you "
                "require pywin32,"
            ),
            "pywin32 has no file that runs on linux/amd64",
        ),
    ],
)
def test_a_version_that_is_not_there(requirement, message, said):
    error = failure(request(requirement, platform="linux/amd64"), HEAD + message)
    assert isinstance(error, InputError)
    assert said in error.what
    assert PROJECT in error.what


def test_a_build_that_fails_names_the_package():
    error = failure(
        request("brk"),
        "error: Failed to build `brk==1.0`\n  cause: The build backend returned an error\n"
        "         [stderr]\n         boom no compiler\n",
    )
    assert isinstance(error, InputError)
    assert error.what.startswith("brk==1.0 has no ready-made file")
    assert "boom no compiler" in error.hint


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (
            (
                "error: Request failed after 3 retries in 11.7s\n  cause: Failed to fetch: "
                "http://user:secret@index.example:9/simple/numpy/\n  cause: error sending request"
            ),
            "does not answer at index.example:9",
        ),
        (
            HEAD + "Because numpy was not found in the package registry and you require numpy.\n\n"
            "hint: An index URL (https://index.example/simple) could not be queried due to a lack "
            "of valid authentication credentials (401 Unauthorized)\n",
            "refuses at index.example",
        ),
    ],
)
def test_an_index_that_does_not_answer(message, said):
    error = failure(request("numpy"), message)
    assert isinstance(error, OutsideError)
    assert said in error.what
    assert "secret" not in str(error)


def test_a_message_that_nobody_knows_is_shown_without_credentials():
    error = failure(request("numpy"), "error: the moon is at https://user:secret@x.example/ again")
    assert "the moon is at https://x.example/" in error.hint
    assert PROJECT in error.what
