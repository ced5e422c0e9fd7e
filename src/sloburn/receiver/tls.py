"""TLS for both receivers: the server's certificate, and whose clients it trusts."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc

from sloburn.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Certificate and key of a server, PEM files.

    Args:
        certificate: The server's certificate, and what links it to its authority.
        key: The key of it, without a password.
        client_authority: Whose certificates clients must show (mutual TLS); None to ask for none.
    """

    certificate: Path
    key: Path
    client_authority: Path | None = None

    def context(self) -> ssl.SSLContext:
        """Return the server side of TLS 1.2 and 1.3.

        Raises:
            ConfigError: A file cannot be read or is not what it should be.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(self.certificate, self.key)
            if self.client_authority is not None:
                context.load_verify_locations(self.client_authority)
                context.verify_mode = ssl.CERT_REQUIRED
        except OSError as error:  # ssl.SSLError is one
            files = ", ".join(str(path) for path in (self.certificate, self.key, self.client_authority) if path)
            reason = error.strerror or str(error)
            raise ConfigError(
                f"TLS cannot be set up with {files}: {reason}; expected PEM files that belong together"
            ) from error
        return context

    def credentials(self) -> grpc.ServerCredentials:
        """Return the same for gRPC.

        Raises:
            ConfigError: A file cannot be read or is not what it should be.
        """
        self.context()  # gRPC reports a bad file only at the first handshake
        authority = self.client_authority.read_bytes() if self.client_authority else None
        pair = (self.key.read_bytes(), self.certificate.read_bytes())
        return grpc.ssl_server_credentials(
            [pair], root_certificates=authority, require_client_auth=authority is not None
        )
