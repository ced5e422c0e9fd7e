#!/usr/bin/env python3
"""Write Alertmanager's configuration for whom there are secrets to reach; the others are left out, and said so.

    receivers.py SOURCE TARGET

Alertmanager reads no environment, refuses to start over no missing secret, and fails at each notification instead. So
what cannot be sent is taken out before it starts: every integration whose secret file, beside SOURCE, is missing or
empty, and e-mail unless the environment says from where to where. Routes stay as they are.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

# Of an e-mail integration: what the environment sets.
_MAIL = {"to": "ALERT_EMAIL_TO", "from": "ALERT_EMAIL_FROM", "smarthost": "SMTP_SMARTHOST"}
_LOGIN = "SMTP_USERNAME"

Json = dict[str, Any]


class SettingsError(Exception):
    """The environment says one thing and not the other that it needs."""


def reachable(document: Json, folder: Path, environ: Mapping[str, str]) -> tuple[Json, list[str]]:
    """Leave out what cannot be sent.

    Args:
        document: Alertmanager's configuration.
        folder: What relative paths of secrets start from; it becomes what templates are found from, too.
        environ: May hold the four settings of e-mail.

    Returns:
        The configuration, and each integration that is left out, for people.

    Raises:
        SettingsError: E-mail is set in part.
    """
    left_out: list[str] = []
    receivers: list[Json] = []
    for receiver in document["receivers"]:
        kept = {"name": receiver["name"]}
        for kind, integration in _integrations(receiver, environ):
            if integration and _missing(integration, folder) is None:
                kept.setdefault(kind, []).append(integration)
            else:
                left_out.append(f"{receiver['name']}: {_reason(kind, integration, folder)}")
        receivers.append(kept)
    templates = [str(folder / pattern) for pattern in document.get("templates", [])]
    return {**document, "receivers": receivers, "templates": templates}, left_out


def _integrations(receiver: Json, environ: Mapping[str, str]) -> Iterator[tuple[str, Json]]:
    """Yield each integration of a receiver with its kind, e-mail with its settings."""
    for kind in (key for key in receiver if key != "name"):
        for integration in receiver[kind]:
            yield kind, _mail(integration, environ) if kind == "email_configs" else integration


def _mail(integration: Json, environ: Mapping[str, str]) -> Json:
    """Return an e-mail integration with its settings; empty when there are none."""
    given = {key: environ.get(name, "") for key, name in _MAIL.items()}
    if not any(given.values()):
        return {}
    lacking = sorted(_MAIL[key] for key, value in given.items() if not value)
    if lacking:
        raise SettingsError(f"e-mail needs {', '.join(_MAIL.values())}: {', '.join(lacking)} is empty")
    login = environ.get(_LOGIN, "")
    bare = {key: value for key, value in integration.items() if not key.startswith("auth_")}
    return {**(integration if login else bare), **given, **({"auth_username": login} if login else {})}


def _missing(integration: Json, folder: Path) -> str | None:
    """Return the first secret file that holds nothing."""
    for key, path in integration.items():
        if key.endswith("_file"):
            file = folder / path
            if not file.is_file() or not file.stat().st_size:
                return str(path)
    return None


def _reason(kind: str, integration: Json, folder: Path) -> str:
    name = kind.removesuffix("_configs")
    return f"{name} ({_missing(integration, folder)} is empty)" if integration else f"{name} ({_MAIL['to']} is empty)"


def main(source: Path, target: Path, environ: Mapping[str, str]) -> str | None:
    """Read the one file, write the other; return what is wrong."""
    try:
        document, left_out = reachable(yaml.safe_load(source.read_text()), source.parent, environ)
    except SettingsError as error:
        return str(error)
    target.write_text(yaml.safe_dump(document, sort_keys=False))
    for line in left_out:
        print(f"left out of {line}")
    if all(len(receiver) == 1 for receiver in document["receivers"]):
        print("alerts reach nobody: they are to be seen in Alertmanager and on sloburn's page only")
    return None


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("call: receivers.py SOURCE TARGET")
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), os.environ))
