"""Shared objects without symbols: what is loaded stays, and is loaded."""

from __future__ import annotations

import ctypes
import importlib.util
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import httptools
import msgspec
import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from mlpack.oci.elf import LEAST, stripped

MODULES = {
    name: Path(importlib.util.find_spec(name).origin)
    for name in ("uvloop.loop", "httptools.parser.parser", "msgspec._core")
}


@pytest.mark.parametrize("name", MODULES)
def test_a_real_module_is_still_one(name, tmp_path):
    data = MODULES[name].read_bytes()
    made = stripped(data)
    assert len(made) < len(data)
    copy = tmp_path / MODULES[name].name
    copy.write_bytes(made)
    ctypes.CDLL(str(copy))  # the loader takes it
    assert stripped(made) == made


def test_an_event_loop_runs_without_its_symbols(tmp_path):
    for package in (uvloop, httptools, msgspec):
        source = Path(package.__file__).parent
        shutil.copytree(source, tmp_path / source.name)
    for module in tmp_path.rglob("*.so"):
        module.write_bytes(stripped(module.read_bytes()))
    code = """
import asyncio, uvloop, httptools, msgspec
async def main():
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"hello")
    writer.write_eof()
    return await reader.read()
async def answer(reader, writer):
    writer.write((await reader.read()).upper())
    writer.close()
async def run():
    global server
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    return await main()
try:
    uvloop.loop.Loop().run_until_complete("no coroutine")
except TypeError as error:  # an exception finds its way out
    pass
print(uvloop.run(run()), httptools.parse_url(b"http://a/b").path, msgspec.json.encode([1]))
"""
    env = {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout == "b'HELLO' b'/b' b'[1]'\n"


def segment(kind, offset, size):
    return struct.pack("<IIQQQQQQ", kind, 5, offset, 0, 0, size, size, 4096)


def shared(*segments, behind=b""):
    """A file of two segments with something behind them."""
    head = b"\x7fELF\x02\x01\x01" + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 7777, 0, 64, 56, len(segments), 64, 9, 8)
    body = head + b"".join(segments)
    return body.ljust(1000, b"x") + behind


def test_what_lies_behind_the_last_segment_goes_and_so_does_the_table_of_sections():
    data = shared(segment(1, 0, 500), segment(1, 500, 400), behind=bytes(LEAST))
    made = stripped(data)
    assert len(made) == 900
    assert struct.unpack_from("<Q", made, 40) == (0,)
    assert struct.unpack_from("<HHHHH", made, 54) == (56, 2, 0, 0, 0)
    assert made[64:] == data[64:900]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x7fELF\x02\x01",
        b"no shared object" * 1000,
        shared(segment(1, 0, 990)),
        shared(behind=bytes(LEAST)),
        shared(segment(1, 0, 1 << 60), behind=bytes(LEAST)),
        shared(segment(1, 0, 1000), behind=bytes(LEAST))[:70],
    ],
)
def test_what_is_none_or_has_little_behind_stays(data):
    assert stripped(data) == data


@given(st.binary(max_size=300))
def test_no_bytes_raise(data):
    assert len(stripped(b"\x7fELF\x02\x01" + data)) <= len(data) + 6
