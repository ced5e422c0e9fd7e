"""Which names are those of secrets, and which only look like it."""

from __future__ import annotations

import pytest

from sloburn.sdk.redaction import redact_attributes
from sloburn.sdk.redaction_rules import sensitivity


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "user_password",
        "userPassword",
        "PGPASSWORD",
        "password1",
        "db.password",
        "passwd",
        "secret",
        "client_secret",
        "AWS_SECRET_ACCESS_KEY",
        "token",
        "access_token",
        "accessToken",
        "X-Api-Key",
        "apiKey",
        "APIKey",
        "Authorization",
        "auth",
        "http.request.header.authorization",
        "http.request.header.cookie",
        "set-cookie",
        "csrftoken",
        "session_id",
        "private_key",
        "cvv",
        "card_number",
        "social_security_number",
    ],
)
def test_names_of_secrets(name: str) -> None:
    """A field that holds a secret is known by its name in every spelling."""
    assert sensitivity(name) != "no"


@pytest.mark.parametrize(
    "name",
    [
        "author",
        "authenticated",
        "auth_failures",
        "password_changed",
        "password_length",
        "token_type",
        "token_count",
        "api_key_id",
        "secretary",
        "pin_to_top",
        "tokenizer",
        "cookie_consent",
        "keyboard",
        "http.route",
        "url.full",
        "user.name",
        "monkey",
        "session.duration",
        "exception.message",
        "key",
    ],
)
def test_names_that_only_look_like_it(name: str) -> None:
    """A field that says something about a secret, or merely sounds like one, stays readable."""
    assert sensitivity(name) == "no"


@pytest.mark.parametrize("name", ["tokens", "max_tokens", "input_tokens"])
def test_counts_stay(name: str) -> None:
    """A number of tokens is a count; a token is not."""
    assert redact_attributes({name: 512}) == {name: 512}
    assert redact_attributes({name: "abc"}) == {name: "[redacted]"}
