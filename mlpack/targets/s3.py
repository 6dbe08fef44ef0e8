"""A bucket of S3, or of anything that speaks its protocol.

A version is a folder, ``PREFIX/NAME/VERSION/``, with the zip, the wheel and ``build.json``, which
is written last: where it is missing there is no version, only an upload that did not finish. A
version that is there is never overwritten. Every object carries its SHA-256 as metadata. If it is
asked for, there is an index of the wheels beside the versions, which pip reads.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import boto3
from botocore import exceptions
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from packaging.utils import canonicalize_name

from mlpack import files
from mlpack.aws import simple_pages
from mlpack.aws.policies import bucket_policy
from mlpack.config import refuse_unknown
from mlpack.delivery.settings import Reader
from mlpack.errors import InputError, OutsideError
from mlpack.ports import Action, Built, Deployment, Reporter
from mlpack.records import BUILD_FILE, encode_build
from mlpack.sizes import megabytes

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_KINDS = ("zip", "wheel")
_KEYS = ("bucket", "endpoint", "index", "prefix", "region", "target")
# Folders between single slashes, none of them . or ..
_PREFIX = r"/?(?:(?!\.{1,2}(?:/|$))[A-Za-z0-9_.=-]+(?:/(?=.)|/?$))*"
_URL = r"https?://[A-Za-z0-9.:\[\]-]+(?:/[A-Za-z0-9._~/-]*)?"
_TYPES = {"zip": "application/zip", "wheel": "application/zip", "manifest": "application/json"}
_DENIED = frozenset(
    {
        "403",
        "AccessDenied",
        "AuthorizationHeaderMalformed",
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidToken",
        "SignatureDoesNotMatch",
    }
)
_NEEDED = "It takes s3:ListBucket on the bucket, s3:GetObject and s3:PutObject on its objects."


@dataclass(frozen=True)
class _Object:
    """An object as it should be.

    Attributes:
        key: its whole name in the bucket.
        kind: ``zip``, ``wheel`` or ``manifest``.
        sha256: of its content.
        size: in bytes.
    """

    key: str
    kind: str
    sha256: str
    size: int


@dataclass(frozen=True)
class _Step:
    """What happens to an object; `etag` is that of the remains that it replaces."""

    object: _Object
    action: Action
    etag: str | None = None


class S3Target:
    """Uploads zip, wheel and ``build.json`` to a bucket."""

    kind = "s3"
    verbs = frozenset({"plan", "apply", "policy"})

    def __init__(
        self, client: S3Client, bucket: str, prefix: str = "", *, index: bool = False
    ) -> None:
        """Objects of a bucket.

        Args:
            client: talks to it.
            bucket: its name.
            prefix: what their names begin with, a path without slashes around it.
            index: keep an index of the wheels.
        """
        self._client = client
        self._bucket = bucket
        self._prefix = prefix
        self._index = simple_pages.Index(client, bucket, prefix) if index else None

    def plan(self, built: Built) -> Sequence[Action]:
        """What `apply` would do. Only reads.

        Raises:
            InputError: the version is there with other content, or nothing fits a bucket.
            OutsideError: the bucket does not answer, is missing, or refuses.
        """
        steps = self._steps(built)
        return (*(step.action for step in steps), *self._indexing(built))

    def policy(self) -> Mapping[str, Any]:
        """What a deployment may do: look, read and write below the prefix, never delete."""
        return bucket_policy(self._bucket, self._prefix)

    def apply(self, built: Built, reporter: Reporter, *, why: str = "") -> Deployment:  # noqa: ARG002
        """Upload what is missing, the manifest last.

        Raises:
            InputError: the version is there with other content, or nothing fits a bucket.
            OutsideError: the bucket does not answer, is missing, or refuses.
        """
        steps = self._steps(built)
        indexing = self._indexing(built)
        manifest = steps[-1]
        for step in steps[:-1]:
            self._upload(built, step, reporter)
        if manifest.action.needed:
            # Somebody else may have uploaded the same version meanwhile: look again.
            for step in steps[:-1]:
                found = self._head(step.object.key)
                if found is None or found[0] != step.object.sha256:
                    raise self._refusal(built, step.object.key)
            self._upload(built, manifest, reporter)
        self._write_index(built, indexing, reporter)
        return Deployment(
            target=self.kind,
            reference=f"s3://{self._bucket}/{self._folder(built)}/",
            digest=f"sha256:{manifest.object.sha256}",
            actions=(*(step.action for step in steps), *indexing),
        )

    def _indexing(self, built: Built) -> list[Action]:
        """What happens to the index; nothing where there is none."""
        if self._index is None:
            return []
        name = str(canonicalize_name(built.name))
        if name == simple_pages.FOLDER:
            raise InputError(
                f"a project called {name} would lie where the index is",
                where="[deploy] index",
                hint="index = false",
            )
        with self._errors():
            pages = self._index.pages(name, self._wheel(built))
        found = []
        for page in pages:
            what = f"s3://{self._bucket}/{page.key}"
            if page.current:
                found.append(Action("keep", what, "is current", needed=False))
            else:
                found.append(Action("index", what, "again" if page.etag else "new"))
        return found

    def _write_index(self, built: Built, indexing: Sequence[Action], reporter: Reporter) -> None:
        """Write the pages last: what they name is there."""
        if self._index is None or not any(action.needed for action in indexing):
            return
        with reporter.stage("Writing the index") as stage:
            with self._errors():
                count = self._index.write(str(canonicalize_name(built.name)))
            stage.result(f"{count} pages")

    def _wheel(self, built: Built) -> simple_pages.Wheel | None:
        wheel = built.artifacts.get("wheel")
        if wheel is None:
            return None
        return simple_pages.Wheel(built.version, wheel.file, wheel.sha256)

    def _folder(self, built: Built) -> str:
        parts = (self._prefix, canonicalize_name(built.name), built.version)
        return "/".join(part for part in parts if part)

    def _objects(self, built: Built) -> tuple[list[_Object], _Object]:
        """The artifacts, and the manifest that names just these."""
        artifacts = {kind: built.artifacts[kind] for kind in _KINDS if kind in built.artifacts}
        if not artifacts:
            raise InputError(
                "a bucket takes a zip or a wheel, and neither is built",
                where=f"{built.dist.name}/{BUILD_FILE}",
                hint="mlpack build",
            )
        folder = self._folder(built)
        objects = [
            _Object(f"{folder}/{artifact.file}", kind, artifact.sha256, artifact.size)
            for kind, artifact in artifacts.items()
        ]
        content = _manifest(built)
        return objects, _Object(
            f"{folder}/{BUILD_FILE}", "manifest", files.sha256(content), len(content)
        )

    def _steps(self, built: Built) -> list[_Step]:
        objects, manifest = self._objects(built)
        with self._errors():
            self._client.head_bucket(Bucket=self._bucket)
        there = self._head(manifest.key)
        if there is not None and there[0] != manifest.sha256:
            raise self._refusal(built, manifest.key)
        steps = []
        for wanted in (*objects, manifest):
            found = there if wanted is manifest else self._head(wanted.key)
            what = f"s3://{self._bucket}/{wanted.key}"
            if found is None:
                action = Action("upload", what, megabytes(wanted.size))
                steps.append(_Step(wanted, action))
            elif found[0] == wanted.sha256:
                steps.append(_Step(wanted, Action("keep", what, "is there already", needed=False)))
            elif there is not None:
                raise self._refusal(built, wanted.key)
            else:
                detail = f"{megabytes(wanted.size)}, over what an unfinished upload left"
                steps.append(_Step(wanted, Action("replace", what, detail), etag=found[1]))
        return steps

    def _head(self, key: str) -> tuple[str, str] | None:
        """An object's SHA-256 (empty if it has none) and entity tag; None: there is no object."""
        with self._errors():
            try:
                found = self._client.head_object(Bucket=self._bucket, Key=key)
            except ClientError as error:
                if _code(error) in ("404", "NoSuchKey", "NotFound"):
                    return None
                raise
        return found["Metadata"].get("sha256", ""), found["ETag"]

    def _upload(self, built: Built, step: _Step, reporter: Reporter) -> None:
        if not step.action.needed:
            return
        wanted = step.object
        with reporter.stage(f"Uploading {wanted.key.rpartition('/')[2]}") as stage:
            with self._errors():
                try:
                    self._put(built, step, conditional=True)
                except ClientError as error:
                    code = _code(error)
                    if code in ("412", "PreconditionFailed", "ConditionalRequestConflict"):
                        # It appeared after we looked. The same content is as good as ours.
                        found = self._head(wanted.key)
                        if found is None or found[0] != wanted.sha256:
                            raise self._refusal(built, wanted.key) from error
                    elif code in ("501", "NotImplemented"):  # not every S3 has conditional writes
                        self._put(built, step, conditional=False)
                    else:
                        raise
            stage.result(megabytes(wanted.size))

    def _put(self, built: Built, step: _Step, *, conditional: bool) -> None:
        wanted = step.object
        request: dict[str, Any] = {
            "Bucket": self._bucket,
            "Key": wanted.key,
            "ContentType": _TYPES[wanted.kind],
            # The store itself compares what arrives with this.
            "ChecksumSHA256": base64.b64encode(bytes.fromhex(wanted.sha256)).decode(),
            "Metadata": {"sha256": wanted.sha256, "bundle": built.bundle},
        }
        if conditional:
            request |= {"IfMatch": step.etag} if step.etag else {"IfNoneMatch": "*"}
        if wanted.kind == "manifest":
            self._client.put_object(**request, Body=_manifest(built))
            return
        with (built.dist / built.artifacts[wanted.kind].file).open("rb") as stream:
            self._client.put_object(**request, Body=stream)

    def _refusal(self, built: Built, key: str) -> InputError:
        return InputError(
            f"{built.name} {built.version} is there already with other content, "
            "and a version is never overwritten",
            where=f"s3://{self._bucket}/{key}",
            hint="mlpack version patch",
        )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn what boto3 raises into errors that say what to do."""
        where = f"s3://{self._bucket}"
        try:
            yield
        except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError) as error:
            raise OutsideError(
                "there are no credentials for the bucket",
                where=where,
                hint="export AWS_ACCESS_KEY_ID=... AWS_SECRET_ACCESS_KEY=... (or AWS_PROFILE)",
            ) from error
        except ClientError as error:
            raise _refused(error, where) from error
        except (exceptions.ConnectionError, exceptions.HTTPClientError) as error:
            raise OutsideError(
                f"the bucket's endpoint {self._client.meta.endpoint_url} does not answer",
                where=where,
                hint="Check endpoint and region in [deploy], and the network.",
            ) from error
        except BotoCoreError as error:
            raise OutsideError(str(error), where=where) from error


def _manifest(built: Built) -> bytes:
    """``build.json`` of the artifacts that a bucket takes: others make no other version of it."""
    kept = {kind: built.artifacts[kind] for kind in _KINDS if kind in built.artifacts}
    return encode_build(replace(built, artifacts=kept))


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _refused(error: ClientError, where: str) -> OutsideError:
    """What the store said, and what can be done about it."""
    code = _code(error)
    said = error.response.get("Error", {}).get("Message", "") or code
    if code in ("404", "NoSuchBucket"):
        return OutsideError("there is no such bucket", where=where, hint="Check [deploy] bucket.")
    if code in _DENIED:
        return OutsideError(f"access denied: {said}", where=where, hint=_NEEDED)
    if code in ("301", "PermanentRedirect", "IllegalLocationConstraintException"):
        headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        region = headers.get("x-amz-bucket-region", "REGION")
        return OutsideError(
            "the bucket is in another region", where=where, hint=f'[deploy]\nregion = "{region}"'
        )
    return OutsideError(f"the bucket said no: {said} ({code})", where=where)


def make(config: Mapping[str, Any], env: Mapping[str, str]) -> S3Target:
    """The target that ``[deploy]`` describes.

    Args:
        config: ``bucket``; optionally ``prefix``, ``endpoint`` (a URL), ``region`` and ``index``
            (true: pip finds the wheels).
        env: where credentials are looked for first (``AWS_ACCESS_KEY_ID`` ...); then the places
            that every AWS tool looks at.

    Raises:
        InputError: a key is missing, unknown or wrong.
        OutsideError: the profile that `env` names is not there.
    """
    refuse_unknown(config, _KEYS, "s3")
    bucket = _text(config, "bucket", r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "a bucket's name")
    if bucket is None:
        raise InputError("[deploy] has no bucket", hint='[deploy]\nbucket = "NAME"')
    prefix = _text(config, "prefix", _PREFIX, "a folder in the bucket, such as models/eu") or ""
    endpoint = _text(config, "endpoint", _URL, "a URL without user, password or query")
    region = _text(config, "region", r"[a-z0-9-]+", "a region's name, such as eu-central-1")
    try:
        session = boto3.Session(
            aws_access_key_id=env.get("AWS_ACCESS_KEY_ID") or None,
            aws_secret_access_key=env.get("AWS_SECRET_ACCESS_KEY") or None,
            aws_session_token=env.get("AWS_SESSION_TOKEN") or None,
            profile_name=env.get("AWS_PROFILE") or None,
            region_name=region or env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION") or None,
        )
        client = session.client("s3", endpoint_url=endpoint, config=_client_config(endpoint))
    except BotoCoreError as error:
        raise OutsideError(str(error), where=f"s3://{bucket}") from error
    except ValueError as error:  # the SDK's own idea of a URL is narrower
        raise InputError(
            "[deploy] endpoint is not a URL without user, password or query"
        ) from error
    index = Reader(config).switch("index", default=False)
    return S3Target(client, bucket, prefix.strip("/"), index=index)


def _client_config(endpoint: str | None) -> Config:
    if endpoint is None:
        return Config(retries={"mode": "standard"}, connect_timeout=10)
    # Other implementations: host names per bucket and trailing checksums are rare among them.
    return Config(
        retries={"mode": "standard"},
        connect_timeout=10,
        s3={"addressing_style": "path"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )


def _text(config: Mapping[str, Any], key: str, grammar: str, expected: str) -> str | None:
    """The value of a key, if it is there and well formed. Errors do not show it: may be secret."""
    value = config.get(key)
    if value is None:
        return None
    if not isinstance(value, str) or not re.fullmatch(grammar, value):
        raise InputError(f"[deploy] {key} is not {expected}")
    return value
