"""What holds for every test."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# The same cases on every machine, however slow: HYPOTHESIS_PROFILE=default looks for new ones.
settings.register_profile("same", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))
