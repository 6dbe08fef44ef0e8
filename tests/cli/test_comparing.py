"""What the arguments of ``compare`` name."""

from __future__ import annotations

import pytest
from bundling import Remembering
from memory_target import GOOD, POOR, build, bundle

from mlpack.cli import comparing
from mlpack.errors import InputError, MlpackError
from mlpack.packagers.wheel import WheelPackager


def compare(project, console, before, after=None, **more):
    given = {
        "data": None,
        "target": None,
        "environment": None,
        "html": None,
        "measure": False,
    }
    return comparing.compare(project, console, before=before, after=after, **{**given, **more})


def test_an_artifact_and_a_folder_are_compared_in_the_order_they_are_named(
    project, console, tmp_path
):
    old = WheelPackager().package(bundle("1.2.0"), tmp_path, Remembering())
    build(project, POOR)
    path = str(tmp_path / old.file)
    report, told = compare(project, console, path)
    assert (report.before.version, report.after.version) == ("1.2.0", "1.3.0")
    assert (report.before.rows, report.after.rows) == (100, 10)
    assert told == project.dist_dir / "compared.html"
    assert report.stops
    back, told = compare(
        project, console, str(project.dist_dir), path, html=tmp_path / "pages" / "x.html"
    )
    assert (back.before.version, back.after.version) == ("1.3.0", "1.2.0")
    assert not back.stops
    assert [each.name for each in (tmp_path / "pages").iterdir()] == ["x.html"]
    assert told.name == "x.html"


def test_the_environment_that_is_named_says_what_may_pass(project, console, tmp_path):
    old = WheelPackager().package(bundle("1.2.0"), tmp_path, Remembering())
    build(project, POOR)
    (project.config_dir / "production.toml").write_text("[gate]\nrows = 0.05\n")
    path = str(tmp_path / old.file)
    assert compare(project, console, path)[0].stops
    assert not compare(project, console, path, environment="production")[0].stops


def test_what_names_nothing_is_told_with_what_could_be_named(project, console):
    build(project, GOOD)
    with pytest.raises(InputError, match="'prodution' is no artifact") as caught:
        compare(project, console, "prodution")
    assert "mlpack compare production" in caught.value.hint


@pytest.mark.parametrize("name", ["build.html", "page.txt"])
def test_the_page_is_the_file_that_was_named_and_no_other_is_touched(project, console, name):
    build(project, GOOD)
    page = project.dist_dir / name
    before = (project.dist_dir / "build.json").read_bytes()
    there = {each.name for each in project.dist_dir.iterdir()}
    _, told = compare(project, console, str(project.dist_dir), html=page)
    assert told == page
    assert "<html" in page.read_text()
    assert {each.name for each in project.dist_dir.iterdir()} == there | {name}
    assert (project.dist_dir / "build.json").read_bytes() == before


@pytest.mark.parametrize("place", ["dist", "file/page.html", "x" * 300])
def test_where_no_page_can_lie_is_told_before_anything_is_asked(project, console, tmp_path, place):
    build(project, GOOD)
    (tmp_path / "file").write_text("")
    html = project.dist_dir if place == "dist" else tmp_path / place
    with pytest.raises(MlpackError, match=f"dist|file|{'x' * 60}"):
        compare(project, console, "not looked at", html=html)


def test_a_candidate_that_is_not_built_is_told_so(project, console):
    with pytest.raises(InputError, match="nothing is built yet") as caught:
        compare(project, console, "production")
    assert caught.value.hint == "mlpack build"


def test_a_column_of_rows_that_nobody_gave_is_refused(project, console):
    build(project, GOOD)
    with pytest.raises(InputError, match="--target names a column of --data"):
        compare(project, console, str(project.dist_dir), target="species")


def test_a_name_that_is_too_long_for_a_file_names_nothing(project, console):
    build(project, GOOD)
    with pytest.raises(InputError, match="is no artifact"):
        compare(project, console, "x" * 5000)
