"""The gate against models that must not go on, and one that may, each trained and built anew."""

from __future__ import annotations

import json

import pytest
from environments import EXAMPLES, copied, damage, with_mlpack

FAULTS = {
    "shuffled labels": ('found["species"] = found["species"].sample(frac=1, random_state=1).array'),
    "a corrupted column": 'found["bill_length_mm"] = found["bill_length_mm"] / 25.4',
    "a tenth of the data": "found = found.sample(frac=0.1, random_state=3)",
    "another category encoding": 'found["sex"] = found["sex"].map({"female": "F", "male": "M"})',
}
"""What somebody may do to the data between two trainings, each as a line of `data.load`."""

REASONS = {
    "shuffled labels": ("training", "accuracy"),
    "a corrupted column": ("inputs", "bill_length_mm"),
    "a tenth of the data": ("training", ""),
    "another category encoding": ("training", "sex"),
    "twice as slow": ("speed", ""),
}


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Mlpack's wheel and what the example needs."""
    return with_mlpack(tmp_path_factory.mktemp("gate") / "environment")


def built(environment, root, prepare=lambda _: None):
    """The penguins, changed by `prepare`, trained and built as a zip."""
    copied(EXAMPLES / "penguins", root)
    prepare(root)
    for words in (["lock"], ["train"], ["build", "--only", "zip"]):
        environment.mlpack(*words, cwd=root)
    return root


@pytest.fixture(scope="module")
def before(environment, tmp_path_factory):
    """The version that is in production."""
    root = tmp_path_factory.mktemp("before") / "penguins"

    def install(root):
        environment.mlpack("lock", cwd=root)
        environment.mlpack("install", cwd=root)

    return built(environment, root, install)


def compared(environment, root, before, code):
    """The report of what `root` has built against the version before."""
    words = ["compare", str(before / "dist"), "--json"]
    return json.loads(environment.mlpack(*words, cwd=root, code=code).stdout)


def stops(report):
    """What stops it."""
    found = [each for each in report["findings"] if each["verdict"] == "stop"]
    return {(each["check"], each.get("where", "")) for each in found}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_model_is_stopped_for_the_right_reason(environment, before, tmp_path, fault):
    root = built(environment, tmp_path / "penguins", lambda root: damage(root, FAULTS[fault]))
    report = compared(environment, root, before, 1)
    assert report["stopped"]
    assert REASONS[fault] in stops(report)


def test_one_that_is_twice_as_slow_is_stopped(environment, before, tmp_path):
    def slower(root):
        path = root / "src" / "penguins" / "pipeline.py"
        text = path.read_text().replace(
            "from sklearn.linear_model import LogisticRegression",
            "from sklearn.ensemble import RandomForestClassifier",
        )
        many = "RandomForestClassifier(n_estimators=3000, random_state=0)"
        path.write_text(text.replace('LogisticRegression(**config["model"])', many))

    root = built(environment, tmp_path / "penguins", slower)
    report = compared(environment, root, before, 1)
    assert {check for check, _ in stops(report)} <= {"speed", "size"}
    took = [each["p50_ms"] for each in report["speed"]]
    assert took[1] > 1.5 * took[0]
    assert any(
        each["check"] == "speed" and "a row takes" in each["what"]
        for each in report["findings"]
        if each["verdict"] == "stop"
    )


def test_a_harmless_retrain_with_another_seed_passes(environment, before, tmp_path):
    def reseeded(root):
        path = root / "config" / "default.toml"
        path.write_text(f"seed = 11\n{path.read_text()}")

    root = built(environment, tmp_path / "penguins", reseeded)
    # The other machine's load may be on one server only: the speed is another test's.
    words = ["compare", str(before / "dist"), "--json", "--no-speed"]
    report = json.loads(environment.mlpack(*words, cwd=root).stdout)
    assert stops(report) == set()
    assert report["changed"]["rows"] > 50
    assert report["labelled"]
    assert (root / "dist" / "compared.html").is_file()


def test_what_is_no_version_is_an_error_with_the_way_on(environment, before):
    told = environment.mlpack("compare", "prodution", cwd=before, code=3).stderr
    assert "no artifact, no folder with build.json and no environment" in told
    told = environment.mlpack("compare", "dist", "--data", "no.csv", cwd=before, code=3).stderr
    assert "cannot be read" in told
