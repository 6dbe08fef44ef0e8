"""The files that describe a model, read without loading the model."""

from __future__ import annotations

from mlpack import schema_file
from mlpack.errors import InputError
from mlpack.project import Project
from mlpack.runtime import contract
from mlpack.runtime.schema import Schema


def recorded_signature(project: Project) -> contract.Signature | None:
    """The signature that training or the author wrote down; None where there is none.

    Raises:
        InputError: it is damaged, or a newer mlpack wrote it.
    """
    path = project.signature
    if path is None:
        return None
    where = path.relative_to(project.root).as_posix()
    try:
        return contract.decode(path.read_bytes(), contract.Signature, path.name)
    except contract.ContractError as error:
        raise InputError(str(error), where=where, hint="Run: mlpack train") from error


def demanded(project: Project, signature: contract.Signature | None) -> Schema:
    """What the author demands, compared with `signature` where there is one.

    Raises:
        InputError: it is damaged, or contradicts itself or the signature.
    """
    if project.schema is None:
        return Schema()
    return schema_file.read(project.schema, signature, project.schema.name)
