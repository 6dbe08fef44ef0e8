"""The command line: the composition root, and the only place that prints."""

from mlpack.cli.app import main

__all__ = ["main"]
