"""Reads decimal numbers out of bytes, many at once: eight characters are one number of 64 bits.

Only what is exact beyond doubt is read: digits, a minus before and a point between them, of which
all digits together are a whole number below 2^53. Its division by a power of ten is then rounded
once, as it is when Python reads the same text. All else is told to be unread.
"""

from __future__ import annotations

import numpy as np

LONGEST = 16
"""Characters, a sign and a point among them."""

_EXACT = 2**53
_BLOCK = 16_384


def _word(byte: int) -> np.ndarray:
    """A byte, eight times."""
    return np.array(byte * 0x0101010101010101, dtype=np.uint64)


def _number(value: int) -> np.ndarray:
    return np.array(value, dtype=np.uint64)


_ONE, _FOUR, _SEVEN, _EIGHT = map(_number, (1, 4, 7, 8))
_SIXTEEN, _THIRTY_TWO, _FIFTY_SIX = map(_number, (16, 32, 56))
_LOW, _HIGH, _ZEROS, _SIXES, _THREES = map(_word, (0x7F, 0xF0, 0x30, 0x06, 0x33))
_NIBBLES, _POINTS, _MINUSES = map(_word, (0x0F, ord("."), ord("-")))
_SIGN = _number(ord("-") ^ ord("0"))
_ZERO = _number(ord("0"))
_HUNDRED_MILLIONS = _number(10**8)
_STEPS = (
    (_number(2561), _EIGHT, _number(0x00FF00FF00FF00FF)),
    (_number(6553601), _SIXTEEN, _number(0x0000FFFF0000FFFF)),
    (_number(42949672960001), _THIRTY_TWO, _number(2**64 - 1)),
)

# By how many characters there are of eight: the bytes that are none of them, from the lowest on.
_BEFORE = np.array([2 ** (64 - 8 * count) - 1 for count in range(9)], dtype=np.uint64)
_FIRST = np.array([0x80 << 8 * min(8 - count, 7) for count in range(9)], dtype=np.uint64)

# By the exponent that a float has which is the high bit of the byte with the point.
_BIASED = 1023 + 7
_TENS = np.ones(_BIASED + 8 * 8, dtype=np.float64)
_TENS[_BIASED::8] = [10.0 ** (7 - byte) for byte in range(8)]


def parsed(data: bytes, starts: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The numbers in texts, and which of them were read.

    Args:
        data: the bytes; the texts begin behind the first `LONGEST` of them.
        starts: int64, where in them each text begins.
        lengths: int64, of how many bytes each is.

    Returns:
        Float64, and a truth for each: where it is false the number means nothing.
    """
    words = np.ndarray(len(data) - 7, "<u8", data, 0, (1,))
    numbers, fine = np.empty(len(starts)), np.empty(len(starts), dtype=np.bool_)
    # Some at a time: all that is between then stays in the cache.
    for start in range(0, len(starts), _BLOCK):
        block = slice(start, start + _BLOCK)
        numbers[block], fine[block] = _block(words, starts[block], lengths[block])
    return numbers, fine


def _block(
    words: np.ndarray, starts: np.ndarray, lengths: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    ends = starts + lengths
    short = np.minimum(lengths, 8)
    low, signs = _unsigned(words[ends - 8], short)
    points = _found(low, _POINTS)
    digits = short - (signs != 0) - (points != 0)
    fine = (lengths <= 8) & (digits > 0) & ((signs == 0) | (signs == _FIRST[short]))
    fine &= (points & (points - _ONE)) == 0
    low = np.where(points != 0, _closed(low, points), low)
    fine &= _digits(low)
    numbers = _value(low).astype(np.float64) / _tens(points)
    np.negative(numbers, out=numbers, where=signs != 0)
    longer = np.flatnonzero((lengths > 8) & (lengths <= LONGEST))
    if len(longer):
        numbers[longer], fine[longer] = _longer(words, ends[longer], lengths[longer])
    return numbers, fine


def _longer(
    words: np.ndarray, ends: np.ndarray, lengths: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The same of nine to sixteen characters."""
    low = words[ends - 8]
    high, signs = _unsigned(words[ends - 16], lengths - 8)
    below, above = _found(low, _POINTS), _found(high, _POINTS)
    fine = (signs == 0) | (signs == _FIRST[lengths - 8])
    fine &= ((below & (below - _ONE)) == 0) & ((above & (above - _ONE)) == 0)
    fine &= (below == 0) | (above == 0)
    # What is before the point moves by one, from one number into the other.
    moved = (_closed(low, below) ^ _ZERO) | (high >> _FIFTY_SIX)
    low = np.where(below != 0, moved, low)
    high = np.where(
        below != 0, (high << _EIGHT) | _ZERO, np.where(above != 0, _closed(high, above), high)
    )
    fine &= _digits(low) & _digits(high)
    whole = _value(high) * _HUNDRED_MILLIONS + _value(low)
    fine &= whole <= _EXACT
    tens = np.where(above != 0, _tens(above) * 1e8, _tens(below))
    numbers = whole.astype(np.float64) / tens
    np.negative(numbers, out=numbers, where=signs != 0)
    return numbers, fine


def _unsigned(words: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The last `count` characters of eight with zeros before them and for a minus, and where."""
    before = _BEFORE[count]
    words = (words & ~before) | (_ZEROS & before)
    signs = _found(words, _MINUSES)
    return words ^ ((signs >> _SEVEN) * _SIGN), signs


def _found(words: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The high bit of each byte that is the wanted one."""
    others = words ^ wanted
    found: np.ndarray = ~(((others & _LOW) + _LOW) | others | _LOW)
    return found


def _closed(words: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Without the byte of the point: those before it move by one, behind a zero."""
    before = (points >> _SEVEN) - _ONE
    behind = ~((before << _EIGHT) | _number(0xFF))
    closed: np.ndarray = (words & behind) | ((words & before) << _EIGHT) | _ZERO
    return closed


def _digits(words: np.ndarray) -> np.ndarray:
    """Whether all eight bytes are digits."""
    high = (words & _HIGH) | (((words + _SIXES) & _HIGH) >> _FOUR)
    digits: np.ndarray = high == _THREES
    return digits


def _value(words: np.ndarray) -> np.ndarray:
    """Eight digits as a number."""
    words = words & _NIBBLES
    for factor, shift, mask in _STEPS:
        words = ((words * factor) >> shift) & mask
    return words


def _tens(points: np.ndarray) -> np.ndarray:
    """Ten to the power of the digits behind the point; 1 without one."""
    tens: np.ndarray = _TENS[points.astype(np.float64).view(np.int64) >> 52]
    return tens
