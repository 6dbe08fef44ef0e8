"""The page at ``/`` and ``/docs`` in a real Chromium, on servers of artifacts.

What a person does there is done as a person does it: by keyboard, by dropping a file.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import axe_core_python
import page_models
import pytest
from environments import EXAMPLES, free_port, get, missing, post, run, wait_ready
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

AXE = (Path(axe_core_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
KEY = "a-key-for-tests"
SELECT_ALL = Keys.CONTROL + "a" + Keys.NULL
SCHEMA = """
    format = 1

    [columns.bill_length_mm]
    max = 100.0
    description = "from the tip to the base"
"""


@pytest.fixture(scope="module")
def penguins(tmp_path_factory) -> Path:
    """A folder with the package of a wheel that was built from the example."""
    folder = tmp_path_factory.mktemp("page")
    project = folder / "penguins"
    shutil.copytree(EXAMPLES / "penguins", project)
    (project / "schema.toml").write_text("".join(map(str.lstrip, SCHEMA.splitlines(keepends=True))))
    for command in (("lock",), ("train",), ("build", "--only", "wheel")):
        run("mlpack", *command, cwd=project)
    unpacked = folder / "unpacked"
    with zipfile.ZipFile(next((project / "dist").glob("*.whl"))) as wheel:
        wheel.extractall(unpacked)
    return unpacked


@contextlib.contextmanager
def serving(folder: Path, package: str, **environment: str) -> Iterator[str]:
    """The URL of an artifact's server; the artifact's package stands in `folder`."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", package, "serve", "--port", str(port)],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": "", **environment},
        stderr=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_ready(url)
        yield url
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def url(penguins) -> Iterator[str]:
    with serving(penguins, "penguins") as address:
        yield address


@pytest.fixture(scope="module")
def downloads(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def chromium(downloads) -> Iterator[webdriver.Chrome]:
    """One browser for all of the tests; it can reach nothing but this machine."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        missing("chromium or its driver is not there: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = str(program)
    for argument in (
        "--headless=new",
        "--no-sandbox",  # which root cannot have; the pages are our own
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--no-proxy-server",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ):
        options.add_argument(argument)
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(str(driver)))
    yield browser
    browser.quit()


@pytest.fixture
def page(chromium) -> Iterator[Page]:
    found = Page(chromium)
    found.look()
    yield found
    # Only what the tests provoke is complained about: no script failed, nothing was blocked.
    unexpected = [
        entry["message"]
        for entry in chromium.get_log("browser")
        if "status of" not in entry["message"]
    ]
    assert unexpected == []


class Page:
    """What a person does with the pages, and sees."""

    def __init__(self, browser: webdriver.Chrome) -> None:
        self.browser = browser
        self.wait = WebDriverWait(browser, 20, poll_frequency=0.05)

    def open(self, url: str) -> None:
        self.browser.get(url)
        self.until(lambda: self.all("#content:not([hidden])") or self.seen("#key"))

    def look(self, *, dark: bool = False, width: int = 1200) -> None:
        feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def until(self, condition) -> None:
        self.wait.until(lambda _: condition())

    def all(self, selector: str):
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector: str):
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        return self.one(selector).text

    def seen(self, selector: str) -> bool:
        return any(element.is_displayed() for element in self.all(selector))

    def script(self, source: str, *arguments):
        return self.browser.execute_script(source, *arguments)

    def press(self, *keys: str) -> None:
        """Press keys, wherever the focus is."""
        webdriver.ActionChains(self.browser).send_keys(*keys).perform()

    def type(self, value: str) -> None:
        """Replace what stands in the field that has the focus."""
        keys = webdriver.ActionChains(self.browser)
        keys.key_down(Keys.CONTROL).send_keys("a").key_up(Keys.CONTROL)
        keys.send_keys(Keys.DELETE, *value).perform()

    @property
    def focused(self):
        return self.browser.switch_to.active_element

    def label(self) -> str:
        """The accessible name of what has the focus."""
        return self.focused.accessible_name

    def tab_to(self, name: str) -> None:
        for _ in range(60):
            if self.label() == name:
                return
            self.press(Keys.TAB)
        pytest.fail(f"the keyboard does not reach {name!r}")

    def field(self, name: str):
        return self.script(
            """
            const labels = [...document.querySelectorAll("#fields label[for]")];
            return labels.find((label) => label.textContent === arguments[0]).control;
            """,
            name,
        )

    def predict(self) -> None:
        """Press the button, and wait for its answer."""
        self.script("document.getElementById('status').textContent = ''")
        self.one("#row button[type=submit]").click()
        self.until(lambda: self.text("#status"))

    def probabilities(self) -> dict[str, float]:
        return {
            item.find_element(By.CSS_SELECTOR, "span").text: float(
                item.find_element(By.CSS_SELECTOR, "data").get_attribute("value")
            )
            for item in self.all("#chart .bars li")
        }

    def give(self, path: Path) -> str:
        """Choose a file, and wait for what becomes of it."""
        self.script("document.getElementById('file-status').textContent = ''")
        self.one("#file").send_keys(str(path))
        self.until(lambda: self.text("#file-status") and not self.seen("#cancel"))
        return self.text("#file-status")

    def violations(self) -> list[str]:
        """What axe-core, the checker of accessibility, finds wrong with the page as it is."""
        self.script(AXE)
        found = self.browser.execute_async_script(
            "const done = arguments[arguments.length - 1]; axe.run().then(done)"
        )
        assert len(found["passes"]) > 20
        return [
            f"{rule['id']}: {node['html'][:200]}"
            for rule in found["violations"]
            for node in rule["nodes"]
        ]


def downloaded(folder: Path, name: str) -> str:
    deadline = time.monotonic() + 20
    while not (folder / name).is_file():
        assert time.monotonic() < deadline, f"{name} was not downloaded: {list(folder.iterdir())}"
        time.sleep(0.05)
    return (folder / name).read_bytes().decode()


def test_asking_by_keyboard_alone(page, url):
    page.open(url)
    assert page.browser.title == "penguins 0.1.0"
    page.press(Keys.TAB)
    assert page.label() == "Skip to the content"
    page.press(Keys.ENTER)
    page.tab_to("island")
    assert page.focused.get_attribute("value") in ("Biscoe", "Dream", "Torgersen")
    for name, value in (
        ("island", "Dream"),
        ("bill_length_mm", "46.5"),
        ("bill_depth_mm", "17.9"),
        ("flipper_length_mm", ""),
        ("body_mass_g", "3500"),
    ):
        page.tab_to(name)
        page.type(value)
        page.press(Keys.ESCAPE)  # closes the suggestions, if they are open
    page.tab_to("missing: sex")
    page.press(Keys.SPACE)
    page.tab_to("Predict")
    page.press(Keys.ENTER)
    page.until(lambda: page.all("#chart li"))
    row = {
        "island": "Dream",
        "bill_length_mm": 46.5,
        "bill_depth_mm": 17.9,
        "flipper_length_mm": None,
        "body_mass_g": 3500,
        "sex": None,
    }
    (answer,) = post(f"{url}/predict", row)["predictions"]
    assert page.probabilities() == answer["probabilities"]
    assert page.text("#chart .chosen span") == answer["label"]
    share = f"{answer['probabilities'][answer['label']] * 100:.1f} %"
    assert page.text("#status").split("\n") == [
        "species is",
        answer["label"],
        f"with a probability of {share}",
    ]
    assert page.one("#status").get_attribute("aria-live") == "polite"
    widths = [bar.get_attribute("style") for bar in page.all("#chart .bar span")]
    assert len(widths) == 3
    assert all(style.startswith("width: ") for style in widths)

    # What is refused is told at its field, which has the focus then.
    page.script("document.activeElement.blur(); document.getElementById('main').focus()")
    page.tab_to("bill_length_mm")
    page.type("146.5")
    page.press(Keys.ENTER)
    page.until(lambda: "No answer" in page.text("#status"))
    assert page.label() == "bill_length_mm"
    assert page.focused.get_attribute("aria-invalid") == "true"
    described = page.focused.get_attribute("aria-describedby").split()
    told = [page.text(f"#{name}") for name in described]
    assert "Expected at most 100.0, got 146.5." in told
    assert any("from the tip to the base" in text for text in told)
    assert "Training saw no such value." in told
    assert page.violations() == []
    page.press(Keys.BACKSPACE)
    assert page.focused.get_attribute("aria-invalid") is None
    page.press(Keys.BACKSPACE, Keys.BACKSPACE, "e")  # the browser says no more than "no number"
    page.press(Keys.ENTER)
    page.until(lambda: "cannot be read" in page.text("#status"))
    assert page.focused.get_attribute("aria-invalid") == "true"


def test_the_same_request_by_curl_and_python(page, url, tool):
    assert tool("curl")
    page.open(url)
    page.predict()
    shown = page.probabilities()
    said = run("bash", "-c", f"{page.one('#curl').text} --silent --fail")
    assert json.loads(said.stdout)["predictions"][0]["probabilities"] == shown
    said = run(sys.executable, "-c", page.one("#python").text)
    # A dict as Python prints it; its texts have no quotes here.
    assert json.loads(said.stdout.replace("'", '"'))["probabilities"] == shown


FILE = '''\
id,island,bill_length_mm,bill_depth_mm,flipper_length_mm,body_mass_g,sex,prediction
1,Torgersen,39.1,18.7,181.0,3750.0,male,"two
lines, and a ""quote"""

2,,,,,,,none
3,Biscoe,146.1,13.2,211.0,4500.0,female,too long
"4",Dream,46.5,17.9,192.0,3500.0,female,"ü"
5,Biscoe,nothing,13.2,211.0,4500.0,female,no number
'''


def test_a_file_that_is_dropped(page, url, penguins, downloads, tmp_path):
    page.open(url)
    page.script(
        """
        const files = new DataTransfer();
        files.items.add(new File([arguments[0]], "birds.csv", { type: "text/csv" }));
        document.getElementById("drop").dispatchEvent(
          new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true }));
        """,
        FILE,
    )
    page.until(lambda: "predicted" in page.text("#file-status"))
    said = page.text("#file-status")
    assert said == "3 rows predicted, 2 refused. Not looked at: id, prediction."
    refused = [
        [cell.text for cell in row.find_elements(By.CSS_SELECTOR, "th, td")]
        for row in page.one("#file-result table").find_elements(By.CSS_SELECTOR, "tbody tr")
    ]
    assert refused == [
        ["6", "bill_length_mm", "at most 100.0", "146.1"],
        ["8", "bill_length_mm", "a number", '"nothing"'],
    ]
    assert page.violations() == []
    for link in page.all("#downloads a"):
        link.click()
    got = downloaded(downloads, "birds-predictions.csv")
    # The artifact's own command makes the same of the same file.
    source, target = tmp_path / "birds.csv", tmp_path / "out.csv"
    source.write_text(FILE)
    command = (sys.executable, "-m", "penguins", "predict", source, target, "--skip-bad")
    run(*command, cwd=penguins)
    rows = list(csv.reader(io.StringIO(got, newline=""), strict=True))
    with target.open(newline="") as lines:
        assert rows == list(csv.reader(lines))
    assert rows[0][-5:] == [
        *("prediction", "prediction_"),
        *(f"probability_{name}" for name in ("Adelie", "Chinstrap", "Gentoo")),
    ]
    # And so does the API, asked one row at a time.
    names = FILE.partition("\n")[0].split(",")[1:7]
    for row in rows[1:]:
        if row[8]:
            values = [float(cell) if "." in cell else cell or None for cell in row[1:7]]
            (answer,) = post(f"{url}/predict", dict(zip(names, values, strict=True)))["predictions"]
            assert row[8] == answer["label"]
            # A lone row is computed in another order than many: the last digit may differ.
            told = list(answer["probabilities"].values())
            assert [float(cell) for cell in row[9:]] == pytest.approx(told, rel=1e-13, abs=1e-16)
    told = list(csv.reader(io.StringIO(downloaded(downloads, "birds-refused.csv"))))
    assert told == [["line", "column", "expected", "got"], *refused]


def test_large_files_go_in_pieces_and_bad_ones_are_named(page, penguins, downloads, tmp_path):
    few = {"MLPACK_MAX_ROWS": "700", "MLPACK_MAX_BODY": "20000"}
    islands = ("Dream", "x" * 500)
    rows = [
        f"{number},{islands[number % 2]},{30 + number % 30 + 170 * (number % 7 == 0)}"
        for number in range(2000)
    ]
    source = tmp_path / "many.csv"
    # With the mark that spreadsheets write, and the line ends of Windows.
    source.write_bytes(
        "\ufeff".encode() + "\r\n".join(["id,island,bill_length_mm", *rows]).encode()
    )
    with serving(penguins, "penguins", **few) as small:
        page.open(small)
        assert page.give(source) == "1,714 rows predicted, 286 refused. Not looked at: id."
        page.one("#downloads a").click()
        got = downloaded(downloads, "many-predictions.csv")
        assert got.startswith("\ufeffid,island,")
        lines = got.splitlines()
        assert len(lines) == 2001
        assert [line.rsplit(",", 4)[0] for line in lines[1:]] == rows
        assert [line.endswith(",,,,") for line in lines[1:]] == [n % 7 == 0 for n in range(2000)]
        for content, words in (
            ("", "many.csv: the file is empty"),
            ("island\n", "holds no row"),
            ("id,wing\n1,2\n", "names none of the model's columns"),
            ("island,island\na,b\n", 'names "island" twice'),
            ("island,sex\nBiscoe\n", "line 2 has 1 cells, the first line has 2"),
            ('island,sex\n"Biscoe,male\n', "line 2: a quoted cell is not closed"),
            ('island,sex\n"Biscoe"x,male\n', "line 2: a comma must follow"),
            (b"island\n\xff\n", "not UTF-8"),
        ):
            source.write_bytes(content if isinstance(content, bytes) else content.encode())
            assert words in page.give(source)
            assert not page.all("#downloads a")


TRICKY = [
    "a,b\n1,2\n",
    "a,b\r\n1,2\r\n",
    "a,b\r1,2",
    'a\n""\n\n""\n',
    '"a","b\n c"\n"1\r\n2",""\n',
    'a,b\n1"2,3"\n',
    '"a""b",","\n',
    "a,\n,\n,,\n",
    " a , b \n \n",
    '"ü😀",\u2028\n\x00,x\n',
    'a,"b\r"\r\n"\n",c\n',
]


def test_the_page_reads_csv_as_the_server_does(page, url):
    page.open(url)
    for size in (1, 1000):
        found = page.browser.execute_async_script(
            """
            const [texts, size, done] = arguments;
            import("/static/csv.js").then(({ Splitter }) => done(texts.map((text) => {
              const splitter = new Splitter();
              const records = [];
              const all = [...text];
              for (let at = 0; at < all.length; at += size) {
                records.push(...splitter.push(all.slice(at, at + size).join("")));
              }
              return [...records, ...splitter.end()].map(({ cells }) => cells);
            })));
            """,
            TRICKY,
            size,
        )
        for text, records in zip(TRICKY, found, strict=True):
            lines = csv.reader(io.StringIO(text, newline=""), strict=True)
            assert records == [row for row in lines if row], text


@pytest.mark.parametrize("path", ["/", "/docs"])
@pytest.mark.parametrize(("dark", "width"), [(False, 1200), (True, 360)], ids=["light", "dark"])
def test_looks(page, url, path, dark, width):
    page.look(dark=dark, width=width)
    page.open(url + path)
    if path == "/":
        page.predict()
    for fold in page.all("summary"):
        fold.click()
    assert page.script("return innerWidth") == width
    assert page.script("return document.documentElement.scrollWidth <= innerWidth")
    assert page.violations() == []
    ground = page.script("return getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, ground[4:-1].split(","))) < 200) == dark
    loaded = page.script("return performance.getEntriesByType('resource').map(e => e.name)")
    assert len(loaded) > 2
    assert [name for name in loaded if not name.startswith(url)] == []
    assert page.seen("h1")


def test_what_is_told_of_the_model_and_its_routes(page, url):
    page.open(url)
    told = page.text("#what")
    manifest = get(f"{url}/model.json")
    for text in (*manifest["digests"].values(), "accuracy", "held-out", "at most 100"):
        assert text in told
    assert f"equal to the original on {manifest['parity']['rows']:,} rows" in told
    page.open(f"{url}/docs")
    api = get(f"{url}/openapi.json")
    headings = [element.text for element in page.all("h3")]
    assert headings == [
        f"{method.upper()} {path}" for path, item in api["paths"].items() for method in item
    ]
    assert "from the tip to the base" in page.text("#content")
    assert "at most 100" in page.text("#content")


def test_a_key_is_asked_for(page, penguins, tool):
    assert tool("curl")
    with serving(penguins, "penguins", MLPACK_API_KEYS=KEY) as guarded:
        page.open(guarded)
        assert page.label() == "API key"
        assert page.violations() == []
        assert "penguins" not in page.browser.page_source
        page.press("wrong", Keys.ENTER)
        page.until(lambda: page.text("#key-error"))
        assert page.one("#key").get_attribute("aria-invalid") == "true"
        page.type(KEY)
        page.press(Keys.ENTER)
        page.until(lambda: page.seen("#content"))
        assert not page.seen("#key")
        assert not page.seen(".unguarded")
        page.predict()
        assert sum(page.probabilities().values()) == pytest.approx(1)
        command = page.one("#curl").text
        assert KEY not in command + page.one("#python").text
        said = run("bash", "-c", f"{command} --silent --fail", env={"API_KEY": KEY})
        assert json.loads(said.stdout)["predictions"][0]["probabilities"] == page.probabilities()
        run(sys.executable, "-c", page.one("#python").text, env={"API_KEY": KEY})
        page.open(f"{guarded}/docs")
        page.until(lambda: page.seen("#content"))
        assert "POST /predict" in page.text("#content")
        page.script("sessionStorage.clear()")


def test_columns_of_every_kind(page, tmp_path):
    page_models.kinds(tmp_path)
    with serving(tmp_path, "kinds") as kinds:
        page.open(kinds)
        assert page.browser.title == "churn 1.2.0"
        assert page.violations() == []
        example = get(f"{kinds}/openapi.json")
        row = example["components"]["schemas"]["Row"]["examples"][0]
        page.predict()
        assert "yes" in page.text("#status")
        assert page_models.MARKUP in page.text("#status")

        def shown():
            """The row that the page would send, as the example of curl has it."""
            command = page.one("#curl").text.partition(" -d ")[2]
            return json.loads(run("bash", "-c", f"printf %s {command}").stdout)

        moments = ("seen", "paid")  # the browser leaves seconds out that are none
        assert {k: v for k, v in shown().items() if k not in moments} == {
            k: v for k, v in row.items() if k not in moments
        }
        assert (shown()["seen"], shown()["paid"]) == ("2026-01-31T12:30", "2026-01-31T12:30Z")
        assert "2026-01-31 13:30:00 in Europe/Berlin." in page.text("#fields")
        assert [o.text for o in Select(page.field("size")).options] == ["choose", "S", "M", "L"]
        assert [o.text for o in Select(page.field("vip")).options] == ["missing", "true", "false"]
        page.field("account").send_keys(SELECT_ALL, "9223372036854775807")
        page.field(page_models.SCRIPT).send_keys(SELECT_ALL, "-.5e3")
        assert '"account": 9223372036854775807' in page.one("#curl").text
        assert shown()[page_models.SCRIPT] == -500
        page.predict()
        assert "yes" in page.text("#status")
        said = run(sys.executable, "-c", page.one("#python").text).stdout
        assert "'label': 'yes'" in said

        page.one("#clear").click()
        assert set(shown().values()) <= {None, ""}
        page.predict()
        wrong = [e.accessible_name for e in page.all("#fields [aria-invalid=true]")]
        assert wrong == ["visits", "size"]
        assert page.label() == "visits"
        page.one("#example").click()
        assert page.all("#fields [aria-invalid=true]") == []
        page.field("age").send_keys(SELECT_ALL, "13")
        page.predict()  # which the original refuses as a whole
        assert "a row that the original pipeline accepts" in page.text("#chart")
        assert page.browser.title == "churn 1.2.0"


@pytest.mark.parametrize(
    ("name", "value", "status", "chart", "added"),
    [
        ("values", "1.5", "The prediction: 2 values.", ["0 1.5", "1 3"], "1.5,3.0"),
        ("outliers", "5", "An outlier\nLabel -1, score -2; the lower,", [], "-1,-2.0"),
        ("clusters", "c", "It belongs to\nCluster 2", [], "2"),
    ],
)
def test_other_tasks(page, tmp_path, downloads, name, value, status, chart, added):
    getattr(page_models, name)(tmp_path)
    with serving(tmp_path, name) as other:
        page.open(other)
        page.one("#field-0").send_keys(SELECT_ALL, value)
        page.predict()
        assert page.text("#status").startswith(status)
        assert [row.text for row in page.all("#chart tbody tr")] == chart
        source = tmp_path / f"{name}{value}.csv"
        column = page.one("#fields label").text
        source.write_text(f"{column}\n{value}\n{value}\n")
        assert page.give(source) == "2 rows predicted, 0 refused."
        page.one("#downloads a").click()
        got = downloaded(downloads, f"{source.stem}-predictions.csv").splitlines()
        assert got[1:] == [f"{value},{added}"] * 2
