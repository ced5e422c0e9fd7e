"""The files that pages load: read once, served from memory under an address that changes with their content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2s
from importlib.resources import files

_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One file.

    Args:
        name: Its name below ``/static/``.
        media_type: Its content type.
        body: Its content.
        digest: Short hash of the content.
    """

    name: str
    media_type: str
    body: bytes
    digest: str

    @property
    def href(self) -> str:
        """The address that pages use."""
        return f"/static/{self.name}?v={self.digest}"


def load_assets() -> Mapping[str, Asset]:
    """Read every static file of the package."""
    folder = files("sloburn.outputs").joinpath("static")
    return {entry.name: _asset(entry.name, entry.read_bytes()) for entry in folder.iterdir() if entry.is_file()}


def _asset(name: str, body: bytes) -> Asset:
    media_type = _TYPES.get(name[name.rfind(".") :], "application/octet-stream")
    return Asset(name=name, media_type=media_type, body=body, digest=blake2s(body, digest_size=6).hexdigest())
