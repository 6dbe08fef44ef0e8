"""Every value of [deploy] has a grammar."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from mlpack.errors import InputError
from mlpack.kubernetes.policy import role
from mlpack.kubernetes.settings import KEYS, read, read_cluster
from mlpack.kubernetes.values import Autoscaling, Ingress

LEAST = {"target": "kubernetes", "service": "churn-test", "repository": "r.example/churn"}

SAMPLED = {"MLPACK_SAMPLE_FILE": "/tmp/samples.jsonl"}


def test_what_is_not_told_has_a_default():
    service = read(LEAST)
    assert (service.namespace, service.mode, service.replicas, service.port) == (
        *("default", "deployment"),
        *(2, 80),
    )
    assert (service.cpus, service.memory, service.ready_seconds) == (1.0, 1 << 30, 300)
    assert read_cluster(LEAST) == ("", "")


def test_what_is_told_is_taken():
    service = read(
        {
            **LEAST,
            "namespace": "models",
            "cpus": 0.5,
            "memory": "512m",
            "autoscaling": {"min": 3, "max": 7, "cpu": 60},
            "ingress": {"host": "churn.example.org", "class": "nginx", "tls": "churn-tls"},
            "pull_secret": "registry",
        }
    )
    assert (service.cpus, service.memory) == (0.5, 512 << 20)
    assert service.autoscaling == Autoscaling(3, 7, 60)
    assert service.least == 3
    assert service.ingress == Ingress("churn.example.org", "nginx", "churn-tls")
    assert read_cluster({"kubeconfig": "a/b", "context": "arn:aws:eks/x"}) == (
        *("a/b", "arn:aws:eks/x"),
    )


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"servic": "x"}, "no key 'servic'"),
        ({"service": ""}, "no service"),
        ({"service": "Churn"}, "'Churn' is none"),
        ({"service": "1churn"}, "'1churn' is none"),
        ({"service": "a" * 41}, "is none"),
        ({"namespace": "a.b"}, "'a.b' is none"),
        ({"namespace": "a\nb"}, "is none"),
        ({"mode": "knative"}, "is none of deployment, kserve"),
        ({"replicas": 0}, "no whole number"),
        ({"replicas": 2, "autoscaling": {"max": 3}}, "say two things"),
        ({"autoscaling": 3}, "no table"),
        ({"autoscaling": {"min": 2}}, "has no max"),
        ({"autoscaling": {"min": 5, "max": 4}}, "no whole number from 5"),
        ({"autoscaling": {"max": 4, "memory": 3}}, "no key 'memory'"),
        ({"autoscaling": {"max": 4, "cpu": 101}}, "no whole number"),
        ({"ingress": {}}, "no host"),
        ({"ingress": {"host": "x y"}}, "is none"),
        ({"ingress": {"host": "a.example/path"}}, "is none"),
        ({"ingress": {"host": "a.example", "port": 1}}, "no key 'port'"),
        ({"ingress": {"host": "a.example", "tls": "A_B"}}, "is none"),
        ({"service_monitor": "yes"}, "neither true nor false"),
        ({"mode": "kserve", "service_monitor": True}, "KServe has its own way in"),
        ({"mode": "kserve", "ingress": {"host": "a.example"}}, "KServe has its own way in"),
        ({"env": {"PORT": "1"}}, "probes"),
        ({"env": {"MLPACK_TLS_CERT": "x"}}, "probes"),
        ({"env": {"A B": "x"}}, "no name"),
        ({"env": {"MLPACK_SAMPLE_FILE": "/var/samples.jsonl"}}, "write below /tmp alone"),
        ({"env": {"MLPACK_SAMPLE_FILE": "samples.jsonl"}}, "write below /tmp alone"),
        ({"env": {"MLPACK_SAMPLE_FILE": "/tmp/"}}, "write below /tmp alone"),
        ({"env": {"MLPACK_SAMPLE_FILE": "/tmp/../var/x"}}, "write below /tmp alone"),
        ({"secrets": {"../x": "y"}}, "no name"),
        ({"memory": "1 GB"}, "no size"),
        ({"cpus": -1}, "no number of CPUs"),
        ({"pull_secret": "a b"}, "is none"),
        ({"keep": 0}, "no whole number"),
    ],
)
def test_what_cannot_be_is_refused_by_its_key(wrong, told):
    with pytest.raises(InputError, match=told):
        read({**LEAST, **wrong})


@pytest.mark.parametrize("wrong", [{"context": "a\nb"}, {"context": 3}, {"kubeconfig": 3}])
def test_a_cluster_that_cannot_be_is_refused(wrong):
    with pytest.raises(InputError):
        read_cluster(wrong)


def test_the_role_that_the_document_shows_is_the_one_that_it_takes():
    page = (Path(__file__).parents[2] / "docs" / "deploy" / "kubernetes.md").read_text()
    (text,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    service = read({**LEAST, "service": "churn-production", "namespace": "models"})
    assert yaml.safe_load(text) == role(service)


def test_where_samples_are_switched_on_the_role_has_the_rule_that_the_document_shows():
    page = (Path(__file__).parents[2] / "docs" / "deploy" / "kubernetes.md").read_text()
    (rule,) = [line for line in page.splitlines() if line.startswith("- {") and "exec" in line]
    off, on = (role(read({**LEAST, "env": env})) for env in ({}, SAMPLED))
    assert on["rules"] == [*off["rules"], *yaml.safe_load(rule)]


def test_every_key_is_in_the_document():
    page = (Path(__file__).parents[2] / "docs" / "deploy" / "kubernetes.md").read_text()
    table = page.partition("## Keys")[2].partition("## ")[0]
    told = set(re.findall(r"`(?:\[deploy\.)?([a-z_]+)\]?`", table))
    assert set(KEYS) - {"target"} <= told
