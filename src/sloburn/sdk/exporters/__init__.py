"""From finished telemetry to bytes on the wire: bounded queues, one thread per signal, losses counted."""
