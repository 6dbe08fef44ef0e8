"""Times in documents."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpack import times
from mlpack.container import created
from mlpack.errors import InputError


@given(st.integers(0, times.LATEST))
def test_what_is_written_is_read(epoch):
    assert times.read(times.written(epoch)) == epoch
    assert times.epoch(f"00{epoch}") == epoch


def test_the_first_and_the_last():
    assert times.written(0) == created(0) == "1970-01-01T00:00:00Z"
    assert times.written(times.LATEST) == "9999-12-31T23:59:59Z"


@pytest.mark.parametrize("epoch", [-1, times.LATEST + 1, 99_999_999_999_999, 10**30])
def test_what_no_document_can_tell(epoch):
    with pytest.raises(InputError, match="not of the years 1970 to 9999"):
        times.written(epoch)
    assert times.epoch(str(epoch)) is None


@given(st.text() | st.text(alphabet="0123456789\N{SUPERSCRIPT TWO}\N{ARABIC-INDIC DIGIT ONE}-+_ "))
def test_any_text_is_a_time_or_none(text):
    for found in (times.epoch(text), times.read(text)):
        assert found is None or 0 <= found <= times.LATEST


@pytest.mark.parametrize(
    "text",
    ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "9" * 5000, "9999-12-31T23:59:59-14:00"],
)
def test_a_time_of_other_years_is_none(text):
    assert times.read(text) is None
    assert times.epoch("9" * 5000) is None
