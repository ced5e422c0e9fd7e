"""OTLP bytes to something that the engine can walk: the only place that imports protobuf."""
