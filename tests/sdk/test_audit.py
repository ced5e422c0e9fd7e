"""The audit trail: what was done is there, whatever levels say, and every tampering is found."""

from __future__ import annotations

import json
import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sloburn.clock import ManualClock
from sloburn.sdk.audit import AuditFile, AuditLogger
from sloburn.sdk.audit_chain import GENESIS, OPENED, Head, Verification, read_head, seal, verify
from tests.sdk.collector import Collector
from tests.sdk.processes import PATIENT_WORKERS, free_port, get, run, started, stop, succeed, wait_until
from tests.test_cli import sloburn


class Memory:
    """A trail in memory."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def append(self, line: str) -> None:
        """Keep one line."""
        self.lines.append(line)

    def newest(self) -> str:
        """Return the newest record's head."""
        if not self.lines:
            return ""
        record = json.loads(self.lines[-1])
        return f"{record['chain']}:{record['sequence']}:{record['hash']}"


class Full:
    """A trail on a full disk."""

    def append(self, line: str) -> None:
        """Fail as a full disk does."""
        raise OSError(28, f"No space left on device for {len(line)} characters")

    def newest(self) -> str:
        """Return nothing."""
        return ""


def audit(trail: Memory | Full | AuditFile | None, key: bytes = b"") -> AuditLogger:
    """Return an audit logger that writes there, at one moment."""
    return AuditLogger(trail=trail, emitter=None, key=key, service_name="shop", clock=ManualClock(10**18))


def checked(lines: list[str], key: bytes = b"", *anchors: Head) -> Verification:
    """Verify lines."""
    numbered = ((f"trail:{number}", line.encode("utf-8", "surrogatepass")) for number, line in enumerate(lines, 1))
    return verify(numbered, key, anchors)


def test_record_says_who_did_what_to_which_object_and_how_it_ended() -> None:
    """A record holds actor, action, target, result, time, service and details, without secrets."""
    trail = Memory()
    assert audit(trail).record("invoice.delete", actor="user:42", target="invoice:7", result="denied", token="abc")
    record = json.loads(trail.lines[1])
    for volatile in ("chain", "previous", "hash"):
        del record[volatile]
    assert record == {
        "sequence": 2,
        "timestamp": "2001-09-09T01:46:40.000000Z",
        "service": "shop",
        "process": os.getpid(),
        "action": "invoice.delete",
        "actor": "user:42",
        "target": "invoice:7",
        "result": "denied",
        "details": {"token": "[redacted]"},
    }


_RECORDS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.text(max_size=20),
        st.dictionaries(st.text(max_size=5), st.none() | st.integers() | st.text(max_size=5), max_size=2),
    ),
    min_size=1,
    max_size=12,
)


def written(records: list[tuple[int, str, dict[str, object]]], key: bytes = b"") -> tuple[list[str], list[Head]]:
    """Let up to three processes write records in turn; return the trail and where each chain ended."""
    trail = Memory()
    writers = [audit(trail, key) for _ in range(3)]
    for writer, actor, details in records:
        assert writers[writer].record("act", actor=actor, target="object", x=details)
    return trail.lines, [writer.head for writer in writers if writer.head.sequence]


@settings(deadline=None)
@given(_RECORDS, st.sampled_from([b"", b"key"]))
def test_every_trail_verifies(records: list[tuple[int, str, dict[str, object]]], key: bytes) -> None:
    """Whatever is recorded by whomever, an untouched trail is intact and ends where its writers say."""
    lines, heads = written(records, key)
    found = checked(lines, key, *heads)
    assert found.problems == []
    assert found.records == len(lines)
    assert {chain.head for chain in found.chains.values()} == set(heads)


def edit(lines: list[str], draw: Callable[[int], int]) -> list[str]:
    """Change one character of one line."""
    place = draw(len(lines))
    at = draw(len(lines[place]))
    changed = lines[place][:at] + chr((ord(lines[place][at]) + 1) % 55_000) + lines[place][at + 1 :]
    return [*lines[:place], changed, *lines[place + 1 :]]


def remove(lines: list[str], draw: Callable[[int], int]) -> list[str]:
    """Remove one line."""
    place = draw(len(lines))
    return lines[:place] + lines[place + 1 :]


def repeat(lines: list[str], draw: Callable[[int], int]) -> list[str]:
    """Write one line again, somewhere after it."""
    place = draw(len(lines))
    after = place + draw(len(lines) - place) + 1
    return [*lines[:after], lines[place], *lines[after:]]


def swap(lines: list[str], draw: Callable[[int], int]) -> list[str]:
    """Swap two lines of one chain."""
    first, second = draw(len(lines)), draw(len(lines))
    assume(first != second and json.loads(lines[first])["chain"] == json.loads(lines[second])["chain"])
    swapped = list(lines)
    swapped[first], swapped[second] = swapped[second], swapped[first]
    return swapped


def cut(lines: list[str], draw: Callable[[int], int]) -> list[str]:
    """Cut off the end."""
    return lines[: draw(len(lines))]


@settings(deadline=None)
@given(_RECORDS, st.sampled_from([edit, remove, repeat, swap, cut]), st.sampled_from([b"", b"key"]), st.data())
def test_every_tampering_is_found(
    records: list[tuple[int, str, dict[str, object]]],
    tamper: Callable[[list[str], Callable[[int], int]], list[str]],
    key: bytes,
    data: st.DataObject,
) -> None:
    """An edit of any character, a removed, repeated or swapped line, a cut: each is found, with the heads noted."""
    lines, heads = written(records, key)
    tampered = tamper(lines, lambda bound: data.draw(st.integers(0, bound - 1)))
    assert checked(tampered, key, *heads).problems != []


@settings(deadline=None)
@given(_RECORDS, st.data())
def test_removal_before_the_end_needs_no_anchor(
    records: list[tuple[int, str, dict[str, object]]], data: st.DataObject
) -> None:
    """Even without anchors a line that has a successor in its chain cannot vanish."""
    lines, heads = written(records)
    last = {head.digest for head in heads}
    inner = [place for place, line in enumerate(lines) if json.loads(line)["hash"] not in last]
    place = data.draw(st.sampled_from(inner))
    assert checked(lines[:place] + lines[place + 1 :]).problems != []


def test_whole_chain_cannot_vanish() -> None:
    """A process that began later names a record of the one before it: removing that one's chain is found."""
    trail = Memory()
    first, second = audit(trail), audit(trail)
    first.record("act", actor="a", target="b")
    first.close()
    second.record("act", actor="a", target="b")
    left = [line for line in trail.lines if json.loads(line)["chain"] == second.head.chain]
    (problem,) = checked(left).problems
    assert problem.startswith("trail:1: was written after a record of chain ")


def test_forger_without_the_key_is_found() -> None:
    """A trail that was computed anew from the first record on is intact only for those who check without the key."""
    forged, _ = written([(0, "mallory", {})], key=b"")
    assert checked(forged).problems == []
    assert len(checked(forged, b"key").problems) == len(forged)


def test_closed_chain_says_so() -> None:
    """A chain that its writer has ended can be told from one that goes on or was cut off; nothing follows the end."""
    trail = Memory()
    logger = audit(trail)
    logger.record("act", actor="a", target="b")
    assert [chain.is_closed for chain in checked(trail.lines).chains.values()] == [False]
    logger.close()
    assert [chain.is_closed for chain in checked(trail.lines).chains.values()] == [True]
    logger.record("act", actor="a", target="b")
    found = checked(trail.lines)
    assert ([chain.is_closed for chain in found.chains.values()], found.problems) == ([True, False], [])


def test_full_disk_is_said_and_counted() -> None:
    """A record that cannot be written is refused with False and counted; nothing is raised into the host."""
    logger = audit(Full())
    assert not logger.record("act", actor="a", target="b")
    assert logger.lost == 1


def test_without_any_destination_nothing_is_pretended(caplog: pytest.LogCaptureFixture) -> None:
    """A logger that writes nowhere refuses and counts every record, and says so once."""
    logger = audit(None)
    with caplog.at_level(logging.WARNING, "sloburn"):
        assert not logger.record("act", actor="a", target="b")
        assert not logger.record("act", actor="a", target="b")
    assert logger.lost == 2
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == ["audit records are lost"]


def test_logger_that_was_fetched_early_writes(tmp_path: Path) -> None:
    """A logger from the time of import writes once telemetry is there, and follows it to another file."""
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    succeed(
        f"""
from sloburn import get_audit_logger, init_telemetry
audit = get_audit_logger()
init_telemetry(logs=False, traces=False, metrics=False, audit_file={str(first)!r})
assert audit.record("first", actor="a", target="b")
init_telemetry(logs=False, traces=False, metrics=False, audit_file={str(second)!r}, reconfigure=True)
assert audit.record("second", actor="a", target="b")
assert audit is get_audit_logger()
"""
    )
    for path, action in ((first, "first"), (second, "second")):
        lines = path.read_text().splitlines()
        assert [json.loads(line)["action"] for line in lines] == ["audit.chain.opened", action, "audit.chain.closed"]
        assert checked(lines).problems == []


def test_record_is_json_whatever_it_holds(tmp_path: Path) -> None:
    """Half a surrogate pair and numbers that JSON has not stay readable for every reader of UTF-8 and JSON."""
    path = tmp_path / "audit.jsonl"
    logger = audit(AuditFile(path))
    assert logger.record("act", actor="a\ud800", target="b", size=float("nan"), sizes=[float("inf"), {"x": -1.5}])
    lines = path.read_bytes().decode("utf-8").splitlines()
    record = json.loads(lines[1], parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert record["details"] == {"size": "nan", "sizes": ["inf", {"x": -1.5}]}
    assert (record["actor"], checked(lines).problems) == ("a\ud800", [])


def test_torn_line_takes_no_record_along(tmp_path: Path) -> None:
    """A record after a line without an end begins on a line of its own."""
    path = tmp_path / "audit.jsonl"
    logger = audit(AuditFile(path))
    logger.record("act", actor="a", target="b")
    with path.open("a") as file:
        file.write('{"chain": "torn')
    logger.record("act", actor="a", target="b")
    found = checked(path.read_text().splitlines())
    assert (found.problems, found.records) == (["trail:3: is not a record: torn or edited"], 3)


def test_newest_record_is_looked_for_at_the_end_only(tmp_path: Path) -> None:
    """A long trail is not read as a whole, what is no file not at all."""
    path = tmp_path / "audit.jsonl"
    logger = audit(AuditFile(path))
    logger.record("act", actor="a", target="b")
    assert AuditFile(path).newest() == str(logger.head)
    with path.open("a") as file:
        file.write("x" * 100_000)
    assert AuditFile(path).newest() == ""
    os.mkfifo(tmp_path / "pipe")
    assert AuditFile(tmp_path / "pipe").newest() == ""


def forged(**fields: object) -> str:
    """Return the first record of a chain as a forger without shame makes it."""
    head = Head(chain="c", sequence=0, digest=GENESIS)
    return seal(head, {"action": OPENED, **fields}, b"")[0]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (forged(after="garbage"), "trail:1: names no record that it was written after: forged"),
        (forged(after="c:²:" + GENESIS), "trail:1: names no record that it was written after: forged"),
        ("[" * 100_000, "trail:1: is not a record: torn or edited"),
    ],
    ids=["garbage", "digit", "nested"],
)
def test_forged_lines_are_problems(line: str, problem: str) -> None:
    """Whatever a forger writes is a problem of its line, never an end of the verification."""
    assert checked([line]).problems == [problem]


def test_emptied_trail_is_a_problem() -> None:
    """A trail without any record is not called intact."""
    assert checked([]).problems == ["there is no record: the trail was emptied, or nothing was ever recorded"]


def test_torn_line_is_named(tmp_path: Path) -> None:
    """A line that was torn by a crash is named; what was written after it is still checked."""
    path = tmp_path / "audit.jsonl"
    logger = audit(AuditFile(path))
    logger.record("act", actor="a", target="b")
    with path.open("a") as file:
        file.write('{"chain": "torn\n')
    logger.record("act", actor="a", target="b")
    assert checked(path.read_text().splitlines()).problems == ["trail:3: is not a record: torn or edited"]


@pytest.mark.parametrize("text", ["", "a:b:c", "a:1:short", ":1:" + "0" * 64])
def test_what_is_no_anchor(text: str) -> None:
    """Text that is no anchor is refused in words."""
    with pytest.raises(ValueError, match="is not an anchor such as CHAIN:SEQUENCE:HASH"):
        read_head(text)


_SERVICE = """
import logging, os
from sloburn import get_audit_logger, init_telemetry
telemetry = init_telemetry(service_name="shop", log_level="CRITICAL", sample_ratio=0, audit_file={path!r})
audit = get_audit_logger()
with telemetry.tracer.start_as_current_span("unsampled") as span:
    assert audit.record("invoice.delete", actor="user:42", target="invoice:7")
    print(f"{{span.get_span_context().trace_id:032x}}")
children = []
for child in range(3):
    process = os.fork()
    if process == 0:
        for number in range(50):
            audit.record("child.act", actor=f"child:{{child}}", target=str(number))
        audit.close()
        os._exit(0)
    children.append(process)
for number in range(50):
    audit.record("parent.act", actor="parent", target=str(number))
for process in children:
    os.waitpid(process, 0)
"""


def test_processes_write_one_file_and_the_command_verifies_it(tmp_path: Path) -> None:
    """Forked writers keep chains of their own in one file; levels and sampling drop nothing; OTLP has the hashes."""
    path = tmp_path / "audit.jsonl"
    with Collector() as collector:
        done = succeed(_SERVICE.format(path=str(path)), extra={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint})
    result = sloburn("audit", "verify", "audit.jsonl", "--json", cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    found = json.loads(result.stdout)
    assert sorted(chain["records"] for chain in found["chains"].values()) == [52, 52, 52, 53]
    assert {chain["is_closed"] for chain in found["chains"].values()} == {True}
    # A writer that meets another's record half written begins on a new line: some are empty.
    written = [json.loads(line) for line in path.read_text().splitlines() if line]
    records = {record["hash"]: record for record in written}
    exported = [record for record in collector.arrivals.logs if record.logger == "sloburn.audit"]
    assert {record.attributes["audit.hash"] for record in exported} <= set(records)
    (deleted,) = [record for record in exported if record.body == "invoice.delete"]
    assert deleted.trace_id == records[deleted.attributes["audit.hash"]]["trace_id"] == done.stdout.split()[0]
    assert (deleted.attributes["audit.actor"], deleted.attributes["audit.target"]) == ("user:42", "invoice:7")


def test_command_names_what_is_wrong(tmp_path: Path) -> None:
    """The command lists every problem with file and line and ends with status 1; a cut needs an anchor."""
    path = tmp_path / "audit.jsonl"
    logger = audit(AuditFile(path), key=b"secret")
    (tmp_path / "key").write_bytes(b"secret\n")
    for number in range(4):
        logger.record("act", actor="a", target=str(number))
    key = ("--key-file", "key")
    assert sloburn("audit", "verify", "audit.jsonl", *key, cwd=tmp_path).stdout.endswith("5 records are intact\n")
    assert sloburn("audit", "verify", "audit.jsonl", cwd=tmp_path).returncode == 1
    anchor = sloburn("audit", "anchor", "audit.jsonl", *key, cwd=tmp_path).stdout
    assert anchor == f"{logger.head}\n"
    (tmp_path / "anchor").write_text(anchor)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-1]))
    result = sloburn("audit", "verify", "audit.jsonl", *key, cwd=tmp_path)
    assert (result.returncode, "has no end: lines may be missing there" in result.stdout) == (0, True)
    result = sloburn("audit", "verify", "audit.jsonl", *key, "--anchor", "anchor", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (1, "")
    assert "record 5 of chain" in result.stderr
    assert "was noted as an anchor and is not there: the trail was cut off or replaced" in result.stderr
    path.write_text("".join([*lines[:2], lines[2].replace('"a"', '"b"'), *lines[3:]]))
    result = sloburn("audit", "verify", "audit.jsonl", *key, cwd=tmp_path)
    assert "audit.jsonl:3: was edited, or belongs to another key: it is not what its hash says" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("verify", "nothing.jsonl"), 1, "nothing.jsonl cannot be read: No such file or directory"),
        (("verify", "audit.jsonl", "--key-file", "nothing"), 1, "nothing cannot be read: No such file or directory"),
        (("verify", "audit.jsonl", "--anchor", "audit.jsonl"), 1, "is not an anchor such as CHAIN:SEQUENCE:HASH"),
        (("verify",), 2, "the following arguments are required: FILE"),
        ((), 2, "the following arguments are required: TASK"),
    ],
)
def test_wrong_calls(tmp_path: Path, arguments: tuple[str, ...], status: int, message: str) -> None:
    """What cannot be read is named with status 1, a wrong call has status 2."""
    (tmp_path / "audit.jsonl").write_text("no record\n")
    result = sloburn("audit", *arguments, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (status, "")
    assert message in result.stderr


def test_key_that_cannot_be_read_refuses_records(tmp_path: Path) -> None:
    """Without its key nothing is written that would look as if it had one."""
    path = tmp_path / "audit.jsonl"
    done = succeed(
        f"""
from sloburn import get_audit_logger, init_telemetry
init_telemetry(logs=False, traces=False, metrics=False, audit_file={str(path)!r}, audit_key_file="/nowhere")
assert not get_audit_logger().record("act", actor="a", target="b")
"""
    )
    assert "audit records are refused: /nowhere cannot be read" in done.stdout
    assert not path.exists()


def test_kill_switch_leaves_the_audit_trail(tmp_path: Path) -> None:
    """Switching telemetry off does not switch off the audit trail's file."""
    path = tmp_path / "audit.jsonl"
    succeed(
        f"""
from sloburn import get_audit_logger, init_telemetry
init_telemetry(audit_file={str(path)!r})
assert get_audit_logger().record("act", actor="a", target="b")
""",
        extra={"OTEL_SDK_DISABLED": "true"},
    )
    assert len(path.read_text().splitlines()) == 3


_AUDITED = """
import os, signal, sys, time
from sloburn import get_audit_logger, init_telemetry
telemetry = init_telemetry(audit_file=sys.argv[1], endpoint=sys.argv[2], export_interval=3600)
assert get_audit_logger().record("act", actor="a", target="b")
"""


def closed_chains(tmp_path: Path) -> list[bool]:
    """Verify the trail by the command and return which of its chains are closed."""
    result = sloburn("audit", "verify", "audit.jsonl", "--json", cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    return [bool(chain["is_closed"]) for chain in json.loads(result.stdout)["chains"].values()]


def test_sigterm_closes_the_chain(tmp_path: Path) -> None:
    """A process that is told to end closes its chain, in the file and by OTLP."""
    with Collector() as collector:
        code = _AUDITED + "os.kill(os.getpid(), signal.SIGTERM)\ntime.sleep(60)"
        assert run(code, str(tmp_path / "audit.jsonl"), collector.endpoint).status == -signal.SIGTERM
        bodies = [record.body for record in collector.arrivals.logs if record.logger == "sloburn.audit"]
    assert closed_chains(tmp_path) == [True]
    assert bodies[-1] == "audit.chain.closed"


def test_signal_in_the_middle_of_a_record(tmp_path: Path) -> None:
    """A handler that interrupts a record, and would wait for it for ever, gives up; the chain stays sound."""
    code = (
        _AUDITED
        + """
audit = get_audit_logger()
append = audit._trail.append
def interrupted(line):
    audit._trail.append = append
    signal.raise_signal(signal.SIGUSR1)
    append(line)
def handle(*_):
    assert not audit.record("stopped", actor="a", target="b")
    audit.close()
signal.signal(signal.SIGUSR1, handle)
audit._trail.append = interrupted
assert audit.record("slow", actor="a", target="b")
assert audit.record("next", actor="a", target="b")
assert audit.lost == 1
"""
    )
    done = run(code, str(tmp_path / "audit.jsonl"), "http://127.0.0.1:9")
    assert done.status == 0, done.output
    assert closed_chains(tmp_path) == [True]


_APP = """
from fastapi import FastAPI
from sloburn import get_audit_logger, init_telemetry
init_telemetry(traces=False, metrics=False, logs=False)
app = FastAPI()
@app.get("/")
async def act() -> bool:
    return get_audit_logger().record("act", actor="a", target="b")
"""


def test_workers_of_a_server_close_their_chains(tmp_path: Path) -> None:
    """uvicorn's workers, which a signal ends before Python's exit, have closed their chains by then."""
    (tmp_path / "audited.py").write_text(_APP)
    port = free_port()
    server = ("-m", "uvicorn", "audited:app", "--app-dir", str(tmp_path), "--port", str(port))
    command = (*server, "--workers", "2", *PATIENT_WORKERS)
    with started(*command, extra={"SLOBURN_AUDIT_FILE": str(tmp_path / "audit.jsonl")}) as process:
        wait_until(lambda: get(f"http://127.0.0.1:{port}/") == 200, process)
        assert [get(f"http://127.0.0.1:{port}/") for _ in range(20)] == [200] * 20
        done = stop(process)
    chains = closed_chains(tmp_path)
    assert (done.status, chains) == (0, [True] * len(chains)), done.output
