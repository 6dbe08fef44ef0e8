"""The configurations that the documents show are taken by the targets."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mlpack.cli.wiring import SERVICES, TARGETS
from mlpack.config import parse_toml, resolve
from mlpack.plugins import load

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [DOCS / "deploy.md", *sorted((DOCS / "deploy").glob("*.md"))]
SHOWN = [
    parse_toml(text, "docs")["deploy"]
    for page in PAGES
    for text in re.findall(r"```toml\n(.*?)```", page.read_text(), re.DOTALL)
]


def test_every_target_is_shown():
    assert sorted(each["target"] for each in SHOWN) == sorted(TARGETS)


@pytest.mark.parametrize("shown", SHOWN, ids=lambda each: each["target"])
def test_what_is_shown_is_taken(shown, tmp_path):
    env = {"INDEX_USERNAME": "alice", "INDEX_PASSWORD": "secret", "AWS_REGION": "eu-central-1"}
    settings = {**resolve(shown, env, tmp_path)}
    if shown["target"] in SERVICES:
        settings["service"] = "churn-production"  # as the command line does
    assert load(TARGETS[shown["target"]])(settings, env).kind == shown["target"]
