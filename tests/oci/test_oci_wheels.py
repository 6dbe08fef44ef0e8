from pathlib import Path

import pytest
from packaging.tags import parse_tag
from wheelhouse import sha256, wheel

from mlpack.errors import InputError, OutsideError
from mlpack.lock import Pin
from mlpack.oci.cache import Cache
from mlpack.oci.machine import Machine
from mlpack.oci.wheels import fetch, wanted
from mlpack.process import Completed, run

AMD64 = Machine("linux/amd64", "3.11", (2, 36))
ARM64 = Machine("linux/arm64", "3.11", (2, 36))


class Pip:
    """pip, with a shop of wheels."""

    def __init__(self, *wheels, code=0, output=""):
        self.shop = dict(wheels)
        self.code, self.output = code, output
        self.runs = []
        self.asked = []

    def __call__(self, argv, **_):
        self.runs.append(list(argv))
        if self.code:
            return Completed(tuple(argv), self.code, "", self.output)
        text = Path(argv[argv.index("--requirement") + 1]).read_text()
        self.asked.append(text)
        folder = Path(argv[argv.index("--dest") + 1])
        folder.mkdir()
        for file, data in self.shop.items():
            if f"{file.split('-')[0]}==" in text.replace("_", "-").replace("-", "_"):
                (folder / file).write_bytes(data)
        return Completed(tuple(argv), 0, "", "")


def pin(made, *more, name=None, marker=None):
    parts = made[0].split("-")
    return Pin(name or parts[0], parts[1], tuple(sorted([sha256(made[1]), *more])), marker)


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache")


def test_what_is_not_there_is_downloaded_once_in_one_process(cache):
    a, b = wheel("a"), wheel("b")
    pip = Pip(a, b)
    first = fetch([pin(a), pin(b)], AMD64, cache, pip)
    assert first.downloaded == 2
    assert [item.file for item, _ in first.wheels] == [a[0], b[0]]
    assert [path.read_bytes() for _, path in first.wheels] == [a[1], b[1]]
    again = fetch([pin(a), pin(b)], AMD64, cache, pip)
    assert (again.downloaded, again.wheels) == (0, first.wheels)
    assert len(pip.runs) == 1


def test_of_many_each_process_is_given_a_share(cache, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    made = [wheel(f"p{number}") for number in range(10)]
    pip = Pip(*made)
    found = fetch([pin(each) for each in made], AMD64, cache, pip)
    assert found.downloaded == 10
    assert [path.read_bytes() for _, path in found.wheels] == [data for _, data in made]
    asked = [text.count("==") for text in pip.asked]
    assert sorted(asked) == [5, 5]  # no fewer than four each
    names = [line.split("==")[0] for text in pip.asked for line in text.splitlines()]
    assert sorted(names) == [f"p{number}" for number in range(10)]


def test_of_very_many_there_are_no_more_processes_than_an_index_should_be_asked_by(
    cache, monkeypatch
):
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    made = [wheel(f"p{number}") for number in range(40)]
    pip = Pip(*made)
    assert fetch([pin(each) for each in made], AMD64, cache, pip).downloaded == 40
    assert sorted(text.count("==") for text in pip.asked) == [10] * 4


def test_of_many_one_that_fails_is_told_and_nothing_is_kept(cache, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    made = [wheel(f"p{number}") for number in range(9)]
    pip = Pip(*made[:-1])
    with pytest.raises(OutsideError, match=r"pip did not download p8 1\.0"):
        fetch([pin(each) for each in made], AMD64, cache, pip)
    assert len(pip.runs) == 2


def test_only_what_is_missing_is_asked_for(cache):
    a, b = wheel("a"), wheel("b")
    pip = Pip(a, b)
    fetch([pin(a)], AMD64, cache, pip)
    fetch([pin(a), pin(b)], AMD64, cache, pip)
    assert pip.asked == [f"a==1.0 --hash={sha256(a[1])}\n", f"b==1.0 --hash={sha256(b[1])}\n"]


def test_pip_is_asked_for_the_images_machine_not_for_this_one(cache):
    a = wheel("a")
    pip = Pip(a)
    fetch([pin(a)], ARM64, cache, pip)
    (argv,) = pip.runs
    assert {"--no-deps", "--require-hashes", "--only-binary=:all:"} <= set(argv)
    assert argv[argv.index("--python-version") + 1] == "3.11"
    platforms = [argv[n + 1] for n, word in enumerate(argv) if word == "--platform"]
    assert platforms[0] == "manylinux_2_36_aarch64"
    assert "manylinux2014_aarch64" in platforms
    assert not [tag for tag in platforms if "x86_64" in tag]


def test_each_machine_has_wheels_of_its_own(cache):
    amd = wheel("a", tag="cp311-cp311-manylinux_2_17_x86_64")
    arm = wheel("a", tag="cp311-cp311-manylinux_2_17_aarch64", files={"a/arm.py": b""})
    pins = [pin(amd, sha256(arm[1]))]
    assert fetch(pins, AMD64, cache, Pip(amd)).wheels[0][0].file == amd[0]
    assert fetch(pins, ARM64, cache, Pip(arm)).wheels[0][0].file == arm[0]
    assert fetch(pins, AMD64, cache, Pip()).wheels[0][0].file == amd[0]


def test_names_are_compared_as_the_lock_writes_them(cache):
    made = wheel("prometheus_client")
    fetched = fetch([pin(made, name="prometheus-client")], AMD64, cache, Pip(made))
    assert fetched.wheels[0][0].file == made[0]


def test_markers_are_those_of_the_image():
    def holds(marker, machine=AMD64):
        return bool(wanted([Pin("a", "1", (), marker)], machine))

    assert holds(None)
    assert holds("sys_platform != 'win32'")
    assert not holds("sys_platform == 'darwin'")
    assert holds("platform_machine == 'aarch64'", ARM64)
    assert not holds("platform_machine == 'aarch64'")
    assert holds("python_version == '3.11' and python_full_version < '3.11.3'")
    assert not holds("python_version < '3.11'")
    assert holds("implementation_name == 'cpython' and platform_system == 'Linux'")
    with pytest.raises(InputError, match="marker"):
        holds("nonsense ==")


def test_a_damaged_entry_of_the_cache_is_downloaded_again(cache):
    a = wheel("a")
    pip = Pip(a)
    path = fetch([pin(a)], AMD64, cache, pip).wheels[0][1]
    path.write_bytes(b"damaged")
    assert fetch([pin(a)], AMD64, cache, pip).wheels[0][1].read_bytes() == a[1]
    assert len(pip.runs) == 2


def test_other_bytes_than_the_lock_names_are_not_kept(cache):
    a = wheel("a")
    wrong = Pin("a", "1.0", ("sha256:" + "0" * 64,))
    with pytest.raises(OutsideError, match=r"other bytes for a 1\.0"):
        fetch([wrong], AMD64, cache, Pip(a))
    assert not (cache.root / "blobs").exists()


def test_a_wheel_for_another_machine_is_not_taken(cache):
    a = wheel("a", tag="cp311-cp311-macosx_11_0_arm64")
    with pytest.raises(OutsideError, match="is not for linux/amd64"):
        fetch([pin(a)], AMD64, cache, Pip(a))


NO_WHEEL = "ERROR: No matching distribution found for a==1.0"
OTHER = "THESE PACKAGES DO NOT MATCH THE HASHES\n    a==1.0 from https://x"


@pytest.mark.parametrize(
    ("output", "kind", "message"),
    [
        (NO_WHEEL, InputError, "a 1.0 has no wheel for linux/amd64, Python 3.11 and glibc 2.36"),
        (OTHER, OutsideError, "other bytes for a 1.0"),
        ("because not enough bytes were received (1 kB/2 kB)", OutsideError, "was cut off"),
        ("OSError: [Errno 28] No space left on device", OutsideError, "the disk is full"),
        (f"Retrying (Retry(total=4))\n{NO_WHEEL}", OutsideError, "does not answer"),
        ("python: No module named pip", OutsideError, "not in mlpack's environment"),
        ("ERROR: Something else", OutsideError, "Something else"),
    ],
)
def test_what_pip_says_becomes_one_clear_message(cache, output, kind, message):
    with pytest.raises(kind) as refused:
        fetch([Pin("a", "1.0", ())], AMD64, cache, Pip(code=1, output=output))
    assert message in str(refused.value)


def test_the_real_pip_takes_these_arguments(cache, tmp_path, monkeypatch):
    """Offline: the wheel lies in a folder that the user's configuration names."""
    native = wheel("mlpack_test_native", tag="cp311-cp311-manylinux_2_28_aarch64")
    newer = wheel("mlpack_test_native", tag="cp311-cp311-manylinux_2_39_aarch64", files={})
    pure = wheel("mlpack_test_pure")
    for file, data in (native, newer, pure):
        (tmp_path / file).write_bytes(data)
    config = tmp_path / "pip.conf"
    config.write_text(f"[global]\nno-index = true\nfind-links = {tmp_path}\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    pins = [pin(native, sha256(newer[1]), name="mlpack-test-native"),
            pin(pure, name="mlpack-test-pure")]  # fmt: skip
    fetched = fetch(pins, ARM64, cache, run)
    assert [item.file for item, _ in fetched.wheels] == [native[0], pure[0]]
    with pytest.raises(InputError, match=r"mlpack-test-native 1\.0 has no wheel for linux/amd64"):
        fetch(pins, AMD64, cache, run)


def test_tags_of_a_machine():
    def fits(tag, machine=AMD64):
        return bool(parse_tag(tag) & machine.tags())

    assert fits("py3-none-any")
    assert fits("cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64")
    assert fits("cp39-abi3-manylinux_2_36_x86_64")
    assert fits("cp311-cp311-manylinux1_x86_64")
    assert not fits("cp311-cp311-manylinux_2_37_x86_64")
    assert not fits("cp312-cp312-manylinux_2_17_x86_64")
    assert not fits("cp311-cp311-musllinux_1_2_x86_64")
    assert not fits("cp311-cp311-manylinux_2_17_aarch64")
    assert not fits("cp311-cp311-manylinux_2_5_aarch64", ARM64)
    with pytest.raises(InputError, match="no platform"):
        Machine("windows/amd64", "3.11", (2, 36)).tags()
