"""Who did what to which object: a stream of its own that no level and no sampling touches, and that shows tampering.

A record goes to a file, as a link of a hash chain, and by OTLP under the scope ``sloburn.audit``, with the same hash: a
copy that whoever can write the file cannot reach. The file is the authority; it is written before the call returns.
"""

from __future__ import annotations

import json
import logging
import os
import stat
import threading
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from opentelemetry import trace

from sloburn.clock import Clock, SystemClock
from sloburn.sdk.audit_chain import CLOSED, GENESIS, OPENED, Head, read_head, seal
from sloburn.sdk.redaction import redact_attributes, redact_text
from sloburn.sdk.stream_config import AuditSettings

if TYPE_CHECKING:
    from sloburn.sdk.log_export import LogEmitter

logger = logging.getLogger("sloburn")

SCOPE = "sloburn.audit"
# How far back the newest record is looked for when a chain begins.
_TAIL_BYTES = 65_536
_WAITING_SECONDS, _CLOSING_SECONDS = 2.0, 0.3
_FIELDS = ("actor", "action", "target", "result")


class Trail(Protocol):
    """Where finished lines go."""

    def append(self, line: str) -> None:
        """Write one line.

        Raises:
            OSError: It cannot be written.
        """
        ...

    def newest(self) -> str:
        """Return the newest record's head as text; empty when there is none."""
        ...


class AuditFile:
    """An append-only file that several processes write, one whole line at a time.

    Args:
        path: The file; its folder is created.
        is_synced: Whether every line is forced to the disk.
    """

    def __init__(self, path: str | Path, *, is_synced: bool = False) -> None:
        self._path = Path(path)
        self._is_synced = is_synced

    def append(self, line: str) -> None:
        """Write one line.

        The file is opened for every record: audit records are rare, and so a file that was moved away is noticed.

        Raises:
            OSError: It cannot be written as a whole.
        """
        data = line.encode() + b"\n"
        if self._tail(1) not in (b"", b"\n"):
            # Somebody's record was torn by a crash: it must not take this one along.
            data = b"\n" + data
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.write(descriptor, data) != len(data):
                os.write(descriptor, b"\n")
                raise OSError("the disk took only a part of the record")
            if self._is_synced:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def newest(self) -> str:
        """Return the newest record's head as text; empty when there is none."""
        lines = self._tail(_TAIL_BYTES).splitlines()
        return next((head for head in map(_head_of, reversed(lines)) if head), "")

    def _tail(self, most: int) -> bytes:
        """Return the last bytes of the file; nothing of what is no file and would be read for ever."""
        try:
            if not stat.S_ISREG(self._path.stat().st_mode):
                return b""
            with self._path.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - most))
                return file.read(most)
        except OSError:
            return b""


def _new_head() -> Head:
    return Head(chain=uuid.uuid4().hex, sequence=0, digest=GENESIS)


class AuditLogger:
    """Writes audit records. Never raises, and says whether a record was written.

    A host may keep it from before `init_telemetry` on: where it writes is changed in place.

    Args:
        trail: The file; None when there is none.
        emitter: Exports records too; None when logs are not exported.
        key: Makes the chain unforgeable; empty for a plain hash chain.
        service_name: Stands in every record.
        clock: Says when.
    """

    _head: Head

    def __init__(
        self,
        *,
        trail: Trail | None,
        emitter: LogEmitter | None,
        key: bytes = b"",
        service_name: str,
        clock: Clock | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self.lost = 0
        self._begin()
        self.move(trail=trail, emitter=emitter, key=key, service_name=service_name)

    def move(self, *, trail: Trail | None, emitter: LogEmitter | None, key: bytes, service_name: str) -> None:
        """End the chain and write elsewhere from now on.

        Args:
            trail: The file; None when there is none.
            emitter: Exports records too; None when logs are not exported.
            key: Makes the chain unforgeable; empty for a plain hash chain.
            service_name: Stands in every record.
        """
        # A record that another thread writes stays whole; a signal handler that interrupts one does not wait for ever.
        is_mine = self._process == os.getpid() and self._lock.acquire(timeout=_WAITING_SECONDS)
        try:
            if is_mine:
                self._end()
            self._trail, self._emitter, self._key, self._service_name = trail, emitter, key, service_name
            self._head, self._has_said_nowhere = _new_head(), False
        finally:
            if is_mine:
                self._lock.release()

    @property
    def head(self) -> Head:
        """The newest record of this process's chain: note it elsewhere, and a cut-off trail is noticed."""
        return self._head

    def record(self, action: str, *, actor: str, target: str, result: str = "success", **details: object) -> bool:
        """Write who did what to which object.

        Args:
            action: What, for instance ``invoice.delete``.
            actor: Who, for instance ``user:42``.
            target: To which object, for instance ``invoice:7``.
            result: How it ended: ``success``, ``failure``, ``denied``.
            **details: What else is worth knowing; secrets are redacted.

        Returns:
            Whether the record is in the file, or, without a file, on its way by OTLP. Who must not act unrecorded
            refuses when this is False.
        """
        try:
            fields: dict[str, object] = {"action": action, "actor": actor, "target": target, "result": result}
            if self._trail is None and self._emitter is None:
                return self._refuse()
            if details:
                fields["details"] = {key: _plain(value) for key, value in details.items()}
            return self._write(redact_attributes(fields))
        except Exception as error:
            self._lose(error)
            return False

    def close(self) -> None:
        """End this process's chain, so that cutting off its end is noticed even without an anchor.

        A signal handler may call this in the middle of a record: then the chain stays open.
        """
        if not self._head.sequence or self._process != os.getpid() or not self._lock.acquire(timeout=_CLOSING_SECONDS):
            return
        try:
            self._end()
        finally:
            self._lock.release()

    def _end(self) -> None:
        if not self._head.sequence:
            return
        try:
            closed = {"action": CLOSED, "actor": "sloburn", "target": f"chain:{self._head.chain}"}
            self._append(closed | {"result": "success"})
            self._head = _new_head()
        except Exception as error:
            self._lose(error)

    def _refuse(self) -> bool:
        self.lost += 1
        if not self._has_said_nowhere:
            self._has_said_nowhere = True
            logger.warning(
                "audit records are lost: there is no audit file and no export; call init_telemetry(audit_file=...) "
                "before the first record"
            )
        return False

    def _lose(self, error: Exception) -> None:
        self.lost += 1
        logger.warning("an audit record could not be written: %s: %s", type(error).__name__, redact_text(str(error)))

    def _begin(self) -> None:
        """Begin a chain of this process's own; a lock and a chain of the parent's are of no use after a fork."""
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._head = _new_head()

    def _write(self, fields: Mapping[str, object]) -> bool:
        if self._process != os.getpid():
            self._begin()
        # A host's signal handler may record while it interrupts a record: it must not wait for itself for ever.
        if not self._lock.acquire(timeout=_WAITING_SECONDS):
            raise TimeoutError("another record is being written")
        try:
            if self._head.sequence == 0 and self._trail is not None:
                opened = {"action": OPENED, "actor": "sloburn", "target": f"process:{self._process}"}
                self._append(opened | {"result": "success", "after": self._trail.newest()})
            return self._append(fields)
        finally:
            self._lock.release()

    def _append(self, fields: Mapping[str, object]) -> bool:
        unix_nano = self._clock.now_unix_nano()
        line, head = seal(self._head, {"timestamp": _timestamp(unix_nano), **self._context(), **fields}, self._key)
        if self._trail is not None:
            self._trail.append(line)
        self._head = head
        if self._emitter is not None:
            self._export(fields, head, unix_nano)
        return True

    def _context(self) -> dict[str, object]:
        span = trace.get_current_span().get_span_context()
        ids = {"trace_id": f"{span.trace_id:032x}", "span_id": f"{span.span_id:016x}"} if span.is_valid else {}
        return {"service": self._service_name, "process": self._process, **ids}

    def _export(self, fields: Mapping[str, object], head: Head, unix_nano: int) -> None:
        attributes: dict[str, object] = {f"audit.{name}": fields[name] for name in _FIELDS if name in fields}
        attributes |= {"audit.chain": head.chain, "audit.sequence": head.sequence, "audit.hash": head.digest}
        if "details" in fields:
            attributes["audit.details"] = fields["details"]
        if self._emitter is not None:
            self._emitter.emit(
                logger=SCOPE, level="info", body=fields["action"], attributes=attributes, unix_nano=unix_nano,
                event_name="audit",
            )  # fmt: skip


class _Process:
    """The audit logger of this process; before `init_telemetry` it writes nowhere and says so."""

    audit: Final = AuditLogger(trail=None, emitter=None, service_name="unknown_service")


def get_audit_logger() -> AuditLogger:
    """Return this process's audit logger, always the same; `init_telemetry(audit_file=...)` says where it writes."""
    return _Process.audit


def close_audit() -> None:
    """End this process's chain."""
    _Process.audit.close()


def configure_audit(settings: AuditSettings, service_name: str, emitter: LogEmitter | None) -> AuditLogger:
    """Set up this process's audit logger; if it wrote elsewhere, it ends its chain there.

    A key file that cannot be read leaves no audit logger that pretends to have a key: records are refused.
    """
    trail = AuditFile(settings.file, is_synced=settings.is_synced) if settings.file else None
    key = b""
    if settings.key_file:
        try:
            key = read_key(settings.key_file)
        except OSError as error:
            logger.warning("audit records are refused: %s cannot be read: %s", settings.key_file, error.strerror)
            trail, emitter = None, None
    _Process.audit.move(trail=trail, emitter=emitter, key=key, service_name=service_name)
    return _Process.audit


def read_key(path: str | Path) -> bytes:
    """Read a key; white space around it does not count.

    Raises:
        OSError: It cannot be read, or is empty.
    """
    key = Path(path).read_bytes().strip()
    if not key:
        raise OSError(0, "it is empty", str(path))
    return key


def _plain(value: object) -> object:
    is_plain = value is None or isinstance(value, (str, bool, int, float, list, tuple, dict))
    return value if is_plain else str(value)


def _timestamp(unix_nano: int) -> str:
    seconds, rest = divmod(unix_nano, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1000:06d}Z"


def _head_of(line: bytes) -> str:
    """Return the head that a line of the file stands for, without trusting it; empty when it is none."""
    try:
        record = json.loads(line)
        return str(read_head(f"{record['chain']}:{record['sequence']}:{record['hash']}"))
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""
