from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from mlpack import requirements_file
from mlpack.errors import InputError
from mlpack.lock import Pin
from mlpack.requirements_file import dumps, loads

DIGEST = "sha256:" + "a" * 64
TEXT = f"""\
# Made by mlpack lock
h11==0.16.0 ; sys_platform == "linux" \\
    --hash={DIGEST} \\
    --hash=sha256:{"b" * 64}
numpy==2.4.6 \\
    --hash={DIGEST}
"""

names = st.from_regex(r"[a-z][a-z0-9]{0,8}(-[a-z0-9]{1,4})?", fullmatch=True)
versions = st.from_regex(
    r"[0-9]{1,3}(\.[0-9]{1,3}){0,3}(rc[0-9])?(\.post[0-9])?(\+cpu)?", fullmatch=True
).map(lambda text: str(Version(text)))
hashes = st.sets(
    st.integers(0, 2**256 - 1).map(lambda number: f"sha256:{number:064x}"), min_size=1, max_size=3
).map(lambda found: tuple(sorted(found)))
markers = st.sampled_from(
    [None, 'sys_platform == "linux"', 'python_version < "3.11" and os_name != "nt"']
)
pins = st.lists(
    st.builds(Pin, name=names, version=versions, hashes=hashes, marker=markers),
    unique_by=lambda pin: (pin.name, pin.marker),
    max_size=5,
)


@given(pins, st.text())
def test_what_is_written_is_read(wanted, header):
    found = loads(dumps(wanted, header), "requirements.lock.txt")
    assert found == tuple(sorted(wanted, key=lambda p: (p.name, p.version, p.marker or "")))


@given(pins)
def test_order_does_not_count(wanted):
    assert dumps(wanted, "x") == dumps(wanted[::-1], "x")


def test_the_format():
    found = loads(TEXT, "requirements.lock.txt")
    assert found == (
        Pin("h11", "0.16.0", (DIGEST, "sha256:" + "b" * 64), 'sys_platform == "linux"'),
        Pin("numpy", "2.4.6", (DIGEST,)),
    )
    assert dumps(found, "Made by mlpack lock") == TEXT


def test_other_spellings_of_the_same_are_read():
    text = f"H_11[trio]==0.16 --hash={DIGEST}".replace("[trio]", "")
    assert loads(text + "\r\n", "x") == (Pin("h-11", "0.16", (DIGEST,)),)


BAD = {
    "no digest": ("numpy==2.4.6\n", "no SHA-256"),
    "a weak digest": ("numpy==2.4.6 --hash=md5:" + "a" * 32, "not a SHA-256"),
    "a digest cut off": ("numpy==2.4.6 --hash=sha256:abc", "not a SHA-256"),
    "a range": (f"numpy>=2 --hash={DIGEST}", "not an exact version"),
    "a wildcard": (f"numpy==2.* --hash={DIGEST}", "not an exact version"),
    "a URL": (f"x @ https://a.example/x.whl --hash={DIGEST}", "not an exact version"),
    "an index": ("--index-url https://user:pw@a.example/simple\n", "not an exact version"),
    "an editable": ("-e .\n", "not an exact version"),
    "no version": (f"numpy==two --hash={DIGEST}", "damaged"),
    "a broken marker": (f"numpy==2 ; python >< 3 --hash={DIGEST}", "damaged"),
    "twice": (f"numpy==2 --hash={DIGEST}\nNumPy==3 --hash={DIGEST}", "there twice"),
    "a conflict of version control": ("<<<<<<< HEAD\n" + TEXT, "not an exact version"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_damaged_file_names_the_line(case):
    text, said = BAD[case]
    with pytest.raises(InputError, match=said) as caught:
        loads(f"# a comment\n\n{text}", "requirements.lock.txt")
    number = 4 if case == "twice" else 3
    assert caught.value.where == f"requirements.lock.txt, line {number}"


@given(st.text())
def test_any_text_is_pins_or_an_input_error(text):
    with contextlib.suppress(InputError):  # any other error fails the test
        loads(text, "x")


def test_line_ends_do_not_change_the_digest(tmp_path):
    path = tmp_path / "requirements.lock.txt"
    path.write_bytes(TEXT.replace("\n", "\r\n").encode())
    assert requirements_file.digest(requirements_file.read(path)) == requirements_file.digest(TEXT)
    assert requirements_file.digest(TEXT.replace("h11", "h12")) != requirements_file.digest(TEXT)
