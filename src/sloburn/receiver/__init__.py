"""OTLP over HTTP and gRPC: limits, encodings, and the one map from errors to answers."""
