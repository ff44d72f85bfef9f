"""`livews inspect` in a real browser, and its own words.

Skipped without a browser; with LIVEWS_REQUIRE_BROWSER=1 they fail (tests/kit/browser.py). What the pages do with hostile
text is tested with a trace here, with a report in tests/report, with the composer in test_composer.
"""

import base64
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.client import connect as dial
from websockets.sync.server import ServerConnection as Socket
from websockets.sync.server import serve as serve_here
from websockets.typing import Origin

from livews.core import protocol
from tests.inspector.kit import HELLO
from tests.kit.browser import Browser
from tests.kit.command import livews, running, serving
from tests.kit.names import GEMINI, KEY
from tests.kit.sound import tone
from tests.report.kit import PAYLOADS, SETUP, Trace, conversation, hostile, row_of, started, text_of

WRONG = {"realtimeInput": {"text": "a", "colour": "red"}}


@dataclass
class Command:
    """`livews inspect` as it runs, with what it printed."""

    url: str
    process: Popen[str]
    said: str = ""
    door: str = ""

    def end(self) -> None:
        assert self.process.stderr is not None
        self.process.terminate()
        self.said += self.process.stderr.read()
        assert self.process.wait(timeout=15) == 0, self.said


@contextmanager
def inspecting(*words: str, **env: str) -> Iterator[Command]:
    with running("inspect", "--port", "0", *words, **env) as (url, process):
        command = Command(url, process)
        assert process.stderr is not None
        while "Ctrl-C ends it" not in command.said:
            line = process.stderr.readline()
            assert line, command.said
            command.said += line
        command.door = found[1] if (found := re.search(r"passes (ws://\S+?),", command.said)) else ""
        yield command
        if process.returncode is None:
            command.end()


@pytest.fixture(scope="module")
def stand_in() -> Iterator[str]:
    with serving("--pace", "0", "--voice", "tones", "--quiet") as (url, _):
        yield url


@pytest.fixture
def command(stand_in: str, tmp_path: Path) -> Iterator[Command]:
    with inspecting("--proxy-port", "0", "--upstream", stand_in, "--trace", str(tmp_path / "passed.jsonl")) as made:
        yield made


@contextmanager
def shown(browser: Browser, command: Command, wait_for: str = "body.live") -> Iterator[Any]:
    """The page of a command, which does nothing that it must not."""
    base = command.url.partition("?")[0]
    own = (base, base.replace("http", "ws", 1) + "live")
    page = browser.open(command.url, wait_for=wait_for, own=lambda asked: asked.startswith(own))
    wrong = browser.wrong
    yield page
    assert not wrong
    page.close()


@pytest.fixture
def opened(browser: Browser, command: Command) -> Iterator[Any]:
    with shown(browser, command) as page:
        yield page


def client(command: Command) -> Any:
    return dial(command.door + GEMINI, proxy=None, max_size=None, max_queue=None, compression=None)


@contextmanager
def ready(command: Command, opened: Any) -> Iterator[Any]:
    """A client whose session is ready, and shown so."""
    with client(command) as one:
        say(one, SETUP)
        row_of(opened, "setupComplete").wait_for()
        yield one


def say(socket: Any, *messages: Any) -> None:
    for message in messages:
        socket.send(json.dumps(message))


def counted(opened: Any, n: int) -> None:
    opened.wait_for_function(f"() => parseInt(document.getElementById('count').textContent) >= {n}")


def sessions(opened: Any, n: int) -> None:
    opened.wait_for_function(f"() => document.getElementById('session').options.length === {n}")


def written(opened: Any, words: str) -> None:
    """Until the composer holds a text with these words."""
    opened.wait_for_function(f"() => document.querySelector('#composer textarea').value.includes('{words}')")


def send_by_hand(opened: Any, message: Any) -> None:
    opened.fill("#composer textarea", json.dumps(message))
    opened.click("#composer .composer-send")


def test_messages_appear_while_the_session_runs(browser: Browser, command: Command, opened: Any) -> None:
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
        with shown(browser, command, wait_for="#rows .row") as late:
            counted(late, int(text_of(opened, "#count").split()[0]))
            assert text_of(late, "#count") == text_of(opened, "#count"), "who comes late gets all"
            late.reload()
            late.wait_for_selector("#rows .row")
            refused = browser.wrong.pop()  # and the page went on with the token it has kept
            assert "403" in refused
    opened.wait_for_selector("#end.fine")
    assert "1000" in text_of(opened, "#end")


def test_the_list_follows_its_end_until_somebody_scrolls_up(opened: Any, command: Command) -> None:
    end = "() => { const l = document.getElementById('list'); return l.scrollTop + l.clientHeight >= l.scrollHeight - 30; }"
    silent = {"realtimeInput": {"audioStreamEnd": True}}
    with client(command) as one:
        say(one, SETUP, *[silent] * 40)
        counted(opened, 40)
        opened.wait_for_function(end)
        opened.hover("#list")
        opened.mouse.wheel(0, -600)
        opened.wait_for_selector("#follow:visible")
        top = opened.evaluate("document.getElementById('list').scrollTop")
        seen = int(text_of(opened, "#count").split()[0])
        say(one, HELLO)
        counted(opened, seen + 5)
        assert opened.evaluate("document.getElementById('list').scrollTop") == top, "it stays where it was"
        opened.click("#follow")
        opened.wait_for_function(end)
        say(one, *[silent] * 30)
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
        got = [json.loads(one.recv(timeout=10)) for _ in range(6)]
        assert any("serverContent" in message for message in got), "the client is answered what it did not ask"
        opened.click("#composer .composer-sides label:has-text('to the client')")
        send_by_hand(opened, {"goAway": {"timeLeft": "7s"}})
        while one.recv(timeout=10) != b'{"goAway": {"timeLeft": "7s"}}':
            pass
        by_hand: list[tuple[str, ...]] = []
        deadline = time.monotonic() + 10  # what was passed on is written down afterwards
        while len(by_hand) < 2 and time.monotonic() < deadline:
            whole = (tmp_path / "passed.jsonl").read_bytes().rpartition(b"\n")[0]
            lines = [json.loads(line) for line in whole.splitlines()]
            by_hand = [(line["dir"], *line["message"]) for line in lines if line.get("inserted")]
        assert by_hand == [("send", "clientContent"), ("recv", "goAway")], "the trace tells what neither side sent"
        opened.click("#composer .composer-sides label:has-text('to the service')")
        opened.fill("#composer textarea", json.dumps(WRONG))
        opened.wait_for_selector("#composer :text('WIRE-5')")
        assert opened.is_visible("#end.open"), "a check changes nothing"
        opened.click("#composer .composer-send")
        opened.wait_for_selector("#end.bad")
        assert "1007" in text_of(opened, "#end") and "do" in text_of(opened, "#end")
        assert "WIRE-5" in text_of(opened, "#findings")
        opened.wait_for_selector("#composer .composer-why:has-text('This session has ended.')")


def test_sessions_of_its_own_and_of_others(opened: Any, command: Command) -> None:
    """It opens and closes its own; a chosen session stays chosen, and a message goes to the one it was written for."""
    written(opened, '"setup"')
    opened.click("#composer .composer-send")
    row_of(opened, "setupComplete").wait_for()
    send_by_hand(opened, HELLO)
    row_of(opened, "turnComplete").wait_for()
    opened.click("#close-button")
    opened.wait_for_selector("#end.fine")
    assert "Closed by the client" in text_of(opened, "#end") and "1000" in text_of(opened, "#end")
    with client(command) as other:
        say(other, SETUP)
        sessions(opened, 2)
        assert "Closed by the client" in text_of(opened, "#end"), "the chosen one stays chosen"
        opened.select_option("#session", "2")
        row_of(opened, "setupComplete").wait_for()
        assert not opened.is_visible("#close-button"), "of others' sessions it closes none"
        opened.fill("#composer textarea", json.dumps(HELLO))
        with client(command) as third:
            say(third, SETUP)
            sessions(opened, 3)
            opened.click("#composer .composer-send")
            row_of(opened, "written by hand").wait_for()
            assert opened.input_value("#session") == "2", "another began meanwhile"
        opened.click("#open-button")
        for part in ("setup", "realtimeInput"):  # the second for the one that the first opens, at once
            written(opened, part)
            opened.click("#composer .composer-send")
        row_of(opened, "realtimeInput").wait_for()
        assert opened.input_value("#session") == "4"


def test_an_ended_session_says_so_and_blames_nobody(browser: Browser, command: Command) -> None:
    with client(command) as one, pytest.raises(ConnectionClosed):
        say(one, SETUP, WRONG)
        while True:
            one.recv(timeout=10)
    with shown(browser, command, wait_for="#end.bad") as opened:
        opened.wait_for_selector("#composer .composer-why:has-text('This session has ended.')")
        written(opened, "Hello")
        opened.fill("#composer textarea", json.dumps({"realtimeInput": {"colour": 1}}))
        opened.wait_for_selector("#composer .composer-findings :text('WIRE-5')")
        opened.fill("#composer textarea", "")
        opened.wait_for_selector("#composer .composer-findings li", state="detached")
        opened.fill("#composer textarea", json.dumps({"realtimeInput": {"text": "Hello"}}, indent=2))
        opened.evaluate("new Promise((done) => setTimeout(done, 600))")  # a check comes 250 ms after the last key
        assert not opened.locator("#composer .composer-findings li").count(), "nobody wrote it"
        send, anew = (opened.locator(one).bounding_box() for one in (".composer-send", "#open-button"))
        assert abs(send["y"] - anew["y"]) < 5, "New session stands beside Send"
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


def test_a_session_that_does_not_come_to_be_is_told_once(browser: Browser) -> None:
    with socket.socket() as nobody:  # bound, and not listening
        nobody.bind(("127.0.0.1", 0))
        upstream = f"ws://127.0.0.1:{nobody.getsockname()[1]}"
        with inspecting("--proxy-port", "0", "--upstream", upstream) as command, shown(browser, command) as opened:
            opened.click("#composer .composer-send:text-is('Open session')")
            opened.wait_for_selector("#notes .banner:has-text('connection refused')")
            opened.wait_for_selector("#composer .composer-answer.bad")
            output = text_of(opened, "#composer .composer-answer")
            assert output == "No session was opened: the box at the top of the page says why."


def test_both_sides_are_played(opened: Any, command: Command) -> None:
    with ready(command, opened) as one:
        data = base64.b64encode(tone(1.0, level=13_107)).decode()
        say(one, {"realtimeInput": {"audio": {"mimeType": "audio/pcm;rate=16000", "data": data}}}, HELLO)
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


def test_a_trace_is_followed_as_it_grows(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    with inspecting(str(path)) as command, shown(browser, command) as opened:
        assert not command.door and "waits for sessions in" in command.said
        assert "which does not exist yet" in command.said
        assert not opened.locator("#composer").count() and not opened.locator("#listen").count()
        waits = text_of(opened, "#wait")
        assert "s.jsonl does not exist yet" in waits and f"livews --trace {path}" in waits
        lines = conversation().lines()
        with path.open("wb", buffering=0) as file:
            file.write(b"".join(lines[:3]))
            row_of(opened, "setupComplete").wait_for()
            file.write(b"".join(lines[3:]))
            opened.wait_for_selector("#end.bad")
            assert "colour" in text_of(opened, "#end") and "WIRE-5" in text_of(opened, "#findings")
            file.write(b"".join(started().lines()))
            sessions(opened, 2)
            opened.wait_for_function("() => document.getElementById('count').textContent === '2 lines'")
            file.write(b"".join([*Trace().send(0.1, SETUP).lines(), *Trace().lines()]))  # the next one ends it
            sessions(opened, 4)
            opened.select_option("#session", "3")
            opened.wait_for_selector("#findings:has-text('setup has no answer')")
        assert not browser.wrong
        command.end()
        opened.wait_for_selector("#lost:visible")
        assert "connection to livews is lost" in text_of(opened, "#lost")
        browser.wrong.clear()  # it says that it cannot connect


def test_nothing_of_a_hostile_trace_runs_live(
    browser: Browser, outside: tuple[str, list[str]], tmp_path: Path
) -> None:
    place, asked = outside
    lines = hostile(place).lines()
    path = tmp_path / f"{PAYLOADS[2]}.jsonl".replace("/", "")
    with inspecting(str(path)) as command, shown(browser, command) as opened:
        with path.open("wb", buffering=0) as file:
            for part in (lines[:40], lines[40:]):
                file.write(b"".join(part))
                counted(opened, 39)
        opened.wait_for_selector("#end.bad")
        for key in ("G", "Enter", *"k" * 40):
            opened.keyboard.press(key)
        opened.fill("#search", "<script>")
        opened.wait_for_function("() => / of /.test(document.getElementById('count').textContent)")
        assert opened.evaluate("[window.pwned, ({}).pwned]") == [None, None]
        text = opened.inner_text("body") + opened.title()
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
        tags = opened.locator("#lanes *, #rows *, #detail *, #end *, #session *, #notes *").evaluate_all(
            "(all) => all.map((one) => one.tagName)"
        )
        assert {"SCRIPT", "IMG", "IFRAME", "A", "STYLE", "SVG", "LINK"}.isdisjoint(tags)
        opened.set_viewport_size({"width": 400, "height": 900})
        assert opened.evaluate("document.documentElement.scrollWidth") <= 400, "it fits a phone"
        assert not asked


WATCHED = """
const Real = WebSocket;
window.sockets = [];
window.WebSocket = class extends Real { constructor(...given) { super(...given); window.sockets.push(this); } };
"""


def test_a_page_that_lost_its_connection_says_so_and_comes_back(browser: Browser, command: Command) -> None:
    browser.context.add_init_script(WATCHED)
    with shown(browser, command) as opened, ready(command, opened) as one:
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


# The command's own words


@pytest.mark.parametrize("taken", ["--port", "--proxy-port"])
def test_a_port_that_is_taken(taken: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ports = {"--port": "0", "--proxy-port": "0", taken: str(server.getsockname()[1])}
        done = livews("inspect", "--offline", *(word for pair in ports.items() for word in pair))
    assert done.returncode == 4 and f" {taken} 0 picks a free port" in done.stderr


def test_a_session_that_does_not_come_to_be_is_told_without_the_key() -> None:
    def quotes(socket: Socket, request: Request) -> Response:
        return socket.respond(HTTPStatus.BAD_REQUEST, str(request.headers))

    with serve_here(lambda socket: None, "127.0.0.1", 0, process_request=quotes) as server:
        threading.Thread(target=server.serve_forever).start()
        url = f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        with inspecting("--proxy-port", "0", GOOGLE_API_KEY=KEY, GOOGLE_GEMINI_BASE_URL=url) as command:
            base, _, token = command.url.partition("/?")
            live = f"{base.replace('http', 'ws', 1)}/live?{token}"
            with dial(live, origin=Origin(base), proxy=None) as page:
                page.send('{"id":1,"ask":"open","text":"{}"}')
                while "re" not in (output := json.loads(page.recv(timeout=10))):
                    pass
    assert (
        not output["ok"] and "x-goog-api-key: [redacted]" in output["message"] and "do: look at" in output["message"]
    )
    assert KEY not in output["message"] + command.said
    assert "that upstream is from GOOGLE_GEMINI_BASE_URL" in command.said


def test_without_a_key_the_stand_in_is_behind_the_door_and_a_trace_is_kept(tmp_path: Path) -> None:
    with inspecting("--proxy-port", "0", "--trace", f"{tmp_path}/") as command:
        assert "no key is set, so the proxy forwards to the built-in stand-in" in command.said
        with client(command) as one:
            say(one, SETUP)
            assert b"setupComplete" in one.recv(timeout=10)
    assert '"setupComplete"' in (tmp_path / "session-1.jsonl").read_text()
