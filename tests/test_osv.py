"""Which versions a record is about, against a plain reading of the intervals."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from mlpack.osv import Record


def record(ranges=(), versions=None, name="churn", ecosystem="PyPI", **more):
    affected = {
        "package": {"ecosystem": ecosystem, "name": name},
        "ranges": [{"type": "ECOSYSTEM", "events": list(each)} for each in ranges],
    }
    if versions is not None:
        affected["versions"] = versions
    return msgspec.convert({"id": "GHSA-1", "affected": [affected], **more}, Record)


def about(found, version, name="churn"):
    return found.affects(name, Version(version))


def events(**pairs):
    return [{key: value} for key, value in pairs.items()]


@pytest.mark.parametrize(
    ("span", "yes", "no"),
    [
        (events(introduced="0", fixed="2.0"), ["0", "0.dev0", "1.9", "2.0rc1"], ["2.0", "2", "3"]),
        (events(introduced="1.0"), ["1", "1.0", "99"], ["0.9", "1.0rc1"]),
        (
            events(introduced="1.0", last_affected="1.5"),
            ["1.0", "1.5", "1.5.0"],
            ["1.5.1", "1.5.post1"],
        ),
        (events(introduced="0", limit="2.0"), ["1.9"], ["2.0", "3"]),
        (events(introduced="0", limit="*"), ["1", "9"], []),
        (
            [*events(introduced="0", fixed="1.0"), *events(introduced="2.0", fixed="2.1")],
            ["0.5", "2.0"],
            ["1.0", "1.5", "2.1"],
        ),
        # In any order, and where one ends as the next begins.
        (
            [*events(fixed="2.1", introduced="2.0"), *events(fixed="1.0", introduced="0")],
            ["0.5", "2.0"],
            ["1.0", "2.1"],
        ),
        ([*events(introduced="0", fixed="1.0"), {"introduced": "1.0"}], ["0.5", "1.0", "7"], []),
        (events(introduced="1.0", last_affected="1.0"), ["1.0"], ["0.9", "1.1"]),
        (events(introduced="1!0", fixed="1!2"), ["1!1"], ["5", "1!2", "2!0"]),
        (events(introduced="v1.0", fixed="v2.0.0-1"), ["1.5", "2.0.0"], ["2.0.0.post1"]),
        ([], [], ["1.0"]),
    ],
)
def test_ranges(span, yes, no):
    found = record([span])
    assert [version for version in yes if not about(found, version)] == []
    assert [version for version in no if about(found, version)] == []


def test_listed_versions_count_in_any_spelling():
    found = record(versions=["1.0", "2.0-rc.1", "not a version"])
    assert about(found, "1.0.0")
    assert about(found, "2.0rc1")
    assert not about(found, "1.1")


def test_either_a_range_or_the_list_is_enough():
    found = record([events(introduced="3", fixed="4")], ["1.0"])
    assert [version for version in ("1.0", "2", "3.5", "4") if about(found, version)] == [
        *("1.0", "3.5"),
    ]


def test_a_local_version_counts_as_what_it_was_built_from():
    found = record([events(introduced="0", last_affected="2.13.0")], ["3.0"])
    assert about(found, "2.13.0+cpu")
    assert about(found, "3.0+cu121")
    fixed = record([events(introduced="0", fixed="2.13.0")])
    assert not about(fixed, "2.13.0+cpu")
    assert fixed.fixed("churn", Version("2.12.0+cpu")) == Version("2.13.0")


def test_names_are_normalised_and_other_packages_are_others():
    found = record([events(introduced="0")], name="My_Churn")
    assert about(found, "1", "my-churn")
    assert not about(found, "1", "churn")
    assert not about(record([events(introduced="0")], ecosystem="npm"), "1")


def test_a_withdrawn_record_is_about_nothing():
    assert not about(record([events(introduced="0")], withdrawn="2026-01-01T00:00:00Z"), "1")


def test_ranges_of_commits_are_not_for_versions():
    found = msgspec.convert(
        {
            "id": "x",
            "affected": [
                {
                    "package": {"ecosystem": "PyPI", "name": "churn"},
                    "ranges": [{"type": "GIT", "events": [{"introduced": "0"}]}],
                    "versions": ["1.0"],
                }
            ],
        },
        Record,
    )
    assert about(found, "1.0")
    assert not about(found, "2.0")


def test_a_range_that_cannot_be_read_warns_unless_versions_are_listed():
    span = events(introduced="0", fixed="first-of-april")
    assert about(record([span]), "1.0")
    assert not about(record([span], ["2.0"]), "1.0")
    assert about(record([span], ["2.0"]), "2.0")
    assert record([span]).fixed("churn", Version("1")) is None


def test_a_version_that_no_one_can_count_is_one_that_cannot_be_read():
    found = record([events(introduced="0", fixed="1" * 5000)], versions=["2" * 5000, "1.0"])
    assert about(found, "1.0")
    assert not about(found, "2.0")


def test_the_next_fixed_version_is_the_lowest_above():
    found = record([events(introduced="0", fixed="1.5"), events(introduced="2.0", fixed="2.3")])
    assert found.fixed("churn", Version("1.0")) == Version("1.5")
    assert found.fixed("churn", Version("2.1")) == Version("2.3")
    assert found.fixed("churn", Version("2.3")) is None


@pytest.mark.parametrize(
    ("more", "rating"),
    [
        ({"database_specific": {"severity": "HIGH"}}, "HIGH"),
        ({"severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N"}]}, "CVSS:3.1/AV:N"),
        ({"database_specific": {"severity": ["odd"]}}, ""),
        ({}, ""),
    ],
)
def test_a_rating_is_a_word_else_a_vector(more, rating):
    assert record(**more).rating == rating


PARTS = st.integers(0, 3)
VERSIONS = st.builds(
    lambda a, b, tail: Version(f"{a}.{b}{tail}"),
    PARTS,
    PARTS,
    st.sampled_from(["", ".0", "rc1", ".post1", ".dev2", "a1"]),
)


@given(
    edges=st.lists(VERSIONS, unique=True, max_size=6),
    ends=st.lists(st.booleans(), min_size=3, max_size=3),
    from_start=st.booleans(),
    version=VERSIONS,
    data=st.data(),
)
def test_a_range_is_its_intervals(edges, ends, from_start, version, data):
    """Intervals one after the other, some closed, the last one perhaps open: in any order."""
    ordered = sorted(edges)
    written, inside = [], False
    for index in range(0, len(ordered), 2):
        low, high = ordered[index], ordered[index + 1] if index + 1 < len(ordered) else None
        first = from_start and index == 0
        written.append({"introduced": "0" if first else str(low)})
        begun = first or version >= low
        if high is None:
            inside |= begun
        elif ends[index // 2]:
            written.append({"fixed": str(high)})
            inside |= begun and version < high
        else:
            written.append({"last_affected": str(high)})
            inside |= begun and version <= high
    shuffled = data.draw(st.permutations(written))
    assert record([shuffled]).affects("churn", version) is inside


@given(st.lists(st.dictionaries(st.sampled_from(["introduced", "fixed", "limit", "x"]), st.text())))
def test_no_event_makes_it_fail(written):
    assert record([written]).affects("churn", Version("1.0")) in (True, False)
