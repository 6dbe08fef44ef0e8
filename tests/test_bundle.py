from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from bundling import onnx_bundle, python_bundle

from mlpack.bundle import Bundle


def test_digest_covers_everything_that_artifacts_are_made_of():
    bundle = onnx_bundle()
    others = [
        replace(bundle, tree={**bundle.tree, "churn/__init__.py": b""}),
        replace(bundle, tree={**bundle.tree, "churn/more.py": b""}),
        replace(bundle, lock=bundle.lock + "# more\n"),
        replace(bundle, requires=bundle.requires[1:]),
        replace(bundle, summary="another"),
        replace(bundle, license="MIT"),
        replace(bundle, extra={"licenses/LICENSE": b"MIT"}),
    ]
    digests = {other.digest for other in others}
    assert len(digests) == len(others)
    assert bundle.digest not in digests


def test_digest_does_not_depend_on_the_order_of_the_tree():
    bundle = onnx_bundle()
    turned = replace(bundle, tree=dict(reversed(bundle.tree.items())))
    assert turned.digest == bundle.digest


def with_form(bundle: Bundle, form: str) -> Bundle:
    return replace(bundle, manifest=msgspec.structs.replace(bundle.manifest, form=form))


@pytest.mark.parametrize(
    ("form", "expected"), [("onnx", ">=3.10"), ("hybrid", "==3.11.*"), ("python", "==3.11.*")]
)
def test_a_pickle_runs_only_where_it_was_made(form, expected):
    assert with_form(python_bundle(None), form).requires_python == expected
