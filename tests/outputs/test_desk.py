"""What may be written through the API, by whom, and what is refused with which words."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest

from sloburn.duration import DAY, MINUTE, SECOND
from sloburn.errors import StorageError
from sloburn.outputs.board import Board
from sloburn.outputs.desk import ANNOTATIONS, MAX_BODY_BYTES, Desk
from sloburn.outputs.web import page_app
from sloburn.slo.annotation import Annotation, Kind
from tests.outputs import snapshots
from tests.outputs.serving import Direct
from tests.outputs.snapshots import NOW

JSON = {"content-type": "application/json"}


@dataclass
class Kept:
    """A desk that keeps in memory.

    Args:
        trouble: What keeping fails with.
    """

    trouble: Exception | None = None
    annotations: list[Annotation] = field(default_factory=list)

    async def annotate(self, annotation: Annotation) -> Annotation:
        """Keep it, or fail."""
        if self.trouble is not None:
            raise self.trouble
        self.annotations.append(annotation)
        return annotation

    def desk(self, token: str = "") -> Desk:
        """Return the desk; with a token, only for those who show it."""
        wanted = f"Bearer {token}" if token else None
        return Desk(annotate=self.annotate, allows=lambda shown: shown == wanted or wanted is None, now=lambda: NOW)


def post(desk: Desk | None, document: Any = None, **options: Any) -> httpx.Response:
    """Post a document to a page with this desk."""
    if document is not None:
        options |= {"content": json.dumps(document), "headers": JSON | options.get("headers", {})}
    return Direct(page_app(Board(), desk=desk)).call("POST", ANNOTATIONS, **options)


def test_an_annotation_is_kept() -> None:
    """The answer says what is kept: with little said it is a deploy, now, of everybody."""
    kept = Kept()
    answer = post(kept.desk(), {"text": " v1.2.3 "})
    assert answer.status_code == 201
    assert answer.json() == {
        "at": "2026-11-21T14:02:11.250Z",
        "at_unix_nano": NOW,
        "kind": "deploy",
        "text": "v1.2.3",
        "service": "",
    }
    assert kept.annotations == [Annotation(at_unix_nano=NOW, kind=Kind.DEPLOY, text="v1.2.3")]


def test_everything_can_be_said() -> None:
    """Service, kind and moment are taken as they are; a moment without a zone is UTC."""
    kept = Kept()
    post(kept.desk(), {"text": "sale", "service": "shop", "kind": "note", "at": "2026-11-21T16:02:11+02:00"})
    post(kept.desk(), {"text": "sale", "at": "2026-11-21T14:02:11"})
    assert [one.at_unix_nano for one in kept.annotations] == [NOW // SECOND * SECOND] * 2
    assert (kept.annotations[0].service, kept.annotations[0].kind) == ("shop", Kind.NOTE)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], 'found something else than an object; expected for instance {"text": "v1.2.3"}'),
        ({}, "text: found nothing; expected 1 to 200 characters in one line"),
        ({"text": ""}, 'text: found ""; expected 1 to 200 characters in one line'),
        ({"text": "x" * 201}, "text: found 201 characters; expected 1 to 200 characters in one line"),
        ({"text": "a\nb"}, 'text: found "a\\nb"; expected 1 to 200 characters in one line'),
        ({"text": "half \ud83d"}, 'text: found "half \\ud83d"; expected 1 to 200 characters in one line'),
        ({"text": 5}, "text: found 5; expected 1 to 200 characters in one line"),
        ({"text": "v1", "service": ["shop"]}, 'service: found ["shop"]; expected 1 to 200 characters in one line'),
        ({"text": "v1", "kind": "version"}, "kind: found 'version'; expected deploy or note"),
        ({"text": "v1", "kind": {}}, "kind: found {}; expected deploy or note"),
        ({"text": "v1", "when": 1}, "unknown key 'when'; expected text, service, kind, at"),
        ({"text": "v1", "at": "noon"}, 'at: found "noon"; expected a time like 2026-11-21T14:05:00Z'),
        ({"text": "v1", "at": 7}, "at: found 7; expected a time like 2026-11-21T14:05:00Z"),
        (
            {"text": "v1", "at": "2026-11-21T14:08:00Z"},
            "at: found 2026-11-21T14:08:00Z; expected a time in the last 400 days, at most 5 minutes ahead",
        ),
        (
            {"text": "v1", "at": "1970-01-01"},
            "at: found 1970-01-01; expected a time in the last 400 days, at most 5 minutes ahead",
        ),
    ],
    ids=lambda value: str(value)[:30].encode("ascii", "replace").decode(),
)
def test_what_is_wrong_is_named(document: Any, message: str) -> None:
    """A body that says something else is refused with the key, what was found and what was expected."""
    kept = Kept()
    answer = post(kept.desk(), document)
    assert (answer.status_code, answer.json()) == (400, {"error": message})
    assert kept.annotations == []


def test_no_json() -> None:
    """A body that is no JSON, or too long, is refused; so is one that a foreign page's form could have sent."""
    kept = Kept()
    assert post(kept.desk(), content=b"{", headers=JSON).status_code == 400
    assert post(kept.desk(), content=b"[" * MAX_BODY_BYTES, headers=JSON).status_code == 400
    assert post(kept.desk(), content=b" " * (MAX_BODY_BYTES + 1), headers=JSON).status_code == 413
    assert post(kept.desk(), content=b'{"text":"v1"}', headers={"content-type": "text/plain"}).status_code == 415
    assert kept.annotations == []


def test_who_may_write() -> None:
    """Where the processor asks for a token, it asks for it here, too; without a desk nobody writes."""
    kept = Kept()
    refused = post(kept.desk("secret"), {"text": "v1"})
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert post(kept.desk("secret"), {"text": "v1"}, headers={"authorization": "Bearer secret"}).status_code == 201
    assert post(None, {"text": "v1"}).status_code == 403


def test_a_store_that_fails_is_503() -> None:
    """What is not durable is not kept: the sender is told to come again."""
    answer = post(Kept(trouble=StorageError("the disk is full")).desk(), {"text": "v1"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.json() == {"error": "the disk is full"}


def test_they_are_listed_and_shown_with_their_slo() -> None:
    """All are listed, newest first; an SLO has those of its service; the first version ever seen is nobody's deploy."""
    board = Board()
    first = Annotation(at_unix_nano=NOW - 30 * DAY, kind=Kind.FIRST, text="v0", service="checkout")
    snapshot = snapshots.story_snapshot()
    board.publish(replace(snapshot, annotations=(first, *snapshot.annotations)))
    direct = Direct(page_app(board))
    listed = direct.get(ANNOTATIONS).json()["annotations"]
    assert [one["text"] for one in listed] == ["v9", "2.4.1", "v2.4.0", "summer sale begins", "v2.3.0"]
    (slo,) = direct.get("/api/v1/slos/checkout-availability").json()["slos"]
    assert [one["text"] for one in slo["annotations"]] == ["v2.3.0", "summer sale begins", "v2.4.0", "2.4.1"]
    assert [(one["from"], one["to"]) for one in slo["excluded"]] == [
        ("2026-10-28T14:02:11.250Z", "2026-10-29T00:02:11.250Z"),
        ("2026-11-12T14:02:11.250Z", "2026-11-13T14:02:11.250Z"),
    ]
    assert Direct(page_app(Board())).get(ANNOTATIONS).status_code == 503  # what is kept is not known yet


def test_a_little_ahead_is_allowed() -> None:
    """Clocks differ: five minutes ahead is still a time."""
    kept = Kept()
    assert post(kept.desk(), {"text": "v1", "at": "2026-11-21T14:07:00Z"}).status_code == 201
    assert kept.annotations[0].at_unix_nano <= NOW + 5 * MINUTE
