"""The command line: the composition root, and the only place that prints."""

from mlpack.cli.entry import main

__all__ = ["main"]
