"""Every metric and label name that sloburn exposes: read by the exposition, the rule compiler and the dashboards.

Names follow Prometheus' practice: base units in the name, ``_total`` on counters.
"""

from __future__ import annotations

EVENTS_TOTAL = "sloburn_slo_events_total"
OBJECTIVE_RATIO = "sloburn_slo_objective_ratio"
PERIOD_SECONDS = "sloburn_slo_period_seconds"
SLI_RATIO = "sloburn_slo_sli_ratio"
BUDGET_REMAINING_RATIO = "sloburn_slo_error_budget_remaining_ratio"
BURN_RATE = "sloburn_slo_burn_rate"
ALERT_STATE = "sloburn_alert_state"
SLO_STATE = "sloburn_slo_state"

ALERTMANAGER_ALERTS_TOTAL = "sloburn_alertmanager_alerts_total"
REQUESTS_TOTAL = "sloburn_receiver_requests_total"
ITEMS_TOTAL = "sloburn_engine_items_total"
SEEN_SPANS = "sloburn_seen_spans"
SEEN_BYTES = "sloburn_seen_bytes"
SEEN_HORIZON_SECONDS = "sloburn_seen_horizon_seconds"

LABEL_SLO = "slo"
LABEL_SERVICE = "service"
LABEL_GROUP = "group"
LABEL_OUTCOME = "outcome"
LABEL_WINDOW = "window"
LABEL_SEVERITY = "severity"
LABEL_STATE = "state"
LABEL_SIGNAL = "signal"
