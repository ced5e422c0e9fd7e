"""Zstd bodies come out whole, never larger than the limit, and never by way of a huge window."""

from __future__ import annotations

import os
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloburn.errors import BodyTooLarge, MalformedBody, Overloaded
from sloburn.otlp.zstd import unzstd
from tests.zstandard import streamed_zstd_of, zstd_of

MIB = 1024 * 1024
SKIPPABLE = b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc"  # RFC 8878, section 3.1.2


def ignore(count: int) -> None:
    """Count nothing."""


def refused(body: bytes) -> str:
    """Return the sentence with which a body is refused."""
    with pytest.raises(MalformedBody) as raised:
        unzstd(body, MIB, ignore)
    return str(raised.value)


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=4), st.booleans())
def test_all_frames_are_inflated(frames: list[bytes], streamed: bool) -> None:
    """A body of several frames holds what the frames hold, one after the other; what is to be skipped is."""
    compress = streamed_zstd_of if streamed else zstd_of
    body = SKIPPABLE.join(compress(frame) for frame in frames)
    assert unzstd(body, MIB, ignore) == b"".join(frames)


def test_a_body_larger_than_a_piece_is_inflated() -> None:
    """Bodies of several MiB that hardly compress come out whole, and every byte is accounted for."""
    plain = os.urandom(3 * MIB) + bytes(9 * MIB)
    counted: list[int] = []
    assert unzstd(streamed_zstd_of(plain), 12 * MIB, counted.append) == plain
    assert sum(counted) == len(plain)


@pytest.mark.parametrize("size", [0, 1, 999, 1000])
def test_a_body_up_to_the_limit_is_taken(size: int) -> None:
    """The limit itself is allowed."""
    assert unzstd(zstd_of(bytes(size)), 1000, ignore) == bytes(size)


@pytest.mark.parametrize("body", [zstd_of(bytes(1001)), zstd_of(bytes(1000)) + zstd_of(b"x")])
def test_a_byte_more_than_the_limit_is_refused(body: bytes) -> None:
    """One byte over the limit is too large, also in a second frame."""
    with pytest.raises(BodyTooLarge, match="inflates to more than the limit of 1000 bytes"):
        unzstd(body, 1000, ignore)


def test_a_bomb_does_not_expand_in_memory() -> None:
    """A body that claims to be 64 MiB is refused with no more than the limit in memory."""
    bomb = streamed_zstd_of(bytes(64 * MIB))
    tracemalloc.start()
    with pytest.raises(BodyTooLarge):
        unzstd(bomb, 2 * MIB, ignore)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 * MIB


def test_a_window_larger_than_http_allows_is_refused() -> None:
    """A frame whose window is over 8 MiB is refused: its sender would decide about our memory (RFC 9659)."""
    assert unzstd(streamed_zstd_of(bytes(100), window_log=23), MIB, ignore) == bytes(100)
    assert "the zstd body is damaged" in refused(streamed_zstd_of(bytes(100), window_log=24))


@pytest.mark.parametrize("keep", [0, 1, 4, 5, 9, -1])
def test_a_truncated_body_is_refused(keep: int) -> None:
    """A body that is cut short is said to end early, wherever the cut is."""
    assert refused(streamed_zstd_of(os.urandom(100))[:keep]) == "the zstd body ends early"


@pytest.mark.parametrize("garbage", [b"more than four bytes", b"\0\0\0\0\0"])
def test_what_follows_the_frame_is_refused(garbage: bytes) -> None:
    """Nothing may follow the last frame."""
    assert "the zstd body is damaged, or something follows it" in refused(zstd_of(b"body") + garbage)


def test_a_flood_of_empty_frames_is_refused() -> None:
    """Frames that hold nothing end the work after a thousand."""
    assert refused(zstd_of(b"") * 1001) == "the zstd body has more than 1000 frames"


def test_inflation_ends_when_its_memory_is_refused() -> None:
    """What `grow` raises ends the work."""

    def grow(_: int) -> None:
        raise Overloaded("full")

    with pytest.raises(Overloaded):
        unzstd(zstd_of(b"body"), MIB, grow)


@given(st.binary(max_size=200), st.booleans())
def test_random_bytes_are_inflated_or_refused(body: bytes, begins_well: bool) -> None:
    """Whatever the bytes are, the answer is a body or a MalformedBody."""
    try:
        unzstd(zstd_of(b"")[:4] * begins_well + body, MIB, ignore)
    except (MalformedBody, BodyTooLarge):
        return
