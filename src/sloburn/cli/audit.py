"""``sloburn audit``: verify an audit trail, or note where it ends."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from sloburn.errors import ConfigError, SloburnError
from sloburn.sdk.audit import read_key
from sloburn.sdk.audit_chain import Head, Verification, read_head, verify

_OPEN = "has no end: lines may be missing there, or its process still runs or was killed"


def run(given: argparse.Namespace) -> int:
    """Verify a trail and say what is wrong, or print its heads.

    Raises:
        SloburnError: The trail is not intact.
        ConfigError: A file cannot be read.
    """
    found = verify(_lines(given.paths), _key(given.key_file), _anchors(getattr(given, "anchor", None)))
    if given.task == "anchor":
        _refuse(found)
        print("\n".join(str(chain.head) for chain in found.chains.values()))
        return 0
    if given.json:
        print(json.dumps(_as_json(found)))
        return int(bool(found.problems))
    _refuse(found)
    for name, chain in found.chains.items():
        end = (
            "ended"
            if chain.is_closed
            else "has no end: lines may be missing there, or its process still runs or was killed"
        )
        print(f"chain {name}: {chain.head.sequence} records, {end}")
    print(f"{found.records} records are intact")
    return 0


def _refuse(found: Verification) -> None:
    if found.problems:
        raise SloburnError("\n".join([*found.problems, f"the trail is not intact: {len(found.problems)} problems"]))


def _as_json(found: Verification) -> dict[str, object]:
    chains = {
        name: {"records": chain.head.sequence, "head": str(chain.head), "is_closed": chain.is_closed}
        for name, chain in found.chains.items()
    }
    return {"is_intact": not found.problems, "records": found.records, "chains": chains, "problems": found.problems}


def _lines(paths: list[str]) -> Iterator[tuple[str, bytes]]:
    for path in paths:
        try:
            with Path(path).open("rb") as file:
                for number, line in enumerate(file, start=1):
                    yield f"{path}:{number}", line.removesuffix(b"\n")
        except OSError as error:
            raise ConfigError(f"{path} cannot be read: {error.strerror}") from error


def _key(path: str | None) -> bytes:
    try:
        return read_key(path) if path else b""
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error


def _anchors(path: str | None) -> list[Head]:
    if path is None:
        return []
    try:
        return [read_head(line) for line in Path(path).read_text(encoding="utf-8").splitlines() if line.strip()]
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from error
