"""What holds for every test."""

from __future__ import annotations

import os
import signal
import threading

from hypothesis import HealthCheck, settings

# The same cases on every machine, however slow: HYPOTHESIS_PROFILE=default looks for new ones.
settings.register_profile("same", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

# Whoever started the tests in the background may have had them ignore Ctrl-C, which all that they start would inherit.
if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
