"""Layers of either compression: the same tar, the same bytes every time, read back by anybody."""

from __future__ import annotations

import gzip
import io

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from images import SLIM, tar_of

from mlpack.errors import InputError
from mlpack.oci.cache import Cache
from mlpack.oci.compressed import compressed_layer
from mlpack.oci.compression import GZIP, ZSTD, compressor, made_by, plain
from mlpack.oci.layers import EPOCH, Entry, write_layer
from mlpack.oci.python import find_python
from mlpack.oci.values import (
    LAYER_GZIP,
    LAYER_ZSTD,
    Descriptor,
    ImageConfig,
    Layer,
    RootFs,
    digest_of,
    make_image,
)

UNPACK = {
    GZIP: gzip.decompress,
    ZSTD: lambda blob: pa.CompressedInputStream(pa.BufferReader(blob), "zstd").read(),
}


def blob_of(data, compression, threads=None, step=1 << 20):
    out = io.BytesIO()
    with compressor(compression)(out, threads) as stream:
        for start in range(0, len(data), step):
            stream.write(data[start : start + step])
        done = stream.finish()
    return out.getvalue(), done


@pytest.mark.parametrize("compression", [GZIP, ZSTD])
@settings(max_examples=25, deadline=None)
@given(st.binary(max_size=5_000), st.integers(1, 700))
def test_what_is_compressed_comes_back(compression, data, step):
    blob, written = blob_of(data, compression, step=step)
    assert UNPACK[compression](blob) == data
    assert (written.digest, written.size) == (digest_of(blob), len(blob))
    assert written.diff_id == digest_of(data)
    assert plain(io.BytesIO(blob), blob[:4]).read() == data
    assert plain(io.BytesIO(data), b"tar\0").read() == data


@pytest.mark.parametrize("compression", [GZIP, ZSTD])
def test_neither_threads_nor_pieces_matter(compression):
    data = b"".join(i.to_bytes(4, "big") * 3 for i in range(800_000))  # more than one frame
    blobs = {
        blob_of(data, compression, threads, step)[0]
        for threads, step in ((1, 1 << 20), (3, 1 << 20), (2, 999_983))
    }
    assert len(blobs) == 1
    assert UNPACK[compression](blobs.pop()) == data


def test_a_layer_says_what_made_it():
    assert made_by(GZIP).startswith("gzip ")
    assert made_by(ZSTD).startswith(f"zstd pyarrow {pa.__version__}")


def test_both_hold_the_same_tar(tmp_path):
    files = {"app/a.py": Entry(b"a = 1\n" * 1000), "app/b": Entry(b"", executable=True)}
    one = write_layer(files, EPOCH, tmp_path / "gzip")
    other = write_layer(files, EPOCH, tmp_path / "zstd", compression=ZSTD)
    assert one.diff_id == other.diff_id
    assert one.digest != other.digest


def image_of(blob, tar, kind):
    descriptor = Descriptor(media_type=kind, digest=digest_of(blob), size=len(blob))
    layer = Layer(descriptor, digest_of(tar), lambda: io.BytesIO(blob))
    config = ImageConfig(
        architecture="amd64",
        os="linux",
        rootfs=RootFs(type="layers", diff_ids=(layer.diff_id,)),
    )
    return make_image(config, (layer,), {})


@pytest.mark.parametrize(("compression", "kind"), [(GZIP, LAYER_GZIP), (ZSTD, LAYER_ZSTD)])
def test_the_python_of_a_base_is_found_in_either(tmp_path, compression, kind):
    tar = tar_of(SLIM)
    image = image_of(blob_of(tar, compression)[0], tar, kind)
    found = find_python(image, "3.11", Cache(tmp_path), "base")
    assert (found.path, found.glibc) == ("/usr/local/bin/python3.11", (2, 36))


@pytest.mark.parametrize("damage", [lambda blob: blob[:-30], lambda blob: blob[:6]])
def test_a_damaged_layer_of_zstd_is_refused(tmp_path, damage):
    tar = tar_of(SLIM)
    image = image_of(damage(blob_of(tar, ZSTD)[0]), tar, LAYER_ZSTD)
    with pytest.raises(InputError, match="a layer of the image"):
        find_python(image, "3.11", Cache(tmp_path), "base")


@pytest.mark.parametrize(("compression", "kind"), [(GZIP, LAYER_GZIP), (ZSTD, LAYER_ZSTD)])
def test_what_is_compressed_already_stays_as_it_is(tmp_path, compression, kind):
    blob, written = blob_of(b"tar" * 5000, compression)
    layer = compressed_layer(written.diff_id, lambda: io.BytesIO(blob), Cache(tmp_path), "base")
    assert layer.descriptor == Descriptor(media_type=kind, digest=written.digest, size=len(blob))
