"""A real Chromium for the tests of the page: the system's own, with its driver, and nothing downloaded."""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

REQUIRED = "SIMLAB_REQUIRE_BROWSER"
"""Set in CI: without a browser the tests then fail, where they are skipped otherwise."""

SWITCHES = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-default-apps", "--disable-extensions", "--disable-dev-shm-usage", "--hide-scrollbars",
)  # fmt: skip


def programs() -> tuple[str, str] | None:
    """Paths of the browser and its driver, None where either is absent."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


def require() -> tuple[str, str]:
    """Paths of the browser and its driver; skips the test, or fails it in CI, where either is absent."""
    found = programs()
    if found is None:
        reason = "no chromium with its chromedriver: apt-get install chromium chromium-driver"
        if os.environ.get(REQUIRED):
            pytest.fail(f"{REQUIRED} is set and there is {reason}", pytrace=False)
        pytest.skip(reason)
    return found


@contextmanager
def chromium(profile: Path) -> Iterator[Browser]:
    """A browser with an empty profile in `profile`, ended when the block ends."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    binary, driver = require()
    os.environ.update({"SE_OFFLINE": "true", "SE_AVOID_STATS": "true"})
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for switch in (*SWITCHES, f"--user-data-dir={profile}"):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    session = webdriver.Chrome(options=options, service=Service(driver))
    try:
        yield Browser(session)
    finally:
        session.quit()


class Browser:
    """What the tests ask of it. A page is a file; `run` evaluates the body of a JavaScript function."""

    def __init__(self, session) -> None:
        self.session = session
        self._command("Network.enable")

    def open(self, path: Path, *, width: int = 1280, scheme: str = "light") -> None:
        """Load a file in a window of that width, in a colour scheme; what was logged before is forgotten."""
        self.session.get_log("browser")
        self.session.get_log("performance")
        self._command(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=844, deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._command("Emulation.setEmulatedMedia", features=features)
        self.session.get(path.as_uri())

    def run(self, script: str, *arguments):
        return self.session.execute_script(script, *arguments)

    def complaints(self) -> list[str]:
        """What the console holds, of any level."""
        return [f"{entry['level']}: {entry['message']}" for entry in self.session.get_log("browser")]

    def requests(self) -> list[str]:
        """The addresses that were asked for since `open`, but for what the page carries itself."""
        messages = [json.loads(entry["message"])["message"] for entry in self.session.get_log("performance")]
        asked = [
            m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"
        ]
        return [url for url in asked if not url.startswith("data:")]

    def screenshot(self) -> bytes:
        """The whole page as PNG."""
        return base64.b64decode(
            self._command("Page.captureScreenshot", captureBeyondViewport=True, format="png")["data"]
        )

    def pdf(self) -> bytes:
        """The page on A4, with all backgrounds."""
        options = {"paperWidth": 8.27, "paperHeight": 11.69, "printBackground": True}
        return base64.b64decode(self._command("Page.printToPDF", **options)["data"])

    def print_media(self) -> None:
        """Show the page as paper does."""
        self._command("Emulation.setEmulatedMedia", media="print")

    def press(self, key: str, code: int) -> None:
        """A key on whatever has the focus."""
        for kind in ("keyDown", "keyUp"):
            self._command(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code,
                text="\r" if key == "Enter" and kind == "keyDown" else "",
            )  # fmt: skip

    def _command(self, name: str, **parameters):
        return self.session.execute_cdp_cmd(name, parameters)
