"""A shadow is asked what production is asked, by a server of its own."""

from __future__ import annotations

import pytest
from bundling import Remembering, make_project, onnx_bundle
from canaries import SAMPLES, WELL, Environments, Target, clock

from mlpack.delivery.unpacked import found
from mlpack.errors import InputError
from mlpack.files import write_tree
from mlpack.gate.limits import Limits
from mlpack.usecases.compare import version
from mlpack.usecases.shadow import shadow
from mlpack.wheelfile import installed


def of(tmp_path, name, factor):
    write_tree(tmp_path / name / "lib", installed(onnx_bundle(make_project(), factor=factor)))
    return version(found(tmp_path / name), name)


def shadowed(target, tmp_path, factor=2.0):
    return shadow(
        target,
        of(tmp_path, "before", 2.0),
        of(tmp_path, "after", factor),
        10,
        Limits(),
        clock=clock(),
        environ={},
        environments=Environments(),
        reporter=Remembering(),
    )


@pytest.mark.parametrize(("factor", "stopped"), [(2.0, False), (-3.0, True)])
def test_its_answers_are_compared_and_nothing_is_moved(tmp_path, factor, stopped):
    target = Target(WELL, SAMPLES)
    report = shadowed(target, tmp_path, factor)
    assert (report.rows, bool(report.stops)) == (100, stopped)
    assert (report.before.source, report.after.source) == ("before", "after")
    assert target.did == []


def test_where_nothing_was_sampled_it_says_what_to_set(tmp_path):
    with pytest.raises(InputError, match="no request was sampled"):
        shadowed(Target(WELL), tmp_path)


def test_a_target_that_keeps_no_samples_is_told(tmp_path):
    with pytest.raises(InputError, match="has no samples"):
        shadowed(Target(WELL, verbs=()), tmp_path)
