"""What the documents say of the code is true."""

from __future__ import annotations

import re
from pathlib import Path

from packaging.requirements import Requirement

from mlpack import serving

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


def test_every_package_of_the_serving_set_has_its_reason():
    text = (ROOT / "docs" / "serving-set.md").read_text()
    for requirement in serving.requirements("onnx"):
        assert Requirement(requirement).name in text
