"""The stack's PostgreSQL: whom it runs as, where it can live, and how it is created."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from pathlib import Path

from collector.stack.debian import find_named
from collector.stack.places import StackError


def database_user() -> str | None:
    """Return whom PostgreSQL runs as: it refuses root."""
    return "postgres" if os.geteuid() == 0 else None


def shut_folder(data: Path) -> Path | None:
    """Return the folder above the data that keeps the database's user out; None where there is none."""
    if database_user() is None:
        return None
    there = (place for place in data.absolute().parents if place.exists())
    return next((place for place in there if not place.stat().st_mode & 0o001), None)


def create_database(data: Path) -> None:
    """Create the database with a password of its own, where there is none yet.

    Raises:
        StackError: It cannot be created; the message has what PostgreSQL says.
    """
    folder, server = data / "postgresql", find_named("postgres")
    if server is None or (folder / "PG_VERSION").exists():
        return
    user = database_user()
    hers = _password_file(data, user)
    if user:
        shutil.chown(folder, user, user)
        data.chmod(0o755)
    # Programs that belong to it stand beside the file itself, not beside a link to it.
    call = [str(server.resolve().with_name("initdb")), "-D", str(folder), "-U", "sloburn", "-A", "scram-sha-256"]
    call += ["-E", "UTF8", f"--pwfile={hers}", "--no-locale", "--no-sync", "--no-instructions"]
    done = subprocess.run(call, cwd=folder, capture_output=True, text=True, user=user, group=user, check=False)
    hers.unlink()
    if done.returncode:
        raise StackError(f"the database cannot be created in {folder}: {done.stderr.strip()}")


def _password_file(data: Path, user: str | None) -> Path:
    """Return a copy of the password, made now if there is none, for whom the database runs as."""
    file = data / "secrets" / "postgresql"
    file.parent.mkdir(mode=0o700, exist_ok=True)
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(secrets.token_urlsafe(24))
    copy = data / "postgresql.password"
    copy.touch(mode=0o600)
    copy.write_text(file.read_text())
    if user:
        shutil.chown(copy, user, user)
    return copy
