"""Documents on disk: files, folders, order, and everything that a disk can do wrong."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from sloburn.errors import SpecError
from sloburn.spec import load_slos
from tests.spec.documents import document


def write(path: Path, name: str) -> Path:
    """Write a document with one SLO."""
    path.write_text(document(name=name))
    return path


def refusal(*paths: Path) -> list[str]:
    """Return what is said of paths that cannot be loaded."""
    with pytest.raises(SpecError) as caught:
        load_slos(paths)
    return [str(problem) for problem in caught.value.problems]


def test_folder_by_name(tmp_path: Path) -> None:
    """A folder gives its *.yaml and *.yml files by name; hidden and other files are passed over."""
    for file, name in (("b.yml", "second"), ("a.yaml", "first"), (".c.yaml", "hidden"), ("d.json", "json")):
        write(tmp_path / file, name)

    assert [slo.name for slo in load_slos([tmp_path])] == ["first", "second"]


def test_paths_as_given(tmp_path: Path) -> None:
    """Paths are read in the order in which they are given, and a file that is met twice counts once."""
    first, second = write(tmp_path / "z.yaml", "first"), write(tmp_path / "a.yaml", "second")

    assert [slo.name for slo in load_slos([first, tmp_path, second])] == ["first", "second"]


def test_no_paths() -> None:
    """No documents are no SLOs: whether that is enough is for the caller to say."""
    assert load_slos([]) == ()


def test_byte_order_mark(tmp_path: Path) -> None:
    """A file that begins with a byte order mark is read as if it did not."""
    file = tmp_path / "slos.yaml"
    file.write_text(document(), encoding="utf-8-sig")

    assert len(load_slos([file])) == 1


def test_name_taken_in_another_file(tmp_path: Path) -> None:
    """A name that two files use is refused with both places."""
    first, second = write(tmp_path / "a.yaml", "checkout"), write(tmp_path / "b.yaml", "checkout")

    assert refusal(tmp_path) == [
        f"{second}:4: slos[0].name: the name checkout is taken by the SLO in {first}:4; expected a name of its own"
    ]


def test_missing_file(tmp_path: Path) -> None:
    """A path that is not there is named."""
    missing = tmp_path / "missing.yaml"

    assert refusal(missing) == [f"{missing}:1: cannot be read: No such file or directory"]


def test_folder_without_documents(tmp_path: Path) -> None:
    """A folder in which there is nothing to read is refused: it is more likely a wrong path than a wish."""
    assert refusal(tmp_path) == [f"{tmp_path}:1: the folder holds no *.yaml or *.yml file"]


def test_binary_file(tmp_path: Path) -> None:
    """A file that is no text is refused with the byte and its line."""
    file = tmp_path / "slos.yaml"
    file.write_bytes(b"version: sloburn/v1\nslos: \xff\n")

    assert refusal(file) == [f"{file}:2: byte 0xff is not UTF-8 text"]


def test_unreadable_folder_entry(tmp_path: Path) -> None:
    """A folder that looks like a document is refused as what it is, and its neighbours are still looked at."""
    (tmp_path / "a.yaml").mkdir()
    (tmp_path / "b.yaml").write_text("[]")

    assert [line.split(": ", 1)[1] for line in refusal(tmp_path)] == [
        "cannot be read: Is a directory",
        "found a list; expected a mapping with `version: sloburn/v1` and a list `slos`",
    ]


def test_unreadable_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that may not be listed, and a file in one that may not be entered, are refused with their names."""

    def denied(path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", denied)
    assert refusal(tmp_path) == [f"{tmp_path}:1: the folder cannot be read: Permission denied"]
    monkeypatch.setattr(Path, "is_dir", denied)
    monkeypatch.setattr(Path, "read_text", lambda path, **_: denied(path))
    assert refusal(tmp_path / "a.yaml") == [f"{tmp_path / 'a.yaml'}:1: cannot be read: Permission denied"]


def test_problems_of_all_files_at_once(tmp_path: Path) -> None:
    """Every problem of every document is reported, file by file and from top to bottom."""
    (tmp_path / "a.yaml").write_text(document(objective="100", period="1h"))
    (tmp_path / "b.yaml").write_text(document(name="Checkout"))

    places = [line.split(": ")[:2] for line in refusal(tmp_path)]

    assert places == [
        [f"{tmp_path / 'a.yaml'}:6", "slos[0].objective"],
        [f"{tmp_path / 'a.yaml'}:7", "slos[0].period"],
        [f"{tmp_path / 'b.yaml'}:4", "slos[0].name"],
    ]
