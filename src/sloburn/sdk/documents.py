"""YAML files that the SDK is pointed at: OpenTelemetry's declarative configuration and SLO documents.

The parser is loaded when a file is named, never otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sloburn.errors import ConfigError

_LARGEST_BYTES = 4_000_000


def read_documents(path: Path) -> list[object]:
    """Read all documents of a YAML file.

    Raises:
        ConfigError: The file cannot be read or is no YAML, or the parser is not installed.
    """
    try:
        import yaml
    except ImportError as error:
        raise ConfigError(f"{path}: reading YAML needs PyYAML: pip install 'sloburn[spec]'") from error
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise ConfigError(f"{path} is larger than {_LARGEST_BYTES} bytes")
        return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        # YAML's own message quotes the text, which may hold a secret.
        mark = getattr(error, "problem_mark", None)
        raise ConfigError(f"{path} is not YAML{f' (line {mark.line + 1})' if mark else ''}") from error


def files_of(path: Path) -> list[Path]:
    """Return a file, or the YAML files of a folder."""
    if not path.is_dir():
        return [path]
    return sorted(file for pattern in ("*.yaml", "*.yml") for file in path.rglob(pattern))


def mappings(document: object) -> Iterator[dict[object, object]]:
    """Yield every mapping in a document, outer ones first."""
    if isinstance(document, dict):
        yield document
    children = document.values() if isinstance(document, dict) else document if isinstance(document, list) else ()
    for child in children:
        yield from mappings(child)
