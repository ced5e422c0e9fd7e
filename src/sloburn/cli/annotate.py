"""``sloburn annotate``: draw a deploy on the chart. Exit status 0 kept, 1 refused, 2 wrong call, 3 no answer."""

from __future__ import annotations

import argparse
import json
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from sloburn.cli.moment import read_moment
from sloburn.errors import ConfigError
from sloburn.outputs.wording import iso_text

DEFAULT_PROCESSOR = "http://127.0.0.1:4321"
PATH = "/api/v1/annotations"
MAX_ANSWER_BYTES = 64 * 1024
WRONG_CALL, CANNOT_TELL = 2, 3


def run(given: argparse.Namespace) -> int:
    """Tell a processor what happened, and print what it keeps.

    Raises:
        ConfigError: The moment or the token's file is wrong.
    """
    address = given.processor.rstrip("/")
    if not address.startswith(("http://", "https://")):
        return _fail(f"--to: found {given.processor!r}; expected an address like {DEFAULT_PROCESSOR}", WRONG_CALL)
    request = urllib.request.Request(  # noqa: S310  the scheme was looked at
        f"{address}{PATH}", data=json.dumps(_body(given)).encode(), headers=_headers(given), method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=given.timeout) as answer:  # noqa: S310
            kept = json.loads(answer.read(MAX_ANSWER_BYTES))
    except urllib.error.HTTPError as error:
        with error:
            status = CANNOT_TELL if error.code >= 500 else 1
            return _fail(f"{address} answers {error.code}: {_reason(error)}", status)
    except (OSError, ValueError) as error:
        return _fail(f"{address} does not answer: {getattr(error, 'reason', error)}", CANNOT_TELL)
    print(json.dumps(kept, ensure_ascii=False) if given.json else _text(kept))
    return 0


def _fail(message: str, status: int) -> int:
    print(message, file=sys.stderr)
    return status


def _body(given: argparse.Namespace) -> dict[str, str]:
    body = {"text": given.text, "service": given.service, "kind": given.kind}
    if given.at:
        body["at"] = iso_text(read_moment(given.at))
    return body


def _headers(given: argparse.Namespace) -> dict[str, str]:
    headers = {"Content-Type": "application/json"}
    if given.token_file:
        try:
            token = Path(given.token_file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ConfigError(f"--token-file {given.token_file}: cannot be read: {reason}") from error
        headers["Authorization"] = f"Bearer {token}"
    return headers


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(error.read(MAX_ANSWER_BYTES))["error"])
    except (OSError, ValueError, KeyError, TypeError):
        return error.reason


def _text(kept: dict[str, Any]) -> str:
    whom = f" of {kept['service']}" if kept["service"] else ""
    return f"{kept['kind']}{whom} at {kept['at']}: {kept['text']}"
