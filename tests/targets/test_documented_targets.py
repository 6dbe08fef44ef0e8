"""The configurations that the documents show are taken by the targets."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mlpack.cli.targets import SERVICES, TARGETS
from mlpack.config import parse_toml, resolve
from mlpack.errors import InputError
from mlpack.plugins import load

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [DOCS / "deploy.md", *sorted((DOCS / "deploy").glob("*.md"))]
SHOWN = [
    parse_toml(text, "docs")["deploy"]
    for page in PAGES
    for text in re.findall(r"```toml\n(.*?)```", page.read_text(), re.DOTALL)
]
SAID = ("canary", "fetch", "samples", "render", "policy")


def test_every_target_is_shown():
    assert sorted(each["target"] for each in SHOWN) == sorted(TARGETS)


@pytest.mark.parametrize("shown", SHOWN, ids=lambda each: each["target"])
def test_what_is_shown_is_taken(shown, tmp_path):
    env = {"INDEX_USERNAME": "alice", "INDEX_PASSWORD": "secret", "AWS_REGION": "eu-central-1"}
    settings = {**resolve(shown, env, tmp_path)}
    if shown["target"] in SERVICES:
        settings["service"] = "churn-production"  # as the command line does
    assert load(TARGETS[shown["target"]])(settings, env).kind == shown["target"]


def table() -> dict[str, list[str]]:
    """What the page says of each target: a service's verbs, canary, fetch, samples and so on."""
    rows = [
        line for line in (DOCS / "deploy.md").read_text().splitlines() if line.startswith("| [")
    ]
    found = {}
    for row in rows:
        name, _, *cells = [cell.strip() for cell in row.strip("|").split("|")]
        found[re.search(r"`(.+)`", name)[1]] = cells
    return found


def test_the_table_of_targets_names_all_of_them():
    assert sorted(table()) == sorted(TARGETS)


@pytest.mark.parametrize("shown", SHOWN, ids=lambda each: each["target"])
def test_the_table_says_what_they_can(shown, tmp_path):
    env = {"INDEX_USERNAME": "alice", "INDEX_PASSWORD": "secret", "AWS_REGION": "eu-central-1"}
    settings = {**resolve(shown, env, tmp_path)}
    if shown["target"] in SERVICES:
        settings["service"] = "churn-production"
    verbs = load(TARGETS[shown["target"]])(settings, env).verbs
    operated = {"status", "history", "logs", "rollback", "remove"}
    wanted = [
        "yes" if operated <= verbs else ", ".join(sorted(operated & verbs)),
        *("yes" if verb in verbs else "" for verb in SAID),
    ]
    assert table()[shown["target"]] == wanted


NOT_TOLD = {
    "fly": {"secret_env"},  # known only to be refused with what to do instead
}
"""Keys that a page leaves out, beside ``target``."""


def keys_of(target: str) -> set[str]:
    """The keys that a target knows, as it tells whoever writes one that there is not."""
    nonsense = "qqqqqqqqqqqqqqqq"
    shown = next(each for each in SHOWN if each["target"] == target)
    with pytest.raises(InputError, match=nonsense) as caught:
        load(TARGETS[target])({**shown, nonsense: 1}, {"AWS_REGION": "eu-central-1"})
    told = str(caught.value.hint)
    assert told.startswith("There are: ")
    return set(told.removeprefix("There are: ").split(", ")) - {"target"}


def keys_told(target: str) -> set[str]:
    """The keys in the first column of the page's table."""
    page = (DOCS / "deploy" / f"{target}.md").read_text()
    _, _, rows = page.partition("| key | | default |\n")
    cells = [row.split("|")[1] for row in rows.partition("\n\n")[0].splitlines()]
    found = [key for cell in cells for key in re.findall(r"`([^`]+)`", cell)]
    return {key.removeprefix("[deploy.").removesuffix("]") for key in found}


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_the_page_tells_every_key_and_no_other(target):
    assert keys_told(target) == keys_of(target) - NOT_TOLD.get(target, set())
