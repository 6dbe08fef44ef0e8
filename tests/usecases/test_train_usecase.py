"""Training and exporting as use cases: what they ask of a worker and make of its answer."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from bundling import Remembering, make_project

from mlpack.errors import InputError, ProofError
from mlpack.process import Completed
from mlpack.project import Settings
from mlpack.usecases.export import code_digests, export_key
from mlpack.usecases.train import train

ANSWER = {
    "task": "classification",
    "metrics": {"accuracy": 0.75},
    "rows": {"train": 1600, "held_out": 400},
    "stratified": True,
    "dropped": 0,
    "schema": False,
}


def runner(answer, asked=None):
    def run(argv, *, cwd=None, env=None, stdin=None, timeout=None, on_line=None):
        if asked is not None:
            asked.append((argv[-1], json.loads(stdin)))
        return Completed(tuple(argv), 0, json.dumps(answer), "")

    return run


def trained(told=None, **changes):
    return train(
        make_project(Path("/there")),
        environment="test",
        runner=runner({**ANSWER, **changes}),
        reporter=told or Remembering(),
    )


def test_the_worker_is_told_the_folder_and_the_environment():
    asked = []
    result = train(
        make_project(Path("/there")),
        environment="test",
        runner=runner(ANSWER, asked),
        reporter=Remembering(),
    )
    assert asked == [("mlpack.workers.train", {"root": "/there", "environment": "test"})]
    assert (result.task, result.environment) == ("classification", "test")
    assert result.metrics == {"accuracy": 0.75}
    assert result.files == (
        *("models/model.joblib", "models/signature.json"),
        *("models/metrics.json", "models/reference.parquet"),
    )


def test_what_is_worth_knowing_is_told_and_nothing_else():
    told = Remembering()
    trained(told)
    assert told.told == ["Training", "1,600 rows, 400 held out"]
    told = Remembering()
    result = trained(told, dropped=1234, stratified=False, schema=True)
    assert any("1,234 rows without a target" in text for text in told.told)
    assert any("not stratified" in text for text in told.told)
    assert any("schema.toml was scaffolded" in text for text in told.told)
    assert result.files[-1] == "schema.toml"
    told = Remembering()
    trained(told, stratified=False, task="regression")
    assert not any("stratified" in text for text in told.told)


def test_the_workers_error_is_the_use_cases():
    answer = {"error": "ProofError", "what": "w", "where": "x:1", "hint": "h"}
    with pytest.raises(ProofError, match="w") as caught:
        trained_with(answer)
    assert (caught.value.where, caught.value.hint) == ("x:1", "h")


def trained_with(answer):
    return train(make_project(), environment="test", runner=runner(answer), reporter=Remembering())


# What an export depends on


@pytest.fixture
def project(tmp_path):
    package = tmp_path / "src" / "churn"
    package.mkdir(parents=True)
    (tmp_path / "models").mkdir()
    names = {
        "model": "models/model.joblib",
        "signature": "models/signature.json",
        "schema": "schema.toml",
        "sample": "sample.csv",
        "metrics": "models/metrics.json",
        "reference": "models/reference.parquet",
    }
    for name in names.values():
        (tmp_path / name).write_text(name)
    (package / "steps.py").write_text("x = 1\n")
    paths = {field: tmp_path / name for field, name in names.items()}
    return replace(make_project(tmp_path), package_dir=package, **paths)


FIELDS = ("model", "signature", "schema", "sample", "metrics", "reference")


@pytest.mark.parametrize("field", FIELDS)
def test_the_key_of_an_export_changes_with_each_file(project, field):
    before = export_key(project)
    assert export_key(project) == before
    getattr(project, field).write_text("other")
    after = export_key(project)
    assert after != before
    if field != "model":
        assert export_key(replace(project, **{field: None})) not in (before, after)


def test_the_key_of_an_export_changes_with_code_and_settings(project):
    keys = [export_key(project)]
    keys.append(export_key(replace(project, settings=Settings(format="python"))))
    (project.package_dir / "steps.py").write_text("x = 2\n")
    keys.append(export_key(project))
    (project.package_dir / "deep").mkdir()
    (project.package_dir / "deep" / "more.py").write_text("")
    keys.append(export_key(project))
    (project.package_dir / "deep" / "more.py").rename(project.package_dir / "deep" / "other.py")
    keys.append(export_key(project))
    assert len(set(keys)) == len(keys)
    (project.root / "notes.md").write_text("not an input")
    assert export_key(project) == keys[-1]


def test_two_files_that_change_places_are_another_export(project):
    before = export_key(project)
    one, two = project.metrics.read_bytes(), project.schema.read_bytes()
    project.metrics.write_bytes(two)
    project.schema.write_bytes(one)
    assert export_key(project) != before


def test_a_single_file_of_code_has_a_digest_too(tmp_path):
    (tmp_path / "train.py").write_text("x = 1\n")
    assert list(code_digests(tmp_path / "train.py")) == ["code:train.py"]


def test_without_a_model_there_is_no_key(project):
    with pytest.raises(InputError, match="no model yet"):
        export_key(replace(project, model=None))
