"""What the processor asks of its senders: limits, a token, certificates."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sloburn.errors import ConfigError
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
        ConfigError: The token cannot be read or is empty, or certificate and key are none.
    """
    auth, tls = None, None
    if config.bearer_token_file is not None:
        auth = Auth(bearer_token=_read_token(config.bearer_token_file))
    if config.tls_certificate is not None and config.tls_key is not None:
        tls = Tls(certificate=config.tls_certificate, key=config.tls_key, client_authority=config.tls_client_authority)
        tls.context()  # what is wrong with them is known before anything starts
    return Door(limits=Limits(max_body_bytes=config.max_body_bytes), auth=auth, tls=tls)


def _read_token(file: Path) -> str:
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"bearer_token_file: {file} cannot be read: {reason}; expected a file with a token") from None
    if not token:
        raise ConfigError(f"bearer_token_file: {file} is empty; expected a file with a token")
    return token
