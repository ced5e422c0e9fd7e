"""A real browser and axe-core for tests, each with the reason why it is not there."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
from base64 import b64decode
from pathlib import Path

# Chromium must not call home: the machine may have no network.
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
CACHE = Path(__file__).parents[2] / ".cache" / "axe-core"
AXE = "axe-core@4.14.1"
AXE_SHA512 = "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="
NPM_SECONDS = 20


def chromium() -> str | None:
    """Return the browser's program; None if none is installed."""
    return shutil.which("chromium") or shutil.which("google-chrome")


def axe_source() -> str:
    """Return the source of axe-core: from the cache, else from npm.

    Raises:
        RuntimeError: It cannot be had; the message says why.
    """
    archive = CACHE / f"{AXE.replace('@', '-')}.tgz"
    if not archive.exists():
        _download()
    if not archive.exists():
        raise RuntimeError(f"npm pack {AXE} left no {archive.name}")
    if hashlib.sha512(archive.read_bytes()).digest() != b64decode(AXE_SHA512):
        raise RuntimeError(f"{archive} is not the {AXE} that was pinned: remove it")
    with tarfile.open(archive) as files:
        member = files.extractfile("package/axe.min.js")
        assert member is not None
        return member.read().decode()


def _download() -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError("needs npm for axe-core")
    CACHE.mkdir(parents=True, exist_ok=True)
    call = [npm, "pack", AXE, "--silent", "--pack-destination", str(CACHE)]
    try:
        subprocess.run(call, check=True, capture_output=True, timeout=NPM_SECONDS)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise RuntimeError(f"npm does not give axe-core: {error}") from error
