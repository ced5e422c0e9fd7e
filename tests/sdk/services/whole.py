"""A file broker whose messages appear as a whole: kombu's own takes those that another process is still writing."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from kombu.transport import filesystem


class Channel(filesystem.Channel):
    """Writes beside the folder of messages, and moves there what is complete."""

    _draft = ""

    @property
    def data_folder_out(self) -> str:
        """Where the message of the moment is written."""
        return self._draft or str(super().data_folder_out)

    def _put(self, queue: Any, payload: Any, **options: Any) -> None:  # type: ignore[override]
        folder = Path(self.data_folder_out)
        with TemporaryDirectory(dir=folder.parent) as self._draft:
            try:
                super()._put(queue, payload, **options)  # type: ignore[no-untyped-call]
                for file in Path(self._draft).iterdir():
                    file.rename(folder / file.name)
            finally:
                self._draft = ""


class Transport(filesystem.Transport):
    """The file broker."""

    Channel = Channel
