"""The command line as a person or a script meets it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tiny
import typer
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import mlpack
from mlpack.bundle import Artifact
from mlpack.cli import wiring
from mlpack.cli.app import app
from mlpack.cli.entry import main
from mlpack.cli.targets import TARGETS
from mlpack.errors import InputError
from mlpack.files import sha256, write
from mlpack.oci.cache import Cache
from mlpack.ports import Built
from mlpack.records import encode_build

ROOT = Path(mlpack.__file__).parent.parent


def every(group, before=""):
    """The names of all commands, with those of the group that they are in."""
    for name, command in sorted(group.commands.items()):
        if hasattr(command, "commands"):
            yield from every(command, f"{before}{name} ")
        else:
            yield f"{before}{name}"


COMMANDS = list(every(typer.main.get_command(app)))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLPACK_DEBUG", raising=False)


@pytest.fixture
def mlpack_(monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["mlpack", *map(str, arguments)])
        code = main()
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_the_version_is_a_result(mlpack_):
    assert mlpack_("--version") == (0, f"mlpack {mlpack.__version__}\n", "")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_what_it_does_with_an_example(mlpack_, command):
    code, out, _ = mlpack_(*command.split(), "--help")
    assert code == 0
    assert f"Example: mlpack {command}" in " ".join(out.split())
    assert "--help" in out


def test_the_commands_are_the_ones_that_are_promised():
    promised = {"new", "inspect", "train", "lock", "install", "export", "build", "serve"}
    assert promised | {"predict", "deploy"} <= set(COMMANDS)


@pytest.mark.parametrize(
    "arguments",
    [
        ("frobnicate",),
        ("new",),
        ("build", "--no-such-option"),
        ("serve", "--port", "many"),
        ("predict", "a.csv"),
        ("deploy",),
        ("lock", "surplus"),
        (),
    ],
)
def test_a_wrong_command_line_is_2(mlpack_, arguments):
    code, out, err = mlpack_(*arguments)
    assert code == 2
    assert "Usage: " in out + err
    assert "Traceback" not in err


# One real way to each exit code


def test_a_check_that_says_no_is_1(mlpack_, tmp_path):
    folder, _ = tiny.project(tmp_path)
    code, out, err = mlpack_("lock", "--check", "-C", folder)
    assert (code, out) == (1, "")
    assert err.startswith("error: ")
    assert "mlpack lock" in err


def test_a_wrong_input_is_3(mlpack_, tmp_path):
    code, out, err = mlpack_("inspect", "-C", tmp_path)
    assert (code, out) == (3, "")
    assert err.startswith("error: ")
    assert "not a project" in err
    assert "Traceback" not in err


def built(folder):
    """Artifacts that claim to have been built."""
    data = b"a wheel"
    dist = folder / "dist"
    write(dist / "x-1.0.0.whl", data)
    artifact = Artifact(kind="wheel", file="x-1.0.0.whl", sha256=sha256(data), size=len(data))
    made = Built("x", "1.0.0", "onnx", "1" * 64, "2" * 64, {"wheel": artifact}, dist)
    write(dist / "build.json", encode_build(made))


def test_what_would_be_asked_for_is_written_into_files(mlpack_, tmp_path):
    folder, _ = tiny.project(tmp_path)
    data = b"an image"
    write(folder / "dist" / "x.oci.tar", data)
    image = Artifact(
        kind="image", file="x.oci.tar", sha256=sha256(data), size=len(data),
        digest="sha256:" + "d" * 64, image="x:1.0.0",
    )  # fmt: skip
    made = Built("x", "1.0.0", "onnx", "1" * 64, "2" * 64, {"image": image}, folder / "dist")
    write(folder / "dist" / "build.json", encode_build(made))
    settings = '[deploy]\nrepository = "registry.example/x"\ntarget = '
    write(folder / "config" / "production.toml", f'{settings}"kubernetes"\n')
    into = tmp_path / "manifests"
    code, out, err = mlpack_("deploy", "production", "-C", folder, "--render", into)
    assert code == 0, err
    assert sorted(out.split()) == sorted(str(path) for path in into.iterdir())
    assert f"registry.example/x@sha256:{'d' * 64}" in (into / "deployment.yaml").read_text()
    code, out, err = mlpack_("deploy", "production", "-C", folder, "--render", into, "--json")
    assert json.loads(out) == sorted(str(path) for path in into.iterdir())
    for other in (("--plan",), ("--canary", "5")):
        code, _, err = mlpack_("deploy", "production", "-C", folder, "--render", into, *other)
        assert (code, "stands alone" in err) == (2, True)
    write(folder / "config" / "production.toml", f'{settings}"registry"\n')
    code, _, err = mlpack_("deploy", "production", "-C", folder, "--render", into)
    assert (code, "the target registry has no render" in err) == (3, True)


def test_something_outside_that_does_not_answer_is_4(mlpack_, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("NO_PROXY", "*")
    folder, _ = tiny.project(tmp_path)
    built(folder)
    write(
        folder / "config" / "production.toml",
        '[deploy]\ntarget = "s3"\nbucket = "models"\nregion = "eu-central-1"\n'
        'endpoint = "http://127.0.0.1:1"\n',
    )
    code, out, err = mlpack_("deploy", "production", "-C", folder)
    assert (code, out) == (4, ""), err
    assert "Traceback" not in err


def test_a_graph_that_was_demanded_and_cannot_be_is_5(mlpack_, tmp_path):
    folder, _ = tiny.project(tmp_path, settings='format = "onnx"')
    rows = tiny.ROWS[["size"]]
    model = make_pipeline(FunctionTransformer(np.i0), LogisticRegression())
    tiny.save(folder, model.fit(rows, tiny.LABELS), rows)
    code, out, err = mlpack_("export", "-C", folder)
    assert (code, out) == (5, ""), err
    assert "x Exporting and proving" in err
    assert "i0" in err
    assert 'format = "auto"' in err


class Faulty:
    """A stream that raises once, when it is first written to."""

    def __init__(self, stream, error):
        self.stream, self.error = stream, error

    def write(self, text):
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        return self.stream.write(text)

    def __getattr__(self, name):
        return getattr(self.stream, name)


def test_a_bug_is_70_without_a_traceback(mlpack_, monkeypatch):
    monkeypatch.setattr(sys, "stdout", Faulty(sys.stdout, RuntimeError("odd")))
    code, out, err = mlpack_("--version")
    assert (code, out) == (70, "")
    assert "this is a bug in mlpack" in err
    assert "RuntimeError: odd" in err
    assert "MLPACK_DEBUG=1" in err
    assert "Traceback" not in err


def test_with_debug_a_bug_has_its_traceback(mlpack_, monkeypatch):
    monkeypatch.setenv("MLPACK_DEBUG", "1")
    monkeypatch.setattr(sys, "stdout", Faulty(sys.stdout, RuntimeError("odd")))
    code, _, err = mlpack_("--version")
    assert code == 70
    assert "Traceback (most recent call last)" in err


def test_an_interruption_is_130_and_says_so(mlpack_, monkeypatch):
    monkeypatch.setattr(sys, "stdout", Faulty(sys.stdout, KeyboardInterrupt()))
    code, out, err = mlpack_("--version")
    assert (code, out) == (130, "")
    assert "nothing was left half-written" in err


def test_ctrl_c_ends_a_worker_and_what_it_started_with_130(tmp_path):
    data = """
        import pathlib, os, time
        def load(config):
            pathlib.Path("PID").write_text(str(os.getpid()))
            time.sleep(60)
    """
    folder, _ = tiny.project(tmp_path, data=data)
    text = "import sys; from mlpack.cli import main; sys.exit(main())"
    process = subprocess.Popen(
        [sys.executable, "-c", text, "train", "-C", str(folder)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not (folder / "PID").is_file() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.1)
    worker = int((folder / "PID").read_text())
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "nothing was left half-written" in err
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)
    assert not (folder / "models").exists()


# Machines read standard output


def test_json_is_all_that_stands_on_standard_output(mlpack_, tmp_path):
    folder, package = tiny.project(tmp_path)
    code, out, _ = mlpack_("inspect", "-C", folder, "--json")
    assert code == 0
    assert json.loads(out)["name"] == package
    code, out, err = mlpack_("new", "rooms", "--template", "regression", "--json")
    assert code == 0
    assert json.loads(out)["name"] == "rooms"
    assert err.startswith("+ Creating rooms")
    assert err.count("\n") == 1


def test_a_whole_export_in_json(mlpack_, tmp_path):
    folder, _ = tiny.project(tmp_path)
    rows = tiny.ROWS[["size"]]
    tiny.save(folder, DummyClassifier().fit(rows, tiny.LABELS), rows)
    code, out, err = mlpack_("export", "-C", folder, "--json")
    assert code == 0, err
    answer = json.loads(out)
    assert answer["parity"]["equal"] is True
    assert answer["form"] in ("onnx", "python")
    # It is kept: the second time nothing runs.
    code, again, err = mlpack_("export", "-C", folder, "--json")
    assert json.loads(again) == answer
    assert "Exporting" not in err


def test_results_and_progress_do_not_mix(mlpack_, tmp_path):
    folder, _ = tiny.project(tmp_path)
    code, out, err = mlpack_("inspect", "-C", folder)
    assert (code, out) == (0, "")
    assert "\x1b" not in err


def test_a_new_project_names_the_next_command(mlpack_, tmp_path):
    code, _, err = mlpack_("new", "churn")
    assert code == 0
    assert err.rstrip().split("\n")[-1].startswith("Next: cd churn && mlpack lock")
    assert (tmp_path / "churn" / "pyproject.toml").is_file()
    code, _, err = mlpack_("new", "churn")
    assert code == 3
    assert "not empty" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("build", "--only", "whel"), 'Did you mean "wheel"?'),
        (("build", "--only", "wheel,zip"), "--only wheel --only zip"),
        (("build", "--offline", "--only", "wheel"), "mlpack build --only zip --offline"),
        (("build", "--glibc", "2.36"), "mlpack build --offline --glibc 2.36"),
        (("build", "--offline", "--glibc", "musl"), "no version of the GNU C library"),
        (("predict", "in.xlsx", "-o", "out.csv"), "in.xlsx is none of"),
        (("predict", "in.csv", "-o", "out.xlsx"), "out.xlsx is none of"),
        (("predict", "none.csv", "-o", "out.csv"), "none.csv"),
        (("deploy", "production"), "where production is deployed to"),
        (("deploy", "../x"), "x"),
        (("new", "Not A Name"), "Try: mlpack new"),
        (("new", "x", "--template", "clasification"), "classification"),
    ],
)
def test_wrong_arguments_are_3_and_say_what_is_right(mlpack_, tmp_path, arguments, said):
    folder, _ = tiny.project(tmp_path)
    more = () if arguments[0] == "new" else ("-C", folder)
    code, out, err = mlpack_(*arguments, *more)
    assert (code, out) == (3, ""), err
    assert said in err


def test_the_cache_is_shown_and_cleaned(mlpack_, tmp_path, monkeypatch):
    monkeypatch.setenv("MLPACK_CACHE", str(tmp_path / "cache"))
    code, _, err = mlpack_("cache")
    assert (code, err.strip()) == (0, f"There is nothing in {tmp_path / 'cache'}.")
    Cache(tmp_path / "cache").remember("layers", "key", "x" * 2_000_000)
    code, _, err = mlpack_("cache")
    assert (code, "2.00" in err, "--older-than 30" in err) == (0, True, True)
    code, _, err = mlpack_("cache", "--older-than", "3")
    assert (code, "mlpack cache --clean --older-than 3" in err) == (3, True)
    code, out, _ = mlpack_("cache", "--clean", "--older-than", "3", "--json")
    assert (code, json.loads(out)["removed"]) == (0, [])
    code, out, _ = mlpack_("cache", "--clean", "--json")
    assert code == 0
    assert json.loads(out)["removed"] == [{"name": "layers", "entries": 1, "size": 2_000_067}]
    assert json.loads(out)["kinds"] == []


def test_a_target_that_is_not_there_is_named_with_the_ones_that_are(mlpack_, tmp_path):
    folder, _ = tiny.project(tmp_path)
    write(folder / "config" / "production.toml", '[deploy]\ntarget = "registri"\n')
    code, _, err = mlpack_("deploy", "production", "-C", folder)
    assert code == 3
    assert f"no target 'registri'; there are {', '.join(sorted(TARGETS))}" in err
    assert "registry" in err.split("\n")[1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('deploy = "docker"\n', "[deploy]: it is no table"),
        ("[deploy]\ntarget = 3\n", "[deploy] target: it is no text"),
        ("[deploy]\nport = 3\n", "nothing says where production is deployed to"),
        ("", "nothing says where production is deployed to"),
        ('[deploy]\ntarget = "docker"\n[gate]\nchnged = 0.1\n', 'Did you mean "changed"?'),
    ],
)
def test_a_configuration_that_is_wrong_is_told_by_a_plan_too(mlpack_, tmp_path, text, said):
    folder, _ = tiny.project(tmp_path)
    built(folder)
    write(folder / "config" / "production.toml", text)
    code, _, err = mlpack_("deploy", "production", "--plan", "-C", folder)
    assert code == 3
    assert said in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--for", "5"), "--canary says how large it is"),
        (("--force", ""), "say it"),
        (("--force", "  "), "say it"),
    ],
)
def test_half_of_an_order_deploys_nothing(mlpack_, tmp_path, arguments, said):
    code, _, err = mlpack_("deploy", "production", *arguments, "-C", tmp_path)
    assert code == 2
    assert said in " ".join(err.split())


@pytest.mark.parametrize("text", ["yesterday", "\N{SUPERSCRIPT TWO}", "99999999999999", "-1"])
def test_an_epoch_that_is_no_number_is_refused(mlpack_, tmp_path, monkeypatch, text):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", text)
    folder, _ = tiny.project(tmp_path)
    code, _, err = mlpack_("build", "-C", folder)
    assert code == 3
    assert f"SOURCE_DATE_EPOCH is '{text}'" in err


def test_installing_without_a_lock_is_a_check_that_fails(mlpack_, tmp_path):
    folder, _ = tiny.project(tmp_path)
    code, _, err = mlpack_("install", "-C", folder)
    assert code == 1
    assert "Run: mlpack lock" in err


def test_the_light_commands_load_nothing_heavy(tmp_path):
    folder, _ = tiny.project(tmp_path)
    heavy = ["pandas", "sklearn", "onnx", "onnxruntime", "numpy", "boto3", "docker", "fastapi"]
    text = (
        "import sys; from mlpack.cli import main; code = main()\n"
        f"print([name for name in {heavy} if name in sys.modules], file=sys.stderr); sys.exit(code)"
    )
    for arguments in (["--version"], ["inspect", "-C", str(folder)], ["--help"]):
        ended = subprocess.run(
            [sys.executable, "-c", text, *arguments],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert ended.stderr.rstrip().endswith("[]"), ended.stderr
    shutil.rmtree(folder)


def test_a_project_of_mlpacks_own_builder_has_no_dockerfile_to_show(mlpack_, tmp_path):
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "churn"\nversion = "1.0.0"\n')
    code, out, err = mlpack_("build", "--show")
    assert (code, out) == (3, "")
    assert "mlpack's own builder has no Dockerfile" in err
    assert 'builder = "docker"' in err


def test_a_revision_is_a_commit(monkeypatch):
    monkeypatch.delenv("MLPACK_REVISION", raising=False)
    assert wiring.revision() is None
    for good in ("c" * 40, "0" * 64):
        monkeypatch.setenv("MLPACK_REVISION", good)
        assert wiring.revision() == good
    for wrong in ("main", "c" * 39, "C" * 40, "c" * 40 + "\n"):
        monkeypatch.setenv("MLPACK_REVISION", wrong)
        with pytest.raises(InputError, match="MLPACK_REVISION is no commit"):
            wiring.revision()


def test_a_password_in_the_file_itself_is_refused(mlpack_, tmp_path):
    folder, _ = tiny.project(tmp_path)
    text = '[deploy]\ntarget = "index"\nurl = "https://pypi.example/"\npassword = "hunter2"\n'
    write(folder / "config" / "production.toml", text)
    code, _, err = mlpack_("deploy", "production", "-C", folder)
    assert code == 3
    assert 'password = "${env:PASSWORD}"' in err
    assert "hunter2" not in err


def test_the_configuration_is_shown_with_origins_and_what_is_missing(mlpack_, tmp_path):
    folder, _ = tiny.project(tmp_path)
    write(folder / "config" / "production.toml", '[deploy]\npassword = "${env:NOT_SET_AT_ALL}"\n')
    code, out, err = mlpack_("config", "show", "--env", "production", "-C", folder)
    assert code == 0
    line = next(line for line in out.splitlines() if line.startswith("deploy.password"))
    assert line.split()[1:] == ['"${env:NOT_SET_AT_ALL}"', "config/production.toml:2"]
    assert "${env:NOT_SET_AT_ALL} leads to nothing here" in err
    code, out, _ = mlpack_("config", "show", "--env", "production", "-C", folder, "--json")
    assert {"key", "value", "origin", "missing"} == set(json.loads(out)[0])
