"""The tunnel to an engine: whatever the ssh program does, and however it ends."""

from __future__ import annotations

import os
import socket
import sys
import time

import pytest

from mlpack.engines.ssh import Tunnel
from mlpack.errors import InputError, OutsideError

SSH = """#!/bin/sh
printf '%s\\n' "$@" > {folder}/words
{rest}
"""
LISTEN = """
for word in "$@"; do case "$word" in *docker.sock:*) sock="${word%%:*}";; esac; done
exec {python} -c "
import socket, sys
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen()
open('{folder}/pid', 'w').write(str(__import__('os').getpid()))
sys.stdin.read()
open('{folder}/over', 'w').write('yes')
" "$sock"
"""


@pytest.fixture
def ssh(tmp_path):
    """Writes a program called ssh; the environment that has it."""

    def write(rest):
        rest = rest.replace("{python}", sys.executable).replace("{folder}", str(tmp_path))
        program = tmp_path / "ssh"
        program.write_text(SSH.replace("{folder}", str(tmp_path)).replace("{rest}", rest))
        program.chmod(0o755)
        return {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}

    return write


def test_it_leads_there_and_ends_with_us(ssh, tmp_path):
    tunnel = Tunnel("ssh://deploy@server.example:2222", ssh(LISTEN))
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tunnel.path))
    folder = tunnel.path.parent
    assert folder.stat().st_mode & 0o777 == 0o700, "nobody else may use the engine"
    tunnel.close()
    for _ in range(100):
        if (tmp_path / "over").exists():
            break
        time.sleep(0.05)
    assert (tmp_path / "over").exists(), "the far end sees that its input is over"
    assert not folder.exists()
    words = (tmp_path / "words").read_text().splitlines()
    assert words[-3:] == ["--", "deploy@server.example", "cat"]
    assert words[words.index("-p") + 1] == "2222"
    assert words[words.index("-L") + 1] == f"{tunnel.path}:/var/run/docker.sock"
    assert "BatchMode=yes" in words


def test_another_socket_can_be_named(ssh, tmp_path):
    tunnel = Tunnel("ssh://server.example/run/user/1000/docker.sock", ssh(LISTEN))
    tunnel.close()
    words = (tmp_path / "words").read_text().splitlines()
    assert words[words.index("-L") + 1].endswith(":/run/user/1000/docker.sock")
    assert "-p" not in words


def test_what_ssh_says_is_told(ssh):
    env = ssh("echo warning >&2; echo 'Permission denied (publickey).' >&2; exit 255")
    with pytest.raises(OutsideError, match=r"Permission denied \(publickey\)") as caught:
        Tunnel("ssh://deploy@server.example", env)
    assert caught.value.hint == "Try: ssh deploy@server.example docker version"
    with pytest.raises(OutsideError) as caught:
        Tunnel("ssh://deploy@server.example:2222", env)
    assert caught.value.hint == "Try: ssh -p 2222 deploy@server.example docker version"


@pytest.mark.parametrize(
    "address", ["ssh://", "ssh://-oProxyCommand=touch", "ssh://a b", "ssh://a@-b", "tcp://a:1"]
)
def test_what_is_no_address_never_reaches_ssh(ssh, tmp_path, address):
    with pytest.raises(InputError):
        Tunnel(address, ssh("exit 0"))
    assert not (tmp_path / "words").exists()


def test_without_ssh_it_says_so(tmp_path):
    with pytest.raises(OutsideError, match="no ssh program"):
        Tunnel("ssh://server.example", {"PATH": str(tmp_path)})
