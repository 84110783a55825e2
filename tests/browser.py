"""A headless Chromium, and a page in it that keeps what it logged and asked for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (make install-dev)")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needed = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian: apt install chromium)")


@contextmanager
def chromium() -> Iterator[sync_api.Browser]:
    sandbox = [] if os.getuid() else ["--no-sandbox"]  # which root cannot have
    with sync_api.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=sandbox)
        yield opened
        opened.close()


class Opened:
    """A page in a browser: what it logged and asked for."""

    def __init__(self, tab: sync_api.Page) -> None:
        self.tab = tab
        tab.set_default_timeout(120_000)  # a busy machine starves a browser
        self.logged: list[str] = []
        self.requests: list[str] = []
        tab.on("console", lambda message: self.logged.append(message.text))
        tab.on("pageerror", lambda error: self.logged.append(str(error)))
        tab.on("request", lambda request: self.requests.append(request.url))

    def names(self) -> list[str]:
        """The rows of the report, from the first down."""
        return self.tab.evaluate("[...document.querySelectorAll('.rows tbody th')].map(one => one.textContent)")

    def pasted(self) -> str:
        """What is on the clipboard, by pasting it."""
        self.tab.evaluate("document.body.append(Object.assign(document.createElement('textarea'), {id: 'paste'}))")
        self.tab.locator("#paste").focus()
        self.tab.keyboard.press("Control+V")
        text = self.tab.locator("#paste").input_value()
        self.tab.evaluate("document.getElementById('paste').remove()")
        return text
