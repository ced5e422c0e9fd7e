"""``sloburn serve``: run the processor."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
from pathlib import Path

from sloburn.clock import SystemClock
from sloburn.server.app import Addresses, serve
from sloburn.server.config import load_config

_FLAGS = (
    "slos",
    "watch",
    "data",
    "otlp_http",
    "otlp_grpc",
    "listen",
    "tls_certificate",
    "tls_key",
    "tls_client_authority",
    "bearer_token_file",
    "alertmanager",
    "page_url",
    "trace_url",
    "max_body_bytes",
    "dedupe_spans",
    "time_scale",
)


_GC_THRESHOLDS = (20_000, 20, 20)  # a request makes tuples by the thousand and no circles: 5 to 10 % less time a span


def run(given: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT.

    Raises:
        ConfigError: The configuration is wrong, or an address is taken.
        SpecError: An SLO document is wrong.
        StorageError: The store cannot be used.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    flags = {key: getattr(given, key) for key in _FLAGS}
    config = load_config(file=Path(given.config) if given.config else None, environ=os.environ, flags=flags)
    gc.set_threshold(*_GC_THRESHOLDS)
    asyncio.run(serve(config, SystemClock(), _announce))
    return 0


def _announce(bound: Addresses) -> None:
    print(f"sloburn is ready: page http://{bound.listen}/", flush=True)
    print(f"  OTLP/HTTP http://{bound.otlp_http} · OTLP/gRPC {bound.otlp_grpc}", flush=True)
