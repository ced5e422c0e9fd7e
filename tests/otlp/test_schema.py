"""The lean schema reads the same bytes as the official one."""

from __future__ import annotations

import pytest
from google.protobuf.descriptor import FieldDescriptor

from sloburn.otlp.schema import KEPT, LEAN, RAW, official_messages

BYTES, INT32, ENUM = FieldDescriptor.TYPE_BYTES, FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_ENUM
FIELDS = [(message, field) for message, fields in KEPT.items() for field in fields]


@pytest.mark.parametrize(("message", "name"), FIELDS)
def test_a_lean_field_has_the_official_number_label_and_oneof(message: str, name: str) -> None:
    """A kept field has the number, the label, the packing and the oneof of its official namesake."""
    lean = LEAN[message].DESCRIPTOR.fields_by_name[name]
    official = official_messages()[message].fields_by_name[name]
    assert (official.number, official.is_repeated, official.is_packed) == (
        lean.number,
        lean.is_repeated,
        lean.is_packed,
    )
    assert (official.containing_oneof and official.containing_oneof.name) == (
        lean.containing_oneof and lean.containing_oneof.name
    )


@pytest.mark.parametrize(("message", "name"), FIELDS)
def test_a_lean_field_has_the_official_type_or_one_that_is_equal_on_the_wire(message: str, name: str) -> None:
    """A kept field has the official type, except for attributes, AnyValues, text in AnyValues, enums and raw fields."""
    lean = LEAN[message].DESCRIPTOR.fields_by_name[name]
    official = official_messages()[message].fields_by_name[name]
    target = official.message_type.name if official.message_type else ""
    if target == "KeyValue":
        entry = lean.message_type
        assert entry.GetOptions().map_entry
        key_value = official_messages()["KeyValue"]
        assert key_value.fields_by_name["key"].number == entry.fields_by_name["key"].number
        assert key_value.fields_by_name["key"].type == entry.fields_by_name["key"].type
        assert key_value.fields_by_name["value"].number == entry.fields_by_name["value"].number
        assert entry.fields_by_name["value"].type == BYTES
    elif target == "AnyValue" or (message, name) in {("AnyValue", "string_value"), *RAW}:
        assert lean.type == BYTES
    else:
        assert lean.type == (INT32 if official.type == ENUM else official.type)
        assert target == (lean.message_type.name if lean.message_type else "")


def test_every_kept_message_is_built() -> None:
    """There is one lean class for each row of the table."""
    assert set(LEAN) == set(KEPT)
