"""``sloburn probe``: ask a process how it is, for orchestrators that can run a command."""

from __future__ import annotations

import argparse
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

from sloburn.clock import SystemClock
from sloburn.errors import CallError
from sloburn.sdk.health.probe import read_probe


def run(given: argparse.Namespace) -> int:
    """Print how it is; 1 when it is not well.

    Raises:
        CallError: Neither a file nor an address was given.
    """
    if given.file:
        is_well, text = read_probe(Path(given.file), given.max_age, SystemClock().now_unix_nano())
    elif given.url:
        is_well, text = _ask(given.url, given.timeout)
    else:
        raise CallError("give --file PATH or --url URL")
    print(text)
    return int(not is_well)


def _ask(url: str, timeout_seconds: float) -> tuple[bool, str]:
    if urlsplit(url).scheme not in ("http", "https"):
        raise CallError(f"--url {url}: is not an address such as http://127.0.0.1:8081/readyz")
    try:
        with urlopen(url, timeout=timeout_seconds) as answer:  # noqa: S310 - the scheme was looked at
            return True, f"HTTP {answer.status}"
    except HTTPError as error:
        with error:
            return False, f"HTTP {error.code}"
    except OSError as error:
        return False, f"{url} does not answer: {error}"
