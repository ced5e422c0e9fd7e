"""The status of a span, read without a parser."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from sloburn.otlp.span_status import read_status


@given(code=st.sampled_from([0, 1, 2]), message=st.text(max_size=300))
def test_a_status_reads_as_the_official_parser_reads_it(code: int, message: str) -> None:
    """Code and message come out as they went in."""
    text = message.encode("utf-8", "replace").decode()
    assert read_status(Status(code=code, message=text).SerializeToString()) == (code, text)  # type: ignore[arg-type]


@given(raw=st.binary(max_size=40))
def test_anything_else_is_no_error(raw: bytes) -> None:
    """Whatever the bytes are, there is an answer."""
    code, message = read_status(raw)
    assert (code >= 0, isinstance(message, str)) == (True, True)


def test_unknown_fields_are_passed_over() -> None:
    """Fields of all wire types that OTLP may add do no harm."""
    unknown = b"\x20\x05" + b"\x29" + bytes(8) + b"\x32\x02hi" + b"\x3d" + bytes(4)
    assert read_status(unknown + Status(code=Status.STATUS_CODE_ERROR).SerializeToString()) == (2, "")
