"""The deploy gate's judgement, and what it does with strange answers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from sloburn.cli import main
from sloburn.duration import HOUR
from sloburn.server.gate import (
    CannotTell,
    Limit,
    Standing,
    Terms,
    Verdict,
    ask_processor,
    ask_prometheus,
    judge,
)
from tests.processor import READY_SECONDS


def standing(
    slo: str = "checkout", *, budget: str | None = "1/2", state: str = "ok", burns: Mapping[int, str] | None = None
) -> Standing:
    """Return an SLO with a window of an hour."""
    return Standing(
        slo=slo,
        group="",
        state=state,
        budget=None if budget is None else Fraction(budget),
        burns={window: Fraction(burn) for window, burn in (burns or {}).items()},
        windows=frozenset({HOUR, 6 * HOUR}),
    )


def reasons(one: Standing, **terms: object) -> tuple[str, ...]:
    """Return why one SLO closes the gate."""
    (verdict,) = judge([one], Terms(**terms))  # type: ignore[arg-type]  # tests name real fields
    return verdict.reasons


BURN = (Limit(burn=Fraction(6), window_ns=HOUR),)


@pytest.mark.parametrize(
    ("one", "terms", "expected"),
    [
        (standing(budget="1/10"), {"min_budget": Fraction(1, 10)}, ()),
        (standing(budget="99/1000"), {"min_budget": Fraction(1, 10)}, ("budget left 9.9 %, needed 10 %",)),
        (standing(budget="0"), {"min_budget": Fraction(0)}, ("no budget left",)),
        (standing(budget="-3"), {"min_budget": Fraction(0)}, ("no budget left",)),
        (standing(budget="0"), {"max_burn": BURN}, ()),
        (standing(burns={HOUR: "6"}), {"max_burn": BURN}, ()),
        (standing(burns={HOUR: "61/10"}), {"max_burn": BURN}, ("burn 6.1 over 1h, at most 6",)),
        (standing(burns={6 * HOUR: "9"}), {"max_burn": BURN}, ()),
        (standing(state="no data"), {"min_budget": Fraction(0)}, ("no data",)),
        (standing(state="no data"), {"min_budget": Fraction(0), "no_data_fails": False}, ()),
        (standing(budget=None, state="no traffic"), {"min_budget": Fraction(0)}, ("no events in the period",)),
        (standing(budget=None, state="no traffic"), {"min_budget": Fraction(0), "no_data_fails": False}, ()),
    ],
)
def test_verdicts(one: Standing, terms: Mapping[str, object], expected: tuple[str, ...]) -> None:
    """Limits themselves are within the terms; beyond them, and without data, the gate says why it is closed."""
    assert reasons(one, **terms) == expected


def test_only_named_slos_are_judged() -> None:
    """SLOs that are not named do not count; a name that nobody knows cannot be told."""
    found = [standing("a"), standing("b", budget="-1")]
    assert judge(found, Terms(slos=("a",), min_budget=Fraction(0))) == (Verdict(standing=found[0], reasons=()),)
    with pytest.raises(CannotTell, match="there is no SLO c, d"):
        judge(found, Terms(slos=("d", "a", "c")))
    with pytest.raises(CannotTell, match="there is no SLO"):
        judge([], Terms())


def test_an_unknown_window_cannot_be_told() -> None:
    """A limit over a window that is not kept is no silent pass."""
    with pytest.raises(CannotTell, match="checkout has no window 2h; it has 1h, 6h"):
        reasons(standing(), max_burn=(Limit(burn=Fraction(1), window_ns=2 * HOUR),))


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """Serve one answer to every question; yield the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize("ask", [ask_processor, ask_prometheus])
@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (503, b"", "answers 503"),
        (200, b"<html>", "does not answer"),
        (200, b"[]", "answers something else"),
        (200, b'{"slos": [{}], "data": {"result": [{}]}}', "answers something else"),
    ],
)
def test_strange_answers_cannot_be_told(
    ask: Callable[[str, float], object], status: int, body: bytes, reason: str
) -> None:
    """Whatever else listens there is named with its address and is no pass."""
    with answering(status, body) as address, pytest.raises(CannotTell, match=f"{address}.*{reason}"):
        ask(address, READY_SECONDS)


def test_a_prometheus_without_slos_cannot_be_told() -> None:
    """A Prometheus that scrapes no processor says nothing about budgets."""
    body = b'{"status": "success", "data": {"resultType": "vector", "result": []}}'
    with answering(200, body) as address, pytest.raises(CannotTell, match="does it scrape a processor"):
        ask_prometheus(address, READY_SECONDS)


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (["--min-budget", "ten"], "--min-budget: found 'ten'; expected a share of the budget like 10%"),
        (["--min-budget", "10"], "--min-budget: found '10'; expected a share of the budget like 10%"),
        (["--max-burn", "6"], "--max-burn: found '6'; expected BURN@WINDOW like 6@1h"),
        (["--max-burn", "fast@1h"], "--max-burn: found 'fast@1h'; expected BURN@WINDOW like 6@1h"),
    ],
)
def test_wrong_calls(call: list[str], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong call is status 2 and says what was expected."""
    assert main(["gate", *call]) == 2
    assert capsys.readouterr().err.strip() == reason


def test_nobody_there_is_status_3(capsys: pytest.CaptureFixture[str]) -> None:
    """A processor that does not answer is neither open nor closed."""
    assert main(["gate", "--from", "http://127.0.0.1:1"]) == 3
    assert "cannot tell: http://127.0.0.1:1/api/v1/slos does not answer" in capsys.readouterr().err
    assert main(["gate", "--from", "127.0.0.1"]) == 3
    assert "is no address" in capsys.readouterr().err
