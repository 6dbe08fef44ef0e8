"""OSV's records from files, and from a service that is scripted here."""

from __future__ import annotations

import contextlib
import json
import zipfile
from http.server import BaseHTTPRequestHandler

import httpx
import pytest
from hostile import UNREADABLE, zip_with
from loopback import answering

from mlpack.advisories.osv_api import OsvApi, connect
from mlpack.advisories.osv_files import OsvFiles
from mlpack.errors import InputError, OutsideError
from mlpack.lock import Pin

PINS = (Pin("churn", "1.0", ()), Pin("numpy", "2.4.6+cpu", ()), Pin("torch", "3.0", ()))


def record(identifier="GHSA-1", name="churn", fixed="2.0", **more):
    span = {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": fixed}]}
    affected = {"package": {"ecosystem": "PyPI", "name": name}, "ranges": [span]}
    return {"id": identifier, "modified": "2026-01-01T00:00:00Z", "affected": [affected], **more}


RECORDS = [record(), record("PYSEC-2", "NumPy", "3"), record("GHSA-3", "torch", "2.9")]


def found(advisories):
    return [(pin.name, each.id) for pin, each in advisories.about(PINS)]


def write(folder, form):
    lines = [json.dumps(each) for each in RECORDS]
    if form == "zip":
        path = folder / "all.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for number, line in enumerate(lines):
                archive.writestr(f"{number}.json", line)
            archive.writestr("README.txt", "not a record")
        return path
    if form == "folder":
        (folder / "all" / "deep").mkdir(parents=True)
        for number, line in enumerate(lines):
            (folder / "all" / "deep" / f"{number}.json").write_text(line)
        return folder / "all"
    path = folder / f"all.{form}"
    path.write_text("\n".join([*lines, ""]) if form == "jsonl" else f"[{','.join(lines)}]")
    return path


@pytest.mark.parametrize("form", ["zip", "folder", "jsonl", "json"])
def test_records_are_read_in_every_form(tmp_path, form):
    advisories = OsvFiles(write(tmp_path, form))
    assert found(advisories) == [("churn", "GHSA-1"), ("numpy", "PYSEC-2")]
    assert advisories.name == advisories._path.name


def test_a_database_that_is_not_there_or_empty_says_nothing_is_well(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.jsonl").write_text("\n")
    for name in ("nowhere.zip", "nowhere.json", "empty", "empty.jsonl"):
        with pytest.raises(InputError, match=r"cannot be read|no records") as no:
            OsvFiles(tmp_path / name).about(PINS)
        assert "all.zip" in no.value.hint


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("all.zip", b"PK\3\4 no zip"),
        ("all.json", b"{"),
        ("all.json", b'{"name": 7}'),
        ("all.jsonl", b'{"id": "x"}\n{"id": 7}\n'),
        ("all.jsonl", b'{"id": "\xff"}\n'),
        ("all.json", b'{"id": "x", "database_specific": {"a": ' + b"[" * 200_000),
    ],
)
def test_a_damaged_database_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=r"damaged|no OSV record"):
        OsvFiles(tmp_path / name).about(PINS)


@pytest.mark.parametrize("what", UNREADABLE)
def test_a_zip_whose_record_cannot_be_read_is_refused(tmp_path, what):
    (tmp_path / "all.zip").write_bytes(UNREADABLE[what])
    with pytest.raises(InputError, match="the database is damaged"):
        OsvFiles(tmp_path / "all.zip").about(PINS)


def test_names_in_a_zip_lead_nowhere(tmp_path):
    """Nothing of it is unpacked: a record is what it says, whatever it is called."""
    record = json.dumps(RECORDS[0]).encode()
    (tmp_path / "all.zip").write_bytes(zip_with(("../../x.json", record), ("/x.json", record)))
    OsvFiles(tmp_path / "all.zip").about(PINS)
    assert [path.name for path in tmp_path.iterdir()] == ["all.zip"]


@pytest.mark.parametrize(
    ("packing", "at", "put"),
    [
        (zipfile.ZIP_DEFLATED, 6, b"\1"),  # a password is needed
        (zipfile.ZIP_DEFLATED, 8, b"\x63"),  # a packing that nobody knows
        (zipfile.ZIP_LZMA, 45, b"\xff" * 12),
        (zipfile.ZIP_BZIP2, 45, b"\xff" * 12),
    ],
)
def test_a_zip_that_cannot_be_unpacked_is_refused(tmp_path, packing, at, put):
    with zipfile.ZipFile(tmp_path / "all.zip", "w", packing) as archive:
        archive.writestr("1.json", json.dumps(RECORDS[0]))
    data = bytearray((tmp_path / "all.zip").read_bytes())
    data[at : at + len(put)] = put
    central = data.rindex(b"PK\1\2")
    if len(put) == 1:
        data[central + at + 2] = put[0]
    (tmp_path / "all.zip").write_bytes(data)
    with pytest.raises(InputError, match=r"damaged|cannot be read"):
        OsvFiles(tmp_path / "all.zip").about(PINS)


def test_a_zip_that_unpacks_to_too_much_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "all.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.json", b" " * (17 << 20))
    with pytest.raises(InputError, match="larger than 16 MiB"):
        OsvFiles(tmp_path / "all.zip").about(PINS)


class Service:
    """OSV's service, as its documentation has it, which can be told to misbehave."""

    def __init__(self):
        self.records = {each["id"]: each for each in RECORDS}
        self.about = {"churn": ["GHSA-1"], "numpy": ["PYSEC-2"]}
        self.page = 100
        self.failures = []
        self.answers = {}
        self.asked = []

    def answer(self, method, path, body):
        self.asked.append((method, path, body))
        if self.failures:
            return self.failures.pop(0), {}
        if path in self.answers:
            return 200, self.answers[path]
        if (method, path) == ("POST", "/v1/querybatch"):
            return 200, {"results": [self.result(query) for query in body["queries"]]}
        wanted = self.records.get(path.removeprefix("/v1/vulns/"))
        return (200, wanted) if method == "GET" and wanted else (404, {})

    def result(self, query):
        assert query["package"]["ecosystem"] == "PyPI"
        names = self.about.get(query["package"]["name"], [])
        start = int(query.get("page_token", 0))
        shown = names[start : start + self.page]
        result = {"vulns": [{"id": name, "modified": "x"} for name in shown]} if shown else {}
        if start + self.page < len(names):
            result["next_page_token"] = str(start + self.page)
        return result


@contextlib.contextmanager
def serving(service):
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            status, document = service.answer(self.command, self.path, body)
            data = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_GET  # noqa: N815

    with answering(Handler) as address:
        yield address


@pytest.fixture
def service():
    return Service()


@pytest.fixture
def api(service):
    waits = []
    with serving(service) as url, httpx.Client(trust_env=False) as client:
        made = OsvApi(client, url, waits.append)
        made.waits = waits
        yield made


def test_the_service_is_asked_in_one_request_and_for_each_record(api, service):
    assert found(api) == [("churn", "GHSA-1"), ("numpy", "PYSEC-2")]
    assert [path for _, path, _ in service.asked] == [
        *("/v1/querybatch", "/v1/vulns/GHSA-1", "/v1/vulns/PYSEC-2"),
    ]
    queries = service.asked[0][2]["queries"]
    assert queries[1] == {"package": {"ecosystem": "PyPI", "name": "numpy"}, "version": "2.4.6"}


def test_many_packages_are_asked_in_parts_and_long_answers_come_in_pages(api, service):
    names = [f"GHSA-{number}" for number in range(5)]
    service.records |= {name: record(name) for name in names}
    service.about, service.page = {"p7": names, "p700": names[:1]}, 2
    pins = [Pin(f"p{number}", "1.0", ()) for number in range(701)]
    answered = [(pin.name, each.id) for pin, each in api.about(pins)]
    assert sorted(answered) == sorted([*(("p7", name) for name in names), ("p700", "GHSA-0")])
    sizes = [len(body["queries"]) for _, path, body in service.asked if "batch" in path]
    assert sizes == [500, 1, 1, 201]


def test_what_was_withdrawn_is_left_out(api, service):
    service.records["GHSA-1"]["withdrawn"] = "2026-01-01T00:00:00Z"
    try:
        assert found(api) == [("numpy", "PYSEC-2")]
    finally:
        del service.records["GHSA-1"]["withdrawn"]


def test_it_is_asked_again_where_that_may_help(api, service):
    service.failures = [503, 429, 500]
    assert len(found(api)) == 2
    assert api.waits == [0.5, 1.0, 2.0]


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/v1/querybatch", {"results": []}),
        ("/v1/querybatch", {"results": [{"vulns": [{"id": "../x"}]}, None, None]}),
        ("/v1/querybatch", b"<html>"),
        ("/v1/querybatch", {"results": [{"next_page_token": "x"}] * 3}),
        ("/v1/vulns/GHSA-1", []),
        ("/v1/vulns/GHSA-1", b'{"id": "x", "database_specific": {"a": ' + b"[" * 200_000),
    ],
)
def test_an_odd_answer_is_told(api, service, path, answer):
    service.answers[path] = answer
    with pytest.raises(OutsideError, match="did not answer as OSV does") as no:
        api.about(PINS)
    assert "--database all.zip" in no.value.hint


@pytest.mark.parametrize("status", [400, 403, 404, 503])
def test_a_refusal_is_told(api, service, status):
    service.failures = [status] * 4
    with pytest.raises(OutsideError, match=f"HTTP {status}"):
        api.about(PINS)


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (200, {"Content-Encoding": "gzip"}),
        (302, {"Location": "/v1/querybatch"}),
        (302, {"Location": "http://[x/"}),
    ],
)
@pytest.mark.parametrize("follow", [True, False])
def test_an_answer_that_is_none_is_told(status, headers, follow):
    transport = httpx.MockTransport(
        lambda request: httpx.Response(status, headers=headers, stream=httpx.ByteStream(b"no gzip"))
    )
    client = httpx.Client(transport=transport, follow_redirects=follow)
    with pytest.raises(OutsideError, match=r"cannot be reached|did not answer"):
        OsvApi(client, "http://127.0.0.1:9", lambda _: None).about(PINS)


@pytest.mark.parametrize(
    ("asked", "waits"), [("\u00b2", 0.5), ("7", 7.0), ("-1", 0.5), ("9" * 9, 20.0)]
)
def test_how_long_it_is_waited(asked, waits):
    answers = [httpx.Response(503, headers={"Retry-After": asked.encode("latin-1")})]
    transport = httpx.MockTransport(
        lambda request: (
            answers.pop() if answers else httpx.Response(200, json={"results": [{}] * 3})
        )
    )
    waited = []
    assert OsvApi(httpx.Client(transport=transport), sleep=waited.append).about(PINS) == []
    assert waited == [waits]


@pytest.mark.parametrize(
    "url",
    ["http://[::1", "http://[x]/", "https://", "https://h:0/", "https://h:99999/", "https://h:x/"],
)
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(InputError, match="no URL") as no:
        connect(url)
    assert no.value.where == "MLPACK_OSV_URL"


def test_it_is_asked_with_the_systems_certificates_and_directly_on_this_machine(
    service, monkeypatch
):
    # Both are `make_client`'s doing; that it is used can be seen by the proxy.
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with serving(service) as url:
        assert found(connect(url)) == [("churn", "GHSA-1"), ("numpy", "PYSEC-2")]


def test_a_host_that_no_system_can_ask_for_is_not_reached():
    with httpx.Client(trust_env=False) as client, pytest.raises(OutsideError, match="be reached"):
        OsvApi(client, f"http://{'a' * 70}.example", lambda _: None).about(PINS)


def test_no_network_says_what_to_do():
    with httpx.Client(trust_env=False) as client, pytest.raises(OutsideError) as no:
        OsvApi(client, "http://127.0.0.1:9", lambda _: None).about(PINS)
    assert "cannot be reached" in no.value.what
    assert "--database all.zip" in no.value.hint
