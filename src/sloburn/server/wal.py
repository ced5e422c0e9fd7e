"""What SQLite does not say of its write-ahead log: that its end was damaged.

SQLite reads the log up to the first frame whose checksum is wrong and takes the rest for a write that a crash cut off.
Rightly so, where at most one commit follows: the next one is begun only when the one before is on the disk. Where more
commits of the same run follow, the log was damaged and what they held is lost.

Source: SQLite file format, section 4, "The Write-Ahead Log".
"""

from __future__ import annotations

import struct
from pathlib import Path

_HEADER_BYTES = 32
_FRAME_BYTES = 24  # the head of a frame, before its page
_FRAME = struct.Struct(">II8s")  # page, pages after a commit (else 0), salts
_MAGIC = {0x377F0682: "<", 0x377F0683: ">"}


def lost_commits(log: Path, readable_frames: int, page_bytes: int) -> int:
    """Return how many commits of a log are certainly lost.

    Args:
        log: The file beside the database; it may be missing.
        readable_frames: How many of its frames SQLite could read.
        page_bytes: Length of a page.
    """
    if readable_frames < 0 or not log.exists():
        return 0
    commits = 0
    with log.open("rb") as file:
        salts = _salts(file.read(_HEADER_BYTES))
        number = 0
        while len(head := file.read(_FRAME_BYTES)) == _FRAME_BYTES:
            _, pages, mine = _FRAME.unpack_from(head)
            salts = salts or mine  # the header is damaged too: the first frame tells which run it is
            commits += number >= readable_frames and pages > 0 and mine == salts
            file.seek(page_bytes, 1)
            number += 1
    return max(0, commits - 1)


def _salts(header: bytes) -> bytes | None:
    """Return the salts of a log's header; None if it is damaged."""
    if len(header) < _HEADER_BYTES:
        return None
    order = _MAGIC.get(struct.unpack_from(">I", header)[0])
    if order is None:
        return None
    first = second = 0
    words = struct.unpack_from(f"{order}6I", header)
    for one, other in zip(words[::2], words[1::2], strict=True):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + other + first) & 0xFFFFFFFF
    return header[16:24] if struct.unpack_from(">II", header, 24) == (first, second) else None
