"""Each example, from a folder to predictions: in-process, over HTTP, and from a container."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import zipfile
from base64 import b64encode
from pathlib import Path

import boto3
import pytest
from environments import (
    EXAMPLES,
    Environment,
    free_port,
    get,
    missing,
    post,
    run,
    running,
    wait_ready,
    with_mlpack,
)
from moto.server import ThreadedMotoServer

SCRIPT = Path(__file__).with_name("reference_rows.py")
TOLERANCE = 1e-9
SOMEBODY = 4711
"""A user and a group that no machine knows."""
STORIES = {"penguins": "onnx", "mpg": "onnx", "names": "onnx", "titanic": "hybrid"}
NEVER_IN_PRODUCTION = {"scikit-learn", "pandas", "scipy", "joblib", "skl2onnx"}


class Story:
    """A built example: the project, its environment, and what the original said."""

    def __init__(self, name: str, folder: Path, base: Path) -> None:
        self.name = name
        self.form = STORIES[name]
        self.project = folder / name
        shutil.copytree(EXAMPLES / name, self.project, ignore=shutil.ignore_patterns("models"))
        self.environment = with_mlpack(folder / "environment")
        for command in (
            ["lock"],
            ["install"],
            ["train"],
            ["build", "--base", f"archive:{base}"],
        ):
            self.environment.mlpack(*command, cwd=self.project)
        self.rows = folder / "rows.json"
        self.environment.run("python", SCRIPT, "write", self.project, self.rows)
        self.expected = json.loads(self.rows.read_text())
        self.build = json.loads((self.project / "dist" / "build.json").read_text())

    def artifact(self, kind: str) -> Path:
        """A file in ``dist/``."""
        return self.project / "dist" / self.build["artifacts"][kind]["file"]

    def assert_same(self, predictions, probabilities=None):
        """The predictions are the original's, on every row."""
        expected = self.expected["predictions"]
        assert len(predictions) == len(expected) > 50
        if "probabilities" not in self.expected:
            assert predictions == pytest.approx(expected, rel=TOLERANCE)
            return
        assert predictions == expected
        for mine, theirs in zip(probabilities, self.expected["probabilities"], strict=True):
            assert mine == pytest.approx(theirs, abs=TOLERANCE)

    def assert_serves_same(self, url):
        """The same over HTTP."""
        answer = post(f"{url}/predict", {"instances": self.expected["rows"]})
        assert answer["model"]["version"] == self.build["version"]
        found = answer["predictions"]
        if "value" in found[0]:
            self.assert_same([each["value"] for each in found])
        else:
            self.assert_same(
                [each["label"] for each in found],
                [list(each["probabilities"].values()) for each in found],
            )


class Bucket:
    """A bucket of moto's server, which is S3 as far as boto3 can tell."""

    # The servers of one process share what they hold, so each file has a bucket of its own.
    name = "stories"

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id="made-up",
            aws_secret_access_key="made-up",
        )
        self.client.create_bucket(Bucket=self.name)

    def content(self) -> dict[str, bytes]:
        """What it holds, by key."""
        found = self.client.list_objects_v2(Bucket=self.name)["Contents"]
        return {
            each["Key"]: self.client.get_object(Bucket=self.name, Key=each["Key"])["Body"].read()
            for each in found
        }


@pytest.fixture(scope="module")
def bucket():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield Bucket(f"http://{host}:{port}")
    server.stop()


@pytest.fixture(scope="module", params=STORIES)
def story(request, tmp_path_factory, base):
    return Story(request.param, tmp_path_factory.mktemp(request.param), base)


def test_the_form_is_the_expected_one_and_production_is_small(story):
    assert story.build["form"] == story.form
    lock = (story.project / "requirements.lock.txt").read_text()
    locked = {line.split("==")[0] for line in lock.splitlines() if "==" in line}
    assert "onnxruntime" in locked or story.form == "python"
    assert "mlpack" not in locked
    assert "mlpack-builder" not in locked
    if story.form == "onnx":
        assert not locked & NEVER_IN_PRODUCTION
    story.environment.mlpack("lock", "--check", cwd=story.project)


def test_the_projects_own_tests_pass(story):
    story.environment.run("python", "-m", "pytest", "-q", cwd=story.project)


def test_the_wheel_in_a_clean_environment(story, tmp_path):
    clean = Environment(tmp_path / "clean")
    clean.install(story.artifact("wheel"))
    run("uv", "pip", "check", "--python", clean.python)
    answers = tmp_path / "answers.json"
    clean.run("python", SCRIPT, "predict", story.name, story.rows, answers, cwd=tmp_path)
    found = json.loads(answers.read_text())
    story.assert_same(found["predictions"], found.get("probabilities"))
    assert found["one"] == pytest.approx(story.expected["predictions"][0])
    if story.form == "onnx":
        assert found["modules"] == []
    port = free_port()
    command = [clean.python, "-m", story.name, "serve", "--port", str(port)]
    server = subprocess.Popen(command, cwd=tmp_path)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_ready(url)
        story.assert_serves_same(url)
        document = get(f"{url}/openapi.json")
        assert document["openapi"].startswith("3.1")
        assert "mlpack" in get(f"{url}/metrics") or "# HELP" in get(f"{url}/metrics")
    finally:
        server.terminate()
        assert server.wait(30) == 0


def test_the_zip_in_another_environment_from_any_folder(story, tmp_path):
    shutil.unpack_archive(story.artifact("zip"), tmp_path / "unpacked")
    folder = next((tmp_path / "unpacked").iterdir())
    clean = Environment(tmp_path / "clean")
    lock = folder / "requirements.lock.txt"
    assert "--hash=sha256:" in lock.read_text()
    clean.install("--require-hashes", "-r", lock, cwd=tmp_path)
    answers = tmp_path / "answers.json"
    clean.run("python", SCRIPT, "predict", story.name, story.rows, answers, cwd=tmp_path)
    found = json.loads(answers.read_text())
    story.assert_same(found["predictions"], found.get("probabilities"))


def test_the_image_through_a_registry_with_a_password(story, registry, engine, tmp_path):
    """Pushed, pulled, and run as nobody, read-only, without capabilities."""
    config = story.project / "config" / "production.toml"
    config.write_text(
        f'[deploy]\ntarget = "registry"\nrepository = "{registry.host}/stories/{story.name}"\n'
        'channel = "production"\n'
    )
    password = registry.environment()
    plan = story.environment.mlpack(
        "deploy", "production", "--plan", cwd=story.project, env=password
    )
    assert "plan" in plan.stderr
    deployed = story.environment.mlpack("deploy", "production", cwd=story.project, env=password)
    digest = deployed.stdout.strip()
    assert digest == story.build["artifacts"]["image"]["digest"]
    login = {"username": registry.username, "password": registry.password}
    repository = f"{registry.host}/stories/{story.name}"
    engine.images.pull(f"{repository}@{digest}", auth_config=login)
    try:
        with running(engine, f"{repository}@{digest}") as url:
            story.assert_serves_same(url)
            again = story.environment.mlpack(
                "deploy", "production", cwd=story.project, env=password
            )
            assert again.stdout.strip() == digest
        user = engine.api.inspect_image(f"{repository}@{digest}")["Config"]["User"]
        assert user.split(":")[0] not in ("", "0", "root")
    finally:
        engine.images.remove(f"{repository}@{digest}", force=True)


def test_a_second_build_elsewhere_is_the_same_to_the_bit(story, base, tool, tmp_path):
    """In another folder, under another locale and time zone, as another user."""
    other = tmp_path / "another folder"
    ignored = shutil.ignore_patterns(".mlpack", "dist")
    shutil.copytree(story.project, other, ignore=ignored)
    for path in other.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    elsewhere = {
        "TZ": "Asia/Tokyo",
        "LANG": "tr_TR",
        "PYTHONHASHSEED": "7",
        # Texts are ASCII by this locale, unless a program says otherwise itself.
        "LC_ALL": "C",
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONUTF8": "0",
    }
    user: tuple[str, ...] = ()
    if story.name == "penguins":  # once with nothing remembered of layers and wheels either
        cache = tmp_path / "cache"
        cache.mkdir()
        elsewhere["MLPACK_CACHE"] = str(cache)
        user = somebody_else(other, cache)
    before = os.umask(0o077)
    try:
        command = ("build", "--base", f"archive:{base}", "--no-load")
        run(
            *(*user, story.environment.bin / "mlpack", *command),
            cwd=other,
            env={**story.environment.active, **elsewhere},
        )
    finally:
        os.umask(before)
    again = json.loads((other / "dist" / "build.json").read_text())
    assert again["artifacts"] == story.build["artifacts"]
    if user:
        assert (other / "dist" / "build.json").stat().st_uid == SOMEBODY
    diffoscope = tool("diffoscope")
    for kind in ("wheel", "zip", "image"):
        mine = story.artifact(kind)
        told = run(diffoscope, mine, other / "dist" / mine.name)
        assert (told.stdout, told.stderr) == ("", "")
    # It does look: a wheel with one more file is another to it.
    more = tmp_path / story.artifact("wheel").name
    shutil.copy(story.artifact("wheel"), more)
    with zipfile.ZipFile(more, "a") as wheel:
        wheel.writestr("one-more", "")
    assert "one-more" in run(diffoscope, story.artifact("wheel"), more, code=1).stdout


def somebody_else(*folders: Path) -> tuple[str, ...]:
    """What a command starts with that runs as another user, whose the folders are now.

    The user has no name and may read everything, since what tests share is root's own.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None or os.geteuid() != 0:
        missing("only root can build as another user, with setpriv of util-linux")
    for folder in folders:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, SOMEBODY, SOMEBODY)
    may = "-all,+dac_read_search"
    ids = (f"--reuid={SOMEBODY}", f"--regid={SOMEBODY}", "--clear-groups")
    return (str(setpriv), *ids, f"--inh-caps={may}", f"--ambient-caps={may}")


def test_what_was_built_is_verified_and_a_changed_byte_is_found(story, registry, tmp_path):
    checkout = tmp_path / "checkout"
    ignored = shutil.ignore_patterns(".mlpack", "dist")
    shutil.copytree(story.project, checkout, ignore=ignored)
    artifacts = [story.artifact(kind) for kind in ("wheel", "zip", "image")]
    found = story.environment.mlpack("verify", *artifacts, cwd=checkout).stdout.splitlines()
    assert [line.partition(": sha256:")[0] for line in found] == [
        f"{path.name}: the same, byte for byte" for path in artifacts
    ]
    assert not (checkout / "dist").exists()
    if story.name == "penguins":
        pushed = f"{registry.host}/verified/penguins:1"
        login = f"{registry.username}:{registry.password}"
        source = f"oci-archive:{artifacts[2]}"
        options = ("--dest-tls-verify=false", "--dest-creds", login)
        run("skopeo", "copy", *options, source, f"docker://{pushed}")
        auth = {"auths": {registry.host: {"auth": b64encode(login.encode()).decode()}}}
        (tmp_path / "config.json").write_text(json.dumps(auth))
        docker = {"DOCKER_CONFIG": str(tmp_path)}
        told = story.environment.mlpack("verify", pushed, cwd=checkout, env=docker).stdout
        assert told.startswith(f"{pushed}: the same, byte for byte")
        assert story.build["artifacts"]["image"]["digest"] in told
    package = json.loads((story.project / "dist" / "build.json").read_text())["name"]
    changed = tmp_path / artifacts[0].name
    data = bytearray(artifacts[0].read_bytes())
    with zipfile.ZipFile(artifacts[0]) as wheel:
        info = wheel.getinfo(f"{package}/_mlpack/data/signature.json")
    data[info.header_offset + 30 + len(info.filename) + 5] ^= 1
    changed.write_bytes(data)
    refused = story.environment.mlpack("verify", changed, "--json", cwd=checkout, code=1)
    (told,) = json.loads(refused.stdout)
    assert told["same"] is False
    assert {each["file"] for each in told["differences"]} == {info.filename}
    assert "byte 5 on" in told["differences"][1]["detail"]


def test_the_archive_and_the_wheel_are_read_by_others(story):
    archive = story.artifact("image")
    wheel = story.artifact("wheel")
    name = f"{story.name}:{story.build['version']}"
    for source in (f"oci-archive:{archive}", f"docker-archive:{archive}:{name}"):
        found = json.loads(run("skopeo", "inspect", source).stdout)
        assert found["Architecture"] in ("amd64", "arm64")
    run("check-wheel-contents", wheel)
    run("twine", "check", "--strict", wheel)


def test_an_unchanged_build_does_nothing(story, base):
    before = (story.project / "dist" / "build.json").stat().st_mtime_ns
    again = story.environment.mlpack(
        "build", "--base", f"archive:{base}", "--json", cwd=story.project
    )
    assert json.loads(again.stdout)["unchanged"] is True
    assert (story.project / "dist" / "build.json").stat().st_mtime_ns == before


def test_predictions_of_a_file(story, tmp_path):
    out = tmp_path / "out.csv"
    story.environment.mlpack(
        "predict", story.project / "data" / "sample.csv", "-o", out, cwd=story.project
    )
    assert len(out.read_text().splitlines()) > 5


def test_the_wheel_and_the_zip_in_a_bucket(story, bucket):
    """Deployed once, found the second time, and installed from what the bucket holds."""
    config = story.project / "config" / "test.toml"
    before = config.read_text()
    config.write_text(
        f'{before}\n[deploy]\ntarget = "s3"\nbucket = "{bucket.name}"\nprefix = "models"\n'
        f'endpoint = "{bucket.endpoint}"\nregion = "us-east-1"\n'
    )
    keys = {"AWS_ACCESS_KEY_ID": "made-up", "AWS_SECRET_ACCESS_KEY": "made-up"}
    plan = story.environment.mlpack(
        "deploy", "test", "--plan", "--json", cwd=story.project, env=keys
    )
    assert all(action["needed"] for action in json.loads(plan.stdout)["actions"])
    story.environment.mlpack("deploy", "test", cwd=story.project, env=keys)
    again = story.environment.mlpack(
        "deploy", "test", "--plan", "--json", cwd=story.project, env=keys
    )
    assert not any(action["needed"] for action in json.loads(again.stdout)["actions"])
    held = bucket.content()
    for kind in ("wheel", "zip"):
        artifact = story.artifact(kind)
        name = next(key for key in held if key.endswith(f"/{artifact.name}"))
        assert held[name] == artifact.read_bytes()
    config.write_text(before)
