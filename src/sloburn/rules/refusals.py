"""What cannot be said in the language of another program."""

from __future__ import annotations


class CannotCompile(Exception):
    """Something has no counterpart in Prometheus or in the Collector; the message says what and why."""
