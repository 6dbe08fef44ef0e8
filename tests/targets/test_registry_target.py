import hashlib
import json

import pytest
from bundling import Remembering, make_project, onnx_bundle
from images import SLIM, image_of
from scripted_registry import Failure, serve

from mlpack.bundle import Artifact, Document
from mlpack.errors import InputError, OutsideError
from mlpack.oci.archive import write_archive
from mlpack.oci.values import INDEX, make_image, make_multi_image
from mlpack.ports import Built
from mlpack.targets.registry import RegistryTarget, make
from mlpack.wheelfile import installed


@pytest.fixture
def build(tmp_path):
    def built(version="1.2.0", content=b"model", base=None, several=False, told=()):
        folder = tmp_path / f"{version}-{content.decode()}"
        folder.mkdir(exist_ok=True)
        made = image_of(folder, SLIM, {"app/lib/model": content})
        if several:
            other = {**SLIM, "arm": b""}
            arm = image_of(folder, other, {"app/lib/model": content}, architecture="arm64")
            made = make_multi_image([made, arm], {})
        if base:
            annotations = {"org.opencontainers.image.base.name": base}
            made = make_image(made.config, made.layers, annotations)
        file = folder / f"churn-{version}.oci.tar"
        written = write_archive(made, file, "churn", version)
        artifact = Artifact(
            kind="image", file=file.name, sha256=written.sha256, size=written.size,
            digest=made.digest, image=f"churn:{version}",
            documents=tuple(document(folder, name) for name in told),
        )  # fmt: skip
        return Built("churn", version, "onnx", "l", "b", {"image": artifact}, folder)

    return built


def document(folder, name):
    (folder / name).write_text(name)
    return Document(file=name, media_type=f"text/{name}", sha256="", size=len(name))


@pytest.fixture
def target(tmp_path):
    def made(registry, password="secret", **config) -> RegistryTarget:
        env = {
            "MLPACK_REGISTRY_USERNAME": "alice", "MLPACK_REGISTRY_PASSWORD": password,
            "MLPACK_CACHE": str(tmp_path / "cache"),
        }  # fmt: skip
        repository = f"{registry.host}/team/churn"
        return make({"target": "registry", "repository": repository, **config}, env)

    return made


@pytest.fixture(params=["basic", "token"])
def registry(request):
    with serve(auth=request.param) as running:
        yield running


def digest(built) -> str:
    return built.artifacts["image"].digest


def tagged(registry, tag) -> str | None:
    found = registry.manifests.get(("team/churn", tag))
    return f"sha256:{hashlib.sha256(found[0]).hexdigest()}" if found else None


def test_a_plan_changes_nothing(build, target, registry):
    actions = target(registry, channel="production").plan(build())
    assert [action.verb for action in actions] == ["push", "push", "tag", "tag"]
    assert all(action.needed for action in actions)
    assert actions[-2].what == f"{registry.host}/team/churn:1.2.0"
    assert not registry.blobs
    assert not [item for item in registry.requests if item.method not in ("GET", "HEAD")]


def test_what_is_applied_is_there(build, target, registry):
    built = build()
    reporter = Remembering()
    deployment = target(registry, channel="production").apply(built, reporter)
    assert tagged(registry, "1.2.0") == tagged(registry, "production") == digest(built)
    assert deployment.digest == digest(built)
    assert deployment.reference == f"{registry.host}/team/churn:1.2.0"
    assert [action.verb for action in deployment.actions] == ["push", "push", "tag", "tag"]


def test_the_same_again_sends_nothing(build, target, registry):
    target(registry).apply(build(), Remembering())
    registry.requests.clear()
    actions = target(registry).plan(build())
    assert [action.verb for action in actions] == ["keep", "keep", "keep"]
    assert target(registry).apply(build(), Remembering()).digest == digest(build())
    assert not [item for item in registry.requests if item.method in ("PUT", "POST")]


def test_a_version_is_never_overwritten(build, target, registry):
    first, other = build(), build(content=b"other")
    target(registry, channel="production").apply(first, Remembering())
    for attempt in (
        lambda: target(registry, channel="production").plan(other),
        lambda: target(registry, channel="production").apply(other, Remembering()),
    ):
        with pytest.raises(InputError, match=r"churn:1\.2\.0 is there with other content") as no:
            attempt()
        assert "mlpack version patch" in str(no.value.hint)
    assert tagged(registry, "1.2.0") == tagged(registry, "production") == digest(first)


def test_only_the_models_layer_is_new(build, target, registry):
    target(registry).apply(build(), Remembering())
    actions = target(registry).plan(build("1.2.1", b"newer"))
    assert [action.verb for action in actions] == ["keep", "push", "tag"]


def test_a_channel_moves_and_back(build, target, registry):
    old, new = build(), build("1.3.0", b"new")
    with_channel = target(registry, channel="production")
    with_channel.apply(old, Remembering())
    with_channel.apply(new, Remembering())
    assert tagged(registry, "production") == digest(new)
    plan = with_channel.plan(old)
    assert [action.verb for action in plan] == ["keep", "keep", "keep", "tag"]
    assert digest(new)[:19] in plan[-1].detail
    with_channel.apply(old, Remembering())
    assert tagged(registry, "production") == digest(old)
    assert tagged(registry, "1.3.0") == digest(new)


def test_a_base_that_the_registry_has_is_mounted(build, target, registry, tmp_path):
    built = build(base=f"{registry.host}/bases/python:3.11")
    (tmp_path / "b").mkdir()
    registry.put_image("bases/python", "3.11", image_of(tmp_path / "b", SLIM))
    target(registry).apply(built, Remembering())
    # The first time without a token that allows it; two layers in all.
    assert len({item.path for item in registry.seen("POST", "mount=.*from=bases/python")}) == 2
    assert len(registry.seen("PUT", "blobs/uploads")) == 2  # the model and the configuration


def test_a_wrong_password(build, target, registry):
    with pytest.raises(OutsideError, match="refused the user name and password"):
        target(registry, password="wrong").apply(build(), Remembering())
    assert not registry.blobs


def test_an_archive_that_was_changed(build, target, registry):
    built, other = build(), build(content=b"other")
    name = built.artifacts["image"].file
    (built.dist / name).write_bytes((other.dist / name).read_bytes())
    with pytest.raises(InputError, match="not the image that was built"):
        target(registry).plan(built)
    (built.dist / name).unlink()
    with pytest.raises(InputError, match="no such image archive"):
        target(registry).plan(built)


def test_no_image_was_built(target, registry, tmp_path):
    with pytest.raises(InputError, match="no image is built") as refused:
        target(registry).plan(Built("churn", "1.2.0", "onnx", "l", "b", {}, tmp_path))
    assert "mlpack build" in str(refused.value.hint)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "no repository"),
        ({"repository": 3}, "not a text"),
        ({"repository": "https://r.example/x"}, "no scheme"),
        ({"repository": "alice:secret@r.example/x"}, "no scheme, login"),
        ({"repository": "r.example/x:1.0"}, "tag or digest"),
        ({"repository": "r.example/UPPER"}, "lower-case"),
        ({"repository": "r.example/x\ny"}, "lower-case"),
        ({"repository": "r.example/x", "password": "p"}, "logins do not belong"),
        ({"repository": "r.example/x", "token": "p"}, "logins do not belong"),
        ({"repository": "r.example/x", "chanel": "p"}, "no key 'chanel'"),
        ({"repository": "r.example/x", "channel": "a b"}, "is no tag"),
        ({"repository": "r.example/x", "channel": "1.2.0"}, "is a version"),
        ({"repository": "r.example/x", "channel": 3}, "is no tag"),
        ({"repository": "r.example/x", "insecure": "yes"}, "neither true nor false"),
        ({"repository": "r.example/x", "ca_file": ""}, "not a path"),
    ],
)
def test_what_the_configuration_may_not_say(config, message):
    with pytest.raises(InputError, match=message) as refused:
        make({"target": "registry", **config}, {})
    assert "secret" not in str(refused.value)


def test_tls_is_left_out_only_when_it_is_asked_for_or_on_this_machine():
    def scheme(**config):
        return make(config, {})._pusher.repository.scheme

    assert scheme(repository="r.example/x") == "https"
    assert scheme(repository="r.example/x", insecure=True) == "http"
    assert scheme(repository="localhost:5000/x") == "http"


def test_an_image_for_two_platforms_is_pushed_with_its_index_last(build, target, registry):
    built = build(several=True)
    actions = target(registry, channel="production").plan(built)
    # Two bases, and the model's layer once.
    assert [action.verb for action in actions] == ["push", "push", "push", "tag", "tag"]
    deployment = target(registry, channel="production").apply(built, Remembering())
    assert deployment.digest == digest(built) == tagged(registry, "1.2.0")
    assert tagged(registry, "production") == digest(built)
    assert registry.manifests["team/churn", "1.2.0"][1] == INDEX
    puts = [item.path.rpartition("/")[2] for item in registry.seen("PUT", "/manifests/")]
    assert puts[2:] == ["1.2.0", "production"]
    assert all(name.startswith("sha256:") for name in puts[:2])
    registry.requests.clear()
    again = target(registry, channel="production")
    assert not any(action.needed for action in again.plan(built))
    again.apply(built, Remembering())
    assert not [item for item in registry.requests if item.method in ("PUT", "POST")]


def test_an_index_does_not_replace_an_image_of_the_same_version(build, target, registry):
    target(registry).apply(build(), Remembering())
    with pytest.raises(InputError, match="is there with other content"):
        target(registry).apply(build(several=True), Remembering())


@pytest.mark.parametrize("api", [True, False])
def test_what_is_told_of_the_image_is_attached_once(build, target, registry, api):
    registry.api = api
    built = build(told=("bill", "statement"))
    plan = target(registry).plan(built)
    assert [action.verb for action in plan] == ["push", "push", "tag", "attach", "attach"]
    assert target(registry).apply(built, Remembering()).digest == digest(built)
    subjects = [
        json.loads(data)["subject"]["digest"]
        for (_, name), (data, _) in registry.manifests.items()
        if name.startswith("sha256:") and b"subject" in data
    ]
    assert subjects == [digest(built)] * 2
    registry.requests.clear()
    assert not any(action.needed for action in target(registry).plan(built))
    target(registry).apply(built, Remembering())
    assert not [item for item in registry.requests if item.method in ("PUT", "POST")]


def test_what_was_broken_off_is_attached_the_next_time(build, target, registry):
    built = build(told=("bill", "statement"))
    bill = hashlib.sha256(b"bill").hexdigest()
    target(registry).apply(build(told=("bill",)), Remembering())
    assert ("team/churn", f"sha256:{bill}") in registry.blobs
    plan = target(registry).plan(built)
    assert [(action.verb, action.needed) for action in plan[-2:]] == [
        ("keep", False),
        ("attach", True),
    ]


def test_nothing_is_attached_where_the_configuration_says_so(build, target, registry):
    built = build(told=("bill",))
    target(registry, attach=False).apply(built, Remembering())
    assert not any(b"subject" in data for data, _ in registry.manifests.values())
    with pytest.raises(InputError, match="neither true nor false"):
        target(registry, attach="no")


def test_a_registry_that_takes_images_alone_is_told_apart(build, target, registry):
    built = build(told=("bill",))
    registry.failures.append(Failure("PUT", "/manifests/sha256:", status=405))
    with pytest.raises(OutsideError, match="HTTP 405") as no:
        target(registry).apply(built, Remembering())
    assert "attach = false" in no.value.hint
    assert tagged(registry, "1.2.0") == digest(built)


def test_what_the_channel_names_is_fetched(build, target, registry, tmp_path):
    bundle = onnx_bundle(make_project())
    files = {f"app/lib/{name}": data for name, data in installed(bundle).items()}
    # Its dependencies are a layer of their own, which nobody needs to fetch.
    made = image_of(tmp_path, {"app/lib/numpy/__init__.py": b"1"}, files)
    file = tmp_path / "churn-2.0.0.oci.tar"
    written = write_archive(made, file, "churn", "2.0.0")
    artifact = Artifact(
        kind="image", file=file.name, sha256=written.sha256, size=written.size,
        digest=made.digest, image="churn:2.0.0",
    )  # fmt: skip
    with_channel = target(registry, channel="production")
    assert with_channel.fetch(None, tmp_path / "none", Remembering()) is None
    image = Built("churn", "2.0.0", "onnx", "l", "b", {"image": artifact}, tmp_path)
    with_channel.apply(image, Remembering())
    registry.requests.clear()
    found = with_channel.fetch(None, tmp_path / "there", Remembering())
    assert (found.version, found.digest) == (bundle.manifest.version, made.digest)
    assert (tmp_path / "there" / "lib" / "churn" / "__init__.py").is_file()
    assert made.layers[0].descriptor.digest not in " ".join(each.path for each in registry.requests)
    with pytest.raises(InputError, match="counts no releases"):
        with_channel.fetch(3, tmp_path / "never", Remembering())
    assert "fetch" not in target(registry).verbs
    with_channel.apply(build(), Remembering())
    with pytest.raises(InputError, match="no image of mlpack's"):
        with_channel.fetch(None, tmp_path / "other", Remembering())
