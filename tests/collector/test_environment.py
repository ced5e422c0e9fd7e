"""What servers see of a user's environment: what their configurations ask for, and no settings of services."""

from __future__ import annotations

from pathlib import Path

import pytest
from collector.stack.places import COLLECTOR
from collector.stack.ports import USUAL
from collector.stack.services import services
from collector.stack.state import process_environment

SECURE_EXITS = COLLECTOR / "options" / "secure-exits.yaml"


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set a variable for an option of the Collector, one for everything, and two for services that send telemetry."""
    for name in ("SLOBURN_TOKEN_FILE", "OTEL_SERVICE_NAME", "SLOBURN_SERVICE_VERSION", "CA_FILE"):
        monkeypatch.setenv(name, "x")


def seen_by(name: str, *options: Path) -> set[str]:
    """Return which of the variables a server gets."""
    known = services(Path("/data"), USUAL, [], [str(option) for option in options])
    (service,) = (it for it in known if it.name == name)
    return {key for key, value in process_environment(service.asks).items() if value == "x"}


def test_what_an_option_names_is_passed_on() -> None:
    """The Collector finds the token that an option names by a variable; without the option it is not given it."""
    assert seen_by("otelcol", SECURE_EXITS) == {"SLOBURN_TOKEN_FILE", "CA_FILE"}
    assert seen_by("otelcol") == {"CA_FILE"}


@pytest.mark.parametrize("written", ["${env:SLOBURN_TOKEN_FILE}", "${SLOBURN_TOKEN_FILE}", "${SLOBURN_TOKEN_FILE:-x}"])
def test_every_spelling_of_a_variable_counts(tmp_path: Path, written: str) -> None:
    """The Collector expands variables with and without ``env:``."""
    option = tmp_path / "option.yaml"
    option.write_text(f"extensions: {{bearertokenauth: {{filename: {written}}}}}")

    assert seen_by("otelcol", option) == {"SLOBURN_TOKEN_FILE", "CA_FILE"}


def test_settings_of_services_are_kept_from_servers() -> None:
    """The processor, which is a service itself, has the settings of the stack, and of nobody else."""
    assert seen_by("sloburn", SECURE_EXITS) == {"CA_FILE"}


def test_an_option_that_is_not_there_asks_for_nothing(tmp_path: Path) -> None:
    """The Collector says itself that a file is missing."""
    assert seen_by("otelcol", tmp_path / "missing.yaml") == {"CA_FILE"}
