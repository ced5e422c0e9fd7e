"""What API, page and list say of the early page's evidence."""

from __future__ import annotations

from fractions import Fraction

from sloburn.duration import SECOND
from sloburn.outputs.api import head_document
from sloburn.outputs.detail import detail_of
from sloburn.slo.early import EarlyEvidence
from tests.outputs.snapshots import build_status, snapshot_of

EVIDENCE = EarlyEvidence(
    bad=12,
    total=12,
    span_ns=4 * SECOND,
    bad_slices=Fraction(4),
    needed_slices=Fraction(16, 5),
    budget_share=Fraction(1, 50),
    gone_ns=47 * SECOND - 1,
)
TEXT = "12 of the last 12 events failed; at this pace 2 % of the budget is gone in 47 s"


def test_the_api_says_why_in_words_and_numbers() -> None:
    """The document of an SLO holds the sentence and the numbers behind it; null without evidence."""
    document = head_document(build_status(early=EVIDENCE), 1)["early"]
    assert (document["text"], document["bad"], document["total"]) == (TEXT, 12, 12)
    assert (document["bad_slices"], document["needed_slices"], document["budget_share"]) == (4.0, 3.2, 0.02)
    assert head_document(build_status(), 1)["early"] is None


def test_the_page_says_why() -> None:
    """The page of an SLO has the sentence; nothing without evidence."""
    status, calm = build_status(early=EVIDENCE), build_status()
    assert detail_of(snapshot_of(status), status).early == TEXT
    assert detail_of(snapshot_of(calm), calm).early == ""
