"""Gzip bodies come out whole, and never larger than the limit."""

from __future__ import annotations

import gzip
import os
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloburn.errors import BodyTooLarge, MalformedBody, Overloaded
from sloburn.receiver.inflate import inflate

MIB = 1024 * 1024


def ignore(count: int) -> None:
    """Count nothing."""


def refused(body: bytes) -> str:
    """Return the sentence with which a body is refused."""
    with pytest.raises(MalformedBody) as raised:
        inflate(body, MIB, ignore)
    return str(raised.value)


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=4))
def test_all_members_are_inflated(members: list[bytes]) -> None:
    """A body of several gzip members holds what the members hold, one after the other."""
    body = b"".join(gzip.compress(member) for member in members)
    assert inflate(body, MIB, ignore) == b"".join(members)


def test_a_body_larger_than_a_piece_is_inflated() -> None:
    """Bodies of several MiB that hardly compress come out whole, and every byte is accounted for."""
    plain = os.urandom(3 * MIB) + bytes(9 * MIB)
    counted: list[int] = []
    assert inflate(gzip.compress(plain, 1), 12 * MIB, counted.append) == plain
    assert sum(counted) == len(plain)


@pytest.mark.parametrize("size", [0, 1, 999, 1000])
def test_a_body_up_to_the_limit_is_taken(size: int) -> None:
    """The limit itself is allowed."""
    assert inflate(gzip.compress(bytes(size)), 1000, ignore) == bytes(size)


@pytest.mark.parametrize(
    "body", [gzip.compress(bytes(1001)), gzip.compress(bytes(1000)) + gzip.compress(b"x")], ids=["one", "two"]
)
def test_a_byte_more_than_the_limit_is_refused(body: bytes) -> None:
    """One byte over the limit is too large, also as a second member."""
    with pytest.raises(BodyTooLarge, match="inflates to more than the limit of 1000 bytes"):
        inflate(body, 1000, ignore)


def test_a_bomb_does_not_expand_in_memory() -> None:
    """A body that claims to be 256 MiB is refused with no more than the limit in memory."""
    bomb = gzip.compress(bytes(64 * MIB), 9) * 4
    tracemalloc.start()
    with pytest.raises(BodyTooLarge):
        inflate(bomb, MIB, ignore)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * MIB


def test_a_damaged_body_is_refused() -> None:
    """Changed bytes, which the checksum shows, are malformed."""
    body = bytearray(gzip.compress(b"abc" * 100))
    body[-6] ^= 0xFF
    assert refused(bytes(body)).startswith("the gzip body is damaged, or something follows it")


@pytest.mark.parametrize("keep", [0, 1, 9, 12, -1])
def test_a_truncated_body_is_refused(keep: int) -> None:
    """A body that ends early is malformed, wherever it ends."""
    assert refused(gzip.compress(b"abc" * 100)[:keep]) == "the gzip body ends early"


@pytest.mark.parametrize("garbage", [b"\x00", b"garbage", gzip.compress(b"x")[:5]], ids=["zero", "text", "half"])
def test_what_follows_the_gzip_is_refused(garbage: bytes) -> None:
    """Bytes after the last member are malformed, be it half a member."""
    assert refused(gzip.compress(b"abc") + garbage).startswith("the gzip body ")


def test_a_flood_of_empty_members_is_refused() -> None:
    """Members are bounded in number, since each of them costs an inflater."""
    assert refused(gzip.compress(b"") * 1001) == "the gzip body has more than 1000 members"
    assert inflate(gzip.compress(b"") * 1000, MIB, ignore) == b""


def test_inflation_ends_when_its_memory_is_refused() -> None:
    """What the accounting callback raises ends the work."""
    with pytest.raises(Overloaded):
        inflate(gzip.compress(b"abc"), MIB, _full())


@given(st.binary(max_size=200))
def test_random_bytes_are_inflated_or_refused(body: bytes) -> None:
    """Nothing but MalformedBody and BodyTooLarge comes out, with or without a gzip header in front."""
    for candidate in (body, gzip.compress(b"")[:10] + body):
        try:
            inflate(candidate, 1000, ignore)
        except (MalformedBody, BodyTooLarge):
            continue


def _full() -> Callable[[int], None]:
    def grow(count: int) -> None:
        raise Overloaded("full")

    return grow
