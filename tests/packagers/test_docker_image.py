"""The image that an engine builds: what the engine is given, and what is made of its answer."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from dataclasses import replace

import msgspec
import pytest
from bundling import Remembering, lock_text, onnx_bundle
from images import SLIM, image_of, layer_of

from mlpack import indexes, requirements_file
from mlpack.errors import InputError, OutsideError
from mlpack.oci.archive import read_archive, write_archive
from mlpack.oci.cache import Cache
from mlpack.oci.source import Base
from mlpack.oci.values import RootFs, make_image
from mlpack.packagers.docker_image import DockerImagePackager, pip_configuration
from mlpack.process import Completed, run
from mlpack.project import BuildSecret, ImageSettings
from mlpack.wheelfile import installed

SETTINGS = ImageSettings(builder="docker", system_packages=("libgomp1",))
PIP = "global.index-url='https://me:a-password@registry.example/simple'\n"


class Engine:
    """An engine and its builder in one: remembers what it was given, answers with `image`."""

    name = "an engine"

    def __init__(self, image, answers=True):
        self.image, self.answers = image, answers
        self.there, self.tagged, self.loaded, self.asked = set(), [], [], None
        self.context, self.secrets, self.modes = {}, {}, set()

    def available(self):
        return self.answers

    def load(self, archive):
        loaded = read_archive(archive, "linux/amd64", Cache(archive.parent / "cache"))
        self.loaded.append(loaded.config_digest)
        self.there.add(loaded.config_digest)
        return loaded.config_digest

    def tag(self, identity, name, tag):
        if identity not in self.there:
            return False
        self.tagged.append(f"{name}:{tag}")
        return True

    def build(self, asked):
        self.asked = asked
        for path in sorted(asked.context.rglob("*")):
            if path.is_file():
                self.context[path.relative_to(asked.context).as_posix()] = path.read_bytes()
            self.modes.add((path.is_dir(), oct(path.stat().st_mode & 0o777), path.stat().st_mtime))
        for secret in asked.secrets:
            known = secret.file.read_text() if secret.file else secret.env
            self.secrets[secret.name] = secret.value or known
        return self.image.config_digest

    def save(self, name, into):
        assert name == self.image.config_digest
        write_archive(self.image, into, "x", "1")


def pip(answer=PIP):
    return lambda argv, **more: Completed(tuple(argv), 0, answer, "")


@pytest.fixture
def base(tmp_path):
    (tmp_path / "base").mkdir()
    image = image_of(
        tmp_path / "base",
        SLIM,
        labels={"maintainer": "me", "org.opencontainers.image.vendor": "the base's"},
    )
    return Base("archive:x", image.config_digest, image.config.rootfs.diff_ids, image)


@pytest.fixture
def engine(base, tmp_path):
    (tmp_path / "own").mkdir()
    own = layer_of(tmp_path / "own", {"app/lib/demo.py": b"12345", "app/lib": None})
    config = msgspec.structs.replace(
        base.image.config,
        rootfs=RootFs(type="layers", diff_ids=(*base.image.config.rootfs.diff_ids, own.diff_id)),
    )
    # An engine gives the base's layers in another compression than the registry has them.
    (tmp_path / "again").mkdir()
    other = replace(
        base.image.layers[0],
        descriptor=msgspec.structs.replace(base.image.layers[0].descriptor, annotations={"a": "b"}),
    )
    return Engine(make_image(config, (other, own), {}))


@pytest.fixture
def bundle():
    made = onnx_bundle()
    manifest = msgspec.structs.replace(made.manifest, python="3.11")
    return dataclasses.replace(made, manifest=manifest)


@pytest.fixture
def packager(base, engine, tmp_path):
    return DockerImagePackager(
        base=base,
        pins=requirements_file.loads(lock_text(), "a lock"),
        platform="linux/amd64",
        cache=Cache(tmp_path / "cache"),
        settings=SETTINGS,
        root=tmp_path,
        builder=engine,
        engine=engine,
        runner=pip(),
        env={},
    )


@pytest.fixture
def dist(tmp_path):
    (tmp_path / "dist").mkdir()
    return tmp_path / "dist"


def test_the_engine_gets_the_lock_the_bundle_and_the_dockerfile(packager, engine, bundle, dist):
    packager.package(bundle, dist, Remembering())
    context = engine.context
    assert set(context) == {
        "Dockerfile",
        "requirements.lock.txt",
        "model/sbom.cdx.json",
        "model/sbom.spdx.json",
        *(f"model/lib/{name}" for name in installed(bundle)),
    }
    assert context["Dockerfile"].decode() == packager.dockerfile("churn", "3.11")
    lock = requirements_file.loads(context["requirements.lock.txt"].decode(), "the context")
    assert lock == tuple(packager.pins)
    sbom = json.loads(context["model/sbom.cdx.json"])
    assert sbom["metadata"]["component"]["hashes"][0]["content"] == bundle.digest
    assert {
        name[len("model/lib/") :]: data for name, data in context.items() if "/lib/" in name
    } == (installed(bundle))
    # Modes and times become those of the layers' files.
    assert engine.modes == {(True, "0o755", packager.epoch), (False, "0o644", packager.epoch)}
    assert {path.name for path in dist.iterdir()} == {
        f"churn-1.2.0.oci.tar{end}" for end in ("", ".cdx.json", ".spdx.json", ".intoto.json")
    }


def test_what_the_image_is_called_and_says_of_itself(packager, engine, bundle, dist):
    packager.package(bundle, dist, Remembering())
    asked = engine.asked
    assert (asked.tag, asked.platform, asked.network) == ("churn:1.2.0", "linux/amd64", "default")
    assert asked.labels["org.opencontainers.image.version"] == "1.2.0"
    assert asked.labels["io.mlpack.bundle"] == bundle.digest
    assert asked.labels["io.mlpack.base"] == packager.base.digest
    assert asked.labels["io.mlpack.system-packages"] == "libgomp1"
    assert asked.labels["org.opencontainers.image.vendor"] == ""
    assert "maintainer" not in asked.labels
    assert asked.arguments == {"SOURCE_DATE_EPOCH": str(packager.epoch)}
    replace(packager, named=False).package(bundle, dist, Remembering())
    assert engine.asked.tag is None


def test_the_archive_is_the_engines_image_with_the_bases_own_layers(
    packager, engine, base, bundle, dist, tmp_path
):
    artifact = packager.package(bundle, dist, Remembering())
    image = read_archive(dist / artifact.file, "linux/amd64", Cache(tmp_path / "c"))
    assert artifact.kind == "image"
    assert artifact.image == "churn:1.2.0"
    assert artifact.digest == image.digest
    assert artifact.config == image.config_digest == engine.image.config_digest
    assert image.config_bytes == engine.image.config_bytes
    assert image.layers[0].descriptor == base.image.layers[0].descriptor
    assert image.manifest.annotations["org.opencontainers.image.title"] == "churn"
    assert artifact.unpacked == 5
    assert packager.package(bundle, dist, Remembering()) == artifact


def test_a_base_of_no_registry_is_brought_to_the_engine_once(packager, engine, bundle, dist):
    packager.package(bundle, dist, Remembering())
    digest = packager.base.digest
    assert engine.loaded == [digest]
    name = f"mlpack-base:{digest[len('sha256:') :]}"
    assert f"FROM {name} AS system" in engine.context["Dockerfile"].decode()
    assert engine.tagged == []
    # Once it is there it only gets its name again: somebody may have taken it away.
    packager.package(bundle, dist, Remembering())
    assert engine.loaded == [digest]
    assert engine.tagged == [name]


@pytest.mark.parametrize(
    "name", ["docker.io/library/python:3.11-slim", f"docker.io/library/python@sha256:{'b' * 64}"]
)
def test_a_base_of_a_registry_is_pulled_by_its_digest(packager, engine, bundle, dist, name):
    digest = "sha256:" + "b" * 64
    found = replace(packager, base=replace(packager.base, name=name, digest=digest, diff_ids=()))
    artifact = found.package(bundle, dist, Remembering())
    assert engine.loaded == []
    first = f"FROM {name.partition('@')[0]}@{digest} AS system"
    assert first in engine.context["Dockerfile"].decode()
    image = read_archive(dist / artifact.file, "linux/amd64", Cache(dist.parent / "c"))
    assert image.manifest.annotations["org.opencontainers.image.base.digest"] == digest


def test_pips_configuration_is_a_secret_and_in_nothing_that_is_copied(
    packager, engine, bundle, dist
):
    packager.package(bundle, dist, Remembering())
    assert "https://me:a-password@registry.example/simple" in engine.secrets["mlpack-pip"]
    for name, data in engine.context.items():
        assert b"a-password" not in data, name
    assert "a-password" not in repr(engine.asked)
    assert not [path for path in dist.rglob("*") if b"a-password" in path.read_bytes()]


def test_certificates_of_this_machine_are_a_secret(packager, engine, bundle, dist, tmp_path):
    ca = tmp_path / "ca.pem"
    ca.write_text("a certificate")
    for found in (
        replace(packager, runner=pip(f"global.cert='{ca}'\n")),
        replace(packager, runner=pip(""), env={"REQUESTS_CA_BUNDLE": str(ca)}),
        replace(packager, runner=pip(""), env={"SSL_CERT_FILE": str(ca)}),
    ):
        engine.secrets.clear()
        found.package(bundle, dist, Remembering())
        assert engine.secrets["mlpack-ca"] == "a certificate"
        assert "cert = /run/secrets/mlpack-ca" in engine.secrets["mlpack-pip"]
        assert "CAInfo" in engine.secrets["mlpack-apt"]
    engine.secrets.clear()
    gone = replace(packager, runner=pip(""), env={"SSL_CERT_FILE": str(tmp_path / "gone")})
    gone.package(bundle, dist, Remembering())
    assert engine.secrets == {}


def test_a_certificate_of_the_client_is_a_secret(packager, engine, bundle, dist, tmp_path):
    cert = tmp_path / "client.pem"
    cert.write_text("a private key")
    replace(packager, runner=pip(f"global.client-cert='{cert}'\n")).package(
        bundle, dist, Remembering()
    )
    assert engine.secrets["mlpack-client"] == "a private key"
    assert "client-cert = /run/secrets/mlpack-client" in engine.secrets["mlpack-pip"]
    assert b"--mount=type=secret,id=mlpack-client " in engine.context["Dockerfile"]
    engine.secrets.clear()
    gone = replace(packager, runner=pip(f"global.client-cert='{tmp_path / 'gone'}'\n"))
    gone.package(bundle, dist, Remembering())
    assert engine.secrets == {}


def test_folders_of_this_machine_alone_are_refused(packager, bundle, dist, tmp_path):
    answer = f"global.no-index='true'\nglobal.find-links='{tmp_path}'\n"
    with pytest.raises(InputError, match="no-index"):
        replace(packager, runner=pip(answer)).package(bundle, dist, Remembering())
    assert list(dist.iterdir()) == []
    replace(packager, runner=pip(answer), pins=()).package(bundle, dist, Remembering())


def test_the_projects_secrets_come_from_where_it_says(packager, engine, bundle, dist, tmp_path):
    (tmp_path / "logins").write_text("machine registry.example")
    secrets = (BuildSecret("token", "env", "TOKEN"), BuildSecret("netrc", "file", "logins"))
    given = replace(packager, settings=replace(SETTINGS, secrets=secrets), env={"TOKEN": "a-token"})
    given.package(bundle, dist, Remembering())
    assert engine.secrets["token"] == "TOKEN"  # its name: docker takes the value itself
    assert engine.secrets["netrc"] == "machine registry.example"
    assert "a-token" not in repr(engine.asked)
    with pytest.raises(InputError, match="TOKEN, which holds the secret token, is not set"):
        replace(given, env={}).package(bundle, dist, Remembering())
    (tmp_path / "logins").unlink()
    with pytest.raises(InputError, match="logins, which holds the secret netrc, is not there"):
        given.package(bundle, dist, Remembering())


@pytest.mark.parametrize("source", ["~no-such-user/x", "logins/x", "x" * 300, "a\0b", "."])
def test_a_secrets_file_that_cannot_be_there_is_told(packager, bundle, dist, tmp_path, source):
    (tmp_path / "logins").write_text("a file, and no folder")
    settings = replace(SETTINGS, secrets=(BuildSecret("token", "file", source),))
    with pytest.raises(InputError, match="holds the secret token, is not there"):
        replace(packager, settings=settings).package(bundle, dist, Remembering())


def test_certificates_of_nobody_are_none(packager, engine, bundle, dist):
    given = replace(packager, env={"SSL_CERT_FILE": "~no-such-user/ca.pem"}, runner=pip(""))
    given.package(bundle, dist, Remembering())
    assert "mlpack-ca" not in engine.secrets


def test_network_and_proxies_are_the_machines(packager, engine, bundle, dist):
    env = {"MLPACK_BUILD_NETWORK": "host", "https_proxy": "http://me:pw@proxy:3128", "NO_PROXY": ""}
    replace(packager, env=env).package(bundle, dist, Remembering())
    assert engine.asked.network == "host"
    assert engine.asked.inherited == ("https_proxy",)
    assert "pw" not in repr(engine.asked)
    with pytest.raises(InputError, match="MLPACK_BUILD_NETWORK"):
        replace(packager, env={"MLPACK_BUILD_NETWORK": "container:x\n"}).package(
            bundle, dist, Remembering()
        )


def test_without_an_engine_nothing_is_asked_and_nothing_stays(packager, engine, bundle, dist):
    engine.answers = False
    with pytest.raises(OutsideError, match="needs a Docker engine"):
        packager.package(bundle, dist, Remembering())
    assert engine.asked is None
    assert list(dist.iterdir()) == []
    assert packager.dockerfile("churn", "3.11").startswith("# Made by mlpack")


def test_a_build_that_fails_leaves_nothing(packager, engine, bundle, dist):
    def fail(asked):
        raise OutsideError("the image could not be built")

    engine.build = fail
    with pytest.raises(OutsideError):
        packager.package(bundle, dist, Remembering())
    assert list(dist.iterdir()) == []


def test_an_image_on_another_base_is_refused(packager, engine, bundle, dist, tmp_path):
    (tmp_path / "other").mkdir()
    engine.image = image_of(tmp_path / "other", {"usr/bin/evil": b"x"}, {"app/lib/a.py": b""})
    with pytest.raises(OutsideError, match="on another base than archive:x"):
        packager.package(bundle, dist, Remembering())
    assert list(dist.iterdir()) == []


def test_an_image_for_another_platform_is_refused(packager, bundle, dist):
    with pytest.raises(InputError, match="linux/arm64"):
        replace(packager, platform="linux/arm64").package(bundle, dist, Remembering())


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("", ""),
        ("global.index-url='https://a/simple'\n", "index-url = https://a/simple"),
        (":env:.index-url='https://b'\nglobal.index-url='https://a'\n", "index-url = https://b"),
        (
            "global.extra-index-url='https://a\\nhttps://b'\n",
            "extra-index-url = https://a https://b",
        ),
        ("global.find-links='https://a/files'\n", "find-links = https://a/files"),
        ("global.proxy='http://p:1'\nglobal.timeout='9'\n", "proxy = http://p:1\ntimeout = 9"),
        ("global.trusted-host='a'\n", "trusted-host = a"),
        # Folders of this machine are not there in a container.
        ("global.index-url='file:///simple'\nglobal.find-links='/'\n", ""),
        ("global.constraint='/etc/hostname'\n", ""),
        # Else the build would ask PyPI where pip on this machine does not.
        (
            "global.no-index='1'\nglobal.find-links='https://a/files'\n",
            "no-index = true\nfind-links = https://a/files",
        ),
    ],
)
def test_what_of_pips_configuration_goes_along(answer, expected):
    written = pip_configuration(indexes.parse(answer), certificates=False)
    assert written == (f"[global]\n{expected}\n" if expected else "")


def test_what_goes_along_is_what_pip_reads(tmp_path):
    file = tmp_path / "pip.conf"
    pins = indexes.parse("global.index-url='https://a%40b:c@d/simple'\nglobal.timeout='9'\n")
    file.write_text(pip_configuration(pins, certificates=True))
    env = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    again = indexes.read(run, sys.executable, {**env, "PIP_CONFIG_FILE": str(file)})
    assert (again.index_url, again.timeout) == ("https://a%40b:c@d/simple", "9")
    assert again.cert == "/run/secrets/mlpack-ca"
    file.write_text(
        pip_configuration(indexes.parse("global.no-index='on'\n"), certificates=False, client=True)
    )
    again = indexes.read(run, sys.executable, {**env, "PIP_CONFIG_FILE": str(file)})
    assert (again.no_index, again.client_cert) == (True, "/run/secrets/mlpack-client")
