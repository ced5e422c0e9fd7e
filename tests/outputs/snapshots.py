"""Hand-built snapshots: what an engine could have said, without one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

from sloburn.duration import DAY, HOUR, MINUTE, SECOND
from sloburn.sli.incomplete import Missed, incomplete
from sloburn.sli.status import BudgetPoint, FailingTrace, SloState, SloStatus, Snapshot, Suspect, WindowBurn
from sloburn.slo.alerting import Alert, AlertState, read_pair
from sloburn.slo.annotation import Annotation, Kind
from sloburn.slo.budget import Count, budget_remaining, burn_rate, sli, time_to_exhaustion
from sloburn.slo.catalog import workbook_windows
from sloburn.slo.conditions import AllOf, Match, Op, Source
from sloburn.slo.exclusions import Interval, OneOff
from sloburn.slo.model import Alerting, BudgetLevel, Period, Severity, SlicedIndicator, Slo, SpanIndicator

# 2026-11-21T14:02:11.250Z
NOW = 1_795_269_731_250_000_000
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN_ID = "00f067aa0ba902b7"
HOSTILE = "<script>alert(1)</script>\"'&\u202egnp.exe\u2066\x00" + "A" * 5_000
SURROGATE = "half \ud83d of a smile"


def build_slo(name: str = "checkout-availability", **changes: object) -> Slo:
    """Build a promise of 99.9 % over 30 days with the workbook's windows."""
    period = Period(length_ns=30 * DAY)
    bad = Match(source=Source.STATUS, op=Op.EQ, operands=("error",))
    slo = Slo(
        name=name,
        service="checkout",
        objective=Fraction(999, 1000),
        period=period,
        indicator=SpanIndicator(where=AllOf(), bad=bad),
        alerting=Alerting(windows=workbook_windows(period)),
        description="Customers can pay.",
        runbook="https://runbooks.example/checkout",
    )
    return replace(slo, **changes)  # type: ignore[arg-type]  # tests name real fields


def build_status(
    slo: Slo | None = None,
    *,
    state: SloState = SloState.OK,
    count: Count | None = None,
    windows: Mapping[int, Count] | None = None,
    alerts: Mapping[Severity, Alert] | None = None,
    **changes: object,
) -> SloStatus:
    """Build the status of one SLO whose ratios follow from its counts.

    Args:
        slo: The promise.
        state: Where it stands.
        count: Events of the period; 150,000 with 48 bad ones unless given.
        windows: Events by look-back; what is not named holds its share of the period's events.
        alerts: Alerts that are not inactive.
        changes: Fields to overwrite.
    """
    slo = slo or build_slo()
    count = Count(149_952, 48) if count is None else count
    lengths = sorted({length for window in slo.alerting.windows for length in (window.long_ns, window.short_ns)})
    held = {length: (windows or {}).get(length, _share(count, length, slo.period.length_ns)) for length in lengths}
    pairs = tuple(
        read_pair(w, slo.objective, long=held[w.long_ns], short=held[w.short_ns]) for w in slo.alerting.windows
    )
    remaining = budget_remaining(count, slo.objective)
    burn = pairs[0].long_burn if pairs else None
    left = None if remaining is None or burn is None else time_to_exhaustion(remaining, burn, slo.period.length_ns)
    status = SloStatus(
        slo=slo,
        state=state,
        since_unix_nano=NOW - 3 * HOUR,
        count=count,
        lifetime=count,
        sli=sli(count),
        budget_remaining=remaining,
        exhaustion_ns=left,
        burns=tuple(WindowBurn(length_ns=n, count=held[n], burn=burn_rate(held[n], slo.objective)) for n in lengths),
        pairs=pairs,
        alerts=tuple((alerts or {}).get(severity, Alert(severity=severity)) for severity in Severity),
        last_event_unix_nano=NOW - SECOND if count.total else 0,
    )
    return replace(status, **changes)  # type: ignore[arg-type]  # tests name real fields


def _share(count: Count, length: int, period: int) -> Count:
    return Count(count.good * length // period, count.bad * length // period)


def course(*shares: float, end: int = NOW, span: int = 30 * DAY, total: int = 1_000) -> tuple[BudgetPoint, ...]:
    """Build a budget's course from shares that are left, the first one before any event."""
    step = span // max(1, len(shares) - 1)
    points, before = [], 1.0
    for index, share in enumerate(shares):
        bad = max(0, round((before - share) * 100)) if index else 0
        count = Count(total - bad, bad) if index else Count()
        at = end - (len(shares) - 1 - index) * step
        points.append(BudgetPoint(at_unix_nano=at, remaining=Fraction(str(round(share, 6))), count=count))
        before = share
    return tuple(points)


def firing(severity: Severity, ago: int = 3 * MINUTE) -> Alert:
    """Build an alert that fires since `ago` nanoseconds and was pending a second before."""
    since = NOW - ago
    return Alert(
        severity=severity,
        state=AlertState.FIRING,
        since_unix_nano=since,
        pending_unix_nano=since - SECOND,
        fired_unix_nano=since,
    )


def failing_trace(index: int = 0, **changes: object) -> FailingTrace:
    """Build a failing trace; each index has ids of its own."""
    trace = FailingTrace(
        at_unix_nano=NOW - index * SECOND,
        trace_id=f"{int(TRACE_ID, 16) + index * 7_919:032x}",
        span_id=f"{int(SPAN_ID, 16) + index:016x}",
        name="POST /pay",
        duration_ns=(31 + index * 17) * 1_000_000,
        status="500",
        exception="examples.shop.app.PaymentGatewayTimeout",
        message="card gateway refused: upstream timed out after 30 ms",
        attributes=(("http.route", "/pay"), ("http.request.method", "POST"), ("service.version", "2.4.1")),
    )
    return replace(trace, **changes)  # type: ignore[arg-type]  # tests name real fields


def suspect(key: str = "http.route", value: str = "/pay", bad: int = 94, good: int = 12) -> Suspect:
    """Build a suspect out of 100 bad and 100 good events."""
    return Suspect(
        key=key, value=value, count=Count(good, bad), bad_share=Fraction(bad, 100), good_share=Fraction(good, 100)
    )


def burning_status(slo: Slo | None = None) -> SloStatus:
    """Build an SLO that pages: both windows of the fastest pair are over."""
    windows = {
        5 * MINUTE: Count(940, 60),
        HOUR: Count(11_790, 214),
        30 * MINUTE: Count(5_700, 214),
        6 * HOUR: Count(71_786, 214),
    }
    windows |= {2 * HOUR: Count(23_786, 214), DAY: Count(143_786, 220)}
    return build_status(
        slo,
        state=SloState.BURNING,
        count=Count(2_880_000 - 1_381, 1_381),
        windows=windows,
        alerts={Severity.PAGE: firing(Severity.PAGE), Severity.TICKET: _resolved()},
        since_unix_nano=NOW - 3 * MINUTE,
        failing=tuple(failing_trace(index) for index in range(8)),
        suspects=(
            suspect(),
            suspect("service.version", "2.4.1", 97, 48),
            suspect("exception.type", "examples.shop.app.PaymentGatewayTimeout", 91, 0),
        ),
        budget=course(1, 0.99, 0.985, *[0.98 - n * 0.003 for n in range(90)], 0.70, 0.66, 0.6, 0.52),
        notes=("Factor 933.3 of a window can never be reached with objective 99.9 %: it is left out.",),
    )


def _resolved() -> Alert:
    fired = NOW - 2 * DAY
    return Alert(
        severity=Severity.TICKET,
        state=AlertState.RESOLVED,
        since_unix_nano=fired + 5 * HOUR,
        fired_unix_nano=fired,
        resolved_unix_nano=fired + 5 * HOUR,
    )


def snapshot_of(*statuses: SloStatus, **changes: object) -> Snapshot:
    """Build a snapshot of these SLOs."""
    items = {("traces", "counted"): 2_880_000, ("traces", "duplicate"): 3, ("metrics", "unmatched"): 12}
    return replace(Snapshot(at_unix_nano=NOW, statuses=statuses, items=items), **changes)  # type: ignore[arg-type]


def team_snapshot() -> Snapshot:
    """Build what a team sees on a bad day: every standing once, and groups."""
    grouped = build_slo("search-latency", service="search", objective=Fraction(95, 100), group_by=("http.route",))
    ticket = build_slo("mail-delivery", service="news", objective=Fraction(995, 1000))
    ticket_windows = {DAY: Count(1_940, 40), 2 * HOUR: Count(160, 4), HOUR: Count(80, 1), 6 * HOUR: Count(500, 6)}
    spent = build_slo("invoice-pdf", service="billing", objective=Fraction(99, 100))
    calm = course(*[1 - n * 0.002 for n in range(60)])
    return snapshot_of(
        build_status(build_slo("login-availability", service="accounts"), budget=calm),
        build_status(grouped, group=(("http.route", "/search"),), count=Count(98_310, 1_690), budget=calm),
        build_status(grouped, group=(("http.route", "/suggest"),), count=Count(48_310, 690), budget=calm),
        build_status(
            ticket,
            state=SloState.BURNING,
            count=Count(58_000, 84),
            windows=ticket_windows,
            alerts={Severity.TICKET: firing(Severity.TICKET, 5 * HOUR)},
            budget=course(*[1 - n * 0.004 for n in range(72)]),
            suspects=(suspect("smtp.host", "mx2.example", 81, 30),),
        ),
        burning_status(),
        build_status(
            spent,
            state=SloState.EXHAUSTED,
            count=Count(9_700, 300),
            windows={HOUR: Count(300, 1)},
            budget=course(*[1 - n * 0.05 for n in range(60)]),
            failing=(failing_trace(),),
        ),
        build_status(
            build_slo("export-jobs", service="reports"),
            state=SloState.NO_DATA,
            windows={n: Count() for n in (5 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 6 * HOUR)},
            budget=calm,
            exhaustion_ns=None,
        ),
        build_status(build_slo("admin-pages", service="back-office"), state=SloState.NO_TRAFFIC, count=Count()),
    )


def gappy_status(lost: int = 1_000) -> SloStatus:
    """Build a burning SLO of whose events so many were lost on their way, in every look-back."""
    status = burning_status(build_slo("cart-availability"))
    lengths = (*(burn.length_ns for burn in status.burns), status.slo.period.length_ns)
    counts = (*(burn.count for burn in status.burns), status.count)
    missed = Missed((lost,) * len(lengths), (("not sent by a Collector", lost),))
    found = incomplete(missed, lengths, counts, status.slo.objective, status.slo.alerting.windows[0].long_ns)
    assert found is not None
    return replace(status, incomplete=found, notes=(*status.notes, found.text))


def gappy_snapshot() -> Snapshot:
    """Build what a team sees when telemetry was lost."""
    lost = {("", "traces", "not sent by a Collector"): 1_000}
    return replace(team_snapshot(), statuses=(*team_snapshot().statuses, gappy_status()), lost=lost)


def sliced_status() -> SloStatus:
    """Build an SLO whose events are minutes: 1,000 good ones and 3 bad ones."""
    slo = build_slo("checkout-minutes")
    assert isinstance(slo.indicator, SpanIndicator)
    indicator = SlicedIndicator(source=slo.indicator, slice_ns=MINUTE, target=Fraction(95, 100))
    return build_status(replace(slo, indicator=indicator), count=Count(9_997, 3), outage_ns=7 * MINUTE)


def all_kinds_snapshot() -> Snapshot:
    """Build what a team sees that also counts minutes and has lost telemetry."""
    return replace(gappy_snapshot(), statuses=(*gappy_snapshot().statuses, sliced_status()))


def demo_snapshot() -> Snapshot:
    """Build what the demo shows: one SLO burns on a clock that runs 60 times faster, minutes after the start."""
    slow = burning_status()
    slo = slow.slo.scaled(60)
    pairs = tuple(replace(pair, window=window) for pair, window in zip(slow.pairs, slo.alerting.windows, strict=True))
    burns = tuple(replace(burn, length_ns=burn.length_ns // 60) for burn in slow.burns)
    shares = [1.0] * 8 + [0.99, 0.985, 0.99, 0.985, 0.9, 0.8, 0.62, 0.41, 0.22]
    burning = replace(
        slow,
        slo=slo,
        pairs=pairs,
        burns=burns,
        count=Count(3_212, 5),
        alerts=(firing(Severity.PAGE, 20 * SECOND), Alert(severity=Severity.TICKET)),
        budget=course(*shares, span=160 * SECOND, total=40),
        exhaustion_ns=47 * SECOND,
    )
    calm = build_status(
        build_slo("checkout-latency", objective=Fraction(95, 100)).scaled(60), budget=course(1, 1, 0.98, 0.97)
    )
    return snapshot_of(burning, calm, time_scale=60)


def many_snapshot(count: int = 100) -> Snapshot:
    """Build a crowd of SLOs."""
    calm = course(*[1 - n * 0.002 for n in range(60)])
    return snapshot_of(*(build_status(build_slo(f"service-{n:03d}-availability"), budget=calm) for n in range(count)))


def story_snapshot() -> Snapshot:
    """Build an SLO with everything on its chart: deploys, a note, maintenance; and budget alerts beside the burn."""
    levels = (
        BudgetLevel(severity=Severity.TICKET, left=Fraction(55, 100), clear=Fraction(60, 100)),
        BudgetLevel(severity=Severity.PAGE, left=Fraction(0), clear=Fraction(5, 100)),
    )
    nights = tuple(Interval(NOW - day * DAY, NOW - day * DAY + 10 * HOUR) for day in (24, 17, 10, 3))
    exclusions = (
        *(OneOff(name="database migration", interval=night) for night in nights[:1]),
        OneOff(name="failover drill", interval=Interval(NOW - 9 * DAY, NOW - 8 * DAY)),
        OneOff(name="data centre move", interval=Interval(NOW + 2 * DAY, NOW + 2 * DAY + 4 * HOUR)),
    )
    plain = build_slo(exclusions=exclusions)
    slo = replace(plain, alerting=replace(plain.alerting, budget=levels))
    low = replace(firing(Severity.TICKET, 2 * MINUTE), left=Fraction(55, 100))
    burning = burning_status(slo)
    alerts = (*burning.alerts, low, Alert(severity=Severity.PAGE, left=Fraction(0)))
    annotations = (
        Annotation(at_unix_nano=NOW - 20 * DAY, kind=Kind.DEPLOY, text="v2.3.0", service="checkout"),
        Annotation(at_unix_nano=NOW - 12 * DAY, kind=Kind.NOTE, text="summer sale begins"),
        Annotation(at_unix_nano=NOW - 11 * DAY, kind=Kind.DEPLOY, text="v2.4.0", service="checkout"),
        Annotation(at_unix_nano=NOW - 7 * MINUTE, kind=Kind.VERSION, text="2.4.1", service="checkout"),
        Annotation(at_unix_nano=NOW - 6 * MINUTE, kind=Kind.DEPLOY, text="v9", service="other"),
    )
    return snapshot_of(replace(burning, alerts=alerts), annotations=annotations)


def hostile_snapshot() -> Snapshot:
    """Build an SLO of which every text that telemetry decides is hostile."""
    trace = failing_trace(
        name=HOSTILE,
        status=HOSTILE,
        exception=HOSTILE,
        message=HOSTILE + SURROGATE,
        trace_id=HOSTILE,
        attributes=((HOSTILE, HOSTILE), (SURROGATE, SURROGATE)),
    )
    slo = build_slo(description=HOSTILE, runbook="javascript:alert(1)", group_by=("tenant",))
    status = build_status(
        slo,
        state=SloState.BURNING,
        alerts={Severity.PAGE: firing(Severity.PAGE)},
        group=(("tenant", HOSTILE + SURROGATE),),
        suspects=(suspect(HOSTILE, HOSTILE + SURROGATE),),
        failing=(trace,),
        notes=(HOSTILE,),
        budget=course(1, 0.9, 0.5),
    )
    version = Annotation(at_unix_nano=NOW - 5 * MINUTE, kind=Kind.VERSION, text=HOSTILE + SURROGATE)
    return snapshot_of(status, items={("traces", SURROGATE): 1}, annotations=(version,))
