"""``/metrics`` from the instruments that feed OTLP: exact across worker processes, with exemplars."""
