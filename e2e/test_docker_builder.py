"""A model that needs a package of the system: the image is built by Docker, from a Dockerfile.

LightGBM's own library wants libgomp, which is in no wheel; docopt is only there as sources. The
base is Debian's packages with apt-get, made on the spot; it has neither libgomp nor pip.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile

import pytest
from environments import APT_ROOT, free_port, post, run, wait_ready, with_mlpack

TOKEN = "build-secret-0b8f2d41"
MARK = "pip-configuration-7c1e90.example"

PIPELINE = """
    from lightgbm import LGBMRegressor

    def build(config):
        return LGBMRegressor(n_estimators=20, verbose=-1)
"""
DATA = """
    import pandas as pd

    def load(config):
        rows = [(n % 17, n % 5, 3.0 * (n % 17) - (n % 5)) for n in range(400)]
        return pd.DataFrame(rows, columns=["size", "rooms", "price"]).astype("float64")
"""
PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "gum"
version = "1.0.0"
requires-python = ">=3.10"
dependencies = ["pandas>=2.1", "scikit-learn>=1.5", "lightgbm>=4.5", "docopt"]

[tool.mlpack]
format = "python"
target = "price"

[tool.mlpack.image]
builder = "docker"
base = "docker:debian-bookworm-apt:12"
system-packages = ["libgomp1"]
build-packages = ["python3-pip"]

[tool.mlpack.image.secrets]
token = "${env:INDEX_TOKEN}"
"""
ROWS = [{"size": 3.0, "rooms": 2.0}, {"size": 16.0, "rooms": 0.0}, {"size": 0.5, "rooms": 4.0}]


@pytest.fixture(scope="module")
def project(debian, tmp_path_factory):
    """The project, trained and locked, and the environment that made it."""
    folder = tmp_path_factory.mktemp("gum")
    environment = with_mlpack(folder / "environment")
    root = folder / "gum"
    package = root / "src" / "gum"
    package.mkdir(parents=True)
    (root / "pyproject.toml").write_text(PYPROJECT)
    for name, text in (("__init__", ""), ("pipeline", PIPELINE), ("data", DATA)):
        lines = text.strip("\n").splitlines()
        (package / f"{name}.py").write_text("".join(f"{line[4:]}\n" for line in lines))
    for command in ("lock", "install", "train"):
        environment.mlpack(command, cwd=root)
    return root, environment


@pytest.fixture(scope="module")
def settings():
    """The variables of a build; packages are reached through this machine's own network."""
    return {"INDEX_TOKEN": TOKEN, "PIP_TRUSTED_HOST": MARK, "MLPACK_BUILD_NETWORK": "host"}


@pytest.fixture(scope="module")
def built(project, settings):
    """What ``dist/build.json`` says of the image."""
    root, environment = project
    environment.mlpack("build", cwd=root, env=settings)
    return json.loads((root / "dist" / "build.json").read_text())["artifacts"]["image"]


def test_the_dockerfile_is_shown_without_an_engine(project, base):
    root, environment = project
    shown = environment.mlpack(
        *("build", "--show", "--base", f"archive:{base}"),
        cwd=root,
        env={"DOCKER_HOST": "tcp://127.0.0.1:1", "PATH": str(environment.bin)},
    ).stdout
    assert shown.startswith("# Made by mlpack")
    assert '"-", "libgomp1"]' in shown
    assert "INDEX_TOKEN" not in shown


def test_it_predicts_as_nobody_on_a_read_only_root_what_the_artifact_predicts(
    project, built, engine
):
    root, environment = project
    wheel = root / "dist" / "gum-1.0.0-py3-none-any.whl"
    environment.install("--no-deps", wheel)
    code = f"import json; from gum import Model; print(json.dumps(list(Model().predict({ROWS}))))"
    expected = json.loads(environment.run("python", "-c", code, cwd=root.parent).stdout)
    image = engine.images.get(built["config"])
    assert built["image"] in image.tags
    assert {"lightgbm", "docopt", "packages of the system"} <= {
        part["name"] for part in built["parts"]
    }
    port = free_port()
    container = engine.containers.run(
        image.id,
        detach=True,
        read_only=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        ports={"8080/tcp": ("127.0.0.1", port)},
    )
    try:
        wait_ready(f"http://127.0.0.1:{port}")
        answer = post(f"http://127.0.0.1:{port}/predict", {"instances": ROWS})
        assert [each["value"] for each in answer["predictions"]] == expected
        python = image.attrs["Config"]["Entrypoint"][0]
        look = (
            "import importlib.util, os, docopt; print(os.getuid(), docopt.__file__, "
            "importlib.util.find_spec('pip'), os.path.exists('/build'))"
        )
        told = container.exec_run([python, "-c", look])
        assert told.output.decode().split() == ["65532", "/app/lib/docopt.py", "None", "False"]
    finally:
        container.remove(force=True)


def test_neither_the_secret_nor_pips_configuration_is_in_the_image(project, built, engine):
    root, _ = project
    words = [word.encode() for word in (TOKEN, MARK)]
    history = run("docker", "history", "--no-trunc", built["config"]).stdout
    told = {"history": history, "inspect": run("docker", "inspect", built["config"]).stdout}
    for name, text in told.items():
        assert not [word for word in words if word in text.encode()], name
    # As the engine gives it away: every layer but the base's, names and contents.
    saved = io.BytesIO(b"".join(engine.images.get(built["config"]).save()))
    base = engine.images.get(APT_ROOT).attrs["RootFS"]["Layers"]
    layers = 0
    with tarfile.open(fileobj=saved) as archive:
        for member in archive:
            data = archive.extractfile(member).read() if member.isfile() else b""
            if f"sha256:{hashlib.sha256(data).hexdigest()}" in base:
                continue
            layers += member.name.endswith("layer.tar") or data[257:262] == b"ustar"
            assert not [word for word in words if word in data], member.name
    assert layers == len(engine.images.get(built["config"]).attrs["RootFS"]["Layers"]) - len(base)
    # What is pushed is these layers, and documents of mlpack's own.
    with tarfile.open(root / "dist" / built["file"]) as archive:
        for member in archive:
            if member.isfile() and member.size < 1 << 20:
                data = archive.extractfile(member).read()
                assert not [word for word in words if word in data], member.name


def test_an_image_of_dockers_is_deployed_like_any_other(project, built, registry):
    root, environment = project
    config = root / "config"
    config.mkdir(exist_ok=True)
    (config / "production.toml").write_text(
        f'[deploy]\ntarget = "registry"\nrepository = "{registry.host}/docker/gum"\n'
    )
    done = environment.mlpack("deploy", "production", cwd=root, env=registry.environment())
    assert done.stdout.strip() == built["digest"]
    shutil.rmtree(config)


def test_a_package_that_is_not_there_is_named_with_the_last_lines(project, built, settings):
    root, environment = project
    pyproject = root / "pyproject.toml"
    pyproject.write_text(PYPROJECT.replace('["libgomp1"]', '["libgomp1", "no-such-package"]'))
    refused = environment.mlpack("build", "--only", "image", cwd=root, env=settings, code=3)
    assert "has no package no-such-package" in refused.stderr
    assert "E: Unable to locate package no-such-package" in refused.stderr
    pyproject.write_text(PYPROJECT)
