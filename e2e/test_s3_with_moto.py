"""What was built goes to a bucket over HTTP, and comes back as something that installs."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from bundling import Remembering, make_project, onnx_bundle
from moto.server import ThreadedMotoServer

from mlpack.bundle import Artifact
from mlpack.errors import InputError, OutsideError
from mlpack.files import sha256_file
from mlpack.packagers.wheel import WheelPackager
from mlpack.packagers.zip import ZipPackager
from mlpack.ports import Built
from mlpack.records import read_build, write_build_json
from mlpack.targets.s3 import make
from mlpack.usecases.deploy import deploy, plan

ENV = {"AWS_ACCESS_KEY_ID": "made-up", "AWS_SECRET_ACCESS_KEY": "made-up"}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def client(endpoint):
    made = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="made-up",
        aws_secret_access_key="made-up",
    )
    made.create_bucket(Bucket="shelf")
    yield made
    for entry in made.list_objects_v2(Bucket="shelf").get("Contents", []):
        made.delete_object(Bucket="shelf", Key=entry["Key"])
    made.delete_bucket(Bucket="shelf")


def config(endpoint: str, **more: str) -> dict[str, str]:
    given = {"target": "s3", "bucket": "shelf", "prefix": "models", "region": "us-east-1"}
    return {**given, "endpoint": endpoint, **more}


def build(dist: Path, factor: float = 2.0) -> Built:
    bundle = onnx_bundle(make_project(), factor=factor)
    made: list[Artifact] = [
        packager.package(bundle, dist, Remembering())
        for packager in (ZipPackager(), WheelPackager())
    ]
    artifacts = {artifact.kind: artifact for artifact in made}
    lock = bundle.manifest.lock
    write_build_json(
        Built("churn", "1.2.0", "onnx", lock, bundle.digest, artifacts, dist), "inputs"
    )
    return read_build(dist)


def test_from_dist_to_the_bucket_and_back(endpoint, client, tmp_path):
    built = build(tmp_path / "dist")
    target = make(config(endpoint), ENV)
    assert plan(built, target).changes
    assert client.list_objects_v2(Bucket="shelf")["KeyCount"] == 0

    deployment = deploy(built, target, "production", Remembering())

    assert deployment.reference == "s3://shelf/models/churn/1.2.0/"
    assert (tmp_path / "dist" / "deployment-production.json").is_file()
    there = tmp_path / "there"
    there.mkdir()
    for name in ("build.json", "churn-1.2.0.zip", "churn-1.2.0-py3-none-any.whl"):
        client.download_file("shelf", f"models/churn/1.2.0/{name}", str(there / name))
    downloaded = read_build(there)
    assert downloaded.bundle == built.bundle
    assert f"sha256:{sha256_file(there / 'build.json')}" == deployment.digest
    assert zipfile.ZipFile(there / "churn-1.2.0.zip").testzip() is None

    assert not plan(built, target).changes
    again = deploy(built, target, "production", Remembering())
    assert again.digest == deployment.digest


def test_pip_installs_from_the_bucket(endpoint, client, tmp_path):
    built = build(tmp_path / "dist")
    target = make({**config(endpoint), "index": True}, ENV)
    deploy(built, target, "production", Remembering())
    # A bucket's own address: who may read it without a login reads it as any other page.
    client.put_object_acl(Bucket="shelf", Key="models/simple/churn/", ACL="public-read")
    wheel = f"models/churn/1.2.0/{built.artifacts['wheel'].file}"
    client.put_object_acl(Bucket="shelf", Key=wheel, ACL="public-read")
    index = f"{endpoint}/shelf/models/simple/"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--isolated", "--no-input", "install"),
            *("--disable-pip-version-check", "--no-cache-dir", "--no-deps"),
            *("--target", str(tmp_path / "there"), "--index-url", index, "churn==1.2.0"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "there" / "churn" / "__init__.py").is_file()

    client.put_object(Bucket="shelf", Key=wheel, Body=b"not what it was", ACL="public-read")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--isolated", "--no-input", "download"),
            *("--disable-pip-version-check", "--no-cache-dir", "--no-deps"),
            *("--dest", str(tmp_path / "no"), "--index-url", index, "churn"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr


def test_other_content_under_the_same_version_is_refused(endpoint, client, tmp_path):
    target = make(config(endpoint), ENV)
    deploy(build(tmp_path / "one"), target, "production", Remembering())
    other = build(tmp_path / "two", factor=3.0)
    with pytest.raises(InputError, match="never overwritten"):
        deploy(other, target, "production", Remembering())
    assert not (tmp_path / "two" / "deployment-production.json").exists()


def test_a_bucket_that_is_not_there(endpoint, tmp_path):
    target = make(config(endpoint, bucket="nothing-here"), ENV)
    with pytest.raises(OutsideError, match="no such bucket"):
        plan(build(tmp_path / "dist"), target)


def test_a_server_that_is_not_there(tmp_path):
    target = make(config("http://127.0.0.1:9"), ENV)
    with pytest.raises(OutsideError, match="does not answer"):
        plan(build(tmp_path / "dist"), target)
