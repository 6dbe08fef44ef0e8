"""Registries that base images come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from mlpack.oci.credentials import docker_config_file, from_docker
from mlpack.oci.reference import Reference
from mlpack.oci.registry import Registry, connect
from mlpack.process import Runner, run


def puller(
    env: Mapping[str, str], home: Path, runner: Runner = run, ca_file: Path | None = None
) -> Callable[[Reference], Registry]:
    """What `mlpack.oci.source.open_base` asks: registries, with the logins that Docker knows.

    The credential in mlpack's own variables is for the registry that is deployed to, and is never
    sent to the one that a base image comes from.
    """

    def connected(reference: Reference) -> Registry:
        credential = from_docker(reference.host, docker_config_file(env, home), runner)
        return connect(reference, credential, ca_file)

    return connected
