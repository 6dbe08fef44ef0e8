from __future__ import annotations

from dataclasses import replace

import pytest
from packaging.requirements import Requirement
from usecases.locking import ON, OWN, FakeReporter, FakeResolver, make_project

from mlpack import lock as lock_file
from mlpack import lock_files
from mlpack.errors import CheckFailedError, InputError
from mlpack.lock import BaseImage, Pin, this_platform
from mlpack.pin_sets import Change, merge
from mlpack.project import Settings
from mlpack.usecases.lock import check, lock, relock_for_form

HERE = this_platform()


def do_lock(project, resolver=None, reporter=None, **options):
    defaults = {"python": "3.11", "platforms": (HERE,), "mlpack_requirements": OWN}
    return lock(
        project,
        resolver=resolver or FakeResolver(),
        reporter=reporter or FakeReporter(),
        **{**defaults, **options},
    )


def versions(path):
    return {pin.name: pin.version for pin in lock_files.pins(path)}


def content(project):
    return [p.read_bytes() for p in (project.lock_file, project.prod_lock, project.dev_lock)]


def test_both_sets_and_what_is_in_them(tmp_path):
    project, reporter = make_project(tmp_path), FakeReporter()
    result = do_lock(project, reporter=reporter)
    prod, dev = versions(project.prod_lock), versions(project.dev_lock)
    assert {"onnxruntime", "numpy", "fastapi"} <= set(prod)
    assert not set(prod) & {"scikit-learn", "pandas", "scipy", "joblib", "skl2onnx", "pytest"}
    assert {"scikit-learn", "pandas", "skl2onnx", "pytest", "onnxruntime"} <= set(dev)
    assert "mlpack-builder" not in dev  # pytest asks for it in this index
    assert prod.items() <= dev.items()
    assert (result.prod, result.dev, result.resolved) == (len(prod), len(dev), True)
    assert {change.name for change in result.added} == set(dev)
    assert reporter.stages == ["Locking the development set", "Locking the production set"]
    assert lock_file.read(project.lock_file) == result.lock
    assert check(project, mlpack_requirements=OWN) == result.lock


def test_extras_of_mlpack_that_the_project_asks_for_are_locked(tmp_path):
    """Else `mlpack install` would take away what they brought."""
    own = (*OWN, 'scipy>=1.14; extra == "kubernetes"', 'joblib>=1; extra == "sign"')
    project = make_project(tmp_path, dev_dependencies=("mlpack-builder[Kubernetes]",))
    resolver = FakeResolver()
    do_lock(project, resolver, mlpack_requirements=own)
    asked = [
        Requirement(text) for text, who in resolver.requests[0].requirements if who == "mlpack"
    ]
    applies = {each.name: each.marker is None or each.marker.evaluate() for each in asked}
    assert (applies["scipy"], applies["joblib"], applies["onnx"]) == (True, False, True)
    assert "mlpack-builder" not in versions(project.dev_lock)
    check(project, mlpack_requirements=own)
    with pytest.raises(CheckFailedError, match="not those"):
        check(replace(project, dev_dependencies=()), mlpack_requirements=own)


def test_production_takes_the_development_s_versions(tmp_path):
    project = make_project(tmp_path, ["numpy<2.4"])
    do_lock(project)
    assert versions(project.prod_lock)["numpy"] == "2.3.0"


def test_nothing_changed_nothing_is_resolved_or_touched(tmp_path):
    project = make_project(tmp_path)
    do_lock(project)
    before, times = content(project), [p.stat().st_mtime_ns for p in tmp_path.iterdir()]
    resolver = FakeResolver()
    result = do_lock(project, resolver)
    assert (result.resolved, result.changes, resolver.requests) == (False, (), [])
    same = make_project(tmp_path, ["Pandas", "scikit_learn >= 1.5"])  # other spelling and order
    assert not do_lock(same, resolver).resolved
    assert content(project) == before
    assert [p.stat().st_mtime_ns for p in tmp_path.iterdir()] == times


def test_resolving_again_gives_the_same_bytes(tmp_path):
    project = make_project(tmp_path)
    do_lock(project)
    before = content(project)
    project.lock_file.unlink()
    assert do_lock(project).resolved
    assert content(project) == before


def test_versions_are_kept_unless_an_upgrade_is_asked_for(tmp_path):
    do_lock(make_project(tmp_path, ["numpy<2.4", "pandas<2.2"]))
    project = make_project(tmp_path, ["numpy", "pandas"])
    assert do_lock(project).changes == ()
    assert versions(project.dev_lock)["numpy"] == "2.3.0"
    result = do_lock(project, upgrade_packages=("NumPy",))
    assert result.changed == (Change("numpy", "2.3.0", "2.4.0"),)
    result = do_lock(project, upgrade=True)
    assert result.changed == (Change("pandas", "2.1.0", "2.3.0"),)


def test_what_is_no_longer_asked_for_goes(tmp_path):
    do_lock(make_project(tmp_path))
    result = do_lock(make_project(tmp_path, ["scikit-learn"]))
    assert [change.name for change in result.removed] == ["pandas"]


def test_an_upgrade_of_something_unknown_is_an_input_error(tmp_path):
    project = make_project(tmp_path)
    do_lock(project)
    with pytest.raises(InputError, match="numpi cannot be upgraded"):
        do_lock(project, upgrade_packages=("numpi",))


def test_the_digests_of_a_changed_file_are_not_trusted(tmp_path):
    project = make_project(tmp_path)
    do_lock(project)
    before = content(project)
    text = project.dev_lock.read_text()
    index = text.index("sha256:") + 7
    project.dev_lock.write_text(text[:index] + "f" * 64 + text[index + 64 :])
    resolver = FakeResolver()
    assert do_lock(project, resolver).resolved
    assert all(pin.hashes == () for pin in resolver.requests[0].preferences)
    assert content(project) == before


def test_a_requirement_file_that_cannot_be_read_is_made_anew(tmp_path):
    project, reporter = make_project(tmp_path), FakeReporter()
    do_lock(project)
    before = content(project)
    project.prod_lock.write_text("<<<<<<< HEAD\n")
    do_lock(project, reporter=reporter)
    assert content(project) == before
    assert "requirements.lock.txt, line 1" in reporter.warnings[0]


def test_a_conflict_leaves_everything_as_it_was(tmp_path):
    do_lock(make_project(tmp_path))
    project = make_project(tmp_path, ["numpy<1"])
    before = content(project)
    with pytest.raises(InputError, match="conflict"):
        do_lock(project)
    assert content(project) == before
    assert len(list(tmp_path.iterdir())) == 3


def test_all_three_files_or_none(tmp_path):
    project = make_project(tmp_path)
    do_lock(project)
    before = content(project)

    class Failing(FakeResolver):
        def resolve(self, request):
            if request.constraints:
                raise KeyboardInterrupt
            return super().resolve(request)

    with pytest.raises(KeyboardInterrupt):
        do_lock(make_project(tmp_path, ["pandas"]), Failing())
    assert content(project) == before
    assert len(list(tmp_path.iterdir())) == 3


def test_another_platform_s_own_packages_get_a_marker(tmp_path):
    project = make_project(tmp_path)
    do_lock(project, FakeResolver(ON), platforms=("linux/amd64", "linux/arm64"))
    expected = 'sys_platform == "linux" and platform_machine == "aarch64"'
    for path in (project.prod_lock, project.dev_lock):
        markers = {pin.name: pin.marker for pin in lock_files.pins(path)}
        assert markers["linux-only"] == expected
        assert markers["numpy"] is None


def test_merge_joins_digests_and_marks_versions_that_differ():
    found = {
        "linux/amd64": (Pin("a", "1", ("sha256:1",)), Pin("b", "1", ("sha256:2",))),
        "linux/arm64": (Pin("a", "1", ("sha256:3",)), Pin("b", "2", ("sha256:4",))),
    }
    a, b1, b2 = merge(found)
    assert a == Pin("a", "1", ("sha256:1", "sha256:3"))
    assert b1.marker == 'sys_platform == "linux" and platform_machine == "x86_64"'
    assert b2.marker == 'sys_platform == "linux" and platform_machine == "aarch64"'


def test_the_base_image_stays(tmp_path):
    project = make_project(tmp_path)
    base = BaseImage("docker.io/library/python:3.11-slim", "sha256:" + "d" * 64)
    lock_file.write(project.lock_file, lock_file.with_base(do_lock(project).lock, base))
    assert not do_lock(project).resolved
    assert do_lock(make_project(tmp_path, ["pandas"])).lock.base == base


def test_the_form_is_the_present_lock_s_and_at_first_exportable(tmp_path):
    project = make_project(tmp_path)
    assert do_lock(project).lock.form == "onnx"
    assert do_lock(project, form="python").lock.form == "python"
    assert do_lock(project).lock.form == "python"
    other = make_project(tmp_path / "other", settings=Settings(format="python"))
    other.root.mkdir()
    assert do_lock(other).lock.form == "python"


def relock(project, form, resolver=None, imports=()):
    return relock_for_form(
        project,
        form,
        resolver=resolver or FakeResolver(),
        reporter=FakeReporter(),
        mlpack_requirements=OWN,
        imports=imports,
    )


def test_a_hybrid_has_what_its_parts_import_and_no_more(tmp_path):
    project = make_project(tmp_path, ["scikit-learn<1.6", "pandas", "pytest"])
    do_lock(project)
    dev = project.dev_lock.read_bytes()
    result = relock(project, "hybrid", imports=("scipy", "joblib"))
    prod = versions(project.prod_lock)
    assert {"onnxruntime", "numpy", "pandas", "joblib", "scipy"} <= prod.keys()
    assert not prod.keys() & {"scikit-learn", "pytest", "skl2onnx"}
    assert prod.items() <= versions(project.dev_lock).items()
    assert (result.lock.form, result.lock.imports) == ("hybrid", ("joblib", "scipy"))
    assert check(project, mlpack_requirements=OWN) == result.lock
    assert not relock(project, "hybrid", imports=("joblib", "scipy")).resolved
    # Locking again keeps the verdict with its imports; others are another production set.
    assert not do_lock(project).resolved
    assert do_lock(project, upgrade=True).lock.imports == ("joblib", "scipy")
    assert "scipy" in versions(project.prod_lock)
    relock(project, "hybrid", imports=("scikit-learn",))
    assert versions(project.prod_lock)["scikit-learn"] == "1.5.0"
    relock(project, "onnx")
    assert lock_file.read(project.lock_file).imports == ()
    assert "scipy" not in versions(project.prod_lock)
    assert project.dev_lock.read_bytes() == dev


def test_a_part_that_imports_what_nobody_asked_for_is_an_input_error(tmp_path):
    project = make_project(tmp_path)
    do_lock(project)
    before = content(project)
    with pytest.raises(InputError, match="import lightgbm, which the lock does not have") as caught:
        relock(project, "hybrid", imports=("pandas", "lightgbm"))
    assert "Add lightgbm to the project's dependencies" in caught.value.hint
    assert content(project) == before


def test_another_verdict_changes_the_production_set_only(tmp_path):
    project, resolver = make_project(tmp_path, ["scikit-learn<1.6", "pandas<2.2"]), FakeResolver()
    do_lock(project)
    dev = project.dev_lock.read_bytes()
    result = relock(project, "python", resolver)
    assert len(resolver.requests) == 1
    prod = versions(project.prod_lock)
    assert (prod["scikit-learn"], prod["pandas"]) == ("1.5.0", "2.1.0")
    assert "onnxruntime" not in prod
    assert project.dev_lock.read_bytes() == dev
    assert result.lock.form == check(project, mlpack_requirements=OWN).form == "python"
    assert not relock(project, "python").resolved
    relock(project, "onnx")
    assert do_lock(project).resolved is False


def test_another_verdict_does_not_hide_a_stale_lock(tmp_path):
    do_lock(make_project(tmp_path))
    with pytest.raises(CheckFailedError, match=r"numpy 2\.4\.0"):
        relock(make_project(tmp_path, ["numpy<2"]), "python")


STALE = {
    "no lock": (lambda p: p.lock_file.unlink(), "there is no mlpack.lock"),
    "no production set": (lambda p: p.prod_lock.unlink(), "there is no requirements.lock.txt"),
    "no development set": (lambda p: p.dev_lock.unlink(), "there is no requirements-dev.lock.txt"),
    "an edited file": (
        lambda p: p.dev_lock.write_text(p.dev_lock.read_text() + "# mine\n"),
        "requirements-dev.lock.txt was changed",
    ),
}


@pytest.mark.parametrize("case", STALE)
def test_check_of_the_files(tmp_path, case):
    spoil, said = STALE[case]
    project = make_project(tmp_path)
    do_lock(project)
    spoil(project)
    with pytest.raises(CheckFailedError) as caught:
        check(project, mlpack_requirements=OWN)
    assert said in caught.value.what
    assert (caught.value.code, caught.value.hint) == (1, "mlpack lock")


CHANGES = {
    "a dependency is newer": (
        {"dependencies": ("scikit-learn>=1.7", "pandas")},
        {},
        "it has scikit-learn 1.6.0, and [project] dependencies in pyproject.toml asks for",
    ),
    "a dev dependency is new": (
        {"dev_dependencies": ("pytest>=8", "ruff")},
        {},
        "it lacks ruff, which is asked for by penguins' dev group",
    ),
    "a dependency is gone": ({"dependencies": ("pandas",)}, {}, "not those"),
    "a package for production is new": (
        {"settings": Settings(serving=("grpcio>=1.60",))},
        {},
        "it lacks grpcio, which is asked for by serving in [tool.mlpack]",
    ),
    "another resolver": ({"settings": Settings(resolver="pip-tools")}, {}, "made by uv"),
    "another Python": ({}, {"python": "3.12"}, "made for Python 3.11"),
    "another platform": ({}, {"platforms": ("linux/riscv64",)}, "linux/riscv64 is asked"),
    "another mlpack": ({}, {"mlpack_requirements": (*OWN, "tomlkit")}, "it lacks tomlkit"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_check_of_the_inputs(tmp_path, case):
    fields, options, said = CHANGES[case]
    project = make_project(tmp_path)
    do_lock(project)
    with pytest.raises(CheckFailedError) as caught:
        check(replace(project, **fields), **{"mlpack_requirements": OWN, **options})
    assert said in caught.value.what
    assert caught.value.hint == "mlpack lock"


@pytest.mark.parametrize(
    "requirement",
    [
        "./local",
        "-e .",
        "-r other.txt",
        "git+https://host.example/x.git",
        "x @ https://host.example/x-1-py3-none-any.whl",
        "x @ file:///home/me/x",
        "numpy >= ",
        "",
    ],
)
@pytest.mark.parametrize("group", ["dependencies", "dev_dependencies"])
def test_a_requirement_that_cannot_be_locked_is_named(tmp_path, requirement, group):
    project = replace(make_project(tmp_path), **{group: (requirement,)})
    with pytest.raises(InputError, match="cannot be locked") as caught:
        do_lock(project)
    assert repr(requirement) in caught.value.what
    assert caught.value.where
    assert not list(tmp_path.iterdir())


def test_mlpack_s_own_distribution_is_never_asked_for(tmp_path):
    project, resolver = make_project(tmp_path, dev_dependencies=("MLpack.Builder",)), FakeResolver()
    do_lock(project, resolver)
    asked = [text for request in resolver.requests for text, _ in request.requirements]
    assert not [text for text in asked if text.lower().startswith("mlpack")]


def test_a_python_that_the_project_does_not_allow(tmp_path):
    project = make_project(tmp_path, requires_python=">=3.12")
    with pytest.raises(InputError, match=r"asks for Python >=3\.12, and the lock is for 3\.11"):
        do_lock(project)
    do_lock(make_project(tmp_path, requires_python=">=3.11.4"))
    with pytest.raises(InputError, match="not a version range"):
        do_lock(make_project(tmp_path, requires_python="three"))
