"""One project on one base that comes from a registry, a layout, an archive and an engine."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest
from environments import EXAMPLES, free_port, mlpack_wheel, post, run, wait_ready, with_mlpack

NAME = "debian-bookworm-python3.11:12"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A trained and locked project, and the environment that made it."""
    folder = tmp_path_factory.mktemp("bases")
    environment = with_mlpack(folder / "environment")
    root = folder / "penguins"
    shutil.copytree(EXAMPLES / "penguins", root, ignore=shutil.ignore_patterns("models"))
    for command in ("lock", "install", "train"):
        environment.mlpack(command, cwd=root)
    return root, environment


@pytest.fixture(scope="module")
def references(project, base, registry, engine, tool, tmp_path_factory):
    """The same base under the four kinds of names, and the variables that its login needs."""
    skopeo = tool("skopeo")
    folder = tmp_path_factory.mktemp("base")
    source = f"docker-archive:{base}:{NAME}"
    login = f"{registry.username}:{registry.password}"
    there = f"docker://{registry.host}/base/{NAME}"
    run(skopeo, "copy", "--dest-tls-verify=false", "--dest-creds", login, source, there)
    run(skopeo, "copy", source, f"oci:{folder / 'layout'}:12")
    with base.open("rb") as stream:
        engine.images.load(stream)
    config = folder / "docker"
    config.mkdir()
    run(
        "docker", "--config", config, "login", registry.host, "--username", registry.username,
        "--password-stdin", stdin=registry.password,
    )  # fmt: skip
    names = {
        "registry": f"{registry.host}/base/{NAME}",
        "layout": f"oci:{folder / 'layout'}:12",
        "archive": f"archive:{base}",
        "engine": f"docker:{NAME}",
    }
    return names, {"DOCKER_CONFIG": str(config)}


@pytest.mark.parametrize("kind", ["registry", "layout", "archive", "engine"])
def test_the_image_is_built_on_a_base_from_anywhere(kind, project, references, engine):
    root, environment = project
    names, login = references
    environment.mlpack("lock", "--upgrade-base", cwd=root)
    environment.mlpack("build", "--base", names[kind], cwd=root, env=login)
    lock = (root / "mlpack.lock").read_text()
    assert f'reference = "{names[kind]}"' in lock
    assert 'digest = "sha256:' in lock
    build = json.loads((root / "dist" / "build.json").read_text())
    image = engine.images.get(build["artifacts"]["image"]["config"])
    assert build["artifacts"]["image"]["image"] in image.tags
    port = free_port()
    container = engine.containers.run(
        image.id,
        detach=True,
        read_only=True,
        cap_drop=["ALL"],
        ports={"8080/tcp": ("127.0.0.1", port)},
    )
    try:
        wait_ready(f"http://127.0.0.1:{port}")
        answer = post(f"http://127.0.0.1:{port}/predict", {"bill_length_mm": 46.1})
        assert set(answer["predictions"][0]) == {"label", "probabilities"}
    finally:
        container.remove(force=True)


def test_a_base_that_changed_under_its_name_is_refused(project, references, base, tmp_path):
    """The lock has its identity: the same name with other content is not the same base."""
    root, environment = project
    _, login = references
    moved = tmp_path / "base.tar"
    shutil.copy(base, moved)
    environment.mlpack("lock", "--upgrade-base", cwd=root)
    environment.mlpack("build", "--base", f"archive:{moved}", "--no-load", cwd=root, env=login)
    other = tmp_path / "empty"
    other.mkdir()
    run("umoci", "init", "--layout", other / "layout")
    run("umoci", "new", "--image", f"{other / 'layout'}:1")
    run("skopeo", "copy", f"oci:{other / 'layout'}:1", f"docker-archive:{other / 'new.tar'}:x:1")
    shutil.copy(other / "new.tar", moved)
    (root / "pyproject.toml").write_text(
        (root / "pyproject.toml").read_text().replace('"0.1.0"', '"0.1.1"')
    )
    refused = environment.mlpack(
        "build", "--base", f"archive:{moved}", "--no-load", cwd=root, env=login, code=3
    )
    assert "not the one that was locked" in refused.stderr
    assert "mlpack lock --upgrade-base" in refused.stderr


def test_mlpacks_own_wheel_is_a_good_one():
    wheel = mlpack_wheel()
    run("check-wheel-contents", wheel)
    run("twine", "check", "--strict", wheel)
    held = subprocess.run(
        ["python3", "-m", "zipfile", "-l", wheel], capture_output=True, text=True, check=True
    ).stdout
    for name in (
        "mlpack/_templates/Dockerfile.base",
        "mlpack/_templates/common/",
        "mlpack/py.typed",
    ):
        assert name in held
