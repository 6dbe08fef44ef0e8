"""Static readers: what a folder holds, found without importing or unpickling anything."""

from mlpack.inspection.folder import read

__all__ = ["read"]
