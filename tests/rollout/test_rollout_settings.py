"""Every value of ``[deploy]`` has a grammar: some end in file names, labels and a proxy's file."""

from __future__ import annotations

import pytest

from mlpack.errors import InputError
from mlpack.rollout.settings import PROXY, read

LEAST = {"target": "docker", "service": "churn-production"}


def test_what_is_not_told_has_a_default():
    service, host = read(LEAST)
    assert host == ""
    assert (service.port, service.address, service.replicas) == (8080, "0.0.0.0", 2)
    assert (service.proxy, service.memory, service.cpus, service.keep) == (PROXY, None, None, 5)


def test_everything_can_be_told():
    service, host = read(
        {
            **LEAST,
            "host": "ssh://deploy@server.example:2222",
            "memory": "512m",
            "cpus": 1.5,
            "env": {"MLPACK_MAX_ROWS": "10"},
            "secrets": {"api_keys": "a\nb\n"},
            "proxy": "registry.example:5000/haproxy@sha256:00",
        }
    )
    assert host == "ssh://deploy@server.example:2222"
    assert (service.memory, service.cpus) == (512 << 20, 1.5)
    assert service.secrets == {"api_keys": "a\nb\n"}
    assert "api_keys" not in repr(service), "secrets are not shown"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("host", host) for host in ("server", "ssh://-oProxyCommand=x", "ssh://a b", "ssh://")),
        *(("host", host) for host in ("http://x:1", "ssh://a;b", "unix://x y", "ssh://x:1/../y z")),
        *(("port", port) for port in (0, 65_536, "80", True, 1.5)),
        *(("replicas", count) for count in (0, 101, "2")),
        *(("memory", size) for size in ("512", "1t", 5, "-1m")),
        *(("cpus", count) for count in (0, -1, "1", True, float("nan"), float("inf"))),
        *(("address", address) for address in ("localhost", "1.2.3.4:80", "")),
        *(("service", name) for name in ("Churn", "a_b", "-a", "a\nb")),
        *(("proxy", image) for image in ("-x", "a b", "")),
        ("env", {"A-B": "1"}),
        ("env", {"A": 1}),
        ("env", ["A=1"]),
        ("env", {"MLPACK_TLS_CERT": "/run/secrets/cert"}),
        ("env", {"MLPACK_PORT": "9000"}),
        ("service", "a" * 41),
        ("secrets", {"../x": "1"}),
        ("secrets", {"a/b": "1"}),
        ("secrets", {"x": "a\0b"}),
        ("drain_seconds", 0),
    ],
)
def test_what_is_wrong_is_named(key, value):
    with pytest.raises(InputError) as caught:
        read({**LEAST, key: value})
    assert key in str(caught.value)


@pytest.mark.parametrize("path", ["/var/s.jsonl", "s.jsonl", "/tmp/", "/tmp/../var/s"])
def test_samples_lie_where_a_container_can_write(path):
    with pytest.raises(InputError, match="write below /tmp alone"):
        read({**LEAST, "env": {"MLPACK_SAMPLE_FILE": path}})


def test_samples_that_may_fill_the_memory_are_refused():
    sampling = {**LEAST, "env": {"MLPACK_SAMPLE_FILE": "/tmp/s"}}
    with pytest.raises(InputError, match=r"100\.7 MB may fill the memory"):
        read({**sampling, "memory": "160m"})
    assert read({**sampling, "memory": "256m"})[0].memory == 256 << 20
    assert read({**LEAST, "memory": "64m"})[0].memory == 64 << 20


def test_an_unknown_key_is_not_ignored():
    with pytest.raises(InputError, match="no key 'replica'") as caught:
        read({**LEAST, "replica": 2})
    assert caught.value.hint == 'Did you mean "replicas"?'


def test_a_service_needs_a_name():
    with pytest.raises(InputError, match="no service"):
        read({"target": "docker"})
