"""What the documents say of the code is true."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import fields
from pathlib import Path

import pytest

from mlpack import serving
from mlpack.config import parse_toml
from mlpack.gate.limits import Limits
from mlpack.gate.limits import read as read_limits
from mlpack.inspection.settings import read as read_settings
from mlpack.packagers.docker_image import NETWORK

ROOT = Path(__file__).resolve().parent.parent


def test_the_architecture_names_files_and_folders_that_are_there():
    text = (ROOT / "docs" / "architecture.md").read_text()
    table = text.partition("## The folders")[2].partition("Arrows")[0]
    named = [
        name
        for row in table.splitlines()[4:]
        if row.startswith("|")
        for name in re.findall(r"`([\w/.]+)`", row.split("|")[1])
    ]
    assert len(named) > 20
    for name in named:
        assert (ROOT / "mlpack" / name).exists() or (ROOT / name).exists(), name


def test_every_folder_of_the_package_is_on_the_map():
    text = (ROOT / "docs" / "architecture.md").read_text()
    for folder in (ROOT / "mlpack").iterdir():
        if folder.is_dir() and any(folder.glob("*.py")):
            assert f"`{folder.name}/`" in text, folder.name


def told_of_the_serving_set() -> dict[str, list[str]]:
    """The rows of the table: what stands beside each package."""
    text = (ROOT / "docs" / "serving-set.md").read_text()
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    assert rows[0] == ["package", "version", "MB", "needed by", "why"]
    assert len({row[0] for row in rows}) == len(rows)
    return {name: rest for name, *rest in rows[2:-1]}


@pytest.fixture(scope="module")
def serving_set():
    """The script that made the table."""
    spec = importlib.util.spec_from_file_location(
        "serving_set", ROOT / "scripts" / "serving_set.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_package_of_the_serving_set_has_its_reason_and_no_other_is_told(serving_set):
    packages = serving_set.needed(serving.requirements("onnx"))
    assert len(packages) > len(serving.requirements("onnx"))
    told = told_of_the_serving_set()
    assert {name: row[2].split(", ") for name, row in told.items()} == packages
    assert {name: row[3] for name, row in told.items()} == serving_set.WHY


def test_the_serving_set_is_locked_here_too(serving_set):
    # mlpack's own production installs what it puts into artifacts, so its lock has these packages.
    text = (ROOT / "requirements.lock.txt").read_text()
    locked = set(re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE))
    assert set(told_of_the_serving_set()) <= locked


def test_the_sum_of_the_serving_set_is_right():
    text = (ROOT / "docs" / "serving-set.md").read_text()
    count, total = re.search(r"\*\*(\d+) packages\*\* \| \| \*\*([\d.]+)\*\*", text).groups()
    sizes = [float(row[1]) for row in told_of_the_serving_set().values()]
    assert int(count) == len(sizes)
    assert float(total) == pytest.approx(sum(sizes), abs=0.1)


def test_the_script_says_what_nobody_needs_or_explains(serving_set, capsys):
    # The environment of the tests has much that a serving set has not.
    with pytest.raises(SystemExit, match=r"nobody needs: .*'pytest'.*; no reason is told: \["):
        serving_set.main("fastapi")
    assert capsys.readouterr().out == ""


def test_the_settings_of_the_image_that_the_document_shows_are_taken():
    text = (ROOT / "docs" / "image.md").read_text()
    section = text.partition("## Packages of the system and source builds")[2]
    blocks = re.findall(r"```toml\n(.*?)```", section, re.DOTALL)
    written = "\n".join(blocks)
    table = parse_toml(written, "pyproject.toml")["tool"]["mlpack"]
    image = read_settings(table, written).image
    assert image.builder == "docker"
    assert image.system_packages == ("libgomp1",)
    assert image.pip.no_binary == ("psycopg2",)
    assert [secret.name for secret in image.secrets] == ["netrc", "token"]
    assert f"`{NETWORK}=host`" in section


def test_the_limits_of_the_gate_are_those_that_the_page_tells():
    text = (ROOT / "docs" / "compare.md").read_text()
    told = re.search(r"```toml\n# config/production.toml\n(.*?)```", text, re.DOTALL)
    assert told is not None
    found = parse_toml(told[1], "docs/compare.md")
    assert set(found["gate"]) == {each.name for each in fields(Limits)}
    assert read_limits(found) == Limits()


def prose(page: Path) -> str:
    return re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Where a link into a page can lead: GitHub's names of its headings."""
    found = (
        re.sub(r"[`*]", "", each) for each in re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    )
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in found}


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_points_at_is_there(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        path, _, anchor = link.partition("#")
        if "://" in path:
            continue
        there = page.parent / path if path else page
        assert there.exists(), link
        if anchor:
            assert anchor in anchors(there), link
