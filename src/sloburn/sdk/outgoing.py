"""Keep secrets out of the baggage that leaves with every outgoing call and message."""

from __future__ import annotations

from opentelemetry import baggage, propagate
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import (
    CarrierT,
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)

from sloburn.sdk.redaction import redact_attributes


class RedactingPropagator(TextMapPropagator):
    """Injects what another propagator injects, with baggage that holds no secret.

    Args:
        inner: Does the work.
    """

    def __init__(self, inner: TextMapPropagator) -> None:
        self._inner = inner

    def extract(
        self, carrier: CarrierT, context: Context | None = None, getter: Getter[CarrierT] = default_getter
    ) -> Context:
        """Read what came in, as it came."""
        return self._inner.extract(carrier, context, getter)

    def inject(
        self, carrier: CarrierT, context: Context | None = None, setter: Setter[CarrierT] = default_setter
    ) -> None:
        """Write what goes out, without secrets."""
        entries = baggage.get_all(context)
        for key, value in (redact_attributes(entries) if entries else {}).items():
            if value is not entries[key]:
                context = baggage.set_baggage(key, value, context)
        self._inner.inject(carrier, context, setter)

    @property
    def fields(self) -> set[str]:
        """The headers that it writes."""
        return self._inner.fields


def guard_baggage() -> None:
    """Let the global propagator redact; doing so twice changes nothing."""
    current = propagate.get_global_textmap()
    if not isinstance(current, RedactingPropagator):
        propagate.set_global_textmap(RedactingPropagator(current))
