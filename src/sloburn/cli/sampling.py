"""``sloburn sampling``: SLO documents to tail-sampling policies of the Collector."""

from __future__ import annotations

import argparse
from pathlib import Path

from sloburn.cli.output import may_write, write_output
from sloburn.rules.sampling import compile_sampling, read_sampler, sampling_text
from sloburn.spec import load_slos


def run(given: argparse.Namespace) -> int:
    """Compile, and write the part of a configuration to a file or to standard output.

    Returns:
        1 where an SLO was refused, unless `--partial` asks for the others.

    Raises:
        ConfigError: The Collector's configuration is not understood, or the file cannot be written.
        SpecError: An SLO document is wrong.
    """
    sampler = read_sampler(Path(given.collector))
    kept = compile_sampling(load_slos([Path(path) for path in given.paths]), sampler)
    if not may_write(kept.refused, kept.notes, is_partial=given.partial):
        return 1
    write_output(given.output, sampling_text(kept, sampler))
    return 0
