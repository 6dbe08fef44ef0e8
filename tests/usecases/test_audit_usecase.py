from __future__ import annotations

import json
import sys

import msgspec
import pytest
from bundling import Remembering

from mlpack import requirements_file
from mlpack.cli.entry import main
from mlpack.errors import CheckFailedError, InputError
from mlpack.lock import Pin
from mlpack.osv import Record
from mlpack.usecases.audit import audit, refuse

HASH = (f"sha256:{'0' * 64}",)


class Known:
    """Advisories that are given."""

    name = "a database"

    def __init__(self, *records):
        self.records = [msgspec.convert(each, Record) for each in records]

    def about(self, pins):
        return [(pin, each) for pin in pins for each in self.records if list(each.of(pin.name))]


def record(identifier, fixed="2.0", name="churn", **more):
    span = {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": fixed}]}
    affected = {"package": {"ecosystem": "PyPI", "name": name}, "ranges": [span]}
    return {"id": identifier, "affected": [affected], **more}


@pytest.fixture
def lock(tmp_path):
    path = tmp_path / "requirements.lock.txt"
    pins = [Pin("churn", "1.0", HASH), Pin("numpy", "2.4.6", HASH)]
    path.write_text(requirements_file.dumps(pins, "A lock."))
    return path


def test_nothing_known_is_well(lock):
    result = audit(lock, Known(), Remembering())
    assert (result.packages, result.found, result.database) == (2, (), "a database")
    refuse(result)


def test_what_several_databases_have_is_one_finding(lock):
    known = Known(
        record("PYSEC-1", "1.5", aliases=["CVE-1"]),
        record("GHSA-1", aliases=["CVE-1"], database_specific={"severity": "HIGH"}, summary="Bad"),
        record("GHSA-9"),
    )
    first, second = audit(lock, known, Remembering()).found
    assert (first.id, first.aliases, first.severity, first.summary, first.fixed) == (
        *("GHSA-1", ("CVE-1", "PYSEC-1"), "HIGH", "Bad"),
        "2.0",  # the higher of the two: the other may not be enough
    )
    assert (second.id, second.aliases, second.severity, second.fixed) == ("GHSA-9", (), "", "2.0")


def test_records_that_only_a_third_one_joins_are_one(lock):
    known = Known(
        record("A-1", aliases=["CVE-1"]),
        record("B-1", aliases=["CVE-2"]),
        record("C-1", aliases=["CVE-1", "CVE-2"]),
    )
    (only,) = audit(lock, known, Remembering()).found
    assert {only.id, *only.aliases} == {"A-1", "B-1", "C-1", "CVE-1", "CVE-2"}


def test_what_was_found_is_refused_with_the_line_that_fixes_it(lock):
    result = audit(lock, Known(record("GHSA-1"), record("X-1", "1.0", "numpy")), Remembering())
    with pytest.raises(CheckFailedError, match="2 known vulnerabilities") as no:
        refuse(result)
    assert no.value.hint.splitlines() == [
        "mlpack lock --upgrade-package churn",
        "What does not concern this project: mlpack audit --ignore GHSA-1",
    ]


@pytest.mark.parametrize("name", ["GHSA-1", "ghsa-1", "CVE-1"])
def test_what_is_ignored_by_any_of_its_names_does_not_count(lock, name):
    reporter = Remembering()
    result = audit(lock, Known(record("GHSA-1", aliases=["CVE-1"])), reporter, [name, "CVE-7"])
    assert result.found == ()
    assert [each.id for each in result.ignored] == ["GHSA-1"]
    assert [text for text in reporter.told if "CVE-7" in text]
    assert not [text for text in reporter.told if name.upper() in text]
    refuse(result)


def test_without_a_lock_it_is_made_first(tmp_path):
    with pytest.raises(InputError) as no:
        audit(tmp_path / "requirements.lock.txt", Known(), Remembering())
    assert no.value.hint == "mlpack lock"


def test_from_the_command_line(lock, tmp_path, monkeypatch, capsys):
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\nversion = "1"\n')
    (tmp_path / "osv.jsonl").write_text(
        json.dumps(
            record(
                "GHSA-1",
                database_specific={"severity": "HIGH"},
                aliases=["CVE-1"],
                summary="Bad\x1b[2J  \nrows are " + "x" * 300,
            )
        )
    )
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["mlpack", "audit", *arguments])
        code = main()
        return code, *capsys.readouterr()

    code, out, err = run("--database", "osv.jsonl")
    assert (code, out) == (1, "")
    assert [*("churn", "1.0", "GHSA-1", "CVE-1", "HIGH", "2.0")] in map(str.split, err.splitlines())
    assert f"  GHSA-1: Bad [2J rows are {'x' * 183}\n" in err
    code, out, err = run("--database", "osv.jsonl", "--json")
    assert code == 1
    assert json.loads(out)["found"][0]["fixed"] == "2.0"
    code, _, err = run("--database", "osv.jsonl", "--ignore", "CVE-1")
    assert code == 0
    assert "ignored: GHSA-1 of churn 1.0" in err
    assert "Nothing else is known in the 2 packages" in err
    assert "No vulnerability" not in err
    (tmp_path / "other.jsonl").write_text(json.dumps(record("GHSA-2", name="other")))
    code, _, err = run("--database", "other.jsonl")
    assert (code, "No vulnerability is known in the 2 packages" in err) == (0, True)
    code, _, err = run("--dev", "--database", "osv.jsonl")
    assert (code, "requirements-dev.lock.txt" in err) == (3, True)
    monkeypatch.setenv("MLPACK_OSV_URL", "ftp://x")
    assert run()[0] == 3
