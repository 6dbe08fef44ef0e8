"""Places that are a file and a vendor's command. The vendors are not here: the commands are fakes,
the files are compared with golden ones and, where there is one, with the vendor's own schema."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml
from bundling import Remembering, onnx_bundle
from images import SLIM, image_of
from scripted_registry import serve

from mlpack.bundle import Artifact
from mlpack.cli.targets import TARGETS
from mlpack.config import parse_toml
from mlpack.delivery.rendered import as_yaml
from mlpack.delivery.unpacked import found
from mlpack.errors import InputError, OutsideError
from mlpack.oci.archive import write_archive
from mlpack.oci.values import make_multi_image
from mlpack.plugins import load
from mlpack.ports import Built
from mlpack.usecases.deploy import deploy

GOLDEN = Path(__file__).parent / "rendered"
IMAGE = f"registry.example/team/churn@sha256:{'a' * 64}"
MADE = Built("churn", "1.2.0", "onnx", "l", "b" * 64, {}, Path("dist"))
AZURE = "/subscriptions/01234567-89ab-cdef-0123-456789abcdef/resourceGroups/models/providers/"
ENVIRONMENT = f"{AZURE}Microsoft.App/managedEnvironments/production"

SMALLEST = {
    "cloud-run": {"project": "my-project", "region": "europe-west1"},
    "azure-container-apps": {"resource_group": "models", "environment": ENVIRONMENT},
    "fly": {"region": "ams"},
}
WHOLE = {
    "cloud-run": {
        **SMALLEST["cloud-run"],
        "cpus": 2, "memory": "4g", "concurrency": 200, "min_instances": 2, "max_instances": 40,
        "timeout_seconds": 30, "ready_seconds": 121, "startup_boost": False, "always_cpu": True,
        "ingress": "internal", "public": True,
        "service_account": "churn@my-project.iam.gserviceaccount.com",
        "env": {"MLPACK_MAX_ROWS": "100", "ODD": "1e5", "TEXT": 'no: "#\n'},
        "secret_env": {
            "MLPACK_API_KEYS": "churn-api-keys:3",
            "OTHER": "projects/123456/secrets/other:latest",
        },
    },
    "azure-container-apps": {
        **SMALLEST["azure-container-apps"],
        "repository": "example.azurecr.io/churn",
        "location": "westeurope", "cpus": 1.25, "memory": "2560m", "concurrency": 20,
        "min_replicas": 2, "max_replicas": 20, "ready_seconds": 30, "external": False, "keep": 9,
        "identity": f"{AZURE}Microsoft.ManagedIdentity/userAssignedIdentities/churn",
        "env": {"MLPACK_MAX_ROWS": "100", "ODD": "on"},
        "secret_env": {"MLPACK_API_KEYS": "https://models.vault.azure.net/secrets/churn-api-keys"},
    },
    "fly": {
        **SMALLEST["fly"],
        "cpus": 2, "cpu_kind": "performance", "memory": "4g", "concurrency": 1, "min_machines": 3,
        "auto_stop": "off", "strategy": "rolling", "ready_seconds": 30, "drain_seconds": 10,
        "env": {"MLPACK_MAX_ROWS": "100", "TEXT": '"\n'},
    },
}  # fmt: skip
KINDS = sorted(SMALLEST)
COMMANDS = {"cloud-run": "gcloud", "azure-container-apps": "az", "fly": "flyctl"}


def target(kind, **config):
    common = {"target": kind, "service": "churn-production", "repository": "r.example/team/churn"}
    return load(TARGETS[kind])({**common, **SMALLEST[kind], **config}, {})


# The files


@pytest.mark.parametrize("size", ["smallest", "whole"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_file_is_the_golden_one(kind, size):
    made = target(kind, **{"smallest": SMALLEST, "whole": WHOLE}[size][kind])
    golden = GOLDEN / f"{size}-{made.recipe.file}"
    why = "" if size == "smallest" else "the old one is worse"
    assert made.recipe.content(MADE, IMAGE, why).decode() == golden.read_text()


@pytest.mark.parametrize("kind", ["cloud-run", "azure-container-apps"])
def test_the_golden_files_are_what_the_vendors_schema_allows(kind):
    schema = json.loads((GOLDEN / f"{kind}.schema.json").read_text())
    files = sorted(GOLDEN.glob(f"*-{target(kind).recipe.file}"))
    assert len(files) == 2
    for file in files:
        document = yaml.safe_load(file.read_text())
        jsonschema.validate(document, schema)
        broken = file.read_text().replace("httpGet:", "httpget:")
        with pytest.raises(jsonschema.ValidationError, match="httpget"):
            jsonschema.validate(yaml.safe_load(broken), schema)


def test_cloud_run_says_what_knative_serving_wants():
    service = yaml.safe_load((GOLDEN / "whole-service.yaml").read_text())
    assert (service["apiVersion"], service["kind"]) == ("serving.knative.dev/v1", "Service")
    assert service["spec"]["traffic"] == [{"percent": 100, "latestRevision": True}]
    spec = service["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert container["image"] == IMAGE
    assert spec["containerConcurrency"] == 200
    assert container["resources"] == {"limits": {"cpu": "2", "memory": "4096Mi"}}
    startup = container["startupProbe"]
    assert startup["httpGet"] == {"path": "/readyz", "port": 8080}
    assert startup["periodSeconds"] * startup["failureThreshold"] in (121, 122)
    assert startup["timeoutSeconds"] <= startup["periodSeconds"]
    annotations = service["spec"]["template"]["metadata"]["annotations"]
    assert all(isinstance(value, str) for value in annotations.values())
    assert annotations["autoscaling.knative.dev/minScale"] == "2"
    env = {each["name"]: each for each in container["env"]}
    assert env["ODD"]["value"] == "1e5"
    assert env["MLPACK_API_KEYS"]["valueFrom"]["secretKeyRef"] == {
        "name": "churn-api-keys", "key": "3",
    }  # fmt: skip
    alias = env["OTHER"]["valueFrom"]["secretKeyRef"]["name"]
    assert annotations["run.googleapis.com/secrets"] == f"{alias}:projects/123456/secrets/other"


def test_fly_reads_the_file_as_it_was_meant():
    document = parse_toml((GOLDEN / "whole-fly.toml").read_text(), "fly.toml")
    assert document["build"] == {"image": IMAGE}
    assert document["http_service"]["checks"][0]["path"] == "/readyz"
    assert document["http_service"]["concurrency"]["soft_limit"] == 1
    assert document["env"] == {
        "MLPACK_MAX_ROWS": "100", "TEXT": '"\n', "MLPACK_WHY": "the old one is worse",
    }  # fmt: skip


def test_a_revision_of_azure_has_a_name_of_its_own_and_the_same_again_the_same():
    def suffix(image=IMAGE, why="", **config):
        text = target("azure-container-apps", **config).recipe.content(MADE, image, why)
        return yaml.safe_load(text)["properties"]["template"]["revisionSuffix"]

    assert suffix() == suffix(why="another reason")
    assert len({suffix(), suffix(image=IMAGE[:-1] + "b"), suffix(env={"A": "1"})}) == 3


@pytest.mark.parametrize(
    "text", ["on", "Yes", "1.0", "1e5", "0x1f", "2026-11-23", "~", "", " a", "a: b", "#", "é\u2028"]
)
def test_a_text_stays_one_in_yaml(text):
    written = as_yaml({"a": text})
    assert yaml.safe_load(written) == {"a": text}
    assert written.startswith(b'a: "')  # for readers of YAML 1.2 too
    assert written.isascii()


# The configuration


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"sevice": "x"}, "no key 'sevice'"),
        ({"service": "Churn"}, "'Churn' is none"),
        ({"service": "a\nb"}, "is none"),
        ({"service": None}, "is none"),
        ({"repository": "https://r.example/x"}, "no scheme"),
        ({"env": {"PORT": "1"}}, "reached at port 8080"),
        ({"env": {"A-B": "1"}}, "is no name"),
        ({"cpus": 3}, "CPUs|no replicas"),
        ({"memory": "1m"}, "has from|has 1024 MiB"),
        ({"apply": "no"}, "neither true nor false"),
        ({"password": "x"}, "logins do not belong|no key 'password'"),
    ],
)
def test_what_no_configuration_may_say(kind, config, message):
    if kind == "azure-container-apps" and config == {"cpus": 3}:
        config = {"cpus": 0.3}
    with pytest.raises(InputError, match=message):
        target(kind, **config)


@pytest.mark.parametrize(
    ("kind", "config", "message"),
    [
        ("cloud-run", {"region": "here"}, "is none"),
        ("cloud-run", {"project": "My Project"}, "is none"),
        ("cloud-run", {"ingress": "some"}, "none of all, internal"),
        ("cloud-run", {"cpus": 4, "memory": "1g"}, "from 2048 to 16384 MiB"),
        ("cloud-run", {"min_instances": 5, "max_instances": 4}, "from 5 to 1000"),
        ("cloud-run", {"secret_env": {"A": "the secret itself"}}, "names no version"),
        ("cloud-run", {"secret_env": {"A": "s:1"}, "env": {"A": "1"}}, "is in .* and in"),
        ("cloud-run", {"secret_env": {"PORT": "s:1"}}, "reached at port"),
        ("cloud-run", {"service": "a" * 50}, "is none"),
        ("azure-container-apps", {"service": "a--b"}, "is none"),
        ("azure-container-apps", {"service": "a" * 33}, "is none"),
        ("azure-container-apps", {"environment": "production"}, "is none"),
        ("azure-container-apps", {"identity": "me"}, "is none"),
        ("azure-container-apps", {"cpus": 0.5, "memory": "2g"}, "no more and no less"),
        (
            "azure-container-apps",
            {"secret_env": {"A": "https://v-1.vault.azure.net/secrets/a"}},
            "as whom the secrets are read",
        ),
        ("azure-container-apps", {"secret_env": {"A": "x"}, "identity": "system"}, "no address"),
        ("fly", {"region": "europe"}, "is none"),
        ("fly", {"secret_env": {"A": "s:1"}}, "no references to secrets"),
        ("fly", {"cpu_kind": "performance", "memory": "512m"}, "from 2048 to 8192"),
    ],
)
def test_what_a_configuration_may_not_say(kind, config, message):
    with pytest.raises(InputError, match=message):
        target(kind, **config)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_missing_is_told_with_an_example(kind):
    for key in ("repository", "service", *SMALLEST[kind]):
        config = {
            "target": kind, "service": "churn", "repository": "r.example/x", **SMALLEST[kind],
        }  # fmt: skip
        del config[key]
        with pytest.raises(InputError, match=f"has no {key}") as no:
            load(TARGETS[kind])(config, {})
        assert key in str(no.value.hint)


# Deploying, against a registry of ours and commands that are not the vendors'

FAKE = """\
#!{python}
import json, sys
from pathlib import Path
here = Path(__file__).parent
with (here / "asked.jsonl").open("a") as log:
    print(json.dumps(sys.argv), file=log)
print("Deploying...", file=sys.stderr)
print("one\\nhttps://churn.example")
sys.exit(int((here / "code").read_text()))
"""


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Puts a command on the path that writes down what it is asked, and ends as it is told."""
    folder = tmp_path / "bin"
    folder.mkdir()

    def put(name, code=0):
        (folder / name).write_text(FAKE.format(python=sys.executable))
        (folder / name).chmod(0o755)
        (folder / "code").write_text(str(code))

        def asked():
            log = folder / "asked.jsonl"
            return (
                [json.loads(line) for line in log.read_text().splitlines()] if log.is_file() else []
            )

        return asked

    # Nothing else is on it: this machine may have the vendors' own.
    monkeypatch.setenv("PATH", str(folder))
    return put


@pytest.fixture
def registry():
    with serve() as running:
        yield running


@pytest.fixture
def built(tmp_path):
    def made(architecture="amd64", several=False):
        folder = tmp_path / "dist"
        folder.mkdir()
        image = image_of(folder, SLIM, {"app/lib/model": b"m"}, architecture=architecture)
        if several:
            arm = image_of(folder, {**SLIM, "arm": b""}, {"app/m": b"m"}, architecture="arm64")
            image = make_multi_image([image, arm], {})
        file = folder / "churn-1.2.0.oci.tar"
        written = write_archive(image, file, "churn", "1.2.0")
        artifact = Artifact(
            kind="image", file=file.name, sha256=written.sha256, size=written.size,
            digest=image.digest, image="churn:1.2.0",
        )  # fmt: skip
        return Built("churn", "1.2.0", "onnx", "l", "b" * 64, {"image": artifact}, folder)

    return made


@pytest.fixture
def at(registry):
    def made(kind, **config):
        return target(kind, repository=f"{registry.host}/team/churn", **config)

    return made


def there(registry):
    return registry.manifests.get(("team/churn", "1.2.0")) is not None


def file_of(kind, built):
    return built.dist / f"{kind}-churn-production" / target(kind).recipe.file


def record(built):
    return json.loads((built.dist / "deployment-production.json").read_text())


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_the_image_is_pushed_then_the_command_run(kind, several, at, built, fake, registry):
    asked, made = fake(COMMANDS[kind]), built(several=several)
    reporter = Remembering()
    deployment = deploy(made, at(kind), "production", reporter)
    file = file_of(kind, made)
    (argv,) = asked()
    assert Path(argv[0]).name == COMMANDS[kind]
    assert str(file) in argv
    assert f"{registry.host}/team/churn@{deployment.digest}" in file.read_text()
    assert there(registry)
    assert deployment.left == ()
    assert record(made)["applied"] is True
    assert "Deploying..." in reporter.told


def test_the_commands_are_exact(at, built, fake):
    made = built()
    told = {}
    for kind in KINDS:
        asked = fake(COMMANDS[kind])
        at(kind).apply(made, Remembering())
        told[kind] = [word.replace(str(made.dist), "dist") for word in asked()[-1][1:]]
    assert told == {
        "cloud-run": shlex.split(
            "run services replace dist/cloud-run-churn-production/service.yaml "
            "--project=my-project --region=europe-west1 --quiet"
        ),
        "azure-container-apps": shlex.split(
            "containerapp create --name churn-production --resource-group models --yaml "
            "dist/azure-container-apps-churn-production/containerapp.yaml --output none"
        ),
        "fly": shlex.split(
            "deploy --app churn-production --config dist/fly-churn-production/fly.toml --yes"
        ),
    }


def test_fly_has_two_names(at, built, fake):
    asked = fake("fly")
    at("fly").apply(built(), Remembering())
    assert Path(asked()[0][0]).name == "fly"


@pytest.mark.parametrize("kind", KINDS)
def test_without_the_command_nothing_is_called_deployed(kind, at, built, fake, registry):
    del fake  # nothing is on the path
    made = built()
    with pytest.raises(OutsideError, match="nothing was deployed") as no:
        deploy(made, at(kind), "production", Remembering())
    assert no.value.code == 4
    command = no.value.hint.splitlines()[0]
    assert command.startswith(f"{COMMANDS[kind]} ")
    assert str(file_of(kind, made)) in shlex.split(command)
    assert there(registry)
    assert file_of(kind, made).is_file()
    assert not (made.dist / "deployment-production.json").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_what_others_apply_is_not_called_applied(kind, at, built, fake, registry):
    asked, made = fake(COMMANDS[kind]), built()
    plan = at(kind, apply=False).plan(made)
    assert (plan[-1].verb, plan[-1].needed) == ("run", False)
    deployment = deploy(made, at(kind, apply=False), "production", Remembering())
    assert asked() == []
    assert there(registry)
    assert deployment.left[0] == COMMANDS[kind]
    assert record(made)["applied"] is False
    assert record(made)["command"] == list(deployment.left)
    assert str(file_of(kind, made)) in deployment.left


@pytest.mark.parametrize("kind", KINDS)
def test_a_vendor_that_refuses(kind, at, built, fake):
    fake(COMMANDS[kind], code=7)
    made = built()
    with pytest.raises(OutsideError, match=r"ended with 7: Deploying\.\.\."):
        deploy(made, at(kind), "production", Remembering())
    assert not (made.dist / "deployment-production.json").exists()


def test_a_vendor_s_word_for_what_is_wrong_is_told_and_not_the_advice_behind_it(
    at, built, tmp_path, monkeypatch
):
    """As gcloud writes it where nobody is logged in."""
    said = (
        "Looking\nERROR: (gcloud.run.services.list) You do not have an active account.\n"
        "Please run:\n\n  $ gcloud auth login\n\nto obtain new credentials.\n\n"
        "If you have already logged in with a different account, run:\n  $ gcloud config set"
    )
    (tmp_path / "gcloud").write_text(f"#!/bin/sh\necho '{said}' >&2\nexit 1\n")
    (tmp_path / "gcloud").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OutsideError) as caught:
        deploy(built(), at("cloud-run"), "production", Remembering())
    assert caught.value.what == (
        "gcloud ended with 1: ERROR: (gcloud.run.services.list) You do not have an active account. "
        "Please run: $ gcloud auth login"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_plan_changes_nothing_and_asks_no_vendor(kind, at, built, fake, registry):
    asked, made = fake(COMMANDS[kind]), built()
    before = sorted(made.dist.rglob("*"))
    plan = at(kind).plan(made)
    assert [each.verb for each in plan] == ["push", "push", "tag", "write", "run"]
    assert all(each.needed for each in plan)
    assert asked() == []
    assert sorted(made.dist.rglob("*")) == before
    assert not registry.blobs


@pytest.mark.parametrize("kind", KINDS)
def test_rendering_asks_nobody(kind, built, fake, tmp_path):
    asked, made = fake(COMMANDS[kind]), built()
    (file,) = target(kind).render(made, tmp_path / "out")  # r.example is nowhere
    assert file == tmp_path / "out" / target(kind).recipe.file
    assert f"r.example/team/churn@{made.artifacts['image'].digest}" in file.read_text()
    assert asked() == []


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_that_no_such_place_runs(kind, at, built, registry, tmp_path):
    made = built(architecture="arm64")
    for attempt in (
        lambda: at(kind).plan(made),
        lambda: at(kind).apply(made, Remembering()),
        lambda: at(kind).render(made, tmp_path / "out"),
    ):
        with pytest.raises(InputError, match=r"for linux/arm64, and .* runs linux/amd64"):
            attempt()
    assert not registry.blobs


@pytest.mark.parametrize("kind", KINDS)
def test_logs_are_the_vendors(kind, fake):
    asked = fake(COMMANDS[kind])
    assert list(target(kind).logs(50, follow=False)) == ["one", "https://churn.example"]
    assert "churn-production" in asked()[0]
    with pytest.raises(InputError, match="does not follow") as no:
        target(kind).logs(50, follow=True)
    assert no.value.hint.startswith(f"{COMMANDS[kind]} ")


@pytest.mark.parametrize("kind", KINDS)
def test_logs_without_the_command(kind, fake):
    del fake
    with pytest.raises(OutsideError, match="is not on this machine"):
        target(kind).logs(50, follow=False)


# What answers, as `gcloud` tells it; the registry is the tests' own

TELLING = """\
#!{python}
import json, sys
from pathlib import Path
answers = json.loads((Path(__file__).parent / "answers.json").read_text())
print(answers[" ".join(sys.argv[2:4])])
"""


@pytest.fixture
def telling(tmp_path, fake):
    """Puts a `gcloud` on the path that tells of a service whose second revision never was ready."""

    def put(image, services=None):
        routes = [{"revisionName": "churn-2"}, {"revisionName": "churn-1", "percent": 100}]
        service = {"metadata": {"name": "churn"}, "status": {"traffic": routes, "url": "u"}}
        folder = tmp_path / "bin"
        answers = {
            "services list": json.dumps([service] if services is None else services),
            "revisions describe": json.dumps({"spec": {"containers": [{"image": image}]}}),
        }
        (folder / "answers.json").write_text(json.dumps(answers))
        (folder / "gcloud").write_text(TELLING.format(python=sys.executable))
        (folder / "gcloud").chmod(0o755)

    return put


@pytest.fixture
def pushed(tmp_path, registry):
    """A model's image in the registry."""
    bundle = onnx_bundle()
    files = {f"app/lib/{name}": data for name, data in bundle.tree.items()}
    image = image_of(tmp_path, SLIM, files)
    registry.put_image("team/churn", "1.2.0", image)
    return f"{registry.host}/team/churn@{image.digest}"


def test_what_answers_is_brought_for_the_gate(at, telling, pushed, tmp_path, monkeypatch):
    monkeypatch.setenv("MLPACK_CACHE", str(tmp_path / "cache"))
    telling(pushed)
    made = at("cloud-run")
    assert "fetch" in made.verbs
    fetched = made.fetch(None, tmp_path / "model", Remembering())
    assert (fetched.version, fetched.digest) == ("1.2.0", pushed.partition("@")[2])
    assert found(fetched.folder).manifest.name == "churn"


def test_where_nothing_answers_nothing_is_brought(at, telling, tmp_path):
    for services in ([], [{"metadata": {}, "status": {}}]):
        telling("x", services)
        assert at("cloud-run").fetch(None, tmp_path / "model", Remembering()) is None


@pytest.mark.parametrize("image", ["docker.io/else/where:1", "{host}/team/churn:1", "not an image"])
def test_another_image_that_answers_is_not_brought(image, at, telling, registry, tmp_path):
    telling(image.format(host=registry.host))
    with pytest.raises(InputError):
        at("cloud-run").fetch(None, tmp_path / "model", Remembering())


def test_what_cannot_be_understood_or_asked_for(at, telling, tmp_path):
    telling("x", {"no": "list"})
    with pytest.raises(OutsideError, match="cannot be understood"):
        at("cloud-run").fetch(None, tmp_path / "model", Remembering())
    with pytest.raises(InputError, match="no release by number"):
        at("cloud-run").fetch(3, tmp_path / "model", Remembering())


def test_only_who_can_ask_and_deploys_itself_has_a_gate(at, fake, telling):
    assert "fetch" not in at("cloud-run").verbs  # there is no gcloud
    telling("x")
    assert "fetch" not in at("cloud-run", apply=False).verbs
    for kind in ("azure-container-apps", "fly"):
        fake(COMMANDS[kind])
        assert "fetch" not in at(kind).verbs
