from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import NoCredentialsError
from botocore.stub import ANY, Stubber
from bundling import Remembering, make_project, onnx_bundle
from moto import mock_aws

from mlpack.bundle import Artifact
from mlpack.errors import InputError, OutsideError
from mlpack.files import sha256
from mlpack.packagers.wheel import WheelPackager
from mlpack.packagers.zip import ZipPackager
from mlpack.ports import Built
from mlpack.targets.s3 import S3Target, make

FOLDER = "models/churn/1.2.0"
KEYS = {"AWS_ACCESS_KEY_ID": "made-up", "AWS_SECRET_ACCESS_KEY": "made-up"}


def build(dist: Path, factor: float = 2.0, version: str = "1.2.0") -> Built:
    bundle = onnx_bundle(make_project(version=version), factor=factor)
    artifacts = [
        packager.package(bundle, dist, Remembering())
        for packager in (ZipPackager(), WheelPackager())
    ]
    return Built(
        name="churn",
        version=version,
        form="onnx",
        lock=bundle.manifest.lock,
        bundle=bundle.digest,
        artifacts={artifact.kind: artifact for artifact in artifacts},
        dist=dist,
    )


@pytest.fixture
def built(tmp_path: Path) -> Built:
    return build(tmp_path / "dist")


def client(**more):
    return boto3.client(
        "s3",
        region_name="us-east-1",
        aws_access_key_id="made-up",
        aws_secret_access_key="made-up",
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=2),
        **more,
    )


@pytest.fixture
def bucket() -> Iterator:
    with mock_aws():
        made = client()
        made.create_bucket(Bucket="shelf")
        yield made


def names(bucket) -> list[str]:
    found = bucket.list_objects_v2(Bucket="shelf").get("Contents", [])
    return [entry["Key"] for entry in sorted(found, key=lambda entry: entry["Key"])]


ALL = [
    f"{FOLDER}/build.json",
    f"{FOLDER}/churn-1.2.0-py3-none-any.whl",
    f"{FOLDER}/churn-1.2.0.zip",
]


def test_a_plan_only_reads(bucket, built):
    actions = S3Target(bucket, "shelf", "models").plan(built)
    assert [(action.verb, action.needed) for action in actions] == [("upload", True)] * 3
    assert [action.what for action in actions] == [
        f"s3://shelf/{FOLDER}/churn-1.2.0.zip",
        f"s3://shelf/{FOLDER}/churn-1.2.0-py3-none-any.whl",
        f"s3://shelf/{FOLDER}/build.json",
    ]
    assert names(bucket) == []


def test_zip_wheel_and_manifest_are_uploaded(bucket, built):
    reporter = Remembering()
    deployment = S3Target(bucket, "shelf", "models").apply(built, reporter)
    assert names(bucket) == ALL
    manifest = bucket.get_object(Bucket="shelf", Key=ALL[0])
    body = manifest["Body"].read()
    assert deployment.digest == f"sha256:{sha256(body)}"
    assert deployment.reference == f"s3://shelf/{FOLDER}/"
    record = json.loads(body)
    for kind, key in (("wheel", ALL[1]), ("zip", ALL[2])):
        found = bucket.get_object(Bucket="shelf", Key=key)
        content = found["Body"].read()
        assert content == (built.dist / built.artifacts[kind].file).read_bytes()
        assert found["Metadata"]["sha256"] == sha256(content) == record["artifacts"][kind]["sha256"]
        assert zipfile.is_zipfile(io.BytesIO(content))
    assert [line for line in reporter.told if line.startswith("Uploading")][-1].endswith(
        "build.json"
    )


def test_without_a_prefix(bucket, built):
    deployment = S3Target(bucket, "shelf").apply(built, Remembering())
    assert deployment.reference == "s3://shelf/churn/1.2.0/"
    assert names(bucket)[0] == "churn/1.2.0/build.json"


def test_deploying_again_does_nothing(bucket, built):
    target = S3Target(bucket, "shelf", "models")
    first = target.apply(built, Remembering())
    reporter = Remembering()
    second = target.apply(built, reporter)
    assert second.digest == first.digest
    assert [action.needed for action in second.actions] == [False] * 3
    assert reporter.told == []


def test_an_image_beside_them_does_not_make_another_version(bucket, built):
    target = S3Target(bucket, "shelf", "models")
    target.apply(built, Remembering())
    image = Artifact(kind="image", file="churn-1.2.0.tar", sha256="1" * 64, size=1)
    with_image = replace(built, artifacts={**built.artifacts, "image": image})
    assert not any(action.needed for action in target.plan(with_image))


def test_a_version_is_never_overwritten(bucket, built, tmp_path):
    target = S3Target(bucket, "shelf", "models")
    target.apply(built, Remembering())
    before = bucket.get_object(Bucket="shelf", Key=ALL[2])["Body"].read()
    other = build(tmp_path / "other", factor=3.0)
    for act in (target.plan, lambda built: target.apply(built, Remembering())):
        with pytest.raises(InputError, match="never overwritten") as caught:
            act(other)
        assert caught.value.hint == "mlpack version patch"
    assert bucket.get_object(Bucket="shelf", Key=ALL[2])["Body"].read() == before


def test_another_version_goes_beside_it(bucket, built, tmp_path):
    target = S3Target(bucket, "shelf", "models")
    target.apply(built, Remembering())
    target.apply(build(tmp_path / "next", factor=3.0, version="1.2.1"), Remembering())
    assert len(names(bucket)) == 6


def test_an_unfinished_upload_is_no_version(bucket, built, tmp_path):
    target = S3Target(bucket, "shelf", "models")
    target.apply(build(tmp_path / "other", factor=3.0), Remembering())
    bucket.delete_object(Bucket="shelf", Key=ALL[0])
    assert [action.verb for action in target.plan(built)] == ["replace", "replace", "upload"]
    target.apply(built, Remembering())
    found = bucket.get_object(Bucket="shelf", Key=ALL[2])
    assert sha256(found["Body"].read()) == built.artifacts["zip"].sha256


def test_an_upload_goes_on_where_it_stopped(bucket, built):
    target = S3Target(bucket, "shelf", "models")
    target.apply(built, Remembering())
    bucket.delete_object(Bucket="shelf", Key=ALL[0])
    bucket.delete_object(Bucket="shelf", Key=ALL[1])
    assert [action.verb for action in target.plan(built)] == ["keep", "upload", "upload"]
    target.apply(built, Remembering())
    assert names(bucket) == ALL


def test_an_artifact_that_somebody_changed_is_not_repaired_in_silence(bucket, built):
    target = S3Target(bucket, "shelf", "models")
    target.apply(built, Remembering())
    bucket.put_object(Bucket="shelf", Key=ALL[2], Body=b"evil")
    with pytest.raises(InputError, match="other content"):
        target.plan(built)


class Racing:
    """A client before which somebody else uploads an object of the same name."""

    def __init__(self, client, content: bytes, digest: str) -> None:
        self._client, self._content, self._digest = client, content, digest
        self.meta = client.meta

    def __getattr__(self, name):
        return getattr(self._client, name)

    def put_object(self, **request):
        if request["Key"].endswith(".whl"):
            self._client.put_object(
                Bucket="shelf",
                Key=request["Key"],
                Body=self._content,
                Metadata={"sha256": self._digest},
            )
        return self._client.put_object(**request)


def test_two_uploads_at_once_of_other_content(bucket, built):
    target = S3Target(Racing(bucket, b"other", sha256(b"other")), "shelf", "models")
    with pytest.raises(InputError, match="never overwritten"):
        target.apply(built, Remembering())
    assert bucket.get_object(Bucket="shelf", Key=ALL[1])["Body"].read() == b"other"
    assert ALL[0] not in names(bucket), "there is no version without its manifest"


def test_two_uploads_at_once_of_the_same_content(bucket, built):
    content = (built.dist / built.artifacts["wheel"].file).read_bytes()
    target = S3Target(Racing(bucket, content, sha256(content)), "shelf", "models")
    target.apply(built, Remembering())
    assert names(bucket) == ALL


def test_a_store_without_conditional_writes(built):
    with Stubber(made := client()) as stub:
        stub.add_response("head_bucket", {})
        for _ in range(3):
            stub.add_client_error("head_object", "404")
        for _ in ("zip", "wheel"):
            stub.add_client_error("put_object", "NotImplemented", http_status_code=501)
            stub.add_response("put_object", {}, dict.fromkeys(UNCONDITIONAL, ANY))
        for kind in ("zip", "wheel"):
            meta = {"ETag": '"x"', "Metadata": {"sha256": built.artifacts[kind].sha256}}
            stub.add_response("head_object", meta)
        stub.add_response(
            "put_object", {}, {**dict.fromkeys(UNCONDITIONAL, ANY), "IfNoneMatch": "*"}
        )
        S3Target(made, "shelf", "models").apply(built, Remembering())
        stub.assert_no_pending_responses()


UNCONDITIONAL = ("Bucket", "Key", "ContentType", "ChecksumSHA256", "Metadata", "Body")


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        ("404", 404, "no such bucket"),
        ("403", 403, "access denied"),
        ("301", 301, "another region"),
        ("SlowDown", 503, "said no"),
    ],
)
def test_a_bucket_that_refuses(built, code, status, said):
    with Stubber(made := client()) as stub:
        stub.add_client_error("head_bucket", code, http_status_code=status)
        with pytest.raises(OutsideError, match=said) as caught:
            S3Target(made, "shelf").plan(built)
    assert caught.value.where == "s3://shelf"


@pytest.mark.parametrize("code", ["AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"])
def test_an_upload_that_is_refused(built, code):
    with Stubber(made := client()) as stub:
        stub.add_response("head_bucket", {})
        for _ in range(3):
            stub.add_client_error("head_object", "404")
        stub.add_client_error("put_object", code, "You may not.", http_status_code=403)
        with pytest.raises(OutsideError, match="access denied: You may not") as caught:
            S3Target(made, "shelf").apply(built, Remembering())
    assert "s3:PutObject" in caught.value.hint


def test_a_bucket_that_is_not_there(bucket, built):
    with pytest.raises(OutsideError, match="no such bucket"):
        S3Target(bucket, "nothing").plan(built)


def test_an_endpoint_that_does_not_answer(built):
    made = client(endpoint_url="http://127.0.0.1:9")
    with pytest.raises(OutsideError, match="does not answer") as caught:
        S3Target(made, "shelf").plan(built)
    assert "endpoint" in caught.value.hint


def test_no_credentials(built):
    class Nobody:
        meta = client().meta

        def head_bucket(self, **_):
            raise NoCredentialsError

    with pytest.raises(OutsideError, match="no credentials") as caught:
        S3Target(Nobody(), "shelf").plan(built)
    assert "AWS_ACCESS_KEY_ID" in caught.value.hint


def test_nothing_that_a_bucket_takes(bucket, built):
    image = Artifact(kind="image", file="churn-1.2.0.tar", sha256="1" * 64, size=1)
    with pytest.raises(InputError, match="zip or a wheel"):
        S3Target(bucket, "shelf").plan(replace(built, artifacts={"image": image}))


def test_made_from_configuration(bucket, built):
    config = {"target": "s3", "bucket": "shelf", "prefix": "/models/", "region": "us-east-1"}
    target = make(config, KEYS)
    target.apply(built, Remembering())
    assert (target.kind, target.verbs) == ("s3", {"plan", "apply", "policy"})
    assert names(bucket) == ALL


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({}, "no bucket"),
        ({"bucket": "shelf", "prefx": "x"}, "no key 'prefx'"),
        ({"bucket": "../x"}, "bucket"),
        ({"bucket": "UPPER"}, "bucket"),
        ({"bucket": 3}, "bucket"),
        ({"bucket": "shelf", "prefix": "a//b"}, "prefix"),
        ({"bucket": "shelf", "prefix": "a/../b"}, "prefix"),
        ({"bucket": "shelf", "prefix": ".."}, "prefix"),
        ({"bucket": "shelf", "prefix": "./a"}, "prefix"),
        ({"bucket": "shelf", "prefix": "a/.."}, "prefix"),
        ({"bucket": "shelf", "prefix": "//"}, "prefix"),
        ({"bucket": "shelf", "prefix": "a\nb"}, "prefix"),
        ({"bucket": "shelf", "endpoint": "ftp://x"}, "endpoint"),
        ({"bucket": "shelf", "endpoint": "https://[::1"}, "endpoint"),
        ({"bucket": "shelf", "endpoint": "https://user:password@x"}, "endpoint"),
        ({"bucket": "shelf", "region": "eu west"}, "region"),
        ({"bucket": "shelf", "index": "yes"}, "index"),
    ],
)
def test_wrong_configuration(config, said):
    with pytest.raises(InputError, match=said):
        make(config, KEYS)


@pytest.mark.parametrize("prefix", ["", "/", "a", "a/b", "/a/b/", "a.b/c-d_e", "...", "team=ml/x"])
def test_prefixes(prefix):
    make({"bucket": "shelf", "prefix": prefix}, KEYS)


def test_a_password_in_the_configuration_is_not_shown():
    with pytest.raises(InputError) as caught:
        make({"bucket": "shelf", "endpoint": "https://user:hunter2@x"}, KEYS)
    assert "hunter2" not in str(caught.value)


def test_a_misspelt_key_is_guessed():
    with pytest.raises(InputError) as caught:
        make({"bucket": "shelf", "prefx": "x"}, KEYS)
    assert "prefix" in caught.value.hint


def test_a_profile_that_is_not_there():
    with pytest.raises(OutsideError, match="nobody"):
        make({"bucket": "shelf"}, {"AWS_PROFILE": "nobody"})
