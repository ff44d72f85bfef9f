"""`livews inspect` in a real browser, and its own words.

Skipped without a browser; with LIVEWS_REQUIRE_BROWSER=1 they fail (tests/kit/browser.py).
"""

from __future__ import annotations

import base64
import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.client import connect as dial
from websockets.sync.server import ServerConnection as Socket
from websockets.sync.server import serve as serve_here
from websockets.typing import Origin

from livews.core import protocol
from tests.inspector.kit import HELLO, KEY
from tests.kit.browser import Browser
from tests.kit.command import livews, serving
from tests.kit.names import GEMINI
from tests.report.kit import PAYLOADS, SETUP, Trace, conversation, hostile, row_of, started, text_of, tone


class Command:
    """`livews inspect` as it runs, with what it printed."""

    def __init__(self, *words: str) -> None:
        command = [sys.executable, "-m", "livews", "inspect", "--port", "0", *words]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None and self.process.stderr is not None
        self.url = self.process.stdout.readline().strip()
        self.said = ""
        while "Ctrl-C ends it" not in self.said:
            line = self.process.stderr.readline()
            assert line, self.said
            self.said += line
        self.door = found[1] if (found := re.search(r"passes (ws://\S+?),", self.said)) else ""
        self._reading = threading.Thread(target=self._drain)
        self._reading.start()

    def _drain(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said += line

    def end(self) -> int:
        self.process.terminate()
        try:
            code = self.process.wait(timeout=15)
        finally:
            self.process.kill()
        assert self.process.stdout is not None and self.process.stderr is not None
        self._reading.join()
        self.process.stdout.close()
        self.process.stderr.close()
        return code


@pytest.fixture(scope="module")
def stand_in() -> Iterator[str]:
    with serving("--pace", "0", "--voice", "tones", "--quiet") as (url, _):
        yield url


@pytest.fixture
def command(stand_in: str, tmp_path: Path) -> Iterator[Command]:
    made = Command("--proxy-port", "0", "--upstream", stand_in, "--trace", str(tmp_path / "passed.jsonl"))
    yield made
    assert made.end() == 0, made.said


def show(browser: Browser, command: Command, width: int = 1280, wait_for: str = "body.live") -> Any:
    base = command.url.partition("?")[0]
    own = (base, base.replace("http", "ws", 1) + "live")
    return browser.open(command.url, width, wait_for=wait_for, own=lambda asked: asked.startswith(own))


@pytest.fixture
def opened(browser: Browser, command: Command) -> Iterator[Any]:
    """The page of the command, which does nothing that it must not."""
    page = show(browser, command)
    yield page
    assert not browser.wrong
    page.close()


def client(command: Command) -> Any:
    return dial(command.door + GEMINI, proxy=None, max_size=None, max_queue=None, compression=None)


@contextmanager
def ready(command: Command, opened: Any) -> Iterator[Any]:
    """A client whose session is ready, and shown so."""
    with client(command) as one:
        say(one, SETUP)
        row_of(opened, "setupComplete").wait_for()
        yield one


def say(socket: Any, message: Any) -> None:
    socket.send(json.dumps(message))


def counted(opened: Any, n: int) -> None:
    opened.wait_for_function(f"() => parseInt(document.getElementById('count').textContent) >= {n}")


def send_by_hand(opened: Any, message: Any) -> None:
    opened.fill("#composer textarea", json.dumps(message))
    opened.click("#composer .composer-send")


def test_messages_appear_while_the_session_runs(browser: Browser, command: Command) -> None:
    opened = show(browser, command)
    wrong = browser.wrong
    assert "no session yet" in text_of(opened, "#wait").lower()
    assert opened.url == command.url.partition("?")[0], "the token has left the address"
    with ready(command, opened) as one:
        assert text_of(opened, "#model") == "models/gemini-3.8-live"
        assert "Open." in text_of(opened, "#end")
        say(one, HELLO)
        row_of(opened, "turnComplete").wait_for()
        row_of(opened, "setup").click()
        opened.wait_for_selector("#detail .doc")
        described = protocol.load("schemas/client/BidiGenerateContentSetup.json")
        assert described["properties"]["model"]["description"] in text_of(opened, "#detail")
        opened.fill("#search", "turncomplete")  # in messages, and in the words of few lines
        opened.wait_for_function("() => / of /.test(document.getElementById('count').textContent)")
        before = int(text_of(opened, "#count").split()[0])
        say(one, HELLO)
        counted(opened, before + 2)  # a search goes on with what comes
        opened.fill("#search", "")
        row_of(opened, "turnComplete").wait_for()
        late = show(browser, command, wait_for="#rows .row")
        counted(late, int(text_of(opened, "#count").split()[0]))
        assert text_of(late, "#count") == text_of(opened, "#count"), "who comes late gets all"
        assert not browser.wrong
        late.reload()
        late.wait_for_selector("#rows .row")
        (refused,) = browser.wrong  # and the page went on with the token it has kept
        assert "403" in refused
        late.close()
    opened.wait_for_selector("#end.fine")
    assert "1000" in text_of(opened, "#end")
    assert not wrong
    opened.close()


def test_the_list_follows_its_end_until_somebody_scrolls_up(opened: Any, command: Command) -> None:
    end = "() => { const l = document.getElementById('list'); return l.scrollTop + l.clientHeight >= l.scrollHeight - 30; }"
    with client(command) as one:
        say(one, SETUP)
        for _ in range(40):
            say(one, {"realtimeInput": {"audioStreamEnd": True}})
        counted(opened, 40)
        opened.wait_for_function(end)
        opened.hover("#list")
        opened.mouse.wheel(0, -600)
        opened.wait_for_selector("#follow:visible")
        top = opened.evaluate("document.getElementById('list').scrollTop")
        seen = int(text_of(opened, "#count").split()[0])
        say(one, HELLO)
        counted(opened, seen + 5)
        assert opened.evaluate("document.getElementById('list').scrollTop") == top, (
            "it stays where it was scrolled to"
        )
        opened.click("#follow")
        opened.wait_for_function(end)
        for _ in range(30):
            say(one, {"realtimeInput": {"audioStreamEnd": True}})
        counted(opened, seen + 35)
        opened.wait_for_function(end)
        assert not opened.is_visible("#follow")


def test_a_message_by_hand_is_sent_and_answered_and_a_fault_explained(
    opened: Any, command: Command, tmp_path: Path
) -> None:
    with ready(command, opened) as one:
        send_by_hand(opened, HELLO)
        row_of(opened, "turnComplete").wait_for()
        ours = row_of(opened, "written by hand")
        assert "clientContent" in ours.inner_text() and "ours" in (ours.get_attribute("class") or "")
        got = [json.loads(one.recv(timeout=10)) for _ in range(3)]
        assert any("serverContent" in message for message in got), "the client is answered what it did not ask"
        opened.click("#composer .composer-sides label:has-text('to the client')")
        send_by_hand(opened, {"goAway": {"timeLeft": "7s"}})
        for _ in range(200):
            if (raw := one.recv(timeout=10)) == b'{"goAway": {"timeLeft": "7s"}}':
                break
        assert isinstance(raw, bytes) and b"7s" in raw
        by_hand: list[tuple[str, ...]] = []
        deadline = time.monotonic() + 10  # what was passed on is written down afterwards
        while len(by_hand) < 2 and time.monotonic() < deadline:
            written = (tmp_path / "passed.jsonl").read_bytes().splitlines(keepends=True)
            lines = [json.loads(line) for line in written if line.endswith(b"\n")]
            by_hand = [(line["dir"], *line["message"]) for line in lines if line.get("inserted")]
        assert by_hand == [("send", "clientContent"), ("recv", "goAway")], "the trace tells what neither side sent"
        opened.click("#composer .composer-sides label:has-text('to the service')")
        wrong = {"realtimeInput": {"text": "a", "colour": "red"}}
        opened.fill("#composer textarea", json.dumps(wrong))
        opened.wait_for_selector("#composer :text('WIRE-5')")
        assert opened.is_visible("#end.open"), "a check changes nothing"
        opened.click("#composer .composer-send")
        opened.wait_for_selector("#end.bad")
        assert "1007" in text_of(opened, "#end") and "do" in text_of(opened, "#end")
        assert "WIRE-5" in text_of(opened, "#findings")
        opened.wait_for_selector("#composer .composer-why:has-text('This session has ended.')")


def test_a_session_of_its_own_is_opened_and_closed(opened: Any, command: Command) -> None:
    opened.wait_for_function("() => document.querySelector('#composer textarea').value.includes('\"setup\"')")
    opened.click("#composer .composer-send")
    row_of(opened, "setupComplete").wait_for()
    send_by_hand(opened, HELLO)
    row_of(opened, "turnComplete").wait_for()
    opened.click("#close-button")
    opened.wait_for_selector("#end.fine")
    assert "Closed by the client" in text_of(opened, "#end") and "1000" in text_of(opened, "#end")
    opened.click("#open-button")
    opened.wait_for_function("() => document.querySelector('#composer textarea').value.includes('\"setup\"')")
    opened.click("#composer .composer-send")
    opened.wait_for_selector("#end.open")
    assert opened.locator("#session option").count() == 2
    opened.select_option("#session", "1")
    opened.wait_for_selector("#end.fine")
    with client(command) as other:
        say(other, SETUP)
        opened.wait_for_function("() => document.getElementById('session').options.length === 3")
        assert "Closed by the client" in text_of(opened, "#end"), "the chosen one stays chosen"
        opened.select_option("#session", "3")
        row_of(opened, "setup").wait_for()
        assert not opened.is_visible("#close-button"), "of others' sessions it closes none"


def test_an_ended_session_says_so_and_blames_nobody(browser: Browser, command: Command) -> None:
    with client(command) as one:
        say(one, SETUP)
        one.recv(timeout=10)
        say(one, {"realtimeInput": {"text": "a", "colour": "red"}})
        with pytest.raises(ConnectionClosed):
            while True:
                one.recv(timeout=10)
    opened = show(browser, command, wait_for="#end.bad")
    opened.wait_for_selector("#composer .composer-why:has-text('This session has ended.')")
    opened.wait_for_function("() => document.querySelector('#composer textarea').value.includes('Hello')")
    opened.fill("#composer textarea", json.dumps({"realtimeInput": {"colour": 1}}))
    opened.wait_for_selector("#composer .composer-findings :text('WIRE-5')")
    opened.fill("#composer textarea", "")
    opened.wait_for_selector("#composer .composer-findings li", state="detached")
    opened.fill("#composer textarea", json.dumps({"realtimeInput": {"text": "Hello"}}, indent=2))
    opened.evaluate("new Promise((done) => setTimeout(done, 600))")  # a check comes 250 ms after the last key
    assert not opened.locator("#composer .composer-findings li").count(), "nobody wrote it"
    send, anew = (opened.locator(one).bounding_box() for one in (".composer-send", "#open-button"))
    assert abs(send["y"] - anew["y"]) < 5, "New session stands beside Send"
    assert not opened.is_visible("#follow")
    opened.hover("#list")
    opened.mouse.wheel(0, -600)
    assert not opened.is_visible("#follow"), "nothing more comes"
    box = text_of(opened, "#end")
    assert "the client sent this: no member colour" in box and "WIRE-5" in box
    opened.click("#end button")
    opened.wait_for_selector("#detail .finding.l3")
    assert "realtimeInput" in text_of(opened, "#detail h3")
    opened.click("#help-button")
    assert "Ctrl-Space" in text_of(opened, "#help")
    assert not browser.wrong
    opened.close()


def test_a_session_that_does_not_come_to_be_is_told_once(browser: Browser) -> None:
    with socket.socket() as nobody:  # bound, and not listening
        nobody.bind(("127.0.0.1", 0))
        command = Command("--proxy-port", "0", "--upstream", f"ws://127.0.0.1:{nobody.getsockname()[1]}")
        try:
            opened = show(browser, command)
            opened.click("#composer .composer-send:text-is('Open session')")
            opened.wait_for_selector("#notes .banner:has-text('connection refused')")
            opened.wait_for_selector("#composer .composer-told.bad")
            told = text_of(opened, "#composer .composer-told")
            assert told == "No session was opened: the box at the top of the page says why."
            assert not browser.wrong
            opened.close()
        finally:
            assert command.end() == 0


def test_a_message_goes_to_the_session_it_was_written_for(opened: Any, command: Command) -> None:
    with ready(command, opened):
        opened.fill("#composer textarea", json.dumps(HELLO))
        with client(command) as other:
            say(other, SETUP)
            opened.wait_for_function("() => document.getElementById('session').options.length === 2")
            opened.click("#composer .composer-send")
            row_of(opened, "written by hand").wait_for()
            assert opened.input_value("#session") == "1", "another began meanwhile"
            opened.click("#open-button")
            for part in ("setup", "realtimeInput"):  # the second for the one that the first opens, at once
                opened.wait_for_function(
                    f"() => document.querySelector('#composer textarea').value.includes('{part}')"
                )
                opened.click("#composer .composer-send")
            row_of(opened, "realtimeInput").wait_for()
            assert opened.input_value("#session") == "3"


def test_both_sides_are_played(opened: Any, command: Command) -> None:
    with ready(command, opened) as one:
        pcm = tone(1.0, 16_000)
        for at in range(0, len(pcm), 3200):
            blob = {"mimeType": "audio/pcm;rate=16000", "data": base64.b64encode(pcm[at : at + 3200]).decode()}
            say(one, {"realtimeInput": {"audio": blob}})
        say(one, HELLO)
        row_of(opened, "turnComplete").wait_for()
        opened.click("#play")
        opened.wait_for_function("() => new Set(window.started.map((one) => one[1])).size === 2")
        played = [one for one in opened.evaluate("window.started") if one[1] == 16_000]
        assert max(one[2] for one in played) == pytest.approx(0.4, abs=0.01), "the samples are those that were sent"
        opened.click("#play")
        opened.evaluate("window.started = []")
        opened.check("#listen")
        say(one, HELLO)
        opened.wait_for_function("() => window.started.some((one) => one[1] === 24000)")
        opened.uncheck("#listen")


def inert(opened: Any) -> bool:
    """Is all of the wire text, and none of it raw, and the page as wide as its window?"""
    shown = opened.inner_text("body") + opened.title()
    raw = re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)
    every = "(all) => all.map((one) => one.tagName)"
    tags = opened.locator("#lanes *, #rows *, #detail *, #end *, #session *, #notes *").evaluate_all(every)
    opened.set_viewport_size({"width": 400, "height": 900})
    wide = opened.evaluate("document.documentElement.scrollWidth")
    return raw is None and wide <= 400 and {"SCRIPT", "IMG", "IFRAME", "A", "STYLE", "SVG", "LINK"}.isdisjoint(tags)


def test_nothing_that_passes_runs(opened: Any, command: Command) -> None:
    with client(command) as one:
        every = " ".join(PAYLOADS)
        say(one, {"setup": {"model": "models/gemini-3.8-live", "systemInstruction": {"parts": [{"text": every}]}}})
        row_of(opened, "setupComplete").wait_for()
        for attack in PAYLOADS:
            turn = {"role": "user", "parts": [{"text": attack}]}
            say(one, {"clientContent": {"turns": [turn], "turnComplete": True}})
        opened.click("#composer .composer-sides label:has-text('to the client')")
        for attack in [every, *PAYLOADS[:4]]:
            call, words = {"id": attack, "name": attack, "args": {attack: attack}}, {"text": attack}
            send_by_hand(opened, {"toolCall": {"functionCalls": [call]}})
            send_by_hand(opened, {attack: {attack: attack}, "serverContent": {"outputTranscription": words}})
        row_of(opened, "toolCall").wait_for()
        opened.click("#list")
        for _ in range(40):
            opened.keyboard.press("k")
        opened.keyboard.press("Enter")
        opened.keyboard.press("/")
        opened.keyboard.type("<script>")
        opened.wait_for_function("() => / of /.test(document.getElementById('count').textContent)")
        say(one, {every: every})
        opened.wait_for_selector("#end.bad")
    assert opened.evaluate("[window.pwned, ({}).pwned]") == [None, None]
    assert inert(opened)


def test_a_trace_is_followed_as_it_grows(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    command = Command(str(path))
    try:
        assert not command.door and "waits for sessions in" in command.said
        assert "which does not exist yet" in command.said
        opened = show(browser, command)
        assert not opened.locator("#composer").count() and not opened.locator("#listen").count()
        waits = text_of(opened, "#wait")
        assert "s.jsonl does not exist yet" in waits and f"livews --trace {path}" in waits
        lines = conversation().lines()
        with path.open("wb") as file:
            file.write(b"".join(lines[:3]))
            file.flush()
            row_of(opened, "setupComplete").wait_for()
            file.write(b"".join(lines[3:]))
            file.flush()
            opened.wait_for_selector("#end.bad")
            assert "colour" in text_of(opened, "#end") and "WIRE-5" in text_of(opened, "#findings")
            file.write(b"".join(started().lines()))
            file.flush()
            opened.wait_for_function("() => document.getElementById('session').options.length === 2")
            opened.wait_for_function("() => document.getElementById('count').textContent === '2 lines'")
            file.write(b"".join([*Trace().send(0.1, SETUP).lines(), *Trace().lines()]))  # the next one ends it
            file.flush()
            opened.wait_for_function("() => document.getElementById('session').options.length === 4")
            opened.select_option("#session", "3")
            opened.wait_for_selector("#findings:has-text('setup has no answer')")
        assert not browser.wrong
        assert command.end() == 0
        opened.wait_for_selector("#lost:visible")
        assert "connection to livews is lost" in text_of(opened, "#lost")
        opened.close()
    finally:
        command.process.kill()


def test_nothing_of_a_hostile_trace_runs_live(
    browser: Browser, outside: tuple[str, list[str]], tmp_path: Path
) -> None:
    place, asked = outside
    lines = hostile(place).lines()
    path = tmp_path / f"{PAYLOADS[2]}.jsonl".replace("/", "")
    command = Command(str(path))
    try:
        opened = show(browser, command)
        with path.open("wb") as file:
            for part in (lines[:40], lines[40:]):
                file.write(b"".join(part))
                file.flush()
                counted(opened, 39)
        opened.wait_for_selector("#end.bad")
        opened.keyboard.press("G")
        opened.keyboard.press("Enter")
        for _ in range(40):
            opened.keyboard.press("k")
        opened.fill("#search", "<script>")
        opened.wait_for_function("() => / of /.test(document.getElementById('count').textContent)")
        assert opened.evaluate("[window.pwned, ({}).pwned]") == [None, None]
        assert inert(opened)
        assert not browser.wrong
        assert not asked
        opened.close()
        assert command.end() == 0
    finally:
        command.process.kill()


WATCHED = """
const Real = WebSocket;
window.sockets = [];
window.WebSocket = class extends Real { constructor(...given) { super(...given); window.sockets.push(this); } };
"""


def test_a_page_that_lost_its_connection_says_so_and_comes_back(browser: Browser, command: Command) -> None:
    browser.context.add_init_script(WATCHED)
    opened = show(browser, command)
    with ready(command, opened) as one:
        opened.evaluate(
            """() => { window.said = []; new MutationObserver(() => window.said.push(document.getElementById('lost').hidden))
            .observe(document.getElementById('lost'), { attributes: true }); window.sockets.at(-1).close(); }"""
        )
        opened.wait_for_function(
            "() => window.sockets.length === 2 && window.said.includes(false) && window.said.at(-1)"
        )
        say(one, HELLO)
        row_of(opened, "turnComplete").wait_for()
        assert opened.locator("#rows .row", has_text="setupComplete").count() == 1, "nothing is there twice"
    assert not browser.wrong
    opened.close()


# The command's own words


def test_what_does_not_fit_is_said(tmp_path: Path) -> None:
    for words, says in (
        (["a.jsonl", "--upstream", "ws://127.0.0.1:1"], "--upstream is about the proxy"),
        (["--offline", "--vertex"], "leave out --vertex"),
        ([str(tmp_path)], "name a file"),
        (["--trace", "-"], "name a file after --trace"),
    ):
        done = livews("inspect", *words)
        assert done.returncode == 2 and says in done.stderr, done.stderr
    (tmp_path / "x.jsonl").write_text("no trace\n")
    done = livews("inspect", str(tmp_path / "x.jsonl"))
    assert done.returncode == 2 and "it is not a trace" in done.stderr
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = livews("inspect", "--offline", "--port", "0", "--proxy-port", port)
        assert done.returncode == 4 and "--proxy-port 0 picks a free port" in done.stderr
        done = livews("inspect", "--offline", "--port", port, "--proxy-port", "0")
        assert done.returncode == 4 and " --port 0 picks a free port" in done.stderr


def test_a_session_that_does_not_come_to_be_is_told_without_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_API_KEY", KEY)

    def quotes(socket: Socket, request: Request) -> Response:
        return socket.respond(HTTPStatus.BAD_REQUEST, str(request.headers))

    with serve_here(lambda socket: None, "127.0.0.1", 0, process_request=quotes) as server:
        threading.Thread(target=server.serve_forever).start()
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", f"http://127.0.0.1:{server.socket.getsockname()[1]}")
        command = Command("--proxy-port", "0")
        try:
            base, _, token = command.url.partition("/?")
            with dial(
                f"{base.replace('http', 'ws', 1)}/live?{token}", origin=Origin(base), proxy=None
            ) as page_of_ours:
                page_of_ours.send('{"id":1,"ask":"open","text":"{}"}')
                while "re" not in (told := json.loads(page_of_ours.recv(timeout=10))):
                    pass
        finally:
            assert command.end() == 0
    assert not told["ok"] and "x-goog-api-key: [redacted]" in told["told"] and "do: look at" in told["told"]
    assert KEY not in told["told"] + command.said
    assert "that upstream is from GOOGLE_GEMINI_BASE_URL" in command.said


def test_without_a_key_the_stand_in_is_behind_the_door_and_a_trace_is_kept(tmp_path: Path) -> None:
    command = Command("--proxy-port", "0", "--trace", f"{tmp_path}/")
    try:
        assert "no key is set, so the proxy forwards to the built-in stand-in" in command.said
        with client(command) as one:
            say(one, SETUP)
            assert b"setupComplete" in one.recv(timeout=10)
        assert command.end() == 0
    finally:
        command.process.kill()
    assert '"setupComplete"' in (tmp_path / "session-1.jsonl").read_text()
