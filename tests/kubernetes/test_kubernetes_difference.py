"""What is another one is told field by field."""

from __future__ import annotations

import pytest

from mlpack.kubernetes.difference import differences, named_only


def made(spec, **metadata):
    return {"kind": "Thing", "metadata": {"name": "x", **metadata}, "spec": spec}


@pytest.mark.parametrize(
    ("there", "wanted", "told"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, ["spec.a: 1 → 2"]),
        ({"a": 1}, {}, ["spec.a: 1 → none"]),
        ({}, {"a": {"b": "c"}}, ['spec.a: none → {"b": "c"}']),
        ({"a": {}}, {"a": None}, []),
        ({"a": []}, {}, []),
        ({"a": 0}, {}, ["spec.a: 0 → none"]),
        ({"a": False}, {"a": True}, ["spec.a: false → true"]),
        (
            {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
            {"env": [{"name": "B", "value": "2"}, {"name": "A", "value": "3"}]},
            ['spec.env[A].value: "1" → "3"'],
        ),
        (
            {"env": [{"name": "A", "value": "1"}]},
            {"env": []},
            ['spec.env[A]: {"name": "A", "value": "1"} → none'],
        ),
        ({"a": [1, 2]}, {"a": [1, 3]}, ["spec.a[1]: 2 → 3"]),
        ({"a": "x" * 90}, {"a": "y"}, [f'spec.a: "{"x" * 59}... → "y"']),
    ],
)
def test_fields(there, wanted, told):
    assert differences(made(there), made(wanted)) == told


def test_what_the_cluster_writes_is_left_out():
    there = {
        **made({}, resourceVersion="1", uid="u", managedFields=[{}], generation=1),
        "status": {"replicas": 1},
    }
    release = {"annotations": {"mlpack.io/release": "1"}}
    assert differences({**there}, made({}, generation=2)) == []
    one = made({}, **release)
    other = made({}, annotations={"mlpack.io/release": "2"})
    assert differences(one, other) == []


def test_only_what_is_named_is_compared():
    assert named_only(made({"a": 1, "default": 2}), made({"a": 1})) == []
    assert named_only(made({"a": 1, "default": 2}), made({"a": 3})) == ["spec.a: 1 → 3"]
