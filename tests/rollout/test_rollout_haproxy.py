"""What the proxy is told is where the traffic goes, and is read from there again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpack.errors import OutsideError
from mlpack.rollout.haproxy import generation, read, render
from mlpack.rollout.values import Traffic

NUMBERS = st.integers(1, 10**6)
TRAFFIC = st.builds(
    Traffic,
    live=NUMBERS,
    replicas=st.integers(1, 9),
    canary=NUMBERS | st.just(0),
    canary_replicas=st.integers(1, 9),
    share=st.integers(1, 99),
    before=st.lists(NUMBERS, max_size=5).map(tuple),
)


@given(TRAFFIC)
def test_it_comes_back(traffic):
    assert read(render("churn-test", traffic, "word", 30)) == traffic


def test_all_containers_of_the_live_release_answer():
    text = render("churn-test", Traffic(live=7, replicas=2), "7-0-ab", 12).decode()
    assert "    server 7-1 churn-test-7-1:8080\n    server 7-2 churn-test-7-2:8080\n" in text
    assert "canary" not in text.partition("\n")[2]
    assert "hard-stop-after 12s" in text
    assert generation(text.encode()) == "7-0-ab"


def test_a_canary_gets_its_share():
    traffic = Traffic(live=7, replicas=1, canary=8, canary_replicas=1, share=15)
    text = render("churn-test", traffic, "word", 30).decode()
    assert "use_backend canary if { rand(100) lt 15 } { nbsrv(canary) gt 0 }" in text
    assert text.index("backend canary") < text.index("server 8-1 churn-test-8-1:8080")


@pytest.mark.parametrize("name", ["", "a b", "a\nserver x 10.0.0.1", "A", 'a"', "a" * 101, "-a"])
def test_what_is_no_name_is_not_written(name):
    with pytest.raises(ValueError, match="no name"):
        render(name, Traffic(live=1, replicas=1), "word", 30)
    with pytest.raises(ValueError, match="no name"):
        render("churn", Traffic(live=1, replicas=1), name, 30)


@pytest.mark.parametrize(
    "content", [b"", b"global\n", b"# mlpack {\n", b'# mlpack {"live": "1"}\n', b"\xff\xfe\n"]
)
def test_what_somebody_else_wrote_is_told(content):
    with pytest.raises(OutsideError, match="not written by mlpack"):
        read(content)
