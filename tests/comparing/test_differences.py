import json

from hypothesis import given
from hypothesis import strategies as st

from mlpack.comparing.difference import (
    ARTIFACT_ONLY,
    BYTES,
    DAMAGED,
    FORM,
    MODE,
    REBUILT_ONLY,
    TIME,
    VALUE,
    Item,
    compare,
    fields,
    first,
    first_difference,
    shown,
)
from mlpack.files import sha256

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


class Made:
    """A listing of contents."""

    def __init__(self, contents, **changed):
        self.held = contents
        plain = {"mode": 0o644, "time": "1", "form": "file"}
        self.items = {
            name: Item(sha256(data), len(data), **{**plain, **changed})
            for name, data in contents.items()
        }

    def contents(self, names):
        return {name: self.held[name] for name in names}


def told(artifact, rebuilt):
    return [(each.file, each.what) for each in compare(artifact, rebuilt)]


@given(st.binary(), st.binary())
def test_the_first_difference_is_the_first(one, two):
    place = first_difference(one, two)
    if place is None:
        assert one == two
    else:
        assert one[:place] == two[:place]
        assert one[place : place + 1] != two[place : place + 1]


@given(st.integers(0, 30_000), st.binary(min_size=1, max_size=50))
def test_one_changed_byte_of_many_is_found(place, piece):
    data = (piece * 30_001)[:30_001]
    other = bytearray(data)
    other[place] ^= 1
    assert first_difference(data, bytes(other)) == place
    assert first_difference(data[:place], data) == place


def test_where_it_differs_is_told_by_line_in_a_text():
    assert first(b"a\nb\nc\n", b"a\nb\nd\n") == "byte 4 on, in line 3"
    assert first(b"\x00\xffb", b"\x00\xffc") == "byte 2 on"
    assert first(b"\x00b", b"\x00c") == "byte 1 on"


@given(st.dictionaries(st.text(min_size=1), st.binary()))
def test_a_tree_is_the_same_as_itself(contents):
    assert compare(Made(contents), Made(contents)) == []


@given(st.dictionaries(st.text("abc", min_size=1), st.binary()),
       st.dictionaries(st.text("abc", min_size=1), st.binary()))  # fmt: skip
def test_every_difference_is_told_and_nothing_else(one, two):
    expected = [
        (name, ARTIFACT_ONLY if name not in two else REBUILT_ONLY if name not in one else BYTES)
        for name in sorted({*one, *two})
        if one.get(name) != two.get(name)
    ]
    found = told(Made(one), Made(two))
    assert found == expected or (not expected and one.keys() == two.keys() and [
        what for _, what in found
    ] == [FORM])  # fmt: skip


def test_what_an_archive_says_of_a_file_counts_too():
    plain = Made({"a": b"x"})
    assert told(Made({"a": b"x"}, mode=0o755), plain) == [("a", MODE)]
    assert told(Made({"a": b"x"}, time="2"), plain) == [("a", TIME)]
    assert told(Made({"a": b"x"}, form="link"), plain) == [("a", FORM)]
    assert told(Made({"a": b"x"}, damage="torn"), plain) == [("a", DAMAGED)]
    assert told(Made({"a": b"", "b": b""}), Made({"b": b"", "a": b""})) == [
        ("the order of the files", FORM)
    ]


def test_how_a_file_differs():
    (found,) = compare(Made({"a": b"abcd"}), Made({"a": b"abX"}), "layer 1 → ")
    assert found.file == "layer 1 → a"
    assert found.detail == "4 bytes, rebuilt 3 bytes; they differ from byte 2 on, in line 1"


@given(values, values)
def test_documents_have_no_difference_exactly_where_they_are_the_same(one, two):
    found = fields(one, two, "config")
    assert (found == []) == (json.dumps(one, sort_keys=True) == json.dumps(two, sort_keys=True))
    assert all(each.file.startswith("config") for each in found)
    assert fields(one, json.loads(json.dumps(one)), "config") == []


def test_a_difference_of_a_document_names_its_field():
    one = {"config": {"User": "0", "Env": ["A=1", "B=2"], "new": 1}, "os": "linux"}
    two = {"config": {"User": "1", "Env": ["A=1"], "old": None}, "os": "linux"}
    assert [(each.file, each.what, each.detail) for each in fields(one, two, "c")] == [
        ("c.config.Env[1]", ARTIFACT_ONLY, '"B=2"'),
        ("c.config.User", VALUE, '"0", rebuilt "1"'),
        ("c.config.new", ARTIFACT_ONLY, "1"),
        ("c.config.old", REBUILT_ONLY, "null"),
    ]
    assert fields(True, 1, "c")  # JSON tells them apart


@given(st.text())
def test_nothing_of_an_artifact_moves_the_terminal(text):
    assert shown(text).isprintable()
    assert len(shown(text)) <= 121
