"""What holds for every test."""

from __future__ import annotations

import os
import signal
import threading

from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

# The same cases on every machine, however slow: HYPOTHESIS_PROFILE=default looks for new ones.
settings.register_profile("same", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
_PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "same")
settings.load_profile(_PROFILE)
if _PROFILE == "same":
    # Cases would hold numbers and words from our source, as far as it is imported by then: no two runs alike. There is
    # no setting for that.
    providers.is_local_module_file = lambda path: not path  # type: ignore[assignment, attr-defined]

# What a shell or a CI sets for its own programs says nothing about ours; the stack's settings are for these tests.
for name in tuple(os.environ):
    if name.startswith(("OTEL_", "SLOBURN_")) and not name.startswith("SLOBURN_STACK_"):
        del os.environ[name]

# No proxy stands between processes of this machine.
for name in ("NO_PROXY", "no_proxy"):
    os.environ[name] = ",".join(filter(None, (os.environ.get(name), "127.0.0.1", "localhost", "::1")))

# Whoever started the tests in the background may have had them ignore Ctrl-C, which all that they start would inherit.
if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
