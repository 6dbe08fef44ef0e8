"""What an engine is asked for, when a release starts."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hosts import release

from mlpack.engines.docker import connect
from mlpack.errors import OutsideError
from mlpack.rollout.docker import DockerHost
from mlpack.rollout.settings import read

MIB = 1 << 20


class Client:
    """An engine that has the network, and keeps what containers are made of.

    Attributes:
        made: that.
    """

    def __init__(self):
        self.made = []
        self.containers = SimpleNamespace(create=lambda image, **how: self.made.append(how))
        self.api = SimpleNamespace(
            networks=lambda **_: ["there"], containers=lambda **_: [], start=lambda _: None
        )


@pytest.mark.parametrize(
    ("env", "size"),
    [
        ({}, 64 * MIB),
        ({"MLPACK_SAMPLE_MAX_BYTES": "9000000000"}, 64 * MIB),
        ({"MLPACK_SAMPLE_FILE": "/tmp/s"}, 160 * MIB),
        ({"MLPACK_SAMPLE_FILE": "/tmp/s", "MLPACK_SAMPLE_MAX_BYTES": "1048577"}, 66 * MIB),
    ],
)
def test_samples_have_room_beside_what_else_is_written(env, size):
    service, _ = read({"target": "docker", "service": "churn-test", "env": env})
    client = Client()
    DockerHost(service, lambda: client).start(release(1))
    assert [each["tmpfs"] for each in client.made] == [{"/tmp": f"size={size}"}] * 2


def test_a_host_that_does_not_answer_is_named_with_the_service():
    service, host = read({"target": "docker", "service": "churn-test", "host": "tcp://127.0.0.1:1"})
    made = DockerHost(service, lambda: connect({"DOCKER_HOST": host}, 3), host)
    with pytest.raises(OutsideError) as caught:
        made.replicas()
    assert str(caught.value) == (
        "churn-test: the Docker engine at tcp://127.0.0.1:1 does not answer: Connection refused\n"
        "See how it is: docker -H tcp://127.0.0.1:1 version"
    )
