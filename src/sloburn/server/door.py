"""What the processor asks of its senders: limits, a token, certificates."""

from __future__ import annotations

from dataclasses import dataclass

from sloburn.receiver.auth import Auth
from sloburn.receiver.limits import Limits
from sloburn.receiver.tls import Tls
from sloburn.server.config import ProcessorConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """The same for both receivers.

    Args:
        limits: How much is taken.
        auth: Whom to let in; None for everybody.
        tls: Certificate to show; None for plain text.
    """

    limits: Limits
    auth: Auth | None
    tls: Tls | None


def make_door(config: ProcessorConfig) -> Door:
    """Read what the configuration names.

    Raises:
        ConfigError: The token is empty.
    """
    auth, tls = None, None
    if config.bearer_token_file is not None:
        auth = Auth(bearer_token=config.bearer_token_file.read_text(encoding="utf-8").strip())
    if config.tls_certificate is not None and config.tls_key is not None:
        tls = Tls(certificate=config.tls_certificate, key=config.tls_key, client_authority=config.tls_client_authority)
    return Door(limits=Limits(max_body_bytes=config.max_body_bytes), auth=auth, tls=tls)
