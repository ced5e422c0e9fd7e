"""Who may send: a bearer token, if one is set (RFC 6750)."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

from sloburn.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Auth:
    """Demands ``Authorization: Bearer TOKEN`` of every request.

    Args:
        bearer_token: The secret; never printed.
    """

    bearer_token: str = field(repr=False)

    def __post_init__(self) -> None:
        if not self.bearer_token.strip():
            raise ConfigError("bearer_token: expected a secret, found empty text")

    def allows(self, authorization: str | None) -> bool:
        """Return whether an Authorization header holds the token; takes equally long wherever a wrong one differs."""
        scheme, _, token = (authorization or "").partition(" ")
        expected, given = self.bearer_token.encode(), token.strip().encode("utf-8", "surrogatepass")
        return scheme.lower() == "bearer" and hmac.compare_digest(expected, given)
