"""The dashboard of one service, whichever: rate, errors and duration, what it calls, its tasks, logs and traces."""

from __future__ import annotations

from sloburn.rules.panels import (
    GREEN,
    JAEGER,
    LINE_STYLE,
    LOKI,
    RED,
    YELLOW,
    Json,
    Panel,
    Query,
    Row,
    dashboard,
    label_variable,
)
from sloburn.rules.span_metrics import OURS, SpanMetrics

UID = "sloburn-service"
_MINE = 'service_name="$service"'
_SERVER = f'{_MINE},span_kind=~"SPAN_KIND_SERVER|SPAN_KIND_CONSUMER"'
_FAILED = 'status_code="STATUS_CODE_ERROR"'
_JOB = 'job=~"(.+/)?$service"'
_HEATMAP: Json = {
    "calculate": False,
    "yAxis": {"unit": "s"},
    "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64},
    "cellGap": 1,
}


def service_board(spans: SpanMetrics = OURS) -> Json:
    """Return the dashboard of a service.

    Args:
        spans: What span_metrics exposes.
    """
    variable = label_variable("service", "Service", f"label_values({spans.calls}, service_name)")
    rows = (_requests(spans), _calls(spans), _tasks(), _logs(), _process(), _neighbours())
    text = "Rate, errors and duration of a service, from its spans; its logs, traces and process."
    return dashboard(UID, "Service", text, rows, (variable,))


def _rate(selector: str, by: str) -> str:
    return f"sum by ({by}) (rate({selector}[$__rate_interval]))"


def _quantiles(histogram: str, labels: str) -> tuple[Query, ...]:
    return tuple(
        Query(
            text=f"histogram_quantile({share}, {_rate(f'{histogram}_bucket{{{labels}}}', 'le')})",
            legend=name,
            exemplars=share == 0.99,
        )
        for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
    )


def _requests(spans: SpanMetrics) -> Row:
    return Row(title="What it answers", panels=(*_answers(spans), *_durations(spans)))


def _answers(spans: SpanMetrics) -> tuple[Panel, ...]:
    calls = spans.calls
    failed, all_of = (
        _rate(f"{calls}{{{_SERVER},{_FAILED}}}", "http_route"),
        _rate(f"{calls}{{{_SERVER}}}", "http_route"),
    )
    return (
        Panel(
            title="Requests and tasks",
            queries=(Query(text=_rate(f"{calls}{{{_SERVER}}}", "span_name"), legend="{{span_name}}"),),
            unit="reqps",
            style=LINE_STYLE,
        ),
        Panel(
            title="Share that failed",
            queries=(Query(text=f"{failed} / {all_of}", legend="{{http_route}}"),),
            unit="percentunit",
            steps=((GREEN, None), (YELLOW, 0.01), (RED, 0.05)),
            style={**LINE_STYLE, "min": 0},
            help="Spans with an error status, by route; nothing where nothing failed yet.",
        ),
    )


def _durations(spans: SpanMetrics) -> tuple[Panel, ...]:
    buckets = f"sum by (le) (increase({spans.duration}_bucket{{{_SERVER}}}[$__rate_interval]))"
    return (
        Panel(
            title="Duration",
            queries=_quantiles(spans.duration, _SERVER),
            unit="s",
            style=LINE_STYLE,
            help="Dots are exemplars: each leads to its trace.",
        ),
        Panel(
            title="Durations",
            kind="heatmap",
            queries=(Query(text=buckets, legend="{{le}}", shape="heatmap"),),
            width=12,
            unit="s",
            options=_HEATMAP,
        ),
        Panel(title="Traces", kind="table", queries=(Query(text="$service", source=JAEGER),), width=12),
    )


def _calls(spans: SpanMetrics) -> Row:
    client = f'{_MINE},span_kind=~"SPAN_KIND_CLIENT|SPAN_KIND_PRODUCER"'
    return Row(
        title="What it calls",
        panels=(
            Panel(
                title="Calls",
                queries=(Query(text=_rate(f"{spans.calls}{{{client}}}", "span_name"), legend="{{span_name}}"),),
                unit="reqps",
                style=LINE_STYLE,
            ),
            Panel(
                title="Calls that failed",
                queries=(
                    Query(text=_rate(f"{spans.calls}{{{client},{_FAILED}}}", "span_name"), legend="{{span_name}}"),
                ),
                unit="reqps",
                style=LINE_STYLE,
            ),
            Panel(
                title="Duration of calls",
                queries=_quantiles(spans.duration, client),
                unit="s",
                style=LINE_STYLE,
            ),
        ),
    )


def _tasks() -> Row:
    tasks = _rate(f"celery_tasks_total{{{_JOB}}}", "celery_task_name, outcome")
    return Row(
        title="Celery",
        folded=True,
        panels=(
            Panel(
                title="Tasks by outcome",
                queries=(Query(text=tasks, legend="{{celery_task_name}} {{outcome}}"),),
                unit="ops",
                style=LINE_STYLE,
            ),
            Panel(
                title="Time in the queue",
                queries=_quantiles("celery_task_queue_duration_seconds", _JOB),
                unit="s",
                style=LINE_STYLE,
            ),
            Panel(
                title="Time at work",
                queries=_quantiles("messaging_process_duration_seconds", _JOB),
                unit="s",
                style=LINE_STYLE,
            ),
        ),
    )


def _logs() -> Row:
    lines = f"sum by (severity_text) (count_over_time({{{_MINE}}}[$__auto]))"
    return Row(
        title="Logs",
        panels=(
            Panel(
                title="Lines by level",
                queries=(Query(text=lines, legend="{{severity_text}}", source=LOKI),),
                style=LINE_STYLE,
            ),
            Panel(
                title="Lines",
                kind="logs",
                queries=(Query(text=f"{{{_MINE}}}", source=LOKI),),
                width=16,
                options={"showTime": True, "wrapLogMessage": True, "enableLogDetails": True, "sortOrder": "Descending"},
            ),
        ),
    )


def _process() -> Row:
    return Row(
        title="Process",
        folded=True,
        panels=(
            _gauge("CPU", _rate(f"process_cpu_time_seconds_total{{{_JOB}}}", "instance"), "none", "{{instance}}"),
            _gauge("Memory", f"process_memory_usage_bytes{{{_JOB}}}", "bytes", "{{instance}}"),
            _gauge("Uptime", f"process_uptime_seconds{{{_JOB}}}", "s", "{{instance}}"),
        ),
    )


def _neighbours() -> Row:
    idle = 'sum by (instance) (rate(node_cpu_seconds_total{mode!="idle"}[$__rate_interval]))'
    transactions = 'sum by (datname) (rate(pg_stat_database_xact_commit{datname!~"template.*|"}[$__rate_interval]))'
    return Row(
        title="Host, PostgreSQL and Redis",
        folded=True,
        panels=(
            _gauge("CPUs at work", idle, "none", "{{instance}}"),
            _gauge("Memory available", "node_memory_MemAvailable_bytes", "bytes", "{{instance}}"),
            _gauge("PostgreSQL transactions", transactions, "ops", "{{datname}}"),
            _gauge("Redis commands", "rate(redis_commands_processed_total[$__rate_interval])", "ops", "{{instance}}"),
            _gauge("Redis memory", "redis_memory_used_bytes", "bytes", "{{instance}}"),
        ),
    )


def _gauge(title: str, text: str, unit: str, legend: str) -> Panel:
    return Panel(title=title, queries=(Query(text=text, legend=legend),), unit=unit, style=LINE_STYLE)
