"""The load generator's record of requests: what really happened, as the customer saw it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

NO_ANSWER = 0
SERVER_ERROR = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request, as it ended.

    Args:
        end_unix_nano: When its answer was read, or given up.
        route: What the service calls it, for instance ``/products/{product_id}``.
        status: HTTP status code; `NO_ANSWER` if none came.
        taken_ns: How long the customer waited, nanoseconds.
    """

    end_unix_nano: int
    route: str
    status: int
    taken_ns: int

    @property
    def failed(self) -> bool:
        """The service failed it, or did not answer."""
        return self.status >= SERVER_ERROR or self.status == NO_ANSWER

    def to_line(self) -> str:
        """Write it as one line of JSON."""
        return json.dumps(asdict(self)) + "\n"


def read_log(path: Path) -> list[Request]:
    """Read every complete line, in the order in which requests ended."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    requests = [Request(**json.loads(line)) for line in lines if line.endswith("\n")]
    return sorted(requests, key=lambda request: request.end_unix_nano)
