"""The command line of ``docker build``, and what its failures mean."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpack.engines.docker_cli import DockerBuildKit, command, failure
from mlpack.errors import InputError, OutsideError
from mlpack.ports import ImageBuild, SecretSource
from mlpack.process import Completed

ID = "sha256:" + "a" * 64

# What Docker 20.10 wrote when a package was not there, shortened.
NO_PACKAGE = """\
#1 [internal] load build definition from Dockerfile
#1 sha256:2f9e9d7a7c3d7ac9d6f39a3d1e5f1d9f8f3e7b0a5d7c1b2a3e4f5a6b7c8d9e0f
#1 transferring dockerfile: 38B done
#1 DONE 0.0s

#5 [system 2/2] RUN --mount=type=cache,target=/var/lib/apt/lists ["/bin/sh", "-ec", "..."]
#5 0.514 Get:1 https://me:a-password@registry.example/debian bookworm InRelease [151 kB]
#5 1.992 Reading package lists...
#5 2.481 E: Unable to locate package libgomp99
#5 ERROR: executor failed running [/bin/sh -ec ...]: exit code: 100
------
 > [system 2/2] RUN --mount=type=cache,target=/var/lib/apt/lists ["/bin/sh", "-ec", "..."]:
#5 2.481 E: Unable to locate package libgomp99
------
executor failed running [/bin/sh -ec ...]: exit code: 100
"""


class Docker:
    """A docker program: what it was asked, and what it answers."""

    def __init__(self, code=0, stderr="", identity=ID):
        self.code, self.stderr, self.identity = code, stderr, identity
        self.argv, self.env = (), {}

    def __call__(self, argv, *, env=None, timeout=None, **more):
        self.argv, self.env = tuple(argv), env
        if not self.code:
            Path(argv[argv.index("--iidfile") + 1]).write_text(self.identity)
        return Completed(self.argv, self.code, "", self.stderr)


def asked(folder, **more):
    (folder / "context").mkdir(exist_ok=True)
    return ImageBuild(context=folder / "context", platform="linux/amd64", **more)


def test_the_command_in_full(tmp_path):
    docker = Docker()
    built = DockerBuildKit(docker, {"PATH": "/bin", "TOKEN": "secret"}).build(
        asked(
            tmp_path,
            tag="churn:1.2.0",
            labels={"b": "two words; $(id)", "a": "1=2"},
            arguments={"SOURCE_DATE_EPOCH": "0"},
            inherited=("https_proxy",),
            secrets=(
                SecretSource("token", env="TOKEN"),
                SecretSource("netrc", file=Path("/home/me/a,b/.netrc")),
                SecretSource("mlpack-pip", value="[global]\npassword"),
            ),
            network="host",
        )
    )
    assert built == ID
    iidfile = docker.argv.index("--iidfile")
    assert docker.argv[:iidfile] == (
        *("docker", "build", "--progress", "plain", "--platform", "linux/amd64"),
        *("--network", "host", "--tag", "churn:1.2.0"),
        *("--label", "a=1=2", "--label", "b=two words; $(id)"),
        *("--build-arg", "SOURCE_DATE_EPOCH=0", "--build-arg", "https_proxy"),
        *("--secret", "id=token,env=TOKEN"),
        *("--secret", 'id=netrc,"src=/home/me/a,b/.netrc"'),
        *("--secret", "id=mlpack-pip,env=MLPACK_SECRET_MLPACK_PIP"),
    )
    assert docker.argv[iidfile + 2 :] == (str(tmp_path / "context"),)
    assert docker.env["DOCKER_BUILDKIT"] == "1"
    assert docker.env["PATH"] == "/bin"
    # A value that stands nowhere is in docker's environment: on no disk, in no list of processes.
    assert docker.env["MLPACK_SECRET_MLPACK_PIP"] == "[global]\npassword"
    assert "password" not in " ".join(docker.argv)
    assert "secret" not in docker.argv
    assert [path.name for path in tmp_path.iterdir()] == ["context"]


def test_an_image_that_shall_have_no_name_gets_none(tmp_path):
    assert "--tag" not in command(asked(tmp_path))


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1))
def test_any_path_is_one_field_of_the_secret(path):
    build = ImageBuild(
        context=Path("c"), platform="linux/amd64", secrets=(SecretSource("a", file=Path(path)),)
    )
    argv = command(build)
    (row,) = csv.reader(io.StringIO(argv[argv.index("--secret") + 1]))
    assert row == ["id=a", f"src={Path(path)}"]


def test_a_failed_build_shows_its_last_lines_without_passwords(tmp_path):
    docker = Docker(1, NO_PACKAGE)
    with pytest.raises(InputError) as caught:
        DockerBuildKit(docker, {}).build(asked(tmp_path))
    assert "libgomp99" in caught.value.what
    assert caught.value.where == "[tool.mlpack.image]"
    assert caught.value.hint.splitlines()[-2:] == [
        "E: Unable to locate package libgomp99",
        "ERROR: executor failed running [/bin/sh -ec ...]: exit code: 100",
    ]
    assert "a-password" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["context"]


def test_only_the_last_lines_are_shown_and_not_all_of_a_long_one():
    error = failure(
        "\n".join([*(f"#9 1.0 line {i} {'x' * 900}" for i in range(50)), "#9 ERROR: x"])
    )
    lines = error.hint.splitlines()
    assert len(lines) == 16
    assert lines[-1] == "ERROR: x"
    assert lines[-2].startswith("line 49 ")
    assert max(map(len, lines)) == 200


@pytest.mark.parametrize(
    ("output", "kind", "says", "hint"),
    [
        (
            "ERROR: Cannot connect to the Docker daemon at unix:///var/run/docker.sock.",
            *(OutsideError, "no Docker engine answers", "docker version"),
        ),
        (
            "permission denied while trying to connect to the Docker daemon socket",
            *(OutsideError, "no Docker engine answers", "DOCKER_HOST"),
        ),
        (
            "ERROR: BuildKit is enabled but the buildx component is missing or broken.",
            *(OutsideError, "no BuildKit", "docker-buildx-plugin"),
        ),
        ("buildkit not supported by daemon", OutsideError, "no BuildKit", "20.10"),
        ("unknown flag: --secret", OutsideError, "no BuildKit", "20.10"),
        (
            "#5 2.0 E: Version '99' for 'libgomp1' was not found",
            *(InputError, "no package libgomp1", "Version '99'"),
        ),
        (
            "#5 2.0 E: Package 'python2' has no installation candidate",
            *(InputError, "no package python2", "installation candidate"),
        ),
        (
            "#9 0.2 /usr/bin/python3.11: No module named pip",
            *(InputError, "no pip", 'build-packages = ["python3-pip"]'),
        ),
        (
            'exec: "/bin/sh": stat /bin/sh: no such file or directory: unknown',
            *(InputError, "no apt-get", "slim"),
        ),
        ("#5 0.1 /bin/sh: 1: apt-get: not found", InputError, "no apt-get", "Debian"),
        (
            "#9 3.1 ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.",
            *(OutsideError, "other bytes", "DO NOT MATCH"),
        ),
        ("#9 3.1 error: command 'gcc' failed", OutsideError, "could not be built", "gcc"),
    ],
)
def test_what_a_failure_means(output, kind, says, hint):
    error = failure(output)
    assert type(error) is kind
    assert says in error.what
    assert hint in error.hint


def test_without_a_docker_program_the_way_out_is_named(tmp_path):
    def nothing(argv, **more):
        raise OutsideError("the program 'docker' is not there")

    with pytest.raises(OutsideError, match="there is no docker program") as caught:
        DockerBuildKit(nothing, {}).build(asked(tmp_path))
    assert 'builder = "mlpack" needs none' in caught.value.hint


def test_a_build_that_takes_too_long_is_told_as_it_is(tmp_path):
    def slow(argv, **more):
        raise OutsideError("docker did not end within 3600 s")

    with pytest.raises(OutsideError, match="did not end"):
        DockerBuildKit(slow, {}).build(asked(tmp_path))


def test_an_answer_that_is_no_id_is_refused(tmp_path):
    with pytest.raises(OutsideError, match="named no image"):
        DockerBuildKit(Docker(identity=""), {}).build(asked(tmp_path))
