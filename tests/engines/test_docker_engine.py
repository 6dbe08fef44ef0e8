from types import SimpleNamespace

import pytest
import requests
from docker.errors import APIError, DockerException, ImageLoadError, ImageNotFound

from mlpack.engines.docker import DockerEngine, refused
from mlpack.errors import InputError, OutsideError


class Images:
    def __init__(self):
        self.there = {
            "churn:1.2.0": SimpleNamespace(id="sha256:abc", save=lambda: [b"one", b"two"])
        }
        self.loaded = b""
        self.error = None

    def load(self, stream):
        if self.error:
            raise self.error
        self.loaded = stream.read()
        return list(self.there.values())

    def get(self, name):
        if name not in self.there:
            raise ImageNotFound("no such image")
        return self.there[name]


class Client:
    def __init__(self, images):
        self.images, self.closed = images, 0

    def ping(self):
        return True

    def version(self):
        return {"Os": "linux", "Arch": "arm64", "Version": "20.10"}

    def close(self):
        self.closed += 1


@pytest.fixture
def images():
    return Images()


@pytest.fixture
def client(images):
    return Client(images)


@pytest.fixture
def engine(client):
    return DockerEngine({"DOCKER_HOST": "tcp://x"}, lambda env, timeout: client)


def test_an_image_gets_another_name_if_it_is_there(engine, images):
    named = []
    images.there["sha256:abc"] = SimpleNamespace(tag=lambda *name: named.append(name) or True)
    assert engine.tag("sha256:abc", "base", "1") is True
    assert engine.tag("sha256:other", "base", "1") is False
    assert named == [("base", "1")]


def test_loading_gives_the_id(engine, images, client, tmp_path):
    (tmp_path / "a.tar").write_bytes(b"archive")
    assert engine.load(tmp_path / "a.tar") == "sha256:abc"
    assert images.loaded == b"archive"
    assert client.closed == 1


@pytest.mark.parametrize(
    "error",
    [ImageLoadError("invalid diffID"), APIError("500")],
)
def test_what_goes_wrong_is_one_clear_error(engine, images, tmp_path, error):
    (tmp_path / "a.tar").write_bytes(b"archive")
    images.error = error
    with pytest.raises(OutsideError, match="engine did not do it") as caught:
        engine.load(tmp_path / "a.tar")
    assert str(error) in caught.value.what


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (requests.ConnectionError("Max retries exceeded with url"), "does not answer"),
        (requests.ReadTimeout("HTTPConnectionPool(...)"), "does not answer in time"),
    ],
)
def test_a_connection_that_breaks_is_told_without_the_library_s_words(
    engine, images, tmp_path, error, what
):
    (tmp_path / "a.tar").write_bytes(b"archive")
    images.error = error
    with pytest.raises(OutsideError) as caught:
        engine.load(tmp_path / "a.tar")
    assert caught.value.what == f"the Docker engine at tcp://x {what}"
    assert caught.value.hint == "See how it is: docker -H tcp://x version"


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("tcp://127.0.0.1:1", "Connection refused"),
        ("unix:///no/such/socket", "No such file or directory"),
    ],
)
def test_an_engine_that_does_not_answer_is_named_with_the_system_s_own_word(host, why):
    with pytest.raises(OutsideError) as caught:
        DockerEngine({"DOCKER_HOST": host}).platform()
    assert caught.value.what == f"the Docker engine at {host} does not answer: {why}"
    assert caught.value.hint == f"See how it is: docker -H {host} version"


@pytest.mark.parametrize(
    ("host", "tried"),
    [
        ("", "docker version"),
        ("ssh://deploy@server.example:2222", "ssh -p 2222 deploy@server.example docker version"),
    ],
)
def test_how_the_engine_is_can_be_seen_where_it_is(host, tried):
    assert refused(DockerException("no"), host).hint == f"See how it is: {tried}"


def test_an_archive_without_an_image(engine, images, tmp_path):
    (tmp_path / "a.tar").write_bytes(b"archive")
    images.there = {}
    with pytest.raises(OutsideError, match=r"no image in a\.tar"):
        engine.load(tmp_path / "a.tar")


def test_the_layers_of_the_named_and_of_those_alike(engine, images, client):
    layers = {"sha256:base": ["a"], "churn:1": ["a", "b"], "sha256:1": ["a", "b"], "sha256:2": None}
    asked = []

    def alike(filters):
        asked.append(filters)
        return [{"Id": "sha256:1"}, {"Id": "sha256:2"}, {"Id": "sha256:gone"}]

    client.api = SimpleNamespace(images=alike)
    images.there = {
        name: SimpleNamespace(attrs={"RootFS": {"Type": "layers", "Layers": each}})
        for name, each in layers.items()
    }
    found = engine.layers(["sha256:base", "churn:1", "sha256:1", "nothing:1"], "io.mlpack.base=x")
    assert found == (("a",), ("a", "b"), ("a", "b"), ())
    assert asked == [{"label": "io.mlpack.base=x", "dangling": False}]


def test_an_image_is_found_and_saved(engine, tmp_path):
    assert engine.image_id("churn:1.2.0") == "sha256:abc"
    engine.save("churn:1.2.0", tmp_path / "saved.tar")
    assert (tmp_path / "saved.tar").read_bytes() == b"onetwo"
    with pytest.raises(InputError, match="no image called nothing"):
        engine.image_id("nothing")
    with pytest.raises(InputError, match="no image called nothing"):
        engine.save("nothing", tmp_path / "x.tar")


def test_an_engine_that_is_there(engine):
    assert engine.available() is True


def test_an_engine_that_is_not():
    def refuses(env, timeout):
        assert timeout <= 5
        raise DockerException("no socket")

    assert DockerEngine({"DOCKER_HOST": "tcp://x"}, refuses).available() is False
    for host in ("tcp://127.0.0.1:1", "unix:///no/such/socket", "nonsense://x", "::"):
        assert DockerEngine({"DOCKER_HOST": host}).available() is False


def test_the_environment_names_the_engine():
    asked = []

    def client(env, timeout):
        asked.append(env["DOCKER_HOST"])
        return Client(Images())

    DockerEngine({"DOCKER_HOST": "tcp://there"}, client).available()
    assert asked == ["tcp://there"]


def test_what_it_runs(engine):
    assert engine.platform() == "linux/arm64"
