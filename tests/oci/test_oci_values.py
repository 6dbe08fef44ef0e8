import dataclasses

import msgspec
import pytest
from images import SLIM, image_of

from mlpack.errors import InputError
from mlpack.oci.values import (
    CONFIG,
    MANIFEST,
    Execution,
    ImageConfig,
    Manifest,
    checked_digest,
    decode,
    digest_of,
    encode,
    read_image,
)

NO_BLOB = lambda descriptor: lambda: None  # noqa: E731


@pytest.fixture
def image(tmp_path):
    return image_of(tmp_path, SLIM)


def test_the_json_is_the_specifications(image):
    manifest = msgspec.json.decode(image.manifest_bytes)
    assert manifest["schemaVersion"] == 2
    assert manifest["mediaType"] == MANIFEST
    assert manifest["config"] == {
        "mediaType": CONFIG, "digest": digest_of(image.config_bytes),
        "size": len(image.config_bytes),
    }  # fmt: skip
    config = msgspec.json.decode(image.config_bytes)
    assert config["rootfs"] == {"type": "layers", "diff_ids": [image.layers[0].diff_id]}
    assert config["config"]["Env"] == ["PATH=/usr/local/bin:/usr/bin:/bin"]


def test_what_is_written_is_read(image):
    again = read_image(image.manifest_bytes, image.config_bytes, NO_BLOB, "x")
    assert again.manifest == image.manifest
    assert again.config == image.config
    assert again.digest == image.digest


def test_engines_write_null_for_what_is_not_set():
    data = (
        b'{"architecture":"amd64","os":"linux","config":{"Env":null,"Labels":null,"User":"",'
        b'"Cmd":null,"OnBuild":null},"rootfs":{"type":"layers","diff_ids":[]},"history":null,'
        b'"docker_version":"20.10.24","container_config":{"Hostname":"x"}}'
    )
    config = decode(data, ImageConfig, "x")
    assert config.execution.env is None
    assert b"container_config" not in encode(config)


def test_the_last_of_two_variables_stands():
    execution = Execution(env=("PATH=/a", "PATHX=/no", "PATH=/b=c"))
    assert execution.variable("PATH") == "/b=c"
    assert execution.variable("HOME") is None


@pytest.mark.parametrize(
    "text", ["", "sha256:", "sha256:" + "g" * 64, "sha512:" + "0" * 128, "sha256:" + "0" * 63,
             "sha256:" + "A" * 64, "../../etc/passwd", "sha256:" + "0" * 64 + "\n"],
)  # fmt: skip
def test_a_digest_that_is_none(text):
    with pytest.raises(InputError, match="not a SHA-256 digest"):
        checked_digest(text, "x")


def test_a_configuration_that_is_not_the_manifests(image):
    with pytest.raises(InputError, match="does not have its digest"):
        read_image(image.manifest_bytes, image.config_bytes + b" ", NO_BLOB, "x")


def test_layers_and_diff_ids_that_do_not_fit(image):
    manifest = msgspec.structs.replace(image.manifest, layers=())
    with pytest.raises(InputError, match="0 layers and 1 diff ids"):
        read_image(encode(manifest), image.config_bytes, NO_BLOB, "x")


def test_a_layer_of_an_unknown_type(image):
    odd = msgspec.structs.replace(image.manifest.layers[0], media_type="application/x-foreign")
    manifest = msgspec.structs.replace(image.manifest, layers=(odd,))
    with pytest.raises(InputError, match="x-foreign"):
        read_image(encode(manifest), image.config_bytes, NO_BLOB, "x")


@pytest.mark.parametrize("data", [b"", b"null", b"[]", b"{", b'{"schemaVersion":2}', b"\xff"])
def test_documents_that_are_none(data):
    with pytest.raises(InputError, match="no valid image manifest"):
        decode(data, Manifest, "x")


def test_values_are_frozen(image):
    with pytest.raises(AttributeError):
        image.manifest.schema_version = 3
    with pytest.raises(dataclasses.FrozenInstanceError):
        image.config_bytes = b""
