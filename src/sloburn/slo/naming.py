"""Every metric and label name that sloburn exposes: read by the exposition, the rule compiler and the dashboards.

Names follow Prometheus' practice: base units in the name, ``_total`` on counters.
"""

from __future__ import annotations

from collections.abc import Iterable

BUILD_INFO = "sloburn_build_info"
EVENTS_TOTAL = "sloburn_slo_events_total"
OBJECTIVE_RATIO = "sloburn_slo_objective_ratio"
PERIOD_SECONDS = "sloburn_slo_period_seconds"
SLI_RATIO = "sloburn_slo_sli_ratio"
BUDGET_REMAINING_RATIO = "sloburn_slo_error_budget_remaining_ratio"
BUDGET_REMAINING_SECONDS = "sloburn_slo_error_budget_remaining_seconds"
SLICE_SECONDS = "sloburn_slo_slice_seconds"
BURN_RATE = "sloburn_slo_burn_rate"
MISSING_EVENTS = "sloburn_slo_missing_events"
BURN_RATE_LOW = "sloburn_slo_burn_rate_low"
BURN_RATE_HIGH = "sloburn_slo_burn_rate_high"
ALERT_STATE = "sloburn_alert_state"
SLO_STATE = "sloburn_slo_state"

ALERTMANAGER_ALERTS_TOTAL = "sloburn_alertmanager_alerts_total"
REQUESTS_TOTAL = "sloburn_receiver_requests_total"
ITEMS_TOTAL = "sloburn_engine_items_total"
LOST_EVENTS_TOTAL = "sloburn_lost_events_total"
SENDER_CLOCK_LEAD_SECONDS = "sloburn_sender_clock_lead_seconds"
CONFIG_RELOADS_TOTAL = "sloburn_config_reloads_total"
CONFIG_RELOAD_OK = "sloburn_config_reload_ok"
CONFIG_RELOAD_TIMESTAMP_SECONDS = "sloburn_config_reload_timestamp_seconds"
HISTORY_BEGIN_TIMESTAMP_SECONDS = "sloburn_history_begin_timestamp_seconds"
ANNOTATIONS_DROPPED_TOTAL = "sloburn_annotations_dropped_total"
STREAMS = "sloburn_page_streams"
STREAMS_REFUSED_TOTAL = "sloburn_page_streams_refused_total"
STREAM_SNAPSHOTS_SKIPPED_TOTAL = "sloburn_page_stream_snapshots_skipped_total"
STORE_OK = "sloburn_store_ok"
STORE_DAMAGES = "sloburn_store_damages"
REMOVED_SLOS = "sloburn_removed_slos"
REMOVED_SLOS_FORGOTTEN_TOTAL = "sloburn_removed_slos_forgotten_total"
SEEN_SPANS = "sloburn_seen_spans"
SEEN_CAPACITY_SPANS = "sloburn_seen_capacity_spans"
SEEN_BYTES = "sloburn_seen_bytes"
SEEN_HORIZON_SECONDS = "sloburn_seen_horizon_seconds"

# What compiled rules record: level:metric:operation.
RULE_EVENTS = "slo:sloburn_events"
RULE_BAD_EVENTS = "slo:sloburn_bad_events"
RULE_BURN_RATE = "slo:sloburn_burn_rate:window"
RULE_SLI = "slo:sloburn_sli:ratio"
RULE_BUDGET_REMAINING = "slo:sloburn_error_budget_remaining:ratio"
RULE_OBJECTIVE = "slo:sloburn_objective:ratio"

# Names of alerts; Alertmanager takes those of the processor and of compiled rules for the same.
ALERT_BURN = "SloBurn"
ALERT_BUDGET = "SloBudget"

LABEL_SLO = "slo"
LABEL_SERVICE = "service"
LABEL_GROUP = "group"
LABEL_OUTCOME = "outcome"
LABEL_WINDOW = "window"
LABEL_SEVERITY = "severity"
LABEL_ALERT = "alert"
LABEL_STATE = "state"
LABEL_SIGNAL = "signal"
LABEL_SOURCE = "source"
LABEL_REASON = "reason"


def group_label(group: Iterable[tuple[str, str]]) -> str:
    r"""Write a group as one label value: ``k=v,k2=v2``; empty without groups.

    A comma, an equals sign or a backslash inside a name or value gets a backslash, so no two groups look alike; what
    UTF-8 cannot carry, half a surrogate pair, is spelt out.
    """
    return ",".join(f"{_escaped(key)}={_escaped(value)}" for key, value in group)


def _escaped(text: str) -> str:
    for special in ("\\", ",", "="):
        text = text.replace(special, f"\\{special}")
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
