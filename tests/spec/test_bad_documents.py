"""Every document in `bad/` is refused with the words that stand beside it in a file of the same name."""

from __future__ import annotations

from pathlib import Path

import pytest

from sloburn.errors import SpecError
from sloburn.spec import parse_slos

BAD = Path(__file__).parent / "bad"
DOCUMENTS = sorted(BAD.glob("*.yaml"))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_refusal(document: Path) -> None:
    """A bad document is refused with all of its problems, each with line, YAML path, finding and expectation."""
    expected = document.with_suffix(".txt").read_text()

    with pytest.raises(SpecError) as caught:
        parse_slos(document.read_text(), document.name)

    assert f"{caught.value}\n" == expected


def test_folder_is_whole() -> None:
    """Each document has its expected words, and no expected words are left over."""
    assert {path.stem for path in BAD.glob("*.txt")} == {path.stem for path in DOCUMENTS}
