"""What happened beside the telemetry: bounded, said once, and deploys that the telemetry tells by itself."""

from __future__ import annotations

from sloburn.duration import HOUR, MINUTE, SECOND
from sloburn.sli.timeline import MAX_ANNOTATIONS, MAX_CHANGES, SAME_NS, Timeline
from sloburn.slo.annotation import MAX_TEXT, Annotation, Kind, concerning, deploy_before
from tests.promises import span_slo
from tests.sli.harness import NOW, Bench
from tests.telemetry import SpanSpec, trace_request


def deploy(text: str, at: int, service: str = "shop") -> Annotation:
    """Return a deploy."""
    return Annotation(at_unix_nano=at, kind=Kind.DEPLOY, text=text, service=service)


def run(bench: Bench, version: str, number: int, service: str = "shop") -> None:
    """Send one span of a version."""
    span = SpanSpec(number=number, end=bench.now)
    bench.traces(trace_request([span], service=service, resource={"service.version": version}))


def test_a_new_version_is_a_deploy() -> None:
    """The first version of a service is where it was found; another one later is a deploy, once."""
    bench = Bench(span_slo())
    for minute, version in enumerate(["1.0", "1.0", "1.1", "1.0", "1.1"]):
        bench.now = NOW + minute * MINUTE
        run(bench, version, number=10 * minute + 1)
    found = bench.snapshot().annotations
    assert [(one.kind, one.text, one.at_unix_nano) for one in found] == [
        (Kind.FIRST, "1.0", NOW),
        (Kind.VERSION, "1.1", NOW + 2 * MINUTE),
    ]
    assert concerning(found, "shop") == found[1:]


def test_services_without_an_slo_are_nobodys_deploys() -> None:
    """Only services that an SLO reads are watched, so strangers cannot fill the chart."""
    bench = Bench(span_slo())
    run(bench, "1.0", 1, service="stranger")
    run(bench, "1.1", 11, service="stranger")
    assert bench.snapshot().annotations == ()


def test_what_changes_all_the_time_is_no_version() -> None:
    """A service that says something else every second is believed so many times an hour; the rest is counted."""
    timeline = Timeline()
    for number in range(100):
        timeline.see("shop", str(number), NOW + number * SECOND)
    assert len(concerning(timeline.annotations, "shop")) == MAX_CHANGES
    assert timeline.dropped["too many versions"] == 100 - 1 - MAX_CHANGES
    timeline.see("shop", "next", NOW + 2 * HOUR)
    assert timeline.annotations[-1].text == "next"


def test_only_the_newest_are_kept() -> None:
    """Memory is bounded; the oldest go first, and are counted."""
    timeline = Timeline()
    for number in range(MAX_ANNOTATIONS + 7):
        timeline.add(deploy(f"v{number}", NOW + number * MINUTE))
    assert len(timeline.annotations) == MAX_ANNOTATIONS
    assert timeline.annotations[0].text == "v7"
    assert timeline.dropped["oldest"] == 7


def test_a_retry_is_said_once() -> None:
    """The same words within a minute are the same annotation; later they are another."""
    timeline = Timeline()
    first = timeline.add(deploy("v1", NOW))
    assert timeline.add(deploy("v1", NOW + SAME_NS)) == first
    timeline.add(deploy("v1", NOW + SAME_NS + 1))
    timeline.add(deploy("v1", NOW, service="other"))
    assert len(timeline.annotations) == 3


def test_a_restart_knows_the_versions() -> None:
    """A version that was seen before a restart is not new after it."""
    before = Timeline()
    before.see("shop", "1.0", NOW)
    before.see("shop", "2" * 10_000, NOW + MINUTE)
    assert len(before.annotations[-1].text) == MAX_TEXT
    after = Timeline(before.annotations)
    after.see("shop", "1.0", NOW + HOUR)
    after.see("shop", "2" * 10_000, NOW + HOUR)
    assert after.annotations == before.annotations
    assert not after.is_changed


def test_the_deploy_before_a_burn() -> None:
    """The newest deploy of the service, or of everybody, a short while before; a note or another's deploy is none."""
    found = [
        deploy("v1", NOW - 50 * MINUTE),
        deploy("v2", NOW - 4 * MINUTE),
        deploy("v3", NOW + SECOND),
        deploy("v9", NOW - MINUTE, service="other"),
        Annotation(at_unix_nano=NOW - SECOND, kind=Kind.NOTE, text="a fair"),
    ]
    assert deploy_before(found, "shop", NOW, HOUR) == "v2 was deployed 4 min before the burn began"
    assert deploy_before(found[:1], "shop", NOW, 10 * MINUTE) == ""
    assert deploy_before([deploy("v4", NOW, service="")], "shop", NOW, HOUR).startswith("v4 was deployed 1 s before")
