"""``sloburn dashboards``: Grafana dashboards of SLO documents and of services."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from sloburn.errors import ConfigError
from sloburn.rules.service_board import service_board
from sloburn.rules.slo_board import slo_board
from sloburn.rules.span_metrics import OURS, read_span_metrics
from sloburn.spec import load_slos


def run(given: argparse.Namespace) -> int:
    """Write both dashboards into a folder.

    Raises:
        ConfigError: A file cannot be read or written.
        SpecError: An SLO document is wrong.
    """
    spans = read_span_metrics(Path(given.collector)) if given.collector else OURS
    boards = (slo_board(load_slos([Path(path) for path in given.paths])), service_board(spans))
    folder = Path(given.output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for board in boards:
            file = folder / f"{board['uid']}.json"
            file.write_text(json.dumps(board, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
            print(file)
    except OSError as error:
        raise ConfigError(f"--output {folder}: cannot be written: {error.strerror}") from error
    return 0
