"""What a model was locked to, installed once: by a uv that keeps a script, and by the real one."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from bundling import Remembering, make_project, onnx_bundle
from wheelhouse import sha256, wheel

from mlpack.delivery.environment import Environments
from mlpack.delivery.unpacked import Unpacked
from mlpack.errors import InputError, OutsideError
from mlpack.process import Completed, run

MANIFEST = onnx_bundle(make_project()).manifest
LOCKED = f"numpy==2.4.6 \\\n    --hash=sha256:{'0' * 64}\n"


def model(requirements=LOCKED, *, exact=True, manifest=MANIFEST):
    return Unpacked(Path("/nowhere"), manifest, requirements, exact)


class Uv:
    """Answers as pip and uv would, and remembers what it was asked.

    Args:
        settings: what ``pip config list`` says.
        fails: the word of the command that ends with 1, and what it says then.
    """

    def __init__(self, settings="", fails=("", "")):
        self.settings, self.fails, self.asked, self.envs = settings, fails, [], []

    def __call__(self, argv, *, env=None, **_):
        self.asked.append(list(argv))
        self.envs.append(env)
        if "config" in argv:
            return Completed(tuple(argv), 0, self.settings, "")
        word, said = self.fails
        if word and word in argv:
            return Completed(tuple(argv), 1, "", said)
        if "venv" in argv:
            python = Path(argv[-1]) / "bin" / "python"
            python.parent.mkdir(parents=True, exist_ok=True)
            python.unlink(missing_ok=True)
            python.symlink_to(sys.executable)
        return Completed(tuple(argv), 0, "", "")

    def commands(self):
        """What uv was asked, without its own path."""
        return [argv[1:] for argv in self.asked if "config" not in argv]


def environments(tmp_path, uv, environ=None):
    return Environments(tmp_path / "environments", uv, environ or {})


def test_what_was_locked_is_installed_with_its_hashes_and_nothing_else(tmp_path):
    uv = Uv()
    python = environments(tmp_path, uv).python(model(), Remembering())
    made, installed = uv.commands()
    folder = python.parent.parent
    assert made == ["venv", "--clear", "--python", MANIFEST.python, str(folder)]
    assert installed[:2] == ["pip", "install"]
    assert {"--require-hashes", "--no-deps"} <= set(installed)
    assert installed[installed.index("--python") + 1] == str(python)
    assert Path(installed[installed.index("-r") + 1]).read_text() == LOCKED


def test_ranges_have_no_hashes_and_want_what_they_need(tmp_path):
    uv = Uv()
    environments(tmp_path, uv).python(model("numpy>=2\n", exact=False), Remembering())
    assert not {"--require-hashes", "--no-deps"} & set(uv.commands()[1])


def test_it_is_made_once_for_all_that_need_the_same(tmp_path):
    uv = Uv()
    where = environments(tmp_path, uv)
    with ThreadPoolExecutor(4) as pool:
        found = {*pool.map(lambda _: where.python(model(), Remembering()), range(4))}
    assert len(found) == 1
    assert len(uv.commands()) == 2
    again = Remembering()
    assert where.python(model(), again) in found
    assert (len(uv.commands()), again.told) == (2, [])


def test_other_versions_another_python_and_ranges_have_one_of_their_own(tmp_path):
    where = environments(tmp_path, Uv())
    other = msgspec.structs.replace(MANIFEST, python="3.13")
    asked = [
        model(),
        model(LOCKED.replace("2.4.6", "2.4.5")),
        model(LOCKED.replace("0" * 64, "1" * 64)),
        model(exact=False),
        model(manifest=other),
    ]
    assert len({where.python(each, Remembering()) for each in asked}) == len(asked)


@pytest.mark.parametrize("broken_off", ["venv", "install"])
def test_one_that_was_not_made_to_its_end_is_made_anew(tmp_path, broken_off):
    with pytest.raises(OutsideError):
        environments(tmp_path, Uv(fails=(broken_off, "no"))).python(model(), Remembering())
    uv = Uv()
    assert environments(tmp_path, uv).python(model(), Remembering()).is_file()
    assert [each[0] for each in uv.commands()] == ["venv", "pip"]


def test_one_whose_python_is_gone_is_made_anew(tmp_path):
    uv = Uv()
    python = environments(tmp_path, uv).python(model(), Remembering())
    python.unlink()
    python.symlink_to(tmp_path / "removed")
    assert environments(tmp_path, uv).python(model(), Remembering()).is_file()
    assert len(uv.commands()) == 4


def test_a_python_that_is_not_there_is_told_with_the_way_to_it(tmp_path):
    uv = Uv(fails=("venv", "no interpreter found"))
    with pytest.raises(OutsideError, match=f"no Python {MANIFEST.python}") as caught:
        environments(tmp_path, uv).python(model(), Remembering())
    assert caught.value.hint.endswith(f"uv python install {MANIFEST.python}")


def test_why_it_cannot_be_installed_is_told_without_the_password_of_the_index(tmp_path):
    said = "one\ntwo\nthree\nno such file at https://me:secret@index.example/simple\n"
    uv = Uv(fails=("install", said))
    with pytest.raises(OutsideError, match=r"index\.example") as caught:
        environments(tmp_path, uv).python(model(), Remembering())
    assert "secret" not in str(caught.value)
    assert "one" not in str(caught.value)
    assert caught.value.where == "churn 1.2.0"


@pytest.mark.parametrize(
    ("environ", "said", "what", "hint"),
    [
        ({"UV_OFFLINE": "1"}, "no version of numpy==2.4.6", "offline: no version", "UV_OFFLINE"),
        ({"UV_OFFLINE": "true"}, "error sending request for url", "offline: ", "UV_OFFLINE"),
        ({"UV_OFFLINE": "0"}, "no version of numpy==2.4.6", "installed: no", "pip config list"),
        ({}, "no version of numpy==2.4.6", "installed: no version", "UV_DEFAULT_INDEX="),
        ({}, "401 Unauthorized", "index refuses", "user and password"),
        ({}, "error sending request for url", "index does not answer", "Check the network"),
        ({}, "Hash mismatch for `numpy==2.4.6`", "Hash mismatch", "not the one that was locked"),
    ],
)
def test_what_cannot_be_installed_is_told_with_what_to_do(tmp_path, environ, said, what, hint):
    uv = Uv(fails=("install", said))
    with pytest.raises(OutsideError) as caught:
        environments(tmp_path, uv, environ).python(model(), Remembering())
    assert what in caught.value.what
    assert hint in caught.value.hint


def test_the_users_own_indexes_are_asked(tmp_path):
    uv = Uv("global.index-url='https://index.example/simple'\nglobal.no-index='true'\n")
    environments(tmp_path, uv, {"HOME": "/home/me"}).python(model(), Remembering())
    assert "--no-index" in uv.commands()[1]
    env = uv.envs[-1]
    assert env["UV_DEFAULT_INDEX"] == "https://index.example/simple"
    assert env["HOME"] == "/home/me"
    assert env["UV_PYTHON_DOWNLOADS"] == "never"


def test_the_real_uv_installs_what_has_the_hash_and_refuses_what_has_another(tmp_path):
    name, data = wheel("demo", "1.0", {"demo/__init__.py": b"x = 41 + 1\n"})
    (tmp_path / name).write_bytes(data)
    here = msgspec.structs.replace(MANIFEST, python=f"{sys.version_info[0]}.{sys.version_info[1]}")
    environ = {**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)}
    where = Environments(tmp_path / "environments", run, environ)
    locked = f"demo==1.0 \\\n    --hash={sha256(data)}\n"
    python = where.python(model(locked, manifest=here), Remembering())
    done = run([str(python), "-I", "-c", "import demo; print(demo.x)"])
    assert (done.code, done.stdout) == (0, "42\n")
    wrong = locked.replace(sha256(data), "sha256:" + "0" * 64)
    with pytest.raises(OutsideError, match="cannot be installed"):
        where.python(model(wrong, manifest=here), Remembering())
    with pytest.raises(OutsideError, match="cannot be installed"):
        where.python(model("demo==1.0\n", manifest=here), Remembering())


def test_a_file_in_the_place_of_the_cache_is_named(tmp_path):
    cache = tmp_path / "cache"
    cache.write_text("mine")
    made = Environments(cache / "environments", Uv(), {})
    with pytest.raises(InputError, match="a file in the place of the folder cache"):
        made.python(model(), Remembering())
    assert cache.read_text() == "mine"
