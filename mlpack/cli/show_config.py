"""Shows the settings of an environment."""

from __future__ import annotations

import json
from collections.abc import Sequence

from mlpack.cli.console import Console
from mlpack.cli.show import plain
from mlpack.usecases.show_config import Setting


def table(console: Console, settings: Sequence[Setting]) -> None:
    """A line for each on standard output; what is missing on standard error."""
    if not settings:
        console.say("There is no configuration: config/default.toml would be the first file.")
        return
    width = max(len(each.key) for each in settings)
    shown = [(each, json.dumps(each.value, ensure_ascii=False, default=str)) for each in settings]
    value_width = min(max(len(text) for _, text in shown), 60)
    for each, text in shown:
        console.result(f"{each.key:<{width}}  {text:<{value_width}}  {each.origin}".rstrip())
    for each in settings:
        for reference in each.missing:
            console.warn(f"{each.key} ({each.origin}): {reference} leads to nothing here")


def as_json(console: Console, settings: Sequence[Setting]) -> None:
    """All of it, for machines."""
    console.json([plain(each) for each in settings])
