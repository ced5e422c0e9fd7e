"""The health of a process in a file, for orchestrators that can run a command but find no port to ask."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import cast

from sloburn.clock import SystemClock
from sloburn.sdk.health.model import HealthReport


class ProbeFile:
    """Writes a report into a file again and again, on a daemon thread.

    Args:
        path: The file; it is replaced in one step.
        report: Makes the report.
        every_seconds: How often.
    """

    def __init__(self, path: Path, report: Callable[[], HealthReport], every_seconds: float) -> None:
        self._path = path
        self._report = report
        self._every = every_seconds
        self._is_over = threading.Event()
        self.problem = ""
        self._thread = threading.Thread(target=self._run, name="sloburn-probe", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop, and remove the file: whoever looks at it must not find a process that is not there any more."""
        self._is_over.set()
        self._thread.join()
        self._path.unlink(missing_ok=True)

    def _run(self) -> None:
        self._write()
        while not self._is_over.wait(self._every):
            self._write()

    def _write(self) -> None:
        try:
            document = {
                **self._report().document(),
                "pid": os.getpid(),
                "written_unix_nano": SystemClock().now_unix_nano(),
                "every_seconds": self._every,
            }
            draft = self._path.with_name(f".{self._path.name}.{os.getpid()}")
            draft.write_text(json.dumps(document, indent=2), encoding="utf-8")
            draft.replace(self._path)
            self.problem = ""
        except Exception as error:
            # The probe that finds an old file tells people; a process must not end because a disk is full.
            self.problem = f"{type(error).__name__}: {error}"


def read_probe(path: Path, max_age_seconds: float | None, now_unix_nano: int) -> tuple[bool, str]:
    """Judge what a `ProbeFile` has written.

    Args:
        path: The file.
        max_age_seconds: How old it may be; three times what its writer promised when absent.
        now_unix_nano: What time it is.

    Returns:
        Whether all is well, and why in one sentence.
    """
    try:
        document = json.loads(path.read_bytes())
        age = (now_unix_nano - int(document["written_unix_nano"])) / 1e9
        allowed = max_age_seconds if max_age_seconds is not None else 3 * float(document["every_seconds"])
        status, summary = str(document["status"]), str(document["summary"])
    except FileNotFoundError:
        return False, f"{path} is not there: the process has not started, or does not write it"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return False, f"{path} cannot be read: {cast('Exception', error)}"
    if age > allowed:
        return False, f"{path} is {age:.0f} s old, at most {allowed:.0f} s are allowed: the process hangs or has ended"
    return status != "fail", f"{status}: {summary}"
