"""A real browser for tests of pages: a Chromium of this machine (LIVEWS_CHROMIUM names another), driven by Playwright.

- A fresh profile; nothing is downloaded.
- What a page must never do is collected in `Browser.wrong`: requests away from itself, dialogs, popups, errors, complaints
  of its policy.
- Without the browser the fixture `browser` skips and says why; with LIVEWS_REQUIRE_BROWSER=1 that is a failure.
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
         "--autoplay-policy=no-user-gesture-required")  # fmt: skip
PLAYED = """
window.started = [];
const real = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (...given) {
  const samples = this.buffer.getChannelData(0);
  window.started.push([this.buffer.duration, this.buffer.sampleRate, Math.max(...samples.slice(0, 20000))]);
  return real.apply(this, given);
};
"""
"""`window.started` of a page: [seconds, rate, loudest] of each piece of sound it began to play."""


class Browser:
    """A Chromium with a fresh profile, and what a page did that it must not."""

    def __init__(self, context: Any, driver: Any) -> None:
        self.context = context
        self.driver = driver
        self.context.add_init_script(PLAYED)
        self.context.set_default_timeout(10_000)
        self.wrong: list[str] = []

    @contextlib.contextmanager
    def recording(self, har: Path) -> Iterator[Any]:
        """A page of another profile, all of whose traffic is in the HAR file at the end."""
        other = self.driver.chromium.launch(executable_path=chromium(), args=[*FLAGS])
        try:
            context = other.new_context(record_har_path=str(har))
            yield context.new_page()
            context.close()
        finally:
            other.close()

    def open(
        self,
        url: str,
        width: int = 1280,
        scheme: str = "light",
        *,
        wait_for: str = "body",
        own: Callable[[str], bool] | None = None,
    ) -> Any:
        """A new page (playwright.sync_api.Page) that shows `url`; `own` says which requests it may make (its own)."""
        self.wrong = wrong = []
        allowed = own or (lambda asked: asked == url)
        opened = self.context.new_page()
        opened.set_viewport_size({"width": width, "height": 900})
        opened.emulate_media(color_scheme=scheme)
        opened.on(
            "console",
            lambda said: wrong.append(f"console: {said.text}") if said.type in ("error", "warning") else None,
        )
        opened.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        opened.on("dialog", lambda asked: (wrong.append(f"dialog: {asked.message}"), asked.dismiss()))
        opened.on("request", lambda asked: None if allowed(asked.url) else wrong.append(f"request: {asked.url}"))
        opened.on("popup", lambda _: wrong.append("popup"))
        opened.goto(url)
        opened.wait_for_selector(wait_for)
        return opened


def started(profile: Path) -> Iterator[Browser]:
    """A browser that runs until the iterator is closed, or a skip that says what is missing."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _not_here("Playwright is not installed")
    if not (program := chromium()):
        _not_here("no Chromium was found")
    with sync_playwright() as driver:
        context = driver.chromium.launch_persistent_context(str(profile), executable_path=program, args=[*FLAGS])
        try:
            yield Browser(context, driver)
        finally:
            context.close()


def chromium() -> str:
    """Where it is, "" when there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return os.environ.get("LIVEWS_CHROMIUM") or next((found for name in names if (found := shutil.which(name))), "")


def _not_here(why: str) -> None:
    if os.environ.get("LIVEWS_REQUIRE_BROWSER") == "1":
        pytest.fail(f"{why}, and LIVEWS_REQUIRE_BROWSER=1 asks for it")
    pytest.skip(why)
