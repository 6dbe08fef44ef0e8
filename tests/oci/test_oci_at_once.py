import threading
import time

import pytest

from mlpack.oci.at_once import at_once


def test_four_at_a_time_and_all_of_them():
    running, most = set(), []
    lock = threading.Lock()

    def do(number):
        with lock:
            running.add(number)
            most.append(len(running))
        time.sleep(0.02)
        with lock:
            running.discard(number)
        return number * 2

    assert sorted(at_once(do, range(12))) == list(range(0, 24, 2))
    assert max(most) == 4


def test_after_one_that_fails_nothing_is_begun():
    begun = []

    def do(number):
        begun.append(number)
        if number == 1:
            raise ValueError("one")
        time.sleep(0.2)

    with pytest.raises(ValueError, match="one"):
        list(at_once(do, range(100)))
    assert len(begun) < 10


def test_of_nothing_nothing():
    assert list(at_once(str, [])) == []
