"""The tamper-evident chain behind the audit trail: written line by line, verified as a whole.

A line is JSON whose last field is the hash of everything before it, byte for byte, and whose ``previous`` is the hash
of the line before it in the same chain. Every writing process has a chain of its own, as nothing else is safe without a
lock that all of them share; its first record names the newest record that it found in the file, so that a whole chain
cannot vanish unseen either. Without a key the hash proves only that nobody changed lines who did not bother to compute
all later ones anew; with a key (HMAC, RFC 2104) nobody without the key can.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

GENESIS = "0" * 64
OPENED, CLOSED = "audit.chain.opened", "audit.chain.closed"
_FIELD = ', "hash": "'
_TAIL = len(_FIELD) + 64 + len('"}')
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=str).encode
_encode_safely = json.JSONEncoder(ensure_ascii=True, allow_nan=False, default=str).encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The newest record of a chain: all that is needed to notice later that the end was cut off.

    Args:
        chain: The chain's name.
        sequence: The record's number, counted from 1.
        digest: Its hash.
    """

    chain: str
    sequence: int
    digest: str

    def __str__(self) -> str:
        return f"{self.chain}:{self.sequence}:{self.digest}"


def read_head(text: str) -> Head:
    """Read an anchor as `Head` prints it.

    Raises:
        ValueError: It is none.
    """
    chain, _, rest = text.strip().partition(":")
    sequence, _, digest = rest.partition(":")
    if not chain or not sequence.isdigit() or len(digest) != len(GENESIS):
        raise ValueError(f"{text.strip()[:80]!r} is not an anchor such as CHAIN:SEQUENCE:HASH")
    return Head(chain=chain, sequence=int(sequence), digest=digest)


def digest_of(body: bytes, key: bytes) -> str:
    """Return the hash of a record, keyed if there is a key."""
    return hmac.new(key, body, hashlib.sha256).hexdigest() if key else hashlib.sha256(body).hexdigest()


def seal(head: Head, fields: Mapping[str, object], key: bytes) -> tuple[str, Head]:
    """Return the next line of a chain, and the chain's new head."""
    sequence = head.sequence + 1
    record = {"chain": head.chain, "sequence": sequence, "previous": head.digest, **fields}
    body = _as_json(record)[:-1]
    digest = digest_of(body.encode(), key)
    return f'{body}{_FIELD}{digest}"}}', Head(chain=head.chain, sequence=sequence, digest=digest)


def _as_json(record: Mapping[str, object]) -> str:
    """Encode a record so that every reader of UTF-8 and JSON can read it.

    Half a surrogate pair is written as an escape, and a number that JSON has not, such as NaN, as text.
    """
    try:
        text = _encode(record)
        text.encode()
    except ValueError:
        return _encode_safely(_finite(record))
    return text


def _finite(value: object) -> object:
    if isinstance(value, Mapping):
        return {_finite(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


@dataclass(slots=True, kw_only=True)
class ChainReport:
    """What became of one chain.

    Args:
        head: Its newest record.
        is_closed: Whether its writer has ended it; a chain without an end was cut off, or its writer still runs or
            was killed.
    """

    head: Head
    is_closed: bool = False


@dataclass(slots=True)
class Verification:
    """What a trail looks like.

    Args:
        records: How many lines are what their hash says.
        chains: Every chain, by name.
        problems: One sentence for each thing that is wrong, with its line.
    """

    records: int = 0
    chains: dict[str, ChainReport] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def verify(lines: Iterable[tuple[str, bytes]], key: bytes = b"", anchors: Iterable[Head] = ()) -> Verification:
    """Check a trail: nothing edited, removed, reordered, repeated, or, as far as anchors say, cut off.

    An empty line is none: a writer begins with one when it finds a torn record before its own.

    Args:
        lines: Every line with its place, for instance ``audit.jsonl:7``, in the order of writing.
        key: The chain's key, empty when it has none.
        anchors: Heads that were noted elsewhere and must be there.
    """
    check = _Check(key)
    for place, line in lines:
        check.line(place, line)
    check.anchors(anchors)
    found = check.found
    if not found.records and not found.problems:
        found.problems.append("there is no record: the trail was emptied, or nothing was ever recorded")
    return found


class _Check:
    """Walks through a trail once.

    Args:
        key: The chain's key.
    """

    def __init__(self, key: bytes) -> None:
        self.found = Verification()
        self._key = key
        self._seen: set[Head] = set()

    def line(self, place: str, line: bytes) -> None:
        """Check one line against its hash and against the line before it in its chain."""
        if not line:
            return
        record, digest = self._read(line)
        if record is None:
            self.found.problems.append(f"{place}: {digest}")
            return
        head = Head(chain=str(record.get("chain")), sequence=_number(record.get("sequence")), digest=digest)
        self._follow(place, head, str(record.get("previous")))
        self._opened_after(place, record)
        self.found.chains[head.chain] = ChainReport(head=head, is_closed=record.get("action") == CLOSED)
        self.found.records += 1
        self._seen.add(head)

    def anchors(self, anchors: Iterable[Head]) -> None:
        """Check that every noted head is there."""
        for anchor in anchors:
            if anchor not in self._seen:
                self.found.problems.append(
                    f"record {anchor.sequence} of chain {anchor.chain} was noted as an anchor and is not there: "
                    "the trail was cut off or replaced"
                )

    def _read(self, line: bytes) -> tuple[dict[str, object] | None, str]:
        body, tail = line[:-_TAIL], line[-_TAIL:].decode("utf-8", "replace")
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            return None, "is not a record: torn or edited"
        if not isinstance(record, dict) or not tail.startswith(_FIELD) or not tail.endswith('"}'):
            return None, "is not a record: torn or edited"
        digest = tail[len(_FIELD) : -2]
        if not hmac.compare_digest(digest.encode(), digest_of(body, self._key).encode()):
            return None, "was edited, or belongs to another key: it is not what its hash says"
        return record, digest

    def _follow(self, place: str, head: Head, previous: str) -> None:
        before = self.found.chains.get(head.chain)
        expected = before.head if before else Head(chain=head.chain, sequence=0, digest=GENESIS)
        problems = self.found.problems
        if head.sequence <= expected.sequence:
            problems.append(f"{place}: record {head.sequence} of chain {head.chain} is repeated or out of order")
        elif head.sequence > expected.sequence + 1:
            missing = _range(expected.sequence + 1, head.sequence - 1)
            problems.append(f"{place}: before this, {missing} of chain {head.chain} is missing or out of order")
        elif previous != expected.digest:
            problems.append(f"{place}: record {head.sequence} of chain {head.chain} does not follow the one before it")
        if before is not None and before.is_closed:
            problems.append(f"{place}: record {head.sequence} of chain {head.chain} comes after the chain's end")

    def _opened_after(self, place: str, record: Mapping[str, object]) -> None:
        noted = record.get("after")
        if record.get("action") != OPENED or not isinstance(noted, str) or not noted:
            return
        try:
            head = read_head(noted)
        except ValueError:
            self.found.problems.append(f"{place}: names no record that it was written after: forged")
            return
        if head not in self._seen:
            chain = noted.partition(":")[0]
            self.found.problems.append(f"{place}: was written after a record of chain {chain} that is not there")


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _range(first: int, last: int) -> str:
    return f"record {first}" if first == last else f"records {first} to {last}"
