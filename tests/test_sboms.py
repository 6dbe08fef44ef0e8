"""Both bills of materials, read by the libraries of those who make the formats."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from bundling import SERVING, lock_text, onnx_bundle
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given, settings
from hypothesis import strategies as st
from packageurl import PackageURL
from spdx_tools.spdx.parser.jsonlikedict.json_like_dict_parser import JsonLikeDictParser
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from mlpack.lock import Pin
from mlpack.materials import Foundation, Materials, Package, materials, pypi
from mlpack.oci.account import Cut, Part
from mlpack.sbom import cyclonedx
from mlpack.spdx import spdx

DIGEST = f"sha256:{'5' * 64}"
PYTHON = Foundation(DIGEST, "docker.io/library/python:3.11-slim")
CUT = Cut(what="its tests", files=3, size=1234)
PARTS = [Part(name="NumPy", version="2.4.6", files=1, size=1, cuts=(CUT,))]
EPOCH = 1_700_000_000


BOTH = {"linux/amd64": PARTS, "linux/arm64": PARTS}


def made(*bases: Foundation, parts=BOTH, **more: object) -> Materials:
    bundle = replace(onnx_bundle(lock=lock_text(torch="1!2.13.0+cpu")), license="MIT")
    return replace(materials(bundle, parts, bases), **more)


def faults(document: bytes) -> list[str]:
    """What spdx-tools, the SPDX project's own library, says is wrong."""
    read = JsonLikeDictParser().parse(json.loads(document))
    return [fault.validation_message for fault in validate_full_spdx_document(read)]


CASES = [
    made(PYTHON),
    made(),
    made(Foundation(DIGEST)),
    made(PYTHON, Foundation(DIGEST), Foundation(f"sha256:{'6' * 64}")),
    made(PYTHON, license=None),
    made(PYTHON, packages=()),
    made(Foundation(DIGEST, "registry.example:5000/Team/py:1".lower())),
]


@pytest.mark.parametrize("what", CASES)
def test_the_official_schema_of_cyclonedx_has_nothing_against_it(what):
    assert JsonStrictValidator(SchemaVersion.V1_5).validate_str(cyclonedx(what).decode()) is None


@pytest.mark.parametrize("what", CASES)
def test_spdx_tools_has_nothing_against_it(what):
    assert faults(spdx(what, EPOCH)) == []


def test_the_checks_find_faults():
    broken = json.loads(cyclonedx(made(PYTHON)))
    broken["components"][0]["hashes"][0]["content"] = "x"
    assert JsonStrictValidator(SchemaVersion.V1_5).validate_str(json.dumps(broken)) is not None
    wrong = spdx(made(PYTHON), EPOCH).replace(b'"SPDXRef-Base-1"', b'"SPDXRef-Ba_se-1"', 1)
    assert faults(wrong)


def test_both_name_the_same_packages_by_the_same_names():
    one, two = json.loads(cyclonedx(made(PYTHON))), json.loads(spdx(made(PYTHON), EPOCH))
    purls = [part["purl"] for part in one["components"]]
    assert purls == [each["externalRefs"][0]["referenceLocator"] for each in two["packages"][1:]]
    assert "pkg:pypi/torch@1%212.13.0%2Bcpu" in purls
    assert len(purls) == len(SERVING) + 2
    assert purls[-1].startswith("pkg:oci/python@sha256%3A5555")
    for purl in purls:
        assert PackageURL.from_string(purl)
    base = PackageURL.from_string(purls[-1])
    assert base.version == DIGEST
    assert base.qualifiers == {
        "repository_url": "docker.io/library/python",
        "tag": "3.11-slim",
    }


def test_the_spdx_document_says_how_things_hang_together():
    document = json.loads(spdx(made(PYTHON), EPOCH))
    packages = {each["SPDXID"]: each for each in document["packages"]}
    assert len(packages) == len(document["packages"])
    relations = {
        (each["relationshipType"], packages[each["relatedSpdxElement"]]["name"])
        for each in document["relationships"]
    }
    assert ("DESCRIBES", "churn") in relations
    assert ("DEPENDS_ON", "numpy") in relations
    assert ("DESCENDANT_OF", "docker.io/library/python") in relations
    by_name = {each["name"]: each for each in packages.values()}
    assert by_name["churn"]["licenseDeclared"] == "MIT"
    assert by_name["churn"]["checksums"][0]["checksumValue"] == made(PYTHON).bundle
    assert by_name["numpy"]["comment"] == "left out: its tests: 3 files, 1234 bytes"
    assert by_name["uvloop"]["comment"] == 'where sys_platform != "win32"'
    assert by_name["numpy"]["checksums"] == [{"algorithm": "SHA256", "checksumValue": "0" * 64}]


def test_what_is_left_out_of_a_package_is_told_once_or_by_platform():
    told = "its tests: 3 files, 1234 bytes"
    assert left_out({"linux/amd64": PARTS}) == {"numpy": [told]}
    assert left_out(BOTH) == {"numpy": [told]}
    assert left_out({"linux/amd64": PARTS, "linux/arm64": []}) == {
        "numpy": [f"{told} (linux/amd64)"]
    }


def left_out(parts):
    components = json.loads(cyclonedx(made(parts=parts)))["components"]
    return {
        each["name"]: [item["value"] for item in each["properties"]]
        for each in components
        if "properties" in each
    }


def test_a_licence_that_nobody_told_is_no_assertion():
    document = json.loads(spdx(made(license=None), EPOCH))
    model = next(each for each in document["packages"] if each["name"] == "churn")
    assert model["licenseDeclared"] == model["licenseConcluded"] == "NOASSERTION"
    assert "licenses" not in json.loads(cyclonedx(made(license=None)))["metadata"]["component"]


def test_the_same_base_on_all_platforms_is_told_once():
    assert made(PYTHON, PYTHON).bases == (PYTHON,)


def test_a_base_from_an_archive_has_a_digest_and_no_name():
    document = json.loads(cyclonedx(made(Foundation(DIGEST))))
    assert document["components"][-1] == {
        "type": "container",
        "bom-ref": DIGEST,
        "name": "base-image",
        "hashes": [{"alg": "SHA-256", "content": "5" * 64}],
    }


def test_the_time_is_the_builds_and_the_number_follows_from_the_content():
    one = json.loads(spdx(made(PYTHON), EPOCH))
    assert one["creationInfo"] == {
        "created": "2023-11-14T22:13:20Z",
        "creators": ["Tool: mlpack"],
    }
    assert spdx(made(PYTHON), EPOCH) == spdx(made(PYTHON), EPOCH)
    numbers = {
        json.loads(spdx(each, EPOCH))["documentNamespace"] for each in (made(PYTHON), made())
    }
    numbers |= {json.loads(spdx(made(PYTHON), EPOCH + 1))["documentNamespace"]}
    numbers |= {json.loads(cyclonedx(each))["serialNumber"] for each in (made(PYTHON), made())}
    assert len(numbers) == 5


VERSIONS = st.from_regex(
    r"(?:[1-9]!)?[0-9]{1,3}(?:\.[0-9]{1,3}){0,3}(?:rc[0-9])?(?:\.post[0-9])?(?:\+[a-z0-9]{1,5}(?:\.[0-9])?)?",
    fullmatch=True,
)
NAMES = st.from_regex(r"[a-z0-9]{1,6}(?:-[a-z0-9]{1,6}){0,2}", fullmatch=True)
PINS = st.builds(Pin, NAMES, VERSIONS, st.just((DIGEST,)))


@settings(max_examples=25, deadline=None)
@given(st.lists(PINS, max_size=4), VERSIONS)
def test_whatever_is_locked_the_documents_are_valid(pins, version):
    pins = sorted(set(pins), key=lambda pin: (pin.name, pin.version))
    what = made(packages=tuple(Package(pin) for pin in pins), version=version)
    assert JsonStrictValidator(SchemaVersion.V1_5).validate_str(cyclonedx(what).decode()) is None
    assert faults(spdx(what, EPOCH)) == []


@given(NAMES, VERSIONS)
def test_package_urls_are_read_back(name, version):
    found = PackageURL.from_string(pypi(name, version))
    assert (found.type, found.name, found.version) == ("pypi", name, version)
