"""Take the picture of the README: the status page while the demo burns its budget. Needs Chromium.

Run it with ``make screenshot``. It plays the whole demo, and what it shows is what the demo did.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import FloatRect, Page, sync_playwright

ROOT = Path(__file__).parents[2]
PICTURE = Path(__file__).parent / "status-page.png"
SLO = "checkout-availability"
SHOWN: FloatRect = {"x": 0, "y": 0, "width": 1120, "height": 1640}
MOMENT = " PAGE "  # what the demo prints when the alert fires

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


def main() -> int:
    """Play the demo, take the picture, let the demo end."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        print("needs Chromium: apt-get install chromium", file=sys.stderr)
        return 1
    call = [sys.executable, "-m", "examples.shop.demo", "--no-color"]
    with subprocess.Popen(call, cwd=ROOT, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        address = ""
        for line in demo.stdout:
            print(line, end="", flush=True)
            address = address or "".join(re.findall(r"page\s+(http://\S+)", line))
            if MOMENT in line:
                take(browser, f"{address}slos/{SLO}")
    return demo.returncode


def take(browser: str, address: str) -> None:
    """Open the page and save what it shows."""
    with opened(browser) as page:
        page.goto(address)
        page.get_by_text("PaymentGatewayTimeout").first.wait_for()
        page.screenshot(path=str(PICTURE), full_page=True, clip=SHOWN)
    print(f"           saved {PICTURE.relative_to(ROOT)}", flush=True)


@contextmanager
def opened(browser: str) -> Iterator[Page]:
    """Return a page of a browser of our own."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=QUIET)
        page = chromium.new_page(viewport={"width": 1120, "height": 1180})
        try:
            yield page
        finally:
            chromium.close()


if __name__ == "__main__":
    sys.exit(main())
