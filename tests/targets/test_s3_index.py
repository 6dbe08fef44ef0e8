"""The pages for pip beside a bucket's versions."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from bundling import Remembering, make_project, onnx_bundle
from moto import mock_aws

from mlpack import simple_index
from mlpack.aws.policies import bucket_policy
from mlpack.aws.simple_pages import Index
from mlpack.errors import InputError, OutsideError
from mlpack.packagers.wheel import WheelPackager
from mlpack.ports import Built
from mlpack.targets.s3 import S3Target, make

PAGES = [
    "models/simple/",
    "models/simple/churn/",
    "models/simple/churn/index.html",
    "models/simple/churn/index.json",
    "models/simple/index.html",
]


def build(dist: Path, version: str = "1.2.0", name: str = "churn") -> Built:
    bundle = onnx_bundle(make_project(version=version))
    wheel = WheelPackager().package(bundle, dist / version, Remembering())
    digest = bundle.manifest.lock
    return Built(name, version, "onnx", digest, bundle.digest, {"wheel": wheel}, dist / version)


@pytest.fixture
def bucket() -> Iterator:
    with mock_aws():
        made = boto3.client(
            "s3",
            region_name="us-east-1",
            aws_access_key_id="made-up",
            aws_secret_access_key="made-up",
            config=Config(retries={"max_attempts": 1}),
        )
        made.create_bucket(Bucket="pages")
        yield made


def target(client) -> S3Target:
    return S3Target(client, "pages", "models", index=True)


def body(client, key: str) -> bytes:
    return client.get_object(Bucket="pages", Key=key)["Body"].read()


def listed(client, name="churn") -> dict[str, simple_index.File]:
    """What pip would read, from the page as HTML; the one as JSON says the same."""
    where = f"https://files.example/models/simple/{name}/"
    page = simple_index.files(body(client, f"models/simple/{name}/"), "text/html", where)
    told = simple_index.files(
        body(client, f"models/simple/{name}/index.json"), simple_index.JSON, where
    )
    assert dict(page) == dict(told)
    assert body(client, f"models/simple/{name}/index.html") == body(
        client, f"models/simple/{name}/"
    )
    return dict(page)


def simple(client) -> list[str]:
    found = client.list_objects_v2(Bucket="pages", Prefix="models/simple/").get("Contents", [])
    return [each["Key"] for each in found]


def test_the_pages_name_the_wheel_by_its_digest(bucket, tmp_path):
    built = build(tmp_path)
    plan = target(bucket).plan(built)
    assert [action.verb for action in plan] == ["upload"] * 2 + ["index"] * 5
    assert simple(bucket) == []
    target(bucket).apply(built, Remembering())
    assert simple(bucket) == PAGES
    wheel = built.artifacts["wheel"]
    assert listed(bucket) == {
        wheel.file: simple_index.File(
            f"https://files.example/models/churn/1.2.0/{wheel.file}", wheel.sha256
        )
    }
    assert b'<a href="churn/">churn</a>' in body(bucket, "models/simple/")
    assert bucket.head_object(Bucket="pages", Key=PAGES[1])["ContentType"].startswith("text/html")


def test_a_second_time_nothing_is_written(bucket, tmp_path):
    built = build(tmp_path)
    target(bucket).apply(built, Remembering())
    reporter = Remembering()
    again = target(bucket).apply(built, reporter)
    assert not any(action.needed for action in again.actions)
    assert reporter.told == []


def test_versions_in_their_order_and_other_projects(bucket, tmp_path):
    for version in ("1.10.0", "1.2.0", "1.9.0"):
        target(bucket).apply(build(tmp_path, version), Remembering())
    target(bucket).apply(build(tmp_path / "o", name="Other_Name"), Remembering())
    assert [file.split("-")[1] for file in listed(bucket)] == ["1.2.0", "1.9.0", "1.10.0"]
    root = body(bucket, "models/simple/index.html").decode()
    assert root.index(">churn<") < root.index('href="other-name/">other-name<')


def test_versions_that_were_there_before_the_index_was_asked_for(bucket, tmp_path):
    S3Target(bucket, "pages", "models").apply(build(tmp_path, "1.0.0"), Remembering())
    assert simple(bucket) == []
    target(bucket).apply(build(tmp_path, "1.1.0"), Remembering())
    assert len(listed(bucket)) == 2
    assert all(each.sha256 for each in listed(bucket).values())


def test_an_upload_that_did_not_finish_is_not_named(bucket, tmp_path):
    first = build(tmp_path, "1.0.0")
    target(bucket).apply(first, Remembering())
    bucket.delete_object(Bucket="pages", Key="models/churn/1.0.0/build.json")
    target(bucket).apply(build(tmp_path, "1.1.0"), Remembering())
    assert [file.split("-")[1] for file in listed(bucket)] == ["1.1.0"]
    target(bucket).apply(first, Remembering())
    assert len(listed(bucket)) == 2


def test_a_page_that_somebody_spoilt_is_made_anew(bucket, tmp_path):
    built = build(tmp_path)
    target(bucket).apply(built, Remembering())
    for key in PAGES:
        bucket.put_object(Bucket="pages", Key=key, Body=b"{nonsense")
    assert [a.verb for a in target(bucket).plan(built) if a.needed] == ["index"] * 5
    target(bucket).apply(built, Remembering())
    assert listed(bucket)[built.artifacts["wheel"].file].sha256 == built.artifacts["wheel"].sha256


class Interrupted:
    """A client before which something happens at one of its calls."""

    def __init__(self, client, key, act):
        self._client, self._key, self._act = client, key, act
        self.meta = client.meta

    def __getattr__(self, name):
        return getattr(self._client, name)

    def put_object(self, **request):
        if request["Key"] == self._key and self._act is not None:
            act, self._act = self._act, None
            act()
        return self._client.put_object(**request)


@pytest.mark.parametrize("key", PAGES)
def test_another_deploy_at_any_page_loses_nothing(bucket, tmp_path, key):
    other = build(tmp_path, "2.0.0")
    mine = build(tmp_path, "1.0.0")
    between = Interrupted(bucket, key, lambda: target(bucket).apply(other, Remembering()))
    target(between).apply(mine, Remembering())
    assert [file.split("-")[1] for file in listed(bucket)] == ["1.0.0", "2.0.0"]


class KilledError(Exception):
    pass


@pytest.mark.parametrize("key", PAGES)
def test_broken_off_at_any_page_the_next_run_goes_on(bucket, tmp_path, key):
    def killed():
        raise KilledError

    built = build(tmp_path)
    with pytest.raises(KilledError):
        target(Interrupted(bucket, key, killed)).apply(built, Remembering())
    target(bucket).apply(built, Remembering())
    assert simple(bucket) == PAGES
    assert len(listed(bucket)) == 1


def test_many_deploys_at_once(bucket, tmp_path):
    builds = [build(tmp_path, f"1.{number}.0") for number in range(6)]
    threads = [
        threading.Thread(target=lambda each=each: target(bucket).apply(each, Remembering()))
        for each in builds
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(listed(bucket)) == 6


class Refusing:
    """A client that refuses conditional writes in some way, as often as it is told."""

    def __init__(self, client, code, times):
        self._client, self._code, self._left = client, code, times
        self.meta = client.meta
        self.asked = 0

    def __getattr__(self, name):
        return getattr(self._client, name)

    def put_object(self, **request):
        conditional = "IfMatch" in request or "IfNoneMatch" in request
        if "/simple/" in request["Key"] and conditional and self._left:
            self._left -= 1
            self.asked += 1
            raise ClientError({"Error": {"Code": self._code}}, "PutObject")
        return self._client.put_object(**request)


def test_a_store_without_conditional_writes(bucket, tmp_path):
    target(Refusing(bucket, "NotImplemented", 99)).apply(build(tmp_path), Remembering())
    assert len(listed(bucket)) == 1


def test_who_is_never_let_through_is_told(bucket, tmp_path):
    client = Refusing(bucket, "PreconditionFailed", 99)
    target(bucket).apply(build(tmp_path), Remembering())
    bucket.put_object(Bucket="pages", Key=PAGES[1], Body=b"other")
    waits: list[float] = []
    with pytest.raises(OutsideError, match="others keep writing"):
        Index(client, "pages", "models", waits.append).write("churn")
    assert client.asked == len(waits) == 8
    assert waits == sorted(waits)


def test_a_refused_page_is_told_as_any_other(bucket, tmp_path):
    with pytest.raises(OutsideError, match="access denied"):
        target(Refusing(bucket, "AccessDenied", 1)).apply(build(tmp_path), Remembering())


def test_a_project_may_not_lie_where_the_index_is(bucket, tmp_path):
    with pytest.raises(InputError, match="where the index is"):
        target(bucket).plan(build(tmp_path, name="Simple"))
    S3Target(bucket, "pages", "models").plan(build(tmp_path, name="Simple"))


def test_a_local_version_can_be_fetched(bucket, tmp_path):
    built = build(tmp_path, "1.2.0+local.1")
    target(bucket).apply(built, Remembering())
    assert b"../../churn/1.2.0%2Blocal.1/churn-1.2.0%2Blocal.1-" in body(bucket, PAGES[1])


def test_a_zip_is_not_offered_to_pip(bucket, tmp_path):
    built = build(tmp_path)
    bucket.put_object(Bucket="pages", Key="models/churn/1.2.0/churn-1.2.0.zip", Body=b"zip")
    target(bucket).apply(built, Remembering())
    assert list(listed(bucket)) == [built.artifacts["wheel"].file]


# https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
PERMISSIONS = {
    "HeadBucket": "s3:ListBucket",
    "HeadObject": "s3:GetObject",
    "ListObjectsV2": "s3:ListBucket",
}


def test_the_policy_is_what_is_asked_for_and_no_more(bucket, tmp_path):
    asked = set()
    bucket.meta.events.register(
        "before-call.s3",
        lambda model, **_: asked.add(PERMISSIONS.get(model.name, f"s3:{model.name}")),
    )
    target(bucket).plan(build(tmp_path))
    target(bucket).apply(build(tmp_path), Remembering())
    target(bucket).apply(build(tmp_path, "1.3.0"), Remembering())
    statements = target(bucket).policy()["Statement"]
    assert asked == {action for each in statements for action in each["Action"]}


def test_the_policy_names_the_bucket_and_deletes_nothing():
    made = make({"target": "s3", "bucket": "shelf", "prefix": "a/b", "region": "us-east-1"}, {})
    statements = made.policy()["Statement"]
    assert made.policy() == bucket_policy("shelf", "a/b")
    assert [each["Resource"] for each in statements] == [
        ["arn:aws:s3:::shelf"],
        ["arn:aws:s3:::shelf/a/b/*"],
    ]
    assert "Delete" not in json.dumps(made.policy())
