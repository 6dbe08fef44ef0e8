from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from bundling import onnx_bundle
from packageurl import PackageURL

from mlpack.materials import Foundation, materials
from mlpack.provenance import BUILD_TYPE, BUILDER, Origin, Subject, provenance

DIGEST = f"sha256:{'5' * 64}"
PYTHON = Foundation(DIGEST, "docker.io/library/python:3.11-slim")
SUBJECTS = (Subject("churn:1.2.0", "a" * 64),)
ORIGIN = Origin("https://git.example/churn", "c" * 40)
LOCK = "".join(
    f"{name}==1.0 \\\n    --hash=sha256:{one * 64} \\\n    --hash=sha256:{two * 64}\n"
    for name, one, two in (("one", "1", "2"), ("two", "3", "4"))
)


def statement(base=PYTHON, **more):
    bundle = replace(onnx_bundle(), lock=LOCK)
    arguments = {"kind": "image", **more}
    return json.loads(
        provenance(bundle, materials(bundle, bases=[base] if base else ()), SUBJECTS, **arguments)
    )


def descriptors(found):
    yield from found["predicate"]["buildDefinition"]["resolvedDependencies"]
    yield from found["subject"]


def test_it_is_a_statement_about_the_artifact():
    found = statement()
    assert set(found) == {"_type", "subject", "predicateType", "predicate"}
    assert found["_type"] == "https://in-toto.io/Statement/v1"
    assert found["predicateType"] == "https://slsa.dev/provenance/v1"
    assert found["subject"] == [{"name": "churn:1.2.0", "digest": {"sha256": "a" * 64}}]
    definition = found["predicate"]["buildDefinition"]
    assert set(definition) == {
        *("buildType", "externalParameters", "internalParameters", "resolvedDependencies"),
    }
    assert definition["buildType"] == BUILD_TYPE
    assert found["predicate"]["runDetails"] == {"builder": {"id": BUILDER}}


def test_the_parameters_are_what_a_build_is_told():
    bundle = onnx_bundle()
    definition = statement(platforms=("linux/amd64",), origin=ORIGIN)["predicate"][
        "buildDefinition"
    ]
    given = definition["externalParameters"]
    assert given["project"] == "churn"
    assert given["version"] == "1.2.0"
    assert given["platforms"] == ["linux/amd64"]
    assert given["lock"]["digest"] == {"sha256": bundle.manifest.lock}
    assert given["bases"][0]["digest"] == {"sha256": "5" * 64}
    assert given["source"] == {
        "uri": "git+https://git.example/churn",
        "digest": {"gitCommit": "c" * 40},
    }
    assert definition["internalParameters"]["runtime"] == {"sha256": bundle.manifest.runtime}


def test_every_file_that_the_lock_allows_is_named_and_the_base():
    found = statement()["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert [(each.get("uri"), each["digest"]["sha256"][0]) for each in found] == [
        *(("pkg:pypi/one@1.0", "1"), ("pkg:pypi/one@1.0", "2")),
        *(("pkg:pypi/two@1.0", "3"), ("pkg:pypi/two@1.0", "4")),
        (PYTHON.purl, "5"),
    ]


def test_of_an_image_the_very_files_are_named():
    wheels = {"one-1.0-py3-none-any.whl": f"sha256:{'2' * 64}"}
    found = statement(None, wheels=wheels)["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert found == [
        {
            "uri": "pkg:pypi/one@1.0",
            "digest": {"sha256": "2" * 64},
            "name": "one-1.0-py3-none-any.whl",
        }
    ]


@pytest.mark.parametrize("origin", [Origin(), ORIGIN, Origin(source=ORIGIN.source)])
@pytest.mark.parametrize("base", [None, PYTHON, Foundation(DIGEST)])
def test_every_resource_has_a_digest_of_the_right_form(base, origin):
    """ResourceDescriptor of in-toto's specification: hexadecimal in lower case, URIs that parse."""
    for each in descriptors(statement(base, origin=origin)):
        assert each["digest"]
        for algorithm, digest in each["digest"].items():
            expected = {"sha256": 64, "gitCommit": 40}[algorithm]
            assert re.fullmatch(rf"[0-9a-f]{{{expected}}}", digest)
        if each.get("uri", "").startswith("pkg:"):
            assert PackageURL.from_string(each["uri"])


def test_it_says_nothing_of_when_and_where():
    text = json.dumps(statement(origin=ORIGIN))
    assert statement(origin=ORIGIN) == statement(origin=ORIGIN)
    assert not re.search(r"\d{4}-\d\d-\d\dT", text)
    assert str(Path.home()) not in text
    assert str(Path.cwd()) not in text


def test_its_addresses_lead_to_the_page_that_explains_them():
    page = (Path(__file__).parents[1] / "docs" / "provenance.md").read_text()
    headings = {
        re.sub(r"[^a-z0-9-]", "", title.lower().replace(" ", "-"))
        for title in re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    }
    assert {BUILD_TYPE.partition("#")[2], BUILDER.partition("#")[2]} <= headings
    named = set(re.findall(r"`(\w+)`", page.partition("## Provenance")[2]))
    definition = statement(platforms=("x",), origin=ORIGIN)["predicate"]["buildDefinition"]
    told = {*definition["externalParameters"], *definition["internalParameters"]}
    assert told <= named
