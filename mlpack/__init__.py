"""mlpack: from a machine-learning project to proved artifacts, and into production."""

__version__ = "0.1.0"
