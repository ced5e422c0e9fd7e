"""Only the bearer of the token is let in."""

from __future__ import annotations

import pytest

from sloburn.errors import ConfigError
from sloburn.receiver.auth import Auth

AUTH = Auth(bearer_token="s3cret")


@pytest.mark.parametrize("header", ["Bearer s3cret", "bearer s3cret", "BEARER  s3cret "])
def test_the_token_is_let_in(header: str) -> None:
    """The scheme's case does not matter (RFC 9110, 11.1)."""
    assert AUTH.allows(header)


@pytest.mark.parametrize(
    "header", [None, "", "s3cret", "Basic s3cret", "Bearer", "Bearer s3cre", "Bearer ř", "Bearer \udc80"]
)
def test_anything_else_is_kept_out(header: str | None) -> None:
    """A missing header, another scheme and another token are refused."""
    assert not AUTH.allows(header)


def test_the_token_is_not_printed() -> None:
    """The secret does not show in logs by way of repr."""
    assert "s3cret" not in repr(AUTH)


def test_an_empty_token_is_a_mistake() -> None:
    """An empty secret would let everybody in who sends one."""
    with pytest.raises(ConfigError, match="bearer_token: expected a secret"):
        Auth(bearer_token=" ")
