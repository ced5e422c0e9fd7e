"""A Celery broker that is a folder: nothing to install, nothing to start. For examples, not for production."""

from __future__ import annotations

import json
import os
import tempfile
import uuid
from pathlib import Path
from typing import Any

from kombu.transport import filesystem

from sloburn.clock import SystemClock

FOLDER_VARIABLE = "SHOP_BROKER_DIR"


def settings() -> dict[str, Any]:
    """Return the Celery settings; the folder is ``$SHOP_BROKER_DIR``, or one under the temporary directory."""
    folder = Path(os.environ.get(FOLDER_VARIABLE) or Path(tempfile.gettempdir()) / f"sloburn-shop-{os.getuid()}")
    for place in (folder, folder / "messages", folder / "control"):
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
    options = {
        "data_folder_in": str(folder / "messages"),
        "data_folder_out": str(folder / "messages"),
        "control_folder": folder / "control",
        "polling_interval": 0.1,
    }
    return {"broker_transport": f"{__name__}:Transport", "broker_transport_options": options}


class Channel(filesystem.Channel):
    """Kombu's channel, but a message appears in the folder only once it is complete.

    Kombu creates the file first and fills it later: a worker that looks in between reads an empty message.
    """

    def _put(self, queue: str, payload: object, **_kwargs: object) -> None:  # type: ignore[override]
        name = f"{SystemClock().now_unix_nano()}_{uuid.uuid4().hex}"
        part = Path(self.data_folder_out) / f"{name}.part"
        part.write_text(json.dumps(payload))
        part.rename(part.with_name(f"{name}.{queue}.msg"))


class Transport(filesystem.Transport):
    """Kombu's transport with that channel."""

    Channel = Channel
