"""A small web shop: FastAPI in front, Celery behind, and one line of telemetry in each."""
