"""The cases that properties are tried on: the same in every run, whatever ran before."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st


def cases() -> list[list[int]]:
    """Return what a property of whole numbers is tried on."""
    seen: list[list[int]] = []

    @settings(max_examples=50)
    @given(st.lists(st.integers()))
    def look(numbers: list[int]) -> None:
        seen.append(numbers)

    look()
    return seen


@pytest.mark.skipif("HYPOTHESIS_PROFILE" in os.environ, reason="another profile looks for new cases")
def test_no_import_changes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that was imported in between, with numbers of its own, is not drawn from."""
    before = cases()
    (tmp_path / "module_with_numbers.py").write_text("NUMBERS = [" + ", ".join(map(str, range(7_000, 7_100))) + "]\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("module_with_numbers")
    assert cases() == before
