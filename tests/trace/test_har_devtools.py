"""HAR by other tools: Chromium's own DevTools open what is exported, and what Chromium recorded is imported.

They need the browser, as tests/kit/browser.py has it.
"""

import json
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from livews.trace.session import follow
from tests.kit import browser as browsers
from tests.kit.browser import Browser
from tests.kit.command import serving
from tests.kit.names import GEMINI, KEY
from tests.report.kit import conversation
from tests.trace.kit import Run


@contextmanager
def devtools(browser: Browser, profile: Path) -> Iterator[str]:
    """The address of the DevTools of a second Chromium."""
    command = [browsers.chromium(), *browsers.FLAGS, f"--user-data-dir={profile}", "--remote-debugging-port=0",
               "--remote-allow-origins=*", "about:blank"]  # fmt: skip
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        output = profile / "DevToolsActivePort"
        deadline = time.monotonic() + 20
        while not (output.exists() and output.read_text().count("\n")):
            assert time.monotonic() < deadline, "Chromium tells no port"
            time.sleep(0.05)
        place = f"127.0.0.1:{output.read_text().split()[0]}"
        pages = browser.context.request.get(f"http://{place}/json").json()
        page = next(page["id"] for page in pages if page["type"] == "page")
        yield f"http://{place}/devtools/inspector.html?ws={place}/devtools/page/{page}&panel=network"
    finally:
        process.terminate()
        process.wait(10)


def test_devtools_open_what_is_exported(browser: Browser, trace: Run, tmp_path: Path) -> None:
    recorded = [json.dumps(row["message"], separators=(",", ":")) for row in conversation().rows if "message" in row]
    path = conversation().write(tmp_path / "talk.jsonl")
    assert trace("export", path, "-o", tmp_path / "talk.har").code == 0
    with devtools(browser, tmp_path / "profile") as address:
        opened = browser.open(address, 1800, own=lambda url: True)
        opened.get_by_role(
            "button", name=re.compile("screencast", re.IGNORECASE)
        ).first.click()  # it takes all the place
        with opened.expect_file_chooser() as asked:
            opened.get_by_role("button", name=re.compile("import har", re.IGNORECASE)).first.click()
        asked.value.set_files(str(tmp_path / "talk.har"))
        opened.get_by_text("x?key=[redacted]").first.click()
        opened.get_by_role("tab", name="Messages").first.click()
        cells = opened.locator(".resource-chunk-view-td.data-column")
        cells.first.wait_for()
        shown = [text.removesuffix("…").strip() for text in cells.all_inner_texts()]
        opened.close()
    assert len(shown) > 20
    for said, exported in zip(reversed(shown), reversed(recorded), strict=False):
        assert exported.replace(" ", "").startswith(said.replace(" ", "")[:500])


TALK = """async (url) => {
  const socket = new WebSocket(url);
  let got = 0, say = () => {};
  const answered = new Promise((resolve, reject) => {
    socket.onmessage = async (event) => {
      got++;
      const text = await event.data.text();
      if (text.includes("setupComplete")) say();
      if (text.includes("turnComplete")) resolve();
    };
    socket.onclose = () => reject(new Error("it closed"));
  });
  say = () => socket.send(JSON.stringify(
    {clientContent: {turns: [{role: "user", parts: [{text: "Grüß dich"}]}], turnComplete: true}}));
  socket.onopen = () => socket.send(JSON.stringify({setup: {model: "models/gemini-3.8-live"}}));
  await answered;
  return got;
}"""


def test_what_chromium_recorded_is_imported(browser: Browser, trace: Run, tmp_path: Path) -> None:
    har, path = tmp_path / "page.har", tmp_path / "page.jsonl"
    with serving("--pace", "0") as (url, _), browser.recording(har) as page:
        page.goto(f"{url.replace('ws:', 'http:')}/livews/status")
        got = page.evaluate(TALK, f"{url}{GEMINI}?key={KEY}")
    assert trace("import", har, "-o", path).code == trace("check", path).code == 0
    assert KEY in har.read_text() and KEY not in path.read_text()
    row = json.loads(trace("stats", path, "--json").out)
    assert row["turns"] == {"user": 1, "model": 1, "interrupted": 0} and row["audio"]["server"]["seconds"] > 1
    assert 0 < row["seconds"] < 60, "this browser writes milliseconds where others write seconds"
    steps = [step for session in follow(path) for _, step in session if step is not None]
    assert [step.body.get("clientContent", {}).get("turns") for step in steps if step.kind == "clientContent"] == [
        [{"role": "user", "parts": [{"text": "Grüß dich"}]}]
    ]
    assert sum(step.sender == "server" for step in steps) == got
    assert not [step for step in steps if step.faults]
    assert "turnComplete" in steps[-1].signals
