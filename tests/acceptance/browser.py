"""A headless Chromium that sees pages of this machine and nothing else."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from selenium.webdriver.remote.webdriver import WebDriver

#: Seconds after which what a page does not show will not be shown; only ever spent on a failure.
PATIENCE = 60.0


def open_browser(folder: Path, *, width: int = 1200, height: int = 660) -> WebDriver:
    """Start Chromium with Debian's driver; skip where there is none, fail in a strict run.

    ``folder`` takes its profile.
    """
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        reason = "no chromium and chromedriver on PATH (Debian: chromium chromium-driver)"
        if os.environ.get("CI_STRICT") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    from selenium import webdriver  # noqa: PLC0415 -- needed where there is a browser

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in (
        "--headless=new",
        "--no-sandbox",  # CI is root, which Chromium's sandbox does not allow
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--hide-scrollbars",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        f"--user-data-dir={folder}",
        f"--window-size={width},{height}",
    ):
        options.add_argument(argument)
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
