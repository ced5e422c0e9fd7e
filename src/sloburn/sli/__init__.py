"""Telemetry in, service level indicators out: exact, in-stream, by event time."""
