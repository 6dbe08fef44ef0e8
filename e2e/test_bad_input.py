"""Bad input through the command line, with real parts: each kind of it is refused in one message.

What a refusal has to keep to stands in `refusals`. Full disks and broken-off commands are in
``test_broken_off.py``.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor

import joblib
import pytest
from environments import Environment, free_port
from refusals import (
    CHECK,
    NAME,
    OUTSIDE,
    UNPROVED,
    WRONG,
    environ,
    mlpack,
    prepare,
    refusal,
    refused,
    refused_by_artifact,
    replace,
    scraps,
    succeeded,
    tree,
)
from sklearn.linear_model import LogisticRegression


@pytest.fixture(scope="module")
def prepared(base):
    return prepare(base)


@pytest.fixture
def project(prepared, tmp_path):
    """A project that is locked and trained, its export kept; a case makes it bad."""
    return copied(prepared, tmp_path)


@pytest.fixture
def built(prepared, tmp_path):
    """The same with what was built from it."""
    return shutil.copytree(prepared, tmp_path / NAME)


def copied(prepared, folder):
    return shutil.copytree(prepared, folder / NAME, ignore=shutil.ignore_patterns("dist"))


@pytest.fixture
def archive(base):
    """The words that name the base image."""
    return "--base", f"archive:{base}", "--no-load"


# The project


def test_a_folder_that_is_no_project(tmp_path):
    for words in (["build"], ["lock"], ["train"], ["serve"], ["inspect"]):
        refused(tmp_path, *words, code=WRONG, says=["not a project", "mlpack new"])


def test_a_folder_that_is_not_there(tmp_path):
    refused(tmp_path, "build", "-C", "nowhere", code=WRONG, says=["nowhere"])


@pytest.mark.parametrize("words", [["build"], ["export"], ["serve"], ["predict"]])
def test_a_project_without_a_model(project, words):
    (project / "models" / "model.joblib").unlink()
    more = ["data/sample.csv", "-o", "out.csv"] if words == ["predict"] else []
    says = ["there is no model", "mlpack train"]
    refused(project, *words, *more, code=WRONG, says=says)


@pytest.mark.parametrize("words", [["build"], ["serve"]])
def test_a_project_without_a_version(project, words):
    replace(project / "pyproject.toml", 'version = "0.1.0"\n', "")
    says = ["pyproject.toml", "no version", 'version = "0.1.0"']
    refused(project, *words, code=WRONG, says=says)


@pytest.mark.parametrize(
    ("file", "line", "where"),
    [
        ("pyproject.toml", 'name = "penguins', "pyproject.toml:"),
        ("config/default.toml", "target = species", "config/default.toml:"),
        ("config/production.toml", "[deploy\n", "config/production.toml:"),
        ("schema.toml", "[columns.island\n", "schema.toml:"),
    ],
)
def test_toml_that_is_none_is_named_with_its_line(project, file, line, where):
    path = project / file
    path.write_text(f"{path.read_text()}\n{line}\n")
    number = path.read_text().splitlines().index(line.strip()) + 1
    words = {
        "pyproject.toml": ["inspect"],
        "config/default.toml": ["train"],
        "config/production.toml": ["deploy", "production"],
        "schema.toml": ["build"],
    }[file]
    refused(project, *words, code=WRONG, says=[where, f"{file}:{number}", "TOML"])


def test_an_environment_that_is_not_there(project):
    says = ["prodution", 'Did you mean "production"?']
    refused(project, "train", "--env", "prodution", code=WRONG, says=says)
    refused(project, "deploy", "prodution", code=WRONG, says=says)


# The model file


def dump(project, value):
    joblib.dump(value, project / "models" / "model.joblib")


def run_script(project, script, python=sys.executable):
    """A script of somebody's own, run in the project's folder."""
    done = subprocess.run(
        [str(python), "-c", script], cwd=project, env=environ(), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_model_file_that_was_cut_off(project):
    model = project / "models" / "model.joblib"
    model.write_bytes(model.read_bytes()[: model.stat().st_size // 2])
    says = ["models/model.joblib", "damaged", "mlpack train"]
    refused(project, "build", code=WRONG, says=says)


def test_a_model_file_that_is_empty(project):
    (project / "models" / "model.joblib").write_bytes(b"")
    refused(project, "build", code=WRONG, says=["models/model.joblib", "damaged", "mlpack train"])


def test_a_model_file_that_holds_no_estimator(project):
    dump(project, {"weights": [1, 2, 3]})
    says = ["models/model.joblib", "holds a dict", "joblib.dump(pipeline"]
    refused(project, "build", code=WRONG, says=says)


def test_an_estimator_that_is_not_fitted(project):
    dump(project, LogisticRegression())
    says = ["models/model.joblib", "LogisticRegression is not fitted", "mlpack train"]
    refused(project, "build", code=WRONG, says=says)


def test_a_model_that_another_scikit_learn_saved(project, tmp_path):
    """Really saved by another release, in an environment of its own."""
    import sklearn

    other = Environment(tmp_path / "other")
    other.install(f"scikit-learn<{sklearn.__version__}", "pandas")
    script = (
        "import sklearn, joblib; from sklearn.linear_model import LogisticRegression as L;"
        "joblib.dump(L().fit([[0.0], [1.0]], [0, 1]), 'models/model.joblib');"
        "open('other', 'w').write(sklearn.__version__)"
    )
    run_script(project, script, other.python)
    theirs = (project / "other").read_text()
    assert theirs != sklearn.__version__
    says = [f"saved by scikit-learn {theirs}", f"here is {sklearn.__version__}", "mlpack train"]
    refused(project, "build", code=WRONG, says=["models/model.joblib", *says])


def test_a_model_whose_class_a_script_defined(project):
    script = (
        "import joblib\nfrom sklearn.linear_model import LogisticRegression\n"
        "class Mine(LogisticRegression): pass\n"
        "joblib.dump(Mine().fit([[0.0], [1.0]], [0, 1]), 'models/model.joblib')"
    )
    run_script(project, script)
    says = ["models/model.joblib: it refers to Mine", "script", "into the project's package"]
    refused(project, "build", code=WRONG, says=says)


def test_a_model_that_needs_a_package_that_is_not_there(project):
    script = (
        "import sys, types, joblib\nfrom sklearn.linear_model import LogisticRegression\n"
        "module = types.ModuleType('feature_kit')\n"
        "exec('from sklearn.linear_model import LogisticRegression\\n"
        "class Mine(LogisticRegression): pass', module.__dict__)\n"
        "sys.modules['feature_kit'] = module\n"
        "joblib.dump(module.Mine().fit([[0.0], [1.0]], [0, 1]), 'models/model.joblib')"
    )
    run_script(project, script)
    says = ["models/model.joblib", "feature_kit", "dependencies"]
    refused(project, "build", code=WRONG, says=says)


def test_a_model_that_raises_when_it_is_loaded(project):
    (project / "src" / NAME / "odd.py").write_text(
        "class Odd:\n    def __setstate__(self, state):\n        raise RuntimeError('no luck')\n"
    )
    script = (
        "import sys; sys.path.insert(0, 'src'); import joblib; from penguins.odd import Odd;"
        "odd = Odd(); odd.x = 1; joblib.dump(odd, 'models/model.joblib')"
    )
    run_script(project, script)
    says = ["src/penguins/odd.py:3", "RuntimeError: no luck", ".mlpack/last-traceback.txt"]
    refused(project, "build", code=WRONG, says=says)


# What describes the model


@pytest.mark.parametrize(
    ("demand", "says"),
    [
        ("[columns.iland]\nrequired = true", ["iland", 'Did you mean "island"?']),
        ("[columns.species]\nrequired = true", ["species", "what the model predicts"]),
        ("[columns.island]\nmin = 3", ["[columns.island]", "min and max are for numbers"]),
        ("[columns.body_mass_g]\nmin = 9\nmax = 1", ["schema.toml", "min = 9 is above max = 1"]),
        ("[columns.body_mass_g]\nmin = 'low'", ["schema.toml:", "min", "is a number"]),
        ("[columns.island]\ncategories = [1, 2]", ["[columns.island]", "category 1", "string"]),
        ("[columns.body_mass_g]\ncategories = ['x']", ["category", '"x"', "number"]),
        ("[columns.island]\ncategories = []", ["schema.toml:", "categories"]),
        ("[columns.island]\npatern = 'x'", ["schema.toml:", 'Did you mean "pattern"?']),
        ("[columns.island]\npattern = '('", ["schema.toml:", "no regular expression"]),
    ],
)
def test_a_schema_that_contradicts_the_signature_or_itself(project, demand, says):
    (project / "schema.toml").write_text(f"format = 1\n\n{demand}\n")
    refused(project, "build", code=WRONG, says=["schema.toml", *says])


def signature(project):
    return json.loads((project / "models" / "signature.json").read_text())


def write_signature(project, value):
    (project / "models" / "signature.json").write_text(json.dumps(value))


def test_a_signature_with_other_columns_than_the_model(project):
    value = signature(project)
    value["columns"][0]["name"] = "isle"
    write_signature(project, value)
    says = ["models/signature.json", "contradict", "island, isle", "mlpack train"]
    refused(project, "build", code=WRONG, says=says)


def test_a_signature_with_other_labels_than_the_model(project):
    value = signature(project)
    value["labels"][0] = "Emperor"
    write_signature(project, value)
    says = ["models/signature.json", "Emperor", "Adelie", "mlpack train"]
    refused(project, "build", code=WRONG, says=says)


@pytest.mark.parametrize("content", ["{", "", "[]", '{"format": 1}', '{"format": 99}'])
def test_a_damaged_signature(project, content):
    (project / "models" / "signature.json").write_text(content)
    refused(project, "build", code=WRONG, says=["models/signature.json", "mlpack train"])


@pytest.mark.parametrize("content", ["{", "[]", '{"metrics": {"accuracy": "high"}}'])
def test_damaged_metrics(project, content):
    (project / "models" / "metrics.json").write_text(content)
    says = ["models/metrics.json", "damaged", "mlpack train"]
    refused(project, "build", code=WRONG, says=says)


def test_damaged_reference_rows(project):
    (project / "models" / "reference.parquet").write_bytes(b"PAR1 and no more")
    says = ["models/reference.parquet", "damaged", "mlpack train"]
    refused(project, "build", code=WRONG, says=says)


def test_a_sample_that_lacks_a_column(project):
    for name in ("signature.json", "metrics.json", "reference.parquet"):
        (project / "models" / name).unlink()
    (project / "schema.toml").unlink()
    sample = project / "data" / "sample.csv"
    sample.write_text(sample.read_text().replace("island", "isle"))
    refused(project, "build", code=WRONG, says=["data/sample.csv", "island", "to_csv"])


def test_a_pipeline_that_cannot_be_exported_where_a_graph_is_demanded(project):
    with (project / "pyproject.toml").open("a") as file:
        file.write('\n[tool.mlpack]\nformat = "onnx"\n')
    (project / "src" / NAME / "own.py").write_text(
        "from sklearn.base import BaseEstimator, TransformerMixin\n\n\n"
        "class Own(TransformerMixin, BaseEstimator):\n"
        "    def fit(self, X, y=None):\n        self.fitted_ = True\n        return self\n\n"
        "    def transform(self, X):\n"
        "        for _ in X.itertuples():\n            pass\n        return X\n"
    )
    pipeline = project / "src" / NAME / "pipeline.py"
    replace(pipeline, "from sklearn.compose", "from penguins.own import Own\nfrom sklearn.compose")
    replace(pipeline, 'return Pipeline([("columns"', 'return Pipeline([("own", Own()), ("columns"')
    succeeded("train", cwd=project)
    says = ["own → Own", "cannot be exported", 'format = "auto"']
    refused(project, "build", code=UNPROVED, says=says)


# The lock


def test_no_lock(project):
    for name in ("mlpack.lock", "requirements.lock.txt", "requirements-dev.lock.txt"):
        (project / name).unlink()
    refused(project, "build", code=CHECK, says=["no mlpack.lock", "mlpack lock"])
    refused(project, "lock", "--check", code=CHECK, says=["no mlpack.lock", "mlpack lock"])
    refused(project, "install", code=CHECK, says=["no lock", "mlpack lock"])


def test_a_stale_lock(project):
    replace(project / "pyproject.toml", '"scikit-learn>=1.5"]', '"scikit-learn>=1.5", "polars"]')
    for words in (["build"], ["build", "--locked"], ["lock", "--check"], ["serve"]):
        refused(project, *words, code=CHECK, says=["stale", "polars", "mlpack lock"])


@pytest.mark.parametrize(
    ("file", "content", "code"),
    [
        ("mlpack.lock", "format = 1\ninputs = ", WRONG),
        ("mlpack.lock", "\0\0", WRONG),
        ("mlpack.lock", "format = 1\n", WRONG),
        ("mlpack.lock", "format = 99\n", WRONG),
        ("requirements.lock.txt", "numpy==1.0\n", CHECK),
        ("requirements.lock.txt", "\xff\0", WRONG),
        ("requirements-dev.lock.txt", "", CHECK),
    ],
)
def test_a_damaged_lock(project, file, content, code):
    (project / file).write_text(content, encoding="latin-1")
    for words in (["build"], ["lock", "--check"], ["install"]):
        refused(project, *words, code=code, says=[file, "mlpack"])


def test_a_dependency_that_does_not_exist(project):
    name = "no-such-package-as-this-one"
    replace(project / "pyproject.toml", '"scikit-learn>=1.5"]', f'"scikit-learn>=1.5", "{name}"]')
    refused(project, "lock", code=WRONG, says=[name, "Correct its name"])


def test_dependencies_that_contradict_each_other(project):
    replace(
        project / "pyproject.toml", '"scikit-learn>=1.5"]', '"scikit-learn>=1.5", "numpy<1.20"]'
    )
    refused(project, "lock", code=WRONG, says=["numpy<1.20", "cannot both be met", "mlpack lock"])


def test_a_dependency_that_is_none(project):
    replace(project / "pyproject.toml", '"scikit-learn>=1.5"]', '"scikit-learn >> 1"]')
    refused(project, "lock", code=WRONG, says=["pyproject.toml:", "scikit-learn >> 1"])


# The base image


def test_a_base_image_that_cannot_be_reached(project):
    reference = f"127.0.0.1:{free_port()}/library/python:3.11-slim"
    (project / "mlpack.lock").write_text((project / "mlpack.lock").read_text().split("[base]")[0])
    refused(project, "build", "--base", reference, code=OUTSIDE, says=[reference[:15]])


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("archive:README.md", ["README.md", "archive"]),
        ("archive:nowhere.tar", ["nowhere.tar"]),
        ("oci:nowhere", ["nowhere", "oci:PATH"]),
        ("docker:no-such-image-as-this", ["no-such-image-as-this"]),
        ("Not An Image", ["Not An Image"]),
    ],
)
def test_a_base_image_that_is_none(project, reference, says, request):
    if reference.startswith("docker:"):
        request.getfixturevalue("engine")
    refused(project, "build", "--base", reference, code=WRONG, says=says)


def test_a_base_image_without_python(project):
    layer, archive = io.BytesIO(), project.parent / "empty.tar"
    with tarfile.open(fileobj=layer, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("etc/hello"), io.BytesIO())
    data = layer.getvalue()
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {
                "type": "layers",
                "diff_ids": [f"sha256:{hashlib.sha256(data).hexdigest()}"],
            },
        }
    ).encode()
    manifest = [{"Config": "config.json", "RepoTags": ["empty:1"], "Layers": ["layer.tar"]}]
    members = {
        "config.json": config,
        "layer.tar": data,
        "manifest.json": json.dumps(manifest).encode(),
    }
    with tarfile.open(archive, "w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    base = f"archive:{archive}"
    refused(project, "build", "--base", base, "--no-load", code=WRONG, says=["empty.tar", "Python"])


def test_a_registry_that_refuses_the_password_of_the_base_image(project, registry):
    reference = f"{registry.host}/library/python:3.11-slim"
    wrong = registry.environment("not the password")
    says = [registry.host, "MLPACK_REGISTRY_PASSWORD"]
    found = refused(project, "build", "--base", reference, code=OUTSIDE, says=says, env=wrong)
    assert "not the password" not in found.stderr


# Deploying


def deploys_to(project, host, repository="team/penguins", **more):
    lines = [f'{key} = "{value}"' for key, value in more.items()]
    (project / "config" / "production.toml").write_text(
        "\n".join(
            ["[deploy]", 'target = "registry"', f'repository = "{host}/{repository}"', *lines]
        )
    )


def test_deploying_without_a_target(built):
    says = ["config/production.toml", "[deploy]", "repository"]
    refused(built, "deploy", "production", code=WRONG, says=says)


def test_deploying_to_a_target_that_is_none(built):
    (built / "config" / "production.toml").write_text('[deploy]\ntarget = "registy"\n')
    says = ["registy", 'Did you mean "registry"?']
    refused(built, "deploy", "production", code=WRONG, says=says)


def test_deploying_with_a_secret_that_is_not_set(built):
    deploys_to(built, "registry.example", channel="${env:NO_SUCH_VARIABLE}")
    says = ["NO_SUCH_VARIABLE", "export NO_SUCH_VARIABLE"]
    refused(built, "deploy", "production", code=WRONG, says=says)


def test_a_registry_that_is_not_there(built):
    host = f"127.0.0.1:{free_port()}"
    deploys_to(built, host)
    for words in (["deploy", "production"], ["deploy", "production", "--plan"]):
        refused(built, *words, code=OUTSIDE, says=[host])


def test_a_registry_that_refuses_the_password(built, registry):
    deploys_to(built, registry.host)
    wrong = registry.environment("not the password")
    says = [registry.host, "MLPACK_REGISTRY_PASSWORD"]
    found = refused(built, "deploy", "production", code=OUTSIDE, says=says, env=wrong)
    assert "not the password" not in found.stderr


def test_a_version_that_is_there_with_other_content(built, registry, archive):
    deploys_to(built, registry.host, "team/other-content")
    password = registry.environment()
    succeeded("deploy", "production", cwd=built, env=password)
    (built / "schema.toml").write_text("format = 1\n\n[columns.body_mass_g]\nmin = 1\n")
    succeeded("build", *archive, cwd=built)
    says = ["team/other-content:0.1.0", "other content", "mlpack version patch"]
    refused(built, "deploy", "production", code=WRONG, says=says, env=password)


def test_deploying_what_was_not_built(built):
    deploys_to(built, "registry.example")
    shutil.rmtree(built / "dist")
    says = ["nothing is built", "mlpack build"]
    refused(built, "deploy", "production", code=WRONG, says=says)


@pytest.mark.parametrize("kind", ["wheel", "zip", "image"])
def test_an_artifact_that_was_tampered_with(built, kind):
    deploys_to(built, "registry.example")
    record = json.loads((built / "dist" / "build.json").read_text())
    path = built / "dist" / record["artifacts"][kind]["file"]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    says = [f"dist/{path.name}", "digest", "mlpack build"]
    refused(built, "deploy", "production", code=WRONG, says=says)


@pytest.mark.parametrize("content", ["{", "[]", '{"format": 99}'])
def test_a_damaged_record_of_what_was_built(built, content):
    deploys_to(built, "registry.example")
    (built / "dist" / "build.json").write_text(content)
    says = ["dist/build.json", "mlpack build"]
    refused(built, "deploy", "production", code=WRONG, says=says)


# The user's own code


LOADS = '    return load_penguins()[[*COLUMNS, config["target"]]]\n'
LOAD = {
    "raises": ("    raise KeyError('no luck')\n", ["src/penguins/data.py:20", "KeyError"]),
    "exits": ("    import sys\n    sys.exit(3)\n", ["src/penguins/data.py:21", "SystemExit"]),
    "exits well": ("    raise SystemExit\n", ["src/penguins/data.py:20", "SystemExit"]),
    "kills itself": ("    import os\n    os._exit(7)\n", ["train", "7", "data.load"]),
    "ends with 0": ("    import os\n    os._exit(0)\n", ["train", "data.load"]),
    "crashes": (
        "    import ctypes\n    ctypes.string_at(0)\n",
        ["src/penguins/data.py:21", "SIGSEGV"],
    ),
    "runs out of memory": (
        "    import os, signal\n    os.kill(os.getpid(), signal.SIGKILL)\n",
        ["train", "memory"],
    ),
    "is no frame": ("    return [1, 2]\n", ["src/penguins/data.py", "list, not a DataFrame"]),
    "is empty": ("    return load_penguins().head(0)\n", ["src/penguins/data.py", "no rows"]),
    "has a column twice": (
        "    return load_penguins()[['island', 'island', 'species']]\n",
        ["src/penguins/data.py", "two columns called 'island'"],
    ),
    "has numbers for names": (
        "    return load_penguins().rename(columns={'island': 7})\n",
        ["src/penguins/data.py", "7", "string"],
    ),
    "has a reserved name": (
        "    return load_penguins().rename(columns={'island': 'instances'})\n",
        ["src/penguins/data.py", "instances", "ename"],
    ),
    "lacks the target": (
        "    return load_penguins()[COLUMNS]\n",
        ["config/default.toml", "species", "target ="],
    ),
}


BUILD = {
    "build raises": (
        "def build(config):\n    raise ValueError('no such thing')\n",
        ["src/penguins/pipeline.py:2", "no such thing"],
    ),
    "build gives no estimator": (
        "def build(config):\n    return 7\n",
        ["src/penguins/pipeline.py", "int", "Pipeline"],
    ),
}


@pytest.fixture(scope="module")
def ends(prepared, tmp_path_factory):
    """How training ended in each case: most of the time goes into imports, so side by side."""

    def end(case):
        project = copied(prepared, tmp_path_factory.mktemp("case"))
        package = project / "src" / NAME
        if case in LOAD:
            replace(package / "data.py", LOADS, LOAD[case][0])
        else:
            (package / "pipeline.py").write_text(BUILD[case][0])
        before = tree(project)
        done = mlpack("train", cwd=project)
        return done, tree(project) == before and scraps(project) == []

    cases = [*LOAD, *BUILD]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(cases, pool.map(end, cases), strict=True))


@pytest.mark.parametrize("case", [*LOAD, *BUILD])
def test_code_of_the_users_that(case, ends):
    done, untouched = ends[case]
    refusal(done, WRONG, *{**LOAD, **BUILD}[case][1])
    assert untouched


def test_code_that_does_not_parse_or_import(project):
    path = project / "src" / NAME / "data.py"
    good = path.read_text()
    path.write_text(f"{good}\nimport no_such_module\n")
    number = path.read_text().splitlines().index("import no_such_module") + 1
    refused(project, "train", code=WRONG, says=[f"data.py:{number}", "no_such_module"])
    path.write_text(f"{good}\ndef (:\n")
    number = path.read_text().splitlines().index("def (:") + 1
    refused(project, "train", code=WRONG, says=[f"src/penguins/data.py:{number}", "SyntaxError"])


def test_what_the_users_code_prints_does_not_break_json(project):
    path = project / "src" / NAME / "data.py"
    replace(path, LOADS, f"    print('hello from data.load', flush=True)\n{LOADS}")
    with path.open("a") as file:
        file.write("\nimport os\nos.write(1, b'and from below\\n')\n")
    done = succeeded("train", "--json", cwd=project)
    assert json.loads(done.stdout)["metrics"]["accuracy"] > 0.9
    assert "hello from data.load" in done.stderr
    assert "and from below" in done.stderr


def test_a_model_with_a_reserved_column(project):
    """Saved from a notebook: training never saw its columns."""
    script = (
        "import joblib, pandas as pd\nfrom sklearn.linear_model import LogisticRegression\n"
        "X = pd.DataFrame({'instances': [0.0, 1.0], 'b': [1.0, 0.0]})\n"
        "joblib.dump(LogisticRegression().fit(X, [0, 1]), 'models/model.joblib')\n"
        "X.to_csv('data/sample.csv', index=False)"
    )
    for name in ("signature.json", "metrics.json", "reference.parquet"):
        (project / "models" / name).unlink()
    (project / "schema.toml").unlink()
    run_script(project, script)
    refused(project, "build", code=WRONG, says=["instances", "ename"])


def test_a_secret_in_the_package_of_a_pipeline_that_ships_as_python(project):
    file, content = "settings.py", "KEY = 'AKIA" + "ABCDEFGHIJKLMNOP'\n"
    with (project / "pyproject.toml").open("a") as text:
        text.write('\n[tool.mlpack]\nformat = "python"\n')
    path = project / "src" / NAME / file
    path.write_text(content)
    before = tree(project / "dist")
    done = mlpack("build", "--only", "wheel", cwd=project)
    found = refusal(done, WRONG, f"penguins/{file}", "secret")
    assert content.strip() not in found.stderr
    assert tree(project / "dist") == before
    assert scraps(project) == []


# Serving and predicting


def test_serving_on_a_port_in_use(project):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        says = [f"port {port} is in use", "--port"]
        refused_by_artifact(project, "serve", "--port", port, code=OUTSIDE, says=says)


@pytest.fixture(scope="module")
def rows(prepared):
    """A few good rows."""
    return (prepared / "data" / "sample.csv").read_text()


def test_predicting_a_file_that_is_not_there(project):
    refused(project, "predict", "in.csv", "-o", "out.csv", code=WRONG, says=["in.csv", "no such"])


def test_predicting_a_file_of_another_kind(project, rows):
    (project / "in.xlsx").write_text(rows)
    (project / "in.csv").write_text(rows)
    refused(project, "predict", "in.xlsx", "-o", "out.csv", code=WRONG, says=["in.xlsx", ".csv"])
    refused(project, "predict", "in.csv", "-o", "out.xls", code=WRONG, says=["out.xls", ".csv"])


def test_predicting_into_a_folder_that_is_not_there(project):
    words = ("predict", "data/sample.csv", "-o", "nowhere/out.csv")
    refused(project, *words, code=WRONG, says=["nowhere"])


def changed(rows, column, row, value):
    lines = [line.split(",") for line in rows.splitlines()]
    lines[row + 1][lines[0].index(column)] = value
    return "\n".join(",".join(line) for line in lines) + "\n"


def test_predicting_a_bad_cell(project, rows):
    (project / "in.csv").write_text(changed(rows, "body_mass_g", 1, "heavy"))
    says = ["row 1", "body_mass_g", "heavy", "number"]
    refused_by_artifact(project, "predict", "in.csv", "-o", "out.csv", code=WRONG, says=says)


def test_predicting_without_any_known_column(project):
    (project / "in.csv").write_text("x,y\n1,2\n")
    refused_by_artifact(
        project, "predict", "in.csv", "-o", "out.csv", code=WRONG, says=["in.csv", "column"]
    )


def test_predicting_without_a_required_column(project, rows):
    (project / "schema.toml").write_text("format = 1\n\n[columns.island]\nrequired = true\n")
    (project / "in.csv").write_text(rows.replace("island", "isle"))
    says = ["row 0", "island", "expected a value"]
    refused_by_artifact(project, "predict", "in.csv", "-o", "out.csv", code=WRONG, says=says)


def test_predicting_a_line_that_is_no_json(project):
    (project / "in.jsonl").write_text('{"island": "Biscoe"}\n{"island": \n')
    says = ["in.jsonl", "line 2"]
    refused_by_artifact(project, "predict", "in.jsonl", "-o", "out.jsonl", code=WRONG, says=says)


# New projects


@pytest.mark.parametrize(
    ("name", "reason", "instead"),
    [
        ("-churn", "", "mlpack new churn"),
        ("churn!", "letters", "mlpack new churn"),
        ("Churn", "lower case", "mlpack new churn"),
        ("2nd-try", "digit", "mlpack new nd-try"),
        ("class", "keyword", "mlpack new class-model"),
        ("json", "standard library", "mlpack new json-model"),
        ("mlpack", "mlpack itself", "mlpack new mlpack-model"),
        ("numpy", "need", "mlpack new numpy-model"),
        ("../churn", "letters", "mlpack new churn"),
    ],
)
def test_a_new_project_with_a_name_that_is_none(tmp_path, name, reason, instead):
    refused(tmp_path, "new", "--", name, code=WRONG, says=[name, reason, instead])


def test_a_new_project_in_a_folder_that_is_not_empty(tmp_path):
    (tmp_path / "churn").mkdir()
    (tmp_path / "churn" / "thesis.txt").write_text("years of work")
    refused(tmp_path, "new", "churn", code=WRONG, says=["churn", "not empty"])
    (tmp_path / "bounce").write_text("a file")
    refused(tmp_path, "new", "bounce", code=WRONG, says=["bounce"])


def test_a_new_project_from_a_template_that_is_not_there(tmp_path):
    says = ["clasification", 'Did you mean "classification"?']
    refused(tmp_path, "new", "churn", "--template", "clasification", code=WRONG, says=says)
    says = ["vision", "classification, regression, text"]
    refused(tmp_path, "new", "churn", "--template", "vision", code=WRONG, says=says)
