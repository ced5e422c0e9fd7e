"""`collector/compose/receivers.py`: Alertmanager is told of those it can reach, and of nobody else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from collector.compose.receivers import SettingsError, main, reachable
from collector.stack.places import COLLECTOR

SOURCE = COLLECTOR / "alertmanager" / "alertmanager.yaml"
MAIL = {"ALERT_EMAIL_TO": "to@example.org", "ALERT_EMAIL_FROM": "from@example.org", "SMTP_SMARTHOST": "mail:587"}
SECRETS = ("pagerduty_routing_key", "slack_webhook_url", "discord_webhook_url", "webhook_url", "smtp_password")


def kept(folder: Path, *secrets: str, **environ: str) -> dict[str, list[str]]:
    """Return the kinds of integrations that each receiver keeps with these secrets and this environment."""
    document, _ = written(folder, *secrets, **environ)
    return {it["name"]: [kind for kind in it if kind != "name"] for it in document["receivers"]}


def written(folder: Path, *secrets: str, **environ: str) -> tuple[dict[str, Any], list[str]]:
    """Return the configuration for these secrets, and what was left out."""
    (folder / "secrets").mkdir()
    for name in SECRETS:
        (folder / "secrets" / name).write_text("x" if name in secrets else "")
    return reachable(yaml.safe_load(SOURCE.read_text()), folder, environ)


def test_who_has_a_secret_is_kept(tmp_path: Path) -> None:
    """An integration stays when its secret holds something; its receiver stays anyway, for the routes."""
    assert kept(tmp_path, "slack_webhook_url") == {"page": [], "chat": ["slack_configs"], "ticket": []}


def test_everything_is_kept(tmp_path: Path) -> None:
    """With every secret and setting nothing is left out, and nothing but e-mail and templates is changed."""
    document, left_out = written(tmp_path, *SECRETS, **MAIL, SMTP_USERNAME="me")
    source = yaml.safe_load(SOURCE.read_text())
    (mail,) = document["receivers"][2]["email_configs"]

    assert left_out == []
    assert (mail["to"], mail["from"], mail["smarthost"], mail["auth_username"]) == (*MAIL.values(), "me")
    assert document["templates"] == [f"{tmp_path}/templates/*.tmpl"]
    assert document["route"] == source["route"]
    assert document["receivers"][:2] == source["receivers"][:2]


def test_mail_without_a_name_asks_for_no_password(tmp_path: Path) -> None:
    """A mail server that asks for no name gets neither name nor password."""
    document, _ = written(tmp_path, **MAIL)
    (mail,) = document["receivers"][2]["email_configs"]

    assert [key for key in mail if key.startswith("auth_")] == []


def test_mail_with_a_name_needs_its_password(tmp_path: Path) -> None:
    """With a name and no password there is no e-mail, and it is said why."""
    _, left_out = written(tmp_path, **MAIL, SMTP_USERNAME="me")

    assert "ticket: email (secrets/smtp_password is empty)" in left_out


def test_half_of_mail_is_refused(tmp_path: Path) -> None:
    """A mail server without addresses is a mistake, and the message names what is missing."""
    with pytest.raises(SettingsError, match="ALERT_EMAIL_FROM, ALERT_EMAIL_TO is empty"):
        written(tmp_path, SMTP_SMARTHOST="mail:587")


def test_command_says_what_it_leaves_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file is written, what is left out is listed, and that nobody hears of alerts is said."""
    target = tmp_path / "out.yaml"

    assert main(SOURCE, target, {}) is None

    out = capsys.readouterr().out
    assert [it["name"] for it in yaml.safe_load(target.read_text())["receivers"]] == ["page", "chat", "ticket"]
    assert "left out of chat: slack (secrets/slack_webhook_url is empty)" in out
    assert "alerts reach nobody" in out
    assert main(SOURCE, target, {"SMTP_SMARTHOST": "mail:587"}) is not None
