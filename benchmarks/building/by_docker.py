"""The Dockerfile that a careful person writes for the same server, built by BuildKit.

The set is mlpack's production lock, pip checks the hashes and keeps its downloads in a cache mount,
what changes seldom stands first. Code and model are those of the wheel: the image answers as
mlpack's does.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import running
from running import FailedError

from mlpack.dockerfile import PIP_SECRET, SECRETS
from mlpack.engines.docker_cli import command
from mlpack.oci.archive import read_archive, write_archive
from mlpack.oci.cache import Cache
from mlpack.ports import ImageBuild, SecretSource

NAME = "mlpack-benchmark"
LABEL = "io.mlpack.benchmark"
DEBIAN = f"{NAME}-debian-bookworm-pip"
SCRIPT = Path(__file__).resolve().parent.parent.parent / "scripts" / "debian_apt.py"
DATA = "_mlpack/data/"
BASE = """\
FROM {debian}
RUN apt-get update --quiet \\
 && apt-get install --yes --quiet --no-install-recommends python3-pip \\
 && rm -rf /var/lib/apt/lists/* /usr/lib/python3*/EXTERNALLY-MANAGED
"""
DOCKERFILE = """\
FROM {base}
WORKDIR {home}
COPY requirements.lock.txt .
RUN --mount=type=cache,id={mount},target=/root/.cache/pip{secrets} \\
    {variable}pip install --require-hashes -r requirements.lock.txt  # {run}
COPY app/ .
COPY model/ .
ENV MLPACK_HOST=0.0.0.0 PYTHONUNBUFFERED=1
EXPOSE 8080
USER 65532
CMD ["python3", "-m", "penguins", "serve"]
"""

_BUILDKIT = {"DOCKER_BUILDKIT": "1", "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}


def program(scratch: Path) -> str:
    """The first docker on PATH that has BuildKit: a newer one has it only with its plugin.

    Raises:
        FailedError: there is none, or no engine answers.
    """
    folder = scratch / "nothing"
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM scratch\nLABEL of=benchmarks\n")
    for place in os.environ["PATH"].split(os.pathsep):
        found = shutil.which("docker", path=place)
        if found is None:
            continue
        try:
            running.run([found, "build", "--quiet", folder], scratch, _BUILDKIT)
        except FailedError:
            continue
        return found
    raise FailedError("no docker on PATH has BuildKit and an engine that answers")


def versions(docker: str) -> str:
    """Of the client and the engine."""
    form = "{{.Client.Version}}, engine {{.Server.Version}}"
    return running.run([docker, "version", "--format", form], Path.cwd()).strip()


def debian_with_pip(docker: str, scratch: Path) -> str:
    """A base for where no registry answers: Debian's packages, Python and pip. It is kept.

    Raises:
        FailedError: it cannot be made; needs root and mmdebstrap, or MLPACK_APT_ROOT.
    """
    made = running.run([docker, "images", "--quiet", f"{DEBIAN}:12"], scratch)
    if made.strip():
        return f"{DEBIAN}:12"
    root, folder = os.environ.get("MLPACK_APT_ROOT"), scratch / "debian"
    folder.mkdir()
    if not root:
        root = str(scratch / "root.tar")
        running.run([sys.executable, SCRIPT, root], scratch)
    running.run([docker, "import", root, f"{DEBIAN}:without"], scratch)
    (folder / "Dockerfile").write_text(BASE.format(debian=f"{DEBIAN}:without"))
    build = [docker, "build", "--network", "host", "--tag", f"{DEBIAN}:12", str(folder)]
    running.run(build, scratch, _BUILDKIT)
    running.run([docker, "image", "rm", f"{DEBIAN}:without"], scratch)
    return f"{DEBIAN}:12"


def as_archive(docker: str, image: str, platform: str, scratch: Path) -> Path:
    """An image of the engine as an archive, its layers compressed as a registry has them."""
    saved, archive = scratch / "saved.tar", scratch / "base.tar"
    running.run([docker, "save", "--output", saved, image], scratch)
    with archive.open("wb"):
        write_archive(read_archive(saved, platform, Cache(scratch / "save")), archive, NAME, "base")
    saved.unlink()
    return archive


def remove(docker: str, image: str, label: str) -> None:
    """Remove an image from the engine, if it is there, and those that had its name before.

    Args:
        docker: the program.
        image: with its tag.
        label: what all of them have, and no other.
    """
    if running.run([docker, "images", "--quiet", image], Path.cwd()).strip():
        running.run([docker, "image", "rm", "--force", image], Path.cwd())
    running.run([docker, "image", "prune", "--force", "--filter", f"label={label}"], Path.cwd())


@dataclass
class ByDocker:
    """Builds with a Dockerfile.

    Attributes:
        docker: the program.
        base: the image to start from.
        platform: such as ``linux/amd64``.
        scratch: a folder for the context.
        secrets: pip's configuration, for the step that installs.
        run: tells this run from others, whose layers must not be found.
    """

    docker: str
    base: str
    platform: str
    scratch: Path
    secrets: Sequence[SecretSource]
    run: str
    comment: str = ""

    @property
    def context(self) -> Path:
        """What the engine gets."""
        return self.scratch / "context"

    @property
    def image(self) -> str:
        """The image's name in the engine."""
        return f"{NAME}:{self.run}"

    def take(self, wheel: Path, lock: Path) -> None:
        """Put what mlpack built into the context: the code, the model, the set."""
        shutil.rmtree(self.context, ignore_errors=True)
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                part = "model" if DATA in name else "app"
                if ".dist-info/" not in name:
                    archive.extract(name, self.context / part)
        shutil.copy(lock, self.context / "requirements.lock.txt")
        if self.comment:
            with (self.context / "app" / "penguins" / "__main__.py").open("a") as file:
                file.write(self.comment)
        self._write("pip")

    def change_file(self, number: int) -> None:
        """Change a source file of the application."""
        self.comment = f"\n# {number}\n"

    def build(self, *, empty: int | None = None) -> float:
        """Time a build.

        Args:
            empty: a number for a new, empty cache of downloads, and no layer is taken from a cache;
                None for the caches in use.
        """
        if empty is None:
            return self._build()
        self._write(f"empty-{empty}")
        took = self._build("--no-cache")
        self._write("pip")
        self._build()  # with what was there before, which the next scenario starts from
        return took

    def clean(self) -> None:
        """Remove the image of this run, its layers and its caches of downloads."""
        remove(self.docker, self.image, f"{LABEL}={self.run}")
        kept = self._kept()
        # The command of the one step that runs names this run; what was copied over it does not.
        doomed = [each["ID"] for each in kept if self.run in each["Description"]]
        for parent in doomed:
            doomed += [each["ID"] for each in kept if each["Parent"] == parent]
        for identity in reversed(doomed):
            prune = [self.docker, "builder", "prune", "--force", "--filter", f"id={identity}"]
            running.run(prune, self.scratch)

    def downloads(self) -> str:
        """What pip keeps in this run's cache mounts: nothing, where the index forbids it."""
        mounts = [each for each in self._kept() if each["CacheType"] == "exec.cachemount"]
        return ", ".join(each["Size"] for each in mounts if self.run in each["Description"])

    def _kept(self) -> list[dict[str, str]]:
        form = "{{json .BuildCache}}"
        told = running.run([self.docker, "system", "df", "-v", "--format", form], self.scratch)
        return json.loads(told) or []

    def _write(self, mount: str) -> None:
        ids = [secret.name for secret in self.secrets]
        secrets = "".join(f" \\\n    --mount=type=secret,id={name},mode=0400" for name in ids)
        variable = f"PIP_CONFIG_FILE={SECRETS}/{PIP_SECRET} " if PIP_SECRET in ids else ""
        (self.context / "Dockerfile").write_text(
            DOCKERFILE.format(
                base=self.base,
                home=f"/srv/{self.run}",
                run=self.run,
                mount=f"{NAME}-{self.run}-{mount}",
                secrets=secrets,
                variable=variable,
            )
        )

    def _build(self, *further: str) -> float:
        asked = ImageBuild(
            context=self.context,
            platform=self.platform,
            tag=self.image,
            labels={LABEL: self.run},
            secrets=self.secrets,
            network="host",
        )
        argv = [self.docker, *command(asked)[1:], *further, str(self.context)]
        took, _ = running.timed(argv, self.scratch, _BUILDKIT)
        return took
