"""A hand-made bundle becomes an image, is read by everybody, goes to a registry and runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import private_sigstore
import pytest

from mlpack.bundle import Artifact, Bundle
from mlpack.container import base_image
from mlpack.engines.docker import DockerEngine
from mlpack.errors import CheckFailedError, InputError, OutsideError
from mlpack.files import sha256
from mlpack.oci import signatures
from mlpack.oci.archive import read_whole_archive
from mlpack.oci.cache import Cache
from mlpack.oci.credentials import Credential
from mlpack.oci.http import Session, make_client
from mlpack.oci.reference import parse
from mlpack.oci.referrers import ArtifactManifest, listed
from mlpack.oci.registry import Registry, connect
from mlpack.oci.source import open_base
from mlpack.oci.values import decode
from mlpack.packagers.image import ImagePackager
from mlpack.ports import Built
from mlpack.process import run
from mlpack.runtime.contract import Blob, Manifest
from mlpack.signers import keyless
from mlpack.signers.cosign import new_key, private_key, public_key
from mlpack.targets.registry import make
from mlpack.usecases.keyless import ByIdentity
from mlpack.usecases.keyless import sign as sign_as
from mlpack.usecases.signature import ByKey, Place, check, sign

MAIN = b"""
import http.server, json, os, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        answer = {"uid": os.getuid(), "path": sys.path, "file": __file__}
        try:
            open("/app/written", "w")
            answer["writable"] = True
        except OSError:
            answer["writable"] = False
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

if sys.argv[1] == "serve":
    http.server.HTTPServer((os.environ["MLPACK_HOST"], 8080), Handler).serve_forever()
"""


class Quiet:
    """A reporter that keeps what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    @contextmanager
    def stage(self, title: str) -> Iterator[Quiet]:
        self.said.append(title)
        yield self

    def advance(self, done: int, total: int | None = None) -> None:
        pass

    def result(self, text: str) -> None:
        self.said.append(text)

    def note(self, text: str) -> None:
        self.said.append(text)

    warn = note


def bundle(version: str = "1.2.0", greeting: bytes = b"") -> Bundle:
    manifest = Manifest(
        name="tiny",
        version=version,
        package="tiny",
        form="python",
        python="3.11",
        model=Blob(file="model.joblib", sha256="0" * 64, size=0),
        files=(),
        runtime="0" * 64,
        lock="0" * 64,
    )
    tree = {"tiny/__init__.py": greeting, "tiny/__main__.py": MAIN}
    return Bundle(manifest, tree, "", (), "tiny", {})


def build(
    base: Path, folder: Path, cache: Cache, made: Bundle, engine: DockerEngine | None = None
) -> Built:
    opened = open_base(
        f"archive:{base}",
        "linux/amd64",
        cache,
        root=folder,
        puller=lambda _: pytest.fail("no registry"),
    )
    packager = ImagePackager({"linux/amd64": opened}, (), cache, run, engine=engine)
    artifact = packager.package(made, folder / "dist", Quiet())
    manifest = made.manifest
    return Built(
        manifest.name, manifest.version, "python", "", made.digest, {"image": artifact},
        folder / "dist",
    )  # fmt: skip


def archive(built: Built) -> Path:
    return built.dist / built.artifacts["image"].file


def image(built: Built) -> Artifact:
    return built.artifacts["image"]


def output(*argv: str, cwd: Path | None = None) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(base, tmp_path_factory) -> Built:
    folder = tmp_path_factory.mktemp("build")
    return build(base, folder, Cache(folder / "cache"), bundle())


@pytest.fixture(scope="module")
def pushed(built, registry) -> Built:
    target = make(config(registry, "team/tiny"), registry.environment())
    target.apply(built, Quiet())
    return built


def config(registry, repository: str, **more: object) -> dict[str, object]:
    return {"target": "registry", "repository": f"{registry.host}/{repository}", **more}


def test_two_builds_in_two_folders_with_two_caches_are_the_same_bytes(built, base, tmp_path):
    again = build(base, tmp_path, Cache(tmp_path / "cache"), bundle())
    assert image(again) == image(built)
    assert archive(again).read_bytes() == archive(built).read_bytes()


def test_skopeo_reads_both_forms_of_the_archive(built, tool):
    skopeo = tool("skopeo")
    oci = json.loads(output(skopeo, "inspect", f"oci-archive:{archive(built)}"))
    assert oci["Digest"] == image(built).digest
    assert oci["Labels"]["org.opencontainers.image.version"] == "1.2.0"
    raw = output(skopeo, "inspect", "--raw", "--config", f"docker-archive:{archive(built)}")
    assert json.loads(raw)["config"]["User"] == "65532:65532"


@pytest.fixture(scope="module")
def layout(built, tmp_path_factory) -> Path:
    """The layout that the archive is, unpacked by nobody's rules but tar's."""
    folder = tmp_path_factory.mktemp("layout") / "layout"
    shutil.unpack_archive(archive(built), folder, "tar")
    return folder


def test_umoci_unpacks_it_and_reads_the_same_digest(built, layout, tool, tmp_path):
    output(tool("umoci"), "unpack", "--image", f"{layout}:1.2.0", f"{tmp_path}/bundle")
    told = json.loads((tmp_path / "bundle" / "umoci.json").read_text())
    (descriptor,) = told["from_descriptor_path"]["descriptor_walk"]
    assert descriptor["digest"] == image(built).digest
    root = tmp_path / "bundle" / "rootfs"
    assert (root / "app/lib/tiny/__main__.py").read_bytes() == MAIN
    assert (root / "app/lib/tiny/__pycache__/__main__.cpython-311.pyc").exists()


def test_skopeo_and_buildah_read_the_same_digest_wherever_it_lies(
    pushed, layout, registry, tool, tmp_path
):
    """In the archive, in a layout and in a registry; buildah's id is the engine's."""
    login = ("--tls-verify=false", "--creds", f"{registry.username}:{registry.password}")
    places = {
        f"oci-archive:{archive(pushed)}": (),
        "oci:layout:1.2.0": (),  # buildah makes a name of the path, which not every path is
        f"docker://{registry.host}/team/tiny:1.2.0": login,
    }
    storage = ("--root", f"{tmp_path}/storage", "--runroot", f"{tmp_path}/run")
    made = image(pushed)

    def buildah(*words: str) -> str:
        return output(tool("buildah"), *storage, *words, cwd=layout.parent)

    for place, options in places.items():
        told = output(tool("skopeo"), "inspect", *options, place, cwd=layout.parent)
        assert json.loads(told)["Digest"] == made.digest, place
        pulled = buildah("pull", "--quiet", *options, place).strip()
        assert f"sha256:{pulled}" == made.config, place
        read = json.loads(buildah("inspect", "--type", "image", pulled))
        assert read["FromImageDigest"] == made.digest, place
        assert read["OCIv1"]["config"]["User"] == "65532:65532"
        buildah("rmi", "--force", pulled)


def test_the_engine_loads_it_and_its_id_is_the_configurations_digest(built, engine):
    loaded = DockerEngine(os.environ).load(archive(built))
    assert loaded == image(built).config
    assert engine.images.get("tiny:1.2.0").id == loaded
    engine.images.remove("tiny:1.2.0")


def test_it_runs_as_nobody_on_a_read_only_root(pushed, registry, engine):
    name = f"{registry.host}/team/tiny"
    auth = {"username": registry.username, "password": registry.password}
    pulled = engine.images.pull(name, tag="1.2.0", auth_config=auth)
    assert pulled.id == image(pushed).config
    assert f"{name}@{image(pushed).digest}" in pulled.attrs["RepoDigests"]
    container = engine.containers.run(
        pulled.id,
        detach=True,
        read_only=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        ports={"8080/tcp": ("127.0.0.1", None)},
    )
    try:
        answer = ask(container)
    finally:
        container.remove(force=True)
        engine.images.remove(f"{name}:1.2.0")
    assert answer["uid"] == 65532
    assert answer["writable"] is False
    assert answer["file"] == "/app/lib/tiny/__main__.py"


def ask(container) -> dict[str, object]:
    for _ in range(100):
        container.reload()
        assert container.status in ("created", "running"), container.logs().decode()
        ports = container.ports.get("8080/tcp")
        if ports:
            try:
                answer = httpx.get(f"http://127.0.0.1:{ports[0]['HostPort']}/", trust_env=False)
                return dict(answer.json())
            except httpx.TransportError:
                pass
        time.sleep(0.1)
    pytest.fail(container.logs().decode())


def test_a_wrong_password_is_refused(built, registry):
    target = make(config(registry, "team/tiny"), registry.environment(password="wrong"))
    with pytest.raises(OutsideError, match="refused the user name and password"):
        target.apply(built, Quiet())


def test_pushing_again_sends_nothing(pushed, registry):
    target = make(config(registry, "team/tiny"), registry.environment())
    assert not any(action.needed for action in target.plan(pushed))
    before = registry.log.read_text()
    deployment = target.apply(pushed, Quiet())
    sent = registry.log.read_text()[len(before) :]
    assert deployment.digest == image(pushed).digest
    assert "http.request.method=GET" in sent
    assert "http.request.method=PUT" not in sent
    assert "http.request.method=POST" not in sent


@contextmanager
def before(registry, largest: int) -> Iterator[tuple[str, list[tuple[str, int]]]]:
    """The address of what passes everything on to a registry but bodies larger than `largest`.

    The answer to the second chunk is lost on its way.
    """
    seen: list[tuple[str, int]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def passed_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            seen.append((self.command, len(body)))
            if len(body) > largest:
                self.send_error(413)
                return
            with httpx.Client(trust_env=False) as client:
                url = f"http://{registry.host}{self.path}"
                answer = client.request(self.command, url, headers=dict(self.headers), content=body)
            if [method for method, _ in seen].count("PATCH") == 2 and self.command == "PATCH":
                self.close_connection = True
                return
            self.send_response(answer.status_code)
            for name, value in answer.headers.items():
                if name not in ("content-length", "date"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.content)

        do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = passed_on  # noqa: N815

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}", seen
        finally:
            server.shutdown()


def test_through_what_takes_no_large_bodies_and_breaks_off(built, registry, tool, tmp_path):
    """In chunks; this registry has forgotten an upload of which an answer was lost."""
    with before(registry, 1 << 20) as (host, seen):
        session = Session(
            host, "http", Credential(registry.username, registry.password),
            make_client(host, "http"), sleep=lambda _: None,
        )  # fmt: skip
        pushed = Registry(session, "team/chunked", chunk=1 << 20).push(
            read_whole_archive(archive(built)), ("1.2.0",)
        )
    assert pushed.digest == image(built).digest
    assert [size for method, size in seen if method == "PUT" and size > 1 << 20]
    assert len([size for method, size in seen if method == "PATCH" and size == 1 << 20]) > 10
    login = f"{registry.username}:{registry.password}"
    said = output(
        tool("skopeo"), "inspect", "--tls-verify=false", "--creds", login,
        f"docker://{registry.host}/team/chunked:1.2.0",
    )  # fmt: skip
    assert json.loads(said)["Digest"] == pushed.digest
    with_login = Credential(registry.username, registry.password)
    reference = parse(f"{registry.host}/team/chunked:1.2.0")
    for layer in connect(reference, with_login).pull_whole(reference, Cache(tmp_path)).layers:
        layer.open().close()  # verified as it comes


def test_a_new_model_sends_only_its_own_layer(pushed, registry, base, tmp_path):
    newer = build(base, tmp_path, Cache(tmp_path / "cache"), bundle("1.2.1", b"NEWER = True\n"))
    target = make(config(registry, "team/tiny"), registry.environment())
    needed = [action for action in target.plan(newer) if action.needed]
    # Its bills of materials and its provenance are told of this image alone.
    assert [action.verb for action in needed] == ["push", "tag", *3 * ["attach"]]
    target.apply(newer, Quiet())
    assert not any(action.needed for action in target.plan(newer))


def test_other_content_under_the_same_version_is_refused(pushed, registry, base, tmp_path):
    other = build(base, tmp_path, Cache(tmp_path / "cache"), bundle(greeting=b"OTHER = True\n"))
    target = make(config(registry, "team/tiny"), registry.environment())
    for attempt in (lambda: target.plan(other), lambda: target.apply(other, Quiet())):
        with pytest.raises(InputError, match="is there with other content") as refused:
            attempt()
        assert "mlpack version patch" in str(refused.value.hint)


def test_what_is_told_of_it_is_found_from_its_digest(pushed, registry, tool, tmp_path):
    """This registry has no referrers API: the index is under the specification's fallback tag."""
    digest = image(pushed).digest
    login = Credential(registry.username, registry.password)
    repository = connect(parse(f"{registry.host}/team/tiny"), login)
    assert repository.referrers(digest) is None
    found = listed(repository, digest)
    types = ["application/vnd.cyclonedx+json", "application/spdx+json"]
    assert [each.artifact_type for each in found] == [*types, "application/vnd.in-toto+json"]
    for each, document in zip(found, image(pushed).documents, strict=True):
        data, _ = repository.get_manifest(each.digest)
        made = json.loads(data)
        assert made["subject"]["digest"] == digest
        (layer,) = decode(data, ArtifactManifest, "test").layers
        assert repository.get_blob(layer) == (pushed.dist / document.file).read_bytes()
    raw = output(
        tool("skopeo"), "inspect", "--raw", "--tls-verify=false",
        "--creds", f"{registry.username}:{registry.password}",
        f"docker://{registry.host}/team/tiny:{digest.replace(':', '-')}",
    )  # fmt: skip
    assert [each["digest"] for each in json.loads(raw)["manifests"]] == [
        each.digest for each in found
    ]
    # Neither the image nor its archive is another for it.
    assert digest_at(registry, "team/tiny", "1.2.0") == digest
    assert json.loads(output(tool("skopeo"), "inspect", f"oci-archive:{archive(pushed)}"))[
        "Digest"
    ] == digest  # fmt: skip


def test_a_signature_is_where_others_look_and_openssl_checks_it(pushed, registry, tool, tmp_path):
    """cosign cannot be had here. Skopeo finds the signature (Debian's is built without the check
    itself), and OpenSSL checks it from the registry's own bytes."""
    login = Credential(registry.username, registry.password)
    repository = connect(parse(f"{registry.host}/team/tiny"), login)
    place = Place(f"{registry.host}/team/tiny", repository, "production")
    private, public = new_key(b"a password")
    demanded = {
        "type": "sigstoreSigned", "keyPath": str(tmp_path / "key.pub"),
        "signedIdentity": {"type": "matchRepository"},
    }  # fmt: skip
    policy = {"default": [{"type": "reject"}], "transports": {"docker": {"": [demanded]}}}
    (tmp_path / "policy.json").write_text(json.dumps(policy))
    (tmp_path / "key.pub").write_bytes(public)
    (tmp_path / "all.yaml").write_text("default-docker:\n  use-sigstore-attachments: true\n")

    def pull() -> str:
        done = subprocess.run(
            [
                tool("skopeo"), "--policy", str(tmp_path / "policy.json"),
                "--registries.d", str(tmp_path), "copy", "--remove-signatures",
                "--src-tls-verify=false", "--src-creds",
                f"{registry.username}:{registry.password}",
                f"docker://{registry.host}/team/tiny:1.2.0", f"oci:{tmp_path}/pulled:1",
            ],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return "" if done.returncode == 0 else done.stderr

    assert "A signature was required" in pull()
    assert sign(pushed, private_key(private, b"a password", "k"), place, Quiet())[0].fresh
    assert pull() == "" or "Debian-local change: sigstore disabled" in pull()
    assert len(check(pushed, ByKey(public_key(public, "p")), place)) == 1
    with pytest.raises(CheckFailedError):
        check(pushed, ByKey(public_key(new_key(b"")[1], "p")), place)
    digest = image(pushed).digest
    (found,) = signatures.read(repository, digest)
    (tmp_path / "payload").write_bytes(found.payload)
    (tmp_path / "signature").write_bytes(found.value)
    said = output(
        tool("openssl"), "dgst", "-sha256", "-verify", str(tmp_path / "key.pub"),
        "-signature", str(tmp_path / "signature"), str(tmp_path / "payload"),
    )  # fmt: skip
    assert said == "Verified OK\n"
    assert json.loads(found.payload)["critical"]["image"] == {"docker-manifest-digest": digest}


def test_an_identity_signs_and_sigstores_own_command_takes_it(pushed, registry, tmp_path):
    """The public Sigstore cannot be had here: this one is the tests' own. The image's bundle lies
    in a real registry, and the library's command line reads what lies beside a file."""
    login = Credential(registry.username, registry.password)
    repository = connect(parse(f"{registry.host}/team/tiny"), login)
    place = Place(f"{registry.host}/team/tiny", repository, "production")
    dist = tmp_path / "dist"
    dist.mkdir()
    (dist / "tiny.whl").write_bytes(b"a wheel")
    wheel = Artifact(kind="wheel", file="tiny.whl", sha256=sha256(b"a wheel"), size=7)
    built = replace(pushed, artifacts={**pushed.artifacts, "wheel": wheel}, dist=dist)
    who = {"identity": "alice@example.org", "issuer": private_sigstore.ISSUER}
    with private_sigstore.serve() as sigstore:
        (tmp_path / "trust.json").write_text(json.dumps(sigstore.trust_config()))
        (tmp_path / "root.json").write_text(json.dumps(sigstore.trusted_root()))
        signer = keyless.signer(sigstore.token(), tmp_path / "trust.json", interactive=False)
        sign_as(built, signer, place, Quiet())
    # Sigstore is gone now: what was signed is checked without it.
    by = ByIdentity(keyless.checker(**who, trusted_root=tmp_path / "root.json"))
    assert len(check(built, by, place)) == 2
    bob = {**who, "identity": "bob@example.org"}
    with pytest.raises(CheckFailedError):
        check(built, ByIdentity(keyless.checker(**bob, trusted_root=tmp_path / "root.json")), place)

    def verified(identity: str) -> bool:
        done = subprocess.run(
            [
                sys.executable, "-m", "sigstore", "--trust-config", str(tmp_path / "trust.json"),
                "verify", "identity", "--offline", "--cert-identity", identity,
                "--cert-oidc-issuer", who["issuer"], str(dist / "tiny.whl"),
            ],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.returncode == 0 and f"OK: {dist / 'tiny.whl'}" in done.stderr

    assert verified(who["identity"])
    assert not verified(bob["identity"])


def test_a_channel_moves(pushed, registry, base, tmp_path):
    newer = build(base, tmp_path, Cache(tmp_path / "cache"), bundle("1.3.0"))
    target = make(config(registry, "team/moving", channel="production"), registry.environment())
    target.apply(pushed, Quiet())
    assert digest_at(registry, "team/moving", "production") == image(pushed).digest
    target.apply(newer, Quiet())
    assert digest_at(registry, "team/moving", "production") == image(newer).digest
    assert digest_at(registry, "team/moving", "1.2.0") == image(pushed).digest


def digest_at(registry, repository: str, tag: str) -> str:
    answer = httpx.head(
        f"http://{registry.host}/v2/{repository}/manifests/{tag}",
        auth=(registry.username, registry.password),
        headers={"Accept": "application/vnd.oci.image.manifest.v1+json"},
        trust_env=False,
    )
    return answer.headers["Docker-Content-Digest"]


def test_the_base_may_come_from_a_registry_a_layout_or_an_engine(
    pushed, registry, engine, base, tool, tmp_path
):
    """The same base by four ways; layers that the registry has are mounted, not sent."""
    skopeo = tool("skopeo")
    output(skopeo, "copy", f"oci-archive:{base}", f"oci:{tmp_path}/layout:base")
    output(
        skopeo, "copy", "--dest-tls-verify=false", "--preserve-digests",
        "--dest-creds", f"{registry.username}:{registry.password}",
        f"oci:{tmp_path}/layout:base", f"docker://{registry.host}/bases/python:3.11",
    )  # fmt: skip
    loaded = DockerEngine(os.environ)
    present = {item.id for item in engine.images.list()}
    base_id = loaded.load(base)
    name = json.loads(output(skopeo, "inspect", "--config", f"oci-archive:{base}"))
    title = name["config"]["Labels"]["org.opencontainers.image.title"]
    cache = Cache(tmp_path / "cache")
    login = Credential(registry.username, registry.password)
    references = (
        f"archive:{base}", "oci:layout:base", f"docker:{title}:12",
        f"{registry.host}/bases/python:3.11",
    )  # fmt: skip
    opened = [
        open_base(
            reference, "linux/amd64", cache, root=tmp_path, engine=loaded,
            puller=lambda found: connect(found, login),
        )
        for reference in references
    ]  # fmt: skip
    assert len({item.image.config_digest for item in opened}) == 1
    assert len({item.digest for item in opened[:3]}) == 1
    for item in opened:
        again = open_base(
            item.reference, "linux/amd64", cache, root=tmp_path, engine=loaded,
            puller=lambda found: connect(found, login), locked=base_image(item),
        )  # fmt: skip
        assert again.digest == item.digest
        wrong = replace(base_image(item), digest=f"sha256:{'0' * 64}")
        with pytest.raises((InputError, OutsideError)) as refused:
            open_base(
                item.reference, "linux/amd64", cache, root=tmp_path, engine=loaded,
                puller=lambda found: connect(found, login), locked=wrong,
            )  # fmt: skip
        assert "--upgrade-base" in str(refused.value.hint)
    packager = ImagePackager({"linux/amd64": opened[3]}, (), cache, run)
    artifact = packager.package(bundle("2.0.0"), tmp_path / "dist", Quiet())
    built = Built("tiny", "2.0.0", "python", "", "", {"image": artifact}, tmp_path / "dist")
    before = len(registry.log.read_text())
    make(config(registry, "team/mounted"), registry.environment()).apply(built, Quiet())
    assert "mount=" in registry.log.read_text()[before:]
    if base_id not in present:
        engine.images.remove(base_id)
    layer = opened[3].image.layers[0].descriptor.digest
    assert f"mount={layer}" in registry.log.read_text()[before:].replace("%3A", ":")
